"""A model made of cells: its size, its directions and layers, its states, its seed."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.testing import assert_close

from suite.architectures import Cell
from suite.errors import InputError
from suite.experiment.experiment import Experiment
from suite.experiment.loading import parse
from suite.model.sequence_model import SequenceModel, build_model
from suite.model.sequence_model import model_of as model_of_config
from suite.model.sizing import Budget, StateSize, match_hidden_size, parameter_count, state_size
from suite.options import option_types
from suite.planning.plan import studies
from suite.registry import architectures
from tasks.adding import Adding
from tests.helpers import discovered, leaves, map_state

INPUT, HIDDEN, OUTPUT = 3, 8, 2

every_cell = pytest.mark.parametrize(("name", "options"), discovered(architectures))
every_name = pytest.mark.parametrize("name", architectures.names())
both_ways = pytest.mark.parametrize("bidirectional", [False, True], ids=["one_way", "both_ways"])

CELL_SIZES: list[tuple[str, dict[str, Any], Callable[[int, int], int]]] = [
    ("rnn", {}, lambda i, h: h * i + h * h + h),
    ("lstm", {}, lambda i, h: 4 * (h * i + h * h + h)),
    ("lstm", {"without": "input"}, lambda i, h: 3 * (h * i + h * h + h)),
    ("lstm", {"without": "forget"}, lambda i, h: 3 * (h * i + h * h + h)),
    ("lstm", {"without": "output"}, lambda i, h: 3 * (h * i + h * h + h)),
    ("lstm_coupled", {}, lambda i, h: 3 * (h * i + h * h + h)),
    ("lstm_peephole", {"peephole": "full"}, lambda i, h: 4 * (h * i + h * h + h) + 3 * h * h),
    ("lstm_peephole", {"peephole": "diagonal"}, lambda i, h: 4 * (h * i + h * h + h) + 3 * h),
    ("gru", {"reset": "before"}, lambda i, h: 3 * (h * i + h * h)),
    ("gru", {"reset": "after"}, lambda i, h: 3 * (h * i + h * h + h) + h),
    ("gru", {"reset": "none"}, lambda i, h: 2 * (h * i + h * h)),
    ("mlp", {"window": 4}, lambda i, h: (4 * i * h + h) + (h * h + h)),
]


def small_model(name: str, options: dict[str, Any], **settings: Any) -> SequenceModel:
    return build_model(name, options, INPUT, HIDDEN, OUTPUT, seed=0, **settings).double()


def random_inputs(time: int = 8) -> torch.Tensor:
    return torch.randn(2, time, INPUT, dtype=torch.float64)


# size ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "options", "size"), CELL_SIZES)
@both_ways
@pytest.mark.parametrize("depth", [1, 2, 3])
def test_the_parameters_are_those_counted_by_hand(
    name: str, options: dict[str, Any], size: Callable[[int, int], int], depth: int, bidirectional: bool
) -> None:
    ways = 2 if bidirectional else 1
    expected = (
        ways * size(INPUT, HIDDEN)
        + (depth - 1) * ways * size(ways * HIDDEN, HIDDEN)
        + (ways * HIDDEN * OUTPUT + OUTPUT)
    )
    assert (
        parameter_count(build_model(name, options, INPUT, HIDDEN, OUTPUT, depth=depth, bidirectional=bidirectional))
        == expected
    )


def test_frozen_parameters_are_not_counted() -> None:
    model = build_model("rnn", {}, INPUT, HIDDEN, OUTPUT)
    model.decoder.requires_grad_(False)
    assert parameter_count(model) == HIDDEN * INPUT + HIDDEN * HIDDEN + HIDDEN


@pytest.mark.parametrize(
    ("name", "options", "by_layer"),
    [
        ("rnn", {}, [HIDDEN, HIDDEN]),
        ("gru", {}, [HIDDEN, HIDDEN]),
        ("lstm", {}, [2 * HIDDEN, 2 * HIDDEN]),
        ("mlp", {"window": 4}, [4 * INPUT, 4 * HIDDEN]),
    ],
)
def test_the_state_size_is_counted_in_the_state(name: str, options: dict[str, Any], by_layer: list[int]) -> None:
    def size(**shape: Any) -> StateSize | None:
        return state_size(build_model(name, options, INPUT, HIDDEN, OUTPUT, **shape), 5)

    assert size() == (by_layer[0], 0)
    assert size(depth=2) == (sum(by_layer), 0)
    assert size(bidirectional=True) == (2 * by_layer[0], 0)


# matching ------------------------------------------------------------------------------------------------------------


@cache
def count(name: str, depth: int, bidirectional: bool, hidden_size: int) -> float:
    """The parameters of a model, counted once for all budgets; infinite if there is no model of this size."""
    with torch.device("meta"):
        try:
            return parameter_count(
                build_model(name, {}, INPUT, hidden_size, OUTPUT, depth=depth, bidirectional=bidirectional)
            )
        except ValueError:  # Heads must divide the hidden size.
            return math.inf


@every_name
@both_ways
@pytest.mark.parametrize("depth", [1, 2, 3])
@pytest.mark.parametrize("budget", [1000, 3000, 20_000, 100_000])
def test_the_matched_hidden_size_is_the_nearest_and_within_five_per_cent(
    name: str, depth: int, bidirectional: bool, budget: int
) -> None:
    def model_of(hidden_size: int) -> SequenceModel:
        return build_model(name, {}, INPUT, hidden_size, OUTPUT, depth=depth, bidirectional=bidirectional)

    def distance(hidden_size: int) -> float:
        return abs(count(name, depth, bidirectional, hidden_size) - budget)

    try:
        best = match_hidden_size(Budget("parameters", budget), model_of)
    except InputError:
        # Small deep models grow by more than 10 % from one size to the next: then no size at all may fit.
        steps = option_types(architectures.get(name)).get("heads", (int, 1))[1]
        assert budget < 20_000 or steps > 1 or name == "tcn"
        assert min(map(distance, range(1, 100))) > 0.05 * budget
    else:
        assert distance(best) <= 0.05 * budget
        assert distance(best) <= min(distance(max(1, best - 1)), distance(best + 1))


@given(budget=st.integers(1, 5000), slope=st.integers(1, 9), curve=st.integers(0, 9), start=st.integers(0, 50))
def test_no_other_hidden_size_is_nearer_to_the_budget(budget: int, slope: int, curve: int, start: int) -> None:
    def size(h: int) -> int:
        return start + slope * h + curve * h * h

    def model_of(h: int) -> nn.Module:
        return nn.ParameterList([nn.Parameter(torch.empty(size(h)))])

    best = match_hidden_size(Budget("parameters", budget), model_of, tolerance=100.0)
    assert abs(size(best) - budget) == min(abs(size(h) - budget) for h in range(1, budget + 2))


def test_an_impossible_budget_names_the_nearest_sizes() -> None:
    message = (
        r"no hidden_size gives 20 parameters to within 5%; the nearest are 10 \(hidden_size 1\) or 26 \(hidden_size 2\)"
    )
    with pytest.raises(InputError, match=message):  # sizes 10, 26, 42, …
        match_hidden_size(Budget("parameters", 20), lambda h: nn.ParameterList([torch.empty(10 + 16 * (h - 1))]))


def test_a_budget_below_the_smallest_model_is_refused() -> None:
    with pytest.raises(InputError, match=r"no hidden_size gives 5 parameters .* \(hidden_size 1\)"):
        match_hidden_size(Budget("parameters", 5), lambda h: build_model("lstm", {}, INPUT, h, OUTPUT))


def test_matching_leaves_the_global_generator_alone() -> None:
    before = torch.get_rng_state()
    match_hidden_size(
        Budget("parameters", 5000), lambda h: build_model("gru", {"init": "orthogonal"}, INPUT, h, OUTPUT)
    )
    assert torch.equal(torch.get_rng_state(), before)


# seed ----------------------------------------------------------------------------------------------------------------


@every_cell
def test_the_weights_are_a_function_of_the_seed_alone(name: str, options: dict[str, Any]) -> None:
    torch.manual_seed(1)
    one = build_model(name, options, INPUT, HIDDEN, OUTPUT, seed=7).state_dict()
    torch.manual_seed(2)
    before = torch.get_rng_state()
    again = build_model(name, options, INPUT, HIDDEN, OUTPUT, seed=7).state_dict()
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(one[key], again[key]) for key in one)
    other = build_model(name, options, INPUT, HIDDEN, OUTPUT, seed=8).state_dict()
    assert not all(torch.equal(one[key], other[key]) for key in one)


def test_a_seed_leaves_the_generators_of_accelerators_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    reseeded: list[int] = []
    monkeypatch.setattr(torch.cuda, "manual_seed_all", reseeded.append)
    build_model("rnn", {}, INPUT, HIDDEN, OUTPUT, seed=7)
    assert reseeded == []


def test_without_a_seed_the_weights_come_from_the_global_generator() -> None:
    torch.manual_seed(7)
    one = build_model("rnn", {}, INPUT, HIDDEN, OUTPUT)
    assert torch.equal(one.cells[0].W, build_model("rnn", {}, INPUT, HIDDEN, OUTPUT, seed=7).cells[0].W)
    assert not torch.equal(one.cells[0].W, build_model("rnn", {}, INPUT, HIDDEN, OUTPUT).cells[0].W)


def test_the_cells_of_a_model_start_out_different() -> None:
    weights = [
        cell.U for cell in build_model("rnn", {}, INPUT, HIDDEN, OUTPUT, depth=2, bidirectional=True, seed=0).cells
    ]
    assert len({tuple(U.flatten().tolist()) for U in weights}) == 4


# layers, directions, states ------------------------------------------------------------------------------------------


@every_cell
@both_ways
@pytest.mark.parametrize("depth", [1, 3])
def test_states_are_by_layer_and_direction(name: str, options: dict[str, Any], depth: int, bidirectional: bool) -> None:
    model = small_model(name, options, depth=depth, bidirectional=bidirectional)
    outputs, after = model(random_inputs())
    before = model.initial_state(2)
    assert outputs.shape == (2, 8, OUTPUT)
    assert [len(layer) for layer in after] == [len(layer) for layer in before] == [1 + bidirectional] * depth
    sizes = {8, *(leaf.shape[1] for leaf in leaves(before) if leaf.shape[1])}  # A state that grows now has 8 steps.
    assert {leaf.shape[1] for leaf in leaves(after)} <= sizes
    assert [leaf.shape[2:] for leaf in leaves(after)] == [leaf.shape[2:] for leaf in leaves(before)]


@every_cell
def test_a_layer_reads_the_layer_below_and_the_decoder_the_last(name: str, options: dict[str, Any]) -> None:
    model = small_model(name, options, depth=2)
    inputs = random_inputs()
    below, first = model.cells[0](inputs)
    above, second = model.cells[1](below)
    outputs, after = model(inputs)
    assert_close(outputs, above @ model.decoder.weight.T + model.decoder.bias)
    assert_close(leaves(after), [*leaves(first), *leaves(second)])


@every_cell
def test_a_one_way_stack_carries_its_state_across_a_cut(name: str, options: dict[str, Any]) -> None:
    model = small_model(name, options, depth=2)
    inputs = random_inputs()
    whole, last = model(inputs)
    first, between = model(inputs[:, :3])
    second, end = model(inputs[:, 3:], between)
    assert_close(torch.cat([first, second], dim=1), whole)
    assert_close(leaves(end), leaves(last))


@every_cell
def test_the_backward_direction_reads_from_the_end(name: str, options: dict[str, Any]) -> None:
    model = small_model(name, options, bidirectional=True)
    model.decoder = nn.Identity()  # type: ignore[assignment]
    inputs = random_inputs()
    outputs, [[last_forward, last_backward]] = model(inputs)
    ahead, state_ahead = model.cells[0](inputs)
    back, state_back = model.cells[1](inputs.flip(1))
    assert_close(outputs, torch.cat([ahead, back.flip(1)], dim=2))
    assert_close(leaves([last_forward, last_backward]), leaves([state_ahead, state_back]))


@both_ways
def test_only_both_directions_see_the_future(bidirectional: bool) -> None:
    model = small_model("gru", {}, depth=2, bidirectional=bidirectional)
    inputs = random_inputs()
    changed = inputs.clone()
    changed[:, -1] += 1.0
    assert torch.equal(model(inputs)[0][:, 0], model(changed)[0][:, 0]) is not bidirectional


def test_the_state_of_the_backward_direction_enters_at_the_end() -> None:
    model = small_model("gru", {}, bidirectional=True)
    inputs, [[ahead, back]] = random_inputs(30), model.initial_state(2)
    effect = (model(inputs, [[ahead, back + 1.0]])[0] - model(inputs)[0]).detach().abs().sum((0, 2))
    assert effect[-1] > 100 * effect[0]


def test_a_state_of_another_depth_is_refused() -> None:
    shallow, deep = small_model("gru", {}), small_model("gru", {}, depth=2)
    with pytest.raises(ValueError, match="argument"):
        deep(random_inputs(), shallow.initial_state(2))


def test_a_given_state_is_used() -> None:
    model = small_model("lstm", {}, depth=2)
    inputs = random_inputs()
    other = map_state(torch.ones_like, model.initial_state(2))
    assert not torch.allclose(model(inputs)[0], model(inputs, other)[0])
    assert torch.equal(model(inputs)[0], model(inputs, model.initial_state(2))[0])


# delay ---------------------------------------------------------------------------------------------------------------


class Echo(Cell[torch.Tensor]):
    """y_t = x_t."""

    def initial_state(self, batch_size: int) -> torch.Tensor:
        return self.zeros(batch_size, 1)

    def step(self, x: torch.Tensor, state: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return x, state


@both_ways
@pytest.mark.parametrize("delay", [0, 1, 3, 8, 11])
def test_a_delayed_echo_is_the_future_and_zeros_after_the_end(delay: int, bidirectional: bool) -> None:
    model = SequenceModel(Echo, INPUT, INPUT, OUTPUT, delay=delay, bidirectional=bidirectional)
    model.decoder = nn.Identity()  # type: ignore[assignment]
    inputs = torch.randn(2, 8, INPUT)
    expected = torch.zeros(2, 8, INPUT)
    expected[:, : max(0, 8 - delay)] = inputs[:, delay:]
    assert torch.equal(model(inputs)[0], torch.cat([expected] * (1 + bidirectional), dim=2))


@every_cell
@pytest.mark.parametrize("depth", [1, 2])
def test_a_delayed_answer_uses_the_steps_up_to_the_delay_and_no_further(
    name: str, options: dict[str, Any], depth: int
) -> None:
    model = small_model(name, options, depth=depth, delay=2)
    inputs = torch.cat([random_inputs(6) for _ in range(4)])  # In one sequence, ReLUs may all be silent.
    jacobian = torch.autograd.functional.jacobian(lambda x: model(x)[0].sum((0, 2)), inputs)
    used = jacobian.abs().sum((1, 3)) > 0  # [time, time]
    assert torch.equal(used[:4], torch.ones(4, 6).tril(2).bool())  # on zeros alone, ReLUs may all be silent


@every_cell
@both_ways
def test_a_delayed_model_is_the_model_on_zeros_at_the_end(
    name: str, options: dict[str, Any], bidirectional: bool
) -> None:
    plain = small_model(name, options, depth=2, bidirectional=bidirectional)
    delayed = small_model(name, options, depth=2, bidirectional=bidirectional, delay=3)
    before = map_state(torch.ones_like, plain.initial_state(2))
    inputs = random_inputs()
    outputs, after = delayed(inputs, before)
    expected, expected_after = plain(torch.cat([inputs, torch.zeros(2, 3, INPUT).double()], dim=1), before)
    assert_close(outputs, expected[:, 3:])
    assert_close(leaves(after), leaves(expected_after))
    assert parameter_count(delayed) == parameter_count(plain)
    assert state_size(delayed, 5) == state_size(plain, 5 + 3)  # One that grows has read the zeros, too.


def test_a_negative_delay_is_refused() -> None:
    with pytest.raises(ValueError, match="delay must be at least 0 steps; got -1"):
        build_model("rnn", {}, INPUT, HIDDEN, OUTPUT, delay=-1)


def experiment(tables: dict[str, Any], **sweep: Any) -> Experiment:
    return parse(
        {
            "tasks": {"adding": {"length": 8}},
            "architectures": {label: {"architecture": "gru", **table} for label, table in tables.items()},
            "model": {"parameters": 500},
            "sweep": sweep,
        },
        "x",
    )


def test_an_experiment_gives_an_architecture_a_delay() -> None:
    now, later = (study.config(study.defaults, 0) for study in studies(experiment({"now": {}, "later": {"delay": 3}})))
    assert (now.model.delay, later.model.delay) == (0, 3)
    assert now.model.hidden_size == later.model.hidden_size
    assert now.key != later.key
    assert model_of_config(later.model, Adding()).delay == 3


def test_a_delay_can_be_searched_where_it_is_not_fixed() -> None:
    space = {"delay": [0, 2], "clip": [1.0, 2.0]}
    free, fixed = studies(experiment({"free": {}, "fixed": {"delay": 3}}, trials=2, space=space))
    assert free.defaults["delay"] == 0
    assert free.config({**free.defaults, "delay": 2}, 0).model.delay == 2
    assert "delay" not in fixed.space


@pytest.mark.parametrize(
    ("value", "message"),
    [(-1, "input should be greater than or equal to 0; got -1"), (1.5, "input should be a valid integer; got 1.5")],
)
def test_a_wrong_delay_in_an_experiment_is_refused(value: Any, message: str) -> None:
    with pytest.raises(InputError, match=rf"architectures\.later\.delay: {message}"):
        experiment({"later": {"delay": value}})
