"""The long expressive memory against a loop written from the paper, and against the cell of torchrecurrent."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn, sigmoid, tanh
from torch.testing import assert_close

from suite.architectures.lem import LEM

BATCH, TIME, INPUT, HIDDEN = 3, 15, 4, 6
CLOSE = {"rtol": 1e-10, "atol": 1e-10}


def randomised(module: Any) -> Any:
    for parameter in module.parameters():
        nn.init.normal_(parameter, std=0.5)
    return module.double()


def random(*shape: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64)


def by_hand(cell: LEM, inputs: Tensor, y: Tensor, z: Tensor) -> tuple[Tensor, Tensor]:
    """Equation 2 of the paper, one matrix after the other."""
    V_1, V_2, V_z, V_y = cell.V.chunk(4)
    W_1, W_2, W_z, W_y = cell.W.chunk(4)
    b_1, b_2, b_z, b_y = cell.b.chunk(4)
    outputs = []
    for x in inputs.unbind(1):
        step = cell.dt * sigmoid(y @ W_1.T + x @ V_1.T + b_1)
        step_bar = cell.dt * sigmoid(y @ W_2.T + x @ V_2.T + b_2)
        z = (1 - step) * z + step * tanh(y @ W_z.T + x @ V_z.T + b_z)
        y = (1 - step_bar) * y + step_bar * tanh(z @ W_y.T + x @ V_y.T + b_y)
        outputs.append(y)
    return torch.stack(outputs, dim=1), z


def torchrecurrents(cell: Any, inputs: Tensor, y: Tensor, z: Tensor) -> tuple[Tensor, Tensor]:
    """The cell of torchrecurrent, called twice a step, because it computes y_t from z_{t−1} where the paper has z_t."""
    outputs = []
    for x in inputs.unbind(1):
        z = cell(x, (y, z))[1]
        y = cell(x, (y, z))[0]
        outputs.append(y)
    return torch.stack(outputs, dim=1), z


def assert_same(cell: LEM, results: tuple[Tensor, Tensor], expected: tuple[Tensor, Tensor], sources: Any) -> None:
    weights = [random(*result.shape) for result in results]
    found = []
    for (outputs, z), parameters in zip((results, expected), sources, strict=True):
        loss = (outputs * weights[0]).sum() + (z * weights[1]).sum()
        found.append(torch.autograd.grad(loss, parameters))
    for one, other in zip([*results, *found[0]], [*expected, *found[1]], strict=True):
        assert_close(one, other, **CLOSE)


@pytest.mark.parametrize("dt", [1.0, 0.0242])
@pytest.mark.parametrize("from_zero", [True, False])
def test_it_is_the_loop_of_the_paper_with_all_gradients(dt: float, from_zero: bool) -> None:
    cell = randomised(LEM(INPUT, HIDDEN, dt=dt))
    inputs = random(BATCH, TIME, INPUT).requires_grad_()
    y, z = cell.initial_state(BATCH) if from_zero else (random(BATCH, HIDDEN), random(BATCH, HIDDEN))
    y, z = y.requires_grad_(), z.requires_grad_()
    outputs, (last, last_z) = cell(inputs, (y, z))
    assert torch.equal(outputs[:, -1], last)
    sources = [inputs, y, z, *cell.parameters()]
    assert_same(cell, (outputs, last_z), by_hand(cell, inputs, y, z), (sources, sources))


def test_it_is_the_cell_of_torchrecurrent_with_the_new_z() -> None:
    torchrecurrent = pytest.importorskip("torchrecurrent", reason="torchrecurrent is not installed")
    theirs = randomised(torchrecurrent.LEMCell(INPUT, HIDDEN, dt=0.3))
    cell = LEM(INPUT, HIDDEN, dt=0.3).double()
    bar, one, to_z, to_y = theirs.weight_ih.detach().chunk(4)
    h_bar, h_one, h_z = theirs.weight_hh.detach().chunk(3)
    b_bar, b_one, b_z, b_y = theirs.bias_ih.detach().chunk(4)
    c_bar, c_one, c_z = theirs.bias_hh.detach().chunk(3)
    cell.load_state_dict(
        {
            "V": torch.cat([one, bar, to_z, to_y]),
            "W": torch.cat([h_one, h_bar, h_z, theirs.weight_ch.detach()]),
            "b": torch.cat([b_one + c_one, b_bar + c_bar, b_z + c_z, b_y + theirs.bias_ch.detach()]),
        }
    )
    inputs, y, z = (
        random(*shape).requires_grad_() for shape in ((BATCH, TIME, INPUT), (BATCH, HIDDEN), (BATCH, HIDDEN))
    )
    outputs, (_, last_z) = cell(inputs, (y, z))
    expected, expected_z = torchrecurrents(theirs, inputs, y, z)
    weights, weights_z = random(*outputs.shape), random(*z.shape)
    loss, their_loss = (
        (a * weights).sum() + (b * weights_z).sum() for a, b in ((outputs, last_z), (expected, expected_z))
    )
    *found, dV, dW, db = torch.autograd.grad(loss, [inputs, y, z, cell.V, cell.W, cell.b])
    their_parameters = theirs.weight_ih, theirs.weight_hh, theirs.weight_ch, theirs.bias_ih
    *others, d_ih, d_hh, d_ch, d_bias = torch.autograd.grad(their_loss, [inputs, y, z, *their_parameters])
    bar_first = torch.cat([d_hh, d_ch])
    in_our_order = [torch.cat([d.chunk(4)[k] for k in (1, 0, 2, 3)]) for d in (d_ih, bar_first, d_bias)]
    pairs = zip([outputs, last_z, *found, dV, dW, db], [expected, expected_z, *others, *in_our_order], strict=True)
    for ours, other in pairs:
        assert_close(ours, other, **CLOSE)


def test_a_small_step_keeps_its_states() -> None:
    cell = randomised(LEM(INPUT, HIDDEN, dt=1e-4))
    y, z = random(BATCH, HIDDEN), random(BATCH, HIDDEN)
    _, (last_y, last_z) = cell(random(BATCH, TIME, INPUT), (y, z))
    assert (last_y - y).abs().max() < 1e-2
    assert (last_z - z).abs().max() < 1e-2


@pytest.mark.parametrize("dt", [0.0, -1.0, float("nan")])
def test_a_step_that_is_not_positive_is_refused(dt: float) -> None:
    with pytest.raises(ValueError, match="dt must be a time step above 0; got"):
        LEM(INPUT, HIDDEN, dt=dt)
