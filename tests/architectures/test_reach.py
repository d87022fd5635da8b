"""How far the newer cells reach, what their states hold, and what stays frozen or orthogonal."""

from __future__ import annotations

import math
from typing import Any
from unittest import mock

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from suite import kernels
from suite.architectures import Cell, orthogonal_rnn
from suite.architectures.attention import Attention
from suite.architectures.echo_state import DENSE_SIZE, EXACT_SIZE, EchoState
from suite.architectures.gru import GRU
from suite.architectures.indrnn import IndRNN
from suite.architectures.lstm import LSTM
from suite.architectures.orthogonal_rnn import OrthogonalRNN
from suite.architectures.tcn import TCN
from suite.model.sequence_model import build_model
from suite.model.sizing import parameter_count
from tests.helpers import leaves

BATCH, INPUT, HIDDEN = 2, 3, 12

every_position = pytest.mark.parametrize("positions", ["none", "rope", "alibi"])


def random(*shape: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64)


def lags_with_a_gradient(cell: Cell[Any], time: int) -> list[int]:
    """The lags at which the last output has a gradient that is not exactly 0."""
    inputs = random(4, time, INPUT).requires_grad_()
    (gradient,) = torch.autograd.grad(cell(inputs)[0][:, -1].square().sum(), inputs)
    return [lag for lag in range(time) if gradient[:, time - 1 - lag].any()]


# attention -----------------------------------------------------------------------------------------------------------


@every_position
@pytest.mark.parametrize("window", [0, 1, 5, 200])
@pytest.mark.parametrize("cut", [1, 3, 100])
def test_a_sequence_of_attention_can_be_cut_and_a_window_bounds_its_state(
    positions: Any, window: int, cut: int
) -> None:
    cell = Attention(INPUT, HIDDEN, heads=3, positions=positions, window=window).double()
    inputs = random(BATCH, 150, INPUT)
    whole, last = cell(inputs)
    by_step, last_by_step = Cell.forward(cell, inputs)
    first, between = cell(inputs[:, :cut])
    second, end = cell(inputs[:, cut:], between)
    assert_close(whole, by_step)
    assert_close(torch.cat([first, second], dim=1), whole)
    for one, other, another in zip(leaves(last), leaves(last_by_step), leaves(end), strict=True):
        assert_close(one, other)
        assert_close(one, another)
    assert {leaf.shape[1] for leaf in leaves(last)} == {min(150, window - 1) if window else 150}
    assert {leaf.shape[1] for leaf in leaves(between)} == {min(cut, window - 1) if window else cut}


@every_position
@pytest.mark.parametrize("window", [1, 4, 70])
def test_attention_sees_exactly_the_last_window_inputs(positions: Any, window: int) -> None:
    cell = Attention(INPUT, HIDDEN, heads=3, positions=positions, window=window).double()
    assert lags_with_a_gradient(cell, 150) == list(range(window))
    assert lags_with_a_gradient(Attention(INPUT, HIDDEN, heads=3, positions=positions).double(), 9) == list(range(9))


@every_position
def test_only_differences_of_positions_count(positions: Any) -> None:
    cell = Attention(INPUT, HIDDEN, heads=3, positions=positions, window=6).double()
    inputs = random(BATCH, 200, INPUT)
    late, early = cell(inputs)[0][:, 150:], cell(inputs[:, 140:])[0][:, 10:]
    assert_close(late, early)


def test_without_positions_attention_does_not_know_the_order_of_what_came_before() -> None:
    inputs = random(BATCH, 9, INPUT)
    shuffled = torch.cat([inputs[:, :8].flip(1), inputs[:, 8:]], dim=1)
    outputs = {}
    for positions in ("none", "rope", "alibi"):
        cell = Attention(INPUT, HIDDEN, heads=3, positions=positions).double()  # type: ignore[arg-type]
        outputs[positions] = torch.allclose(cell(inputs)[0][:, -1], cell(shuffled)[0][:, -1])
    assert outputs == {"none": True, "rope": False, "alibi": False}


def test_the_last_number_of_an_odd_head_is_not_turned() -> None:
    inputs = random(BATCH, 9, INPUT)
    for seen, is_same in ((slice(2, 3), True), (slice(1, 3), False)):  # The numbers of each head that are not zero.
        outputs = []
        for positions in ("none", "rope"):
            torch.manual_seed(0)
            cell = Attention(INPUT, HIDDEN, heads=4, positions=positions).double()  # type: ignore[arg-type]
            mask = torch.zeros(3, 4, HIDDEN // 4, 1)
            mask[:, :, seen] = mask[2] = 1  # The values are whole.
            with torch.no_grad():
                cell.W *= mask.view(-1, 1)
            outputs.append(cell(inputs)[0])
        assert torch.allclose(*outputs) is is_same


def test_the_slopes_of_alibi_are_those_of_the_source() -> None:
    eight = [2.0**-h for h in range(1, 9)]
    assert Attention(INPUT, 8, heads=8)._slopes(torch.zeros(1)).flatten().tolist() == eight
    twelve = [*eight, *(2.0 ** -(h / 2) for h in (1, 3, 5, 7))]
    assert_close(Attention(INPUT, 12, heads=12)._slopes(torch.zeros(1)).flatten(), torch.tensor(twelve))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"heads": 5}, "heads must divide hidden_size; got heads = 5 and hidden_size = 12: choose a multiple of 5"),
        ({"heads": 0}, "heads must divide hidden_size; got heads = 0"),
        ({"heads": 12, "positions": "rope"}, "hidden_size / heads must be at least 2; got 12 / 12"),
        ({"window": -1}, r"window must be 0 \(all inputs\) or a number of inputs; got -1"),
    ],
)
def test_attention_refuses_heads_and_windows_that_cannot_be(settings: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Attention(INPUT, HIDDEN, **settings)


# convolutions --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("kernel", "levels"), [(2, 1), (2, 4), (3, 3), (5, 2)])
def test_a_lag_beyond_the_reach_of_a_tcn_has_no_gradient_at_all(kernel: int, levels: int) -> None:
    reach = 1 + 2 * (kernel - 1) * (2**levels - 1)
    cell = TCN(INPUT, HIDDEN, kernel=kernel, levels=levels).double()
    assert lags_with_a_gradient(cell, reach + 10) == list(range(reach))


@pytest.mark.parametrize("levels", [5, 6, 7, 8])
def test_the_reach_of_a_tcn_is_what_its_description_says(levels: int) -> None:
    reach = 1 + sum(len(window[0]) for window in TCN(INPUT, HIDDEN, levels=levels).initial_state(1))
    assert reach == {5: 125, 6: 253, 7: 509, 8: 1021}[levels]
    assert str(reach) in (TCN.__doc__ or "")
    assert TCN(INPUT, HIDDEN).initial_state(1)[0].shape == (1, 2, INPUT)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"kernel": 1}, "kernel must be at least 2"),
        ({"levels": 0}, "levels must be from 1 to 16.*got 0"),
        ({"levels": 17}, "levels must be from 1 to 16.*got 17"),
    ],
)
def test_a_tcn_refuses_what_cannot_look_back(settings: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TCN(INPUT, HIDDEN, **settings)


def test_a_new_tcn_convolves_with_its_directions() -> None:
    for convolution in TCN(INPUT, HIDDEN).convolutions:
        assert_close(convolution.matrices(), convolution.v)


# reservoirs ----------------------------------------------------------------------------------------------------------


def dense(cell: EchoState) -> Tensor:
    """U with all its zeros, in double precision."""
    zeros = torch.zeros(cell.hidden_size, cell.hidden_size, dtype=torch.float64)
    return zeros.scatter_add(1, cell.get_buffer("sources"), cell.U.double())


@pytest.mark.parametrize("radius", [0.5, 0.9, 1.2])
@pytest.mark.parametrize("hidden_size", [1, 7, EXACT_SIZE, EXACT_SIZE + 1, 400])
def test_the_spectral_radius_is_what_was_asked_for(hidden_size: int, radius: float) -> None:
    found = torch.linalg.eigvals(dense(EchoState(INPUT, hidden_size, radius=radius))).abs().max().item()
    assert found == pytest.approx(radius, rel=1e-6 if hidden_size <= EXACT_SIZE else 5e-3)


@pytest.mark.parametrize(("hidden_size", "connections"), [(4, 10), (50, 10), (300, 3)])
def test_a_unit_has_its_connections(hidden_size: int, connections: int) -> None:
    cell = EchoState(INPUT, hidden_size, connections=connections)
    assert cell.U.shape == (hidden_size, min(hidden_size, connections))
    assert (dense(cell) != 0).sum(1).max() <= connections


def test_a_training_changes_no_number_of_a_reservoir() -> None:
    model = build_model("echo_state", {}, INPUT, 60, 2, depth=2, seed=1)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    assert parameter_count(model) == 60 * 2 + 2
    optimiser = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=0.1, weight_decay=0.1)
    for _ in range(3):
        optimiser.zero_grad()
        model(torch.randn(4, 9, INPUT))[0].square().mean().backward()
        optimiser.step()
    changed = {name for name, tensor in model.state_dict().items() if not torch.equal(tensor, before[name])}
    assert changed == {"decoder.weight", "decoder.bias"}


def test_a_reservoir_is_that_of_its_seed_and_is_saved() -> None:
    one, same, other = (build_model("echo_state", {}, INPUT, 300, 2, seed=seed) for seed in (1, 1, 2))
    inputs = torch.randn(2, 9, INPUT)
    assert torch.equal(one(inputs)[0], same(inputs)[0])
    assert not torch.allclose(one(inputs)[0], other(inputs)[0])
    other.load_state_dict(one.state_dict())
    assert torch.equal(one(inputs)[0], other(inputs)[0])


def test_a_gradient_passes_through_a_reservoir() -> None:
    cell, inputs = EchoState(INPUT, 40, leak=0.5).double(), random(2, 9, INPUT)
    without = cell(inputs)[0]
    outputs = cell(inputs.requires_grad_())[0]
    assert torch.equal(without, outputs)
    (ours,) = torch.autograd.grad(outputs.square().sum(), inputs)
    (theirs,) = torch.autograd.grad(Cell.forward(cell, inputs)[0].square().sum(), inputs)
    assert_close(ours, theirs)


@pytest.mark.parametrize("hidden_size", [5, 61, DENSE_SIZE, DENSE_SIZE + 1])
def test_a_small_reservoir_takes_the_kernel_of_the_plain_net_and_agrees_with_its_steps(hidden_size: int) -> None:
    cell, h = EchoState(INPUT, hidden_size), torch.randn(3, hidden_size, requires_grad=True)
    inputs, mixture = torch.randn(3, 1000, INPUT, requires_grad=True), torch.randn(3, 1000, hidden_size)
    assert kernels.path(cell) == ("fused" if hidden_size <= DENSE_SIZE else "definition")

    def results(forward: Any) -> list[Tensor]:
        outputs, last = forward(cell, inputs, h)
        gradients = torch.autograd.grad((outputs * mixture).sum() + last.sum(), [inputs, h])
        return [outputs, last, *gradients]

    ours, again, theirs = results(EchoState.forward), results(EchoState.forward), results(Cell.forward)
    for one, same, other in zip(ours, again, theirs, strict=True):
        assert torch.equal(one, same)
        assert_close(one, other, rtol=1e-4, atol=1e-5)
    assert not any(parameter.requires_grad for parameter in cell.parameters())


def test_a_large_reservoir_is_counted_without_its_numbers() -> None:
    with torch.device("meta"):
        assert EchoState(INPUT, 1 << 16).U.is_meta


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"radius": -0.1}, "radius and input_scale must be at least 0; got -0.1 and 1.0"),
        ({"leak": 0.0}, "leak must be above 0 and at most 1; got 0.0"),
        ({"leak": 1.1}, "leak must be above 0 and at most 1; got 1.1"),
        ({"connections": 0}, "connections must be at least 1 for each unit; got 0"),
    ],
)
def test_a_reservoir_refuses_what_cannot_be(settings: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        EchoState(INPUT, HIDDEN, **settings)


# simple recurrent nets -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("init", ["henaff", "cayley"])
def test_the_recurrent_matrix_stays_orthogonal_while_it_is_trained(init: Any) -> None:
    cell = OrthogonalRNN(INPUT, HIDDEN, init=init).double()
    start = cell.orthogonal().detach()
    optimiser = torch.optim.Adam(cell.parameters(), lr=0.1)
    for _ in range(5):
        optimiser.zero_grad()
        cell(random(BATCH, 9, INPUT))[0].square().mean().backward()
        optimiser.step()
    U = cell.orthogonal().detach()
    assert not torch.allclose(U, start, atol=0.1)
    for matrix in (start, U):
        assert_close(matrix @ matrix.T, torch.eye(HIDDEN, dtype=torch.float64))


@pytest.mark.parametrize(("init", "low", "high"), [("henaff", -math.pi, math.pi), ("cayley", -1.0, 0.0)])
@pytest.mark.parametrize("hidden_size", [2, 3, 41])
def test_a_new_orthogonal_matrix_turns_pairs_of_units(init: Any, low: float, high: float, hidden_size: int) -> None:
    cell = OrthogonalRNN(INPUT, hidden_size, init=init).double()
    pairs = torch.arange(0, hidden_size - 1, 2)
    A = torch.zeros(hidden_size, hidden_size, dtype=torch.float64)
    A[tuple(torch.triu_indices(hidden_size, hidden_size, 1))] = cell.A.detach()
    angles = A[pairs, pairs + 1]
    assert A.count_nonzero() == len(pairs)
    assert ((angles >= low) & (angles <= high)).all()
    U = cell.orthogonal().detach()
    assert_close(U[pairs, pairs], angles.cos())
    assert_close(U[pairs, pairs + 1], angles.sin())


def test_the_exponential_is_calculated_once_for_a_sequence() -> None:
    cell = OrthogonalRNN(INPUT, HIDDEN)
    with mock.patch.object(orthogonal_rnn, "matrix_exp", wraps=torch.linalg.matrix_exp) as exponential:
        cell(torch.randn(BATCH, 20, INPUT))
    assert exponential.call_count == 1


@pytest.mark.parametrize("longest", [1, 100])
def test_the_weights_of_an_indrnn_start_below_two_to_the_one_over_t(longest: int) -> None:
    u, bound = IndRNN(INPUT, 10_000, longest=longest).u, 2 ** (1 / longest)
    assert u.min() >= 0
    assert 0.999 * bound < u.max() <= bound
    with pytest.raises(ValueError, match="longest must be a number of steps that is at least 1; got 0"):
        IndRNN(INPUT, HIDDEN, longest=0)


# layer norm ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [LSTM, GRU])
def test_layer_norm_adds_its_parameters_only_where_it_is_on(make: Any) -> None:
    torch.manual_seed(1)
    plain = make(INPUT, HIDDEN)
    torch.manual_seed(1)
    normed = make(INPUT, HIDDEN, layer_norm=True)
    names = dict(plain.named_parameters()).keys()
    assert not {name for name in names if name.startswith("gain")}
    assert all(torch.equal(parameter, normed.get_parameter(name)) for name, parameter in plain.named_parameters())
    added = dict(normed.named_parameters()).keys() - names
    assert added == {"gain_x", "gain_h", *(("gain_c", "b_c") if make is LSTM else ("b",))}
    assert set(normed.without_weight_decay) == {name for name in added if name.startswith("gain")}


@pytest.mark.parametrize("make", [LSTM, GRU])
def test_layer_norm_makes_the_size_of_the_inputs_irrelevant(make: Any) -> None:
    cell, inputs = make(INPUT, HIDDEN, layer_norm=True).double(), random(BATCH, 9, INPUT)
    assert_close(cell(1000 * inputs)[0], cell(10 * inputs)[0], rtol=1e-3, atol=1e-3)
