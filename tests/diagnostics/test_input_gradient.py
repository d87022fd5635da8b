"""The gradient from output to input: against the Jacobian of the whole model, by formula, and where it must be 0."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.testing import assert_close

from suite.architectures import Cell
from suite.diagnostics.gradients import GradientFlow, gradient_flow, input_gradient, input_memory, mean_log
from suite.model.sequence_model import SequenceModel, build_model
from suite.registry import architectures, make_task
from tests.contracts.test_layers import Transformer
from tests.diagnostics.test_gradients import Orthogonal, generator

INPUT, HIDDEN, OUTPUT, TIME, BATCH = 2, 8, 3, 7, 3
SHAPES: list[dict[str, Any]] = [
    {},
    {"depth": 2},
    {"delay": 2},
    {"depth": 2, "bidirectional": True},
    {"block": "residual", "mixer": 1.0},
    {"block": "residual", "depth": 2, "bidirectional": True, "delay": 1},
]


class RunningSum(Cell[Tensor]):
    """h_t = h_{t−1} + W x_t: an input never fades."""

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__(input_size, hidden_size)
        self.W = nn.Parameter(torch.randn(hidden_size, input_size))

    def initial_state(self, batch_size: int) -> Tensor:
        return self.zeros(batch_size, self.hidden_size)

    def step(self, x: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        h = state + x @ self.W.T
        return h, h


class Untrained(RunningSum):
    """It works without gradients, as a cell may whose parameters are frozen."""

    @torch.no_grad()
    def step(self, x: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        return super().step(x, state)


def inputs_of(time: int = TIME, batch: int = BATCH) -> Tensor:
    return torch.randn(batch, time, INPUT, generator=generator(1))


def directions(batch: int = BATCH, size: int = OUTPUT) -> Tensor:
    """The random unit vectors that a generator with the seed 0 gives."""
    v = torch.randn(batch, size, dtype=torch.float64, generator=generator())
    return v / v.norm(dim=1, keepdim=True)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("name", architectures.names())
def test_it_is_the_jacobian_of_the_whole_model(name: str, shape: dict[str, Any]) -> None:
    model = build_model(name, {}, INPUT, HIDDEN, OUTPUT, seed=2, **shape)
    for parameter in model.parameters():
        if parameter.requires_grad:
            nn.init.normal_(parameter, std=0.5, generator=generator(3))
    norms = input_gradient(model, inputs_of(), generator())
    double = model.double().eval()
    whole = torch.autograd.functional.jacobian(lambda x: double(x)[0][:, -1], inputs_of().double())
    for row, v in enumerate(directions()):
        expected = torch.einsum("o,oti->ti", v, whole[row, :, row]).norm(dim=1).flip(0)
        assert_close(norms[:, row], expected, rtol=1e-9, atol=1e-14)


@pytest.mark.parametrize("rho", [0.6, 1.0])
def test_it_is_that_of_the_formula_of_a_linear_net(rho: float) -> None:
    model = SequenceModel(partial(Orthogonal, rho=rho), INPUT, HIDDEN, OUTPUT)
    (cell,) = model.cells
    norms = input_gradient(model, inputs_of(), generator())
    for tau in range(TIME):
        # y_T = D Σ (ρQ)^τ W x_{T−τ} + b
        product = model.decoder.weight.double() @ torch.matrix_power(rho * cell.Q, tau) @ cell.W
        assert_close(norms[tau], (directions() @ product).norm(dim=1), rtol=1e-9, atol=0)


def test_a_sum_of_all_inputs_forgets_none_of_them() -> None:
    curve = mean_log(input_gradient(SequenceModel(RunningSum, INPUT, HIDDEN, OUTPUT), inputs_of(50), generator()))
    assert_close(curve, curve[:1].expand(50))
    decay = input_memory(curve)
    assert decay.memory == math.inf
    assert decay.slope == pytest.approx(0.0, abs=1e-12)


def test_the_random_directions_have_unit_length() -> None:
    model = SequenceModel(RunningSum, INPUT, 4, 4)
    (cell,) = model.cells
    with torch.no_grad():
        cell.W.copy_(torch.cat([torch.eye(INPUT), torch.zeros(4 - INPUT, INPUT)]))
        model.decoder.weight.copy_(torch.eye(4))
    model.decoder.weight.data[:2] *= 0.5
    norms = input_gradient(model, inputs_of(batch=64), generator())
    assert_close(norms[0], 0.5 * directions(64, 4)[:, :INPUT].norm(dim=1))
    assert_close(directions(64, 4).norm(dim=1), torch.ones(64, dtype=torch.float64))
    assert input_gradient(SequenceModel(RunningSum, INPUT, 4, 1), inputs_of(), generator())[0].unique().numel() == 1


def test_it_is_0_beyond_the_reach_of_a_window_and_only_there() -> None:
    model = build_model("mlp", {"window": 4}, INPUT, HIDDEN, OUTPUT, seed=0)
    norms = input_gradient(model, inputs_of(12), generator())
    assert bool((norms[:4] > 0).all())
    assert not norms[4:].any()
    assert input_memory(mean_log(norms)).memory == 3.0
    alone = build_model("mlp", {"window": 1}, INPUT, HIDDEN, OUTPUT, seed=0)
    assert input_memory(mean_log(input_gradient(alone, inputs_of(12), generator()))).memory == 0.0


def test_a_net_that_works_without_gradients_has_none() -> None:
    assert not input_gradient(SequenceModel(Untrained, INPUT, HIDDEN, OUTPUT), inputs_of(), generator()).any()


def test_the_last_input_is_no_memory() -> None:
    """A residual path from x_T to y_T makes τ = 0 stand out, and neither slope nor memory may follow from that."""
    curve = [0.0, *[-7.0] * 29]
    assert input_memory(curve).slope == pytest.approx(0.0, abs=1e-12)
    assert input_memory([5.0, -1.0, -2.0, -3.0]) == pytest.approx((-1.0, 1.0, 0.0), abs=1e-12)
    assert input_memory([0.0, *[-0.5 * tau for tau in range(1, 6)], -math.inf]).memory == 5.0


def test_in_a_run_it_is_measured_on_half_of_the_sequences() -> None:
    task = make_task("adding", {})
    batch = task.sample(5, TIME, generator(1))
    model = build_model("gru", {}, task.input_size, HIDDEN, task.output_size, seed=0)
    flow = gradient_flow(model, task, batch, generator())
    drawn = generator()
    torch.randn(5, HIDDEN, dtype=torch.float64, generator=drawn)  # the directions of the gradient through the state
    assert_close(flow.input, mean_log(input_gradient(model, batch.inputs[:3], drawn)))
    layer = SequenceModel(Transformer, task.input_size, HIDDEN, task.output_size)
    only = GradientFlow(None, None, mean_log(input_gradient(layer, batch.inputs[:3], generator())))
    assert_close(gradient_flow(layer, task, batch, generator()).input, only.input)


@pytest.mark.parametrize("block", ["plain", "residual"])
@pytest.mark.parametrize("name", ["attention", f"{Transformer.__module__}:Transformer"])
def test_it_dies_in_a_plain_net_and_not_in_attention(name: str, block: str) -> None:
    def log10(architecture: str) -> Tensor:
        model = build_model(architecture, {}, INPUT, 32, 1, seed=0, block=block)
        return mean_log(input_gradient(model, inputs_of(60, 16), generator())) / math.log(10)

    net, attention = log10("rnn"), log10(name)
    assert net[50] < net[1] - 8
    past = attention[1:]
    assert past.max() - past.min() < 0.5
    assert input_memory(net).memory < 5 < 100 < input_memory(attention).memory
