"""The contract of a cell finds what would mislead or fail, and lets pass what is only unusual."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from suite.contracts.cells import CELL_CHECKS, CellProbe
from suite.contracts.checking import violations
from suite.contracts.look import cell_violations
from suite.diagnostics.gradients import effective_memory, input_gradient, mean_log, state_gradient
from suite.diagnostics.scan import Scan
from suite.errors import InputError
from suite.model.copying import copy_of
from suite.model.sequence_model import SequenceModel, build_model
from suite.model.sizing import Budget, StateSize, inspected, match_hidden_size, parameter_count, state_size
from suite.options import option_types
from suite.registry import architectures
from tests.contracts.cells import (
    BAD,
    GOOD,
    Dropped,
    Growing,
    LayersFirst,
    OldWeightNorm,
    Plain,
    Reservoir,
    Rotating,
    Sociable,
    WrappedWithState,
)
from tests.helpers import discovered


def messages(cls: type[Plain], hidden_size: int = 4) -> list[str]:
    return [violation.message for violation in cell_violations(f"{cls.__module__}:{cls.__name__}", {}, 2, hidden_size)]


@pytest.mark.parametrize("cls", GOOD)
@pytest.mark.parametrize("hidden_size", [1, 4])
def test_an_unusual_cell_that_keeps_its_contract_passes(cls: type[Plain], hidden_size: int) -> None:
    assert messages(cls, hidden_size) == []


@pytest.mark.parametrize("cls", BAD)
def test_a_cell_that_breaks_its_contract_is_named_with_the_rule(cls: type[Plain]) -> None:
    found = messages(cls)
    assert any(message.startswith(f"tests.contracts.cells:{BAD[cls]}") for message in found), found


def test_an_error_about_the_sizes_of_batch_and_time_hints_at_batch_first() -> None:
    assert all(message.endswith(" (check batch_first)") for message in messages(WrappedWithState))


def test_every_violation_of_one_cell_is_told() -> None:
    class Both(Sociable):
        def forward(self, inputs: Tensor, state: Any = None) -> Any:
            return super().forward(inputs - inputs.mean(1, keepdim=True), state)

    found = violations(CELL_CHECKS, CellProbe(Both, lambda: Both(2, 4), 2))
    assert {"no_output_knows_a_later_input", "rows_are_independent"} <= {violation.check for violation in found}


@pytest.mark.parametrize(("name", "options"), discovered(architectures))
@pytest.mark.parametrize("hidden_size", [3, 7])
def test_every_architecture_passes_as_it_is_made_for_a_run(
    name: str, options: dict[str, object], hidden_size: int
) -> None:
    if option_types(architectures.get(name)).get("heads", (int, 1))[1] > 1:  # Heads must divide it, evenly for RoPE.
        hidden_size *= 8
    assert cell_violations(name, architectures.options(name, options), 2, hidden_size) == []


def test_a_look_leaves_the_global_generators_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    class Drawing(Plain):
        def initial_state(self, batch_size: int) -> Any:
            return 0 * random.random() * np.random.rand() + super().initial_state(batch_size)  # noqa: NPY002

    random.seed(1)
    np.random.seed(1)  # noqa: NPY002
    expected = torch.get_rng_state().tolist(), random.random(), np.random.rand()  # noqa: NPY002
    random.seed(1)
    np.random.seed(1)  # noqa: NPY002
    monkeypatch.setattr(architectures, "get", lambda name: Drawing)
    assert messages(Drawing) == []
    assert (torch.get_rng_state().tolist(), random.random(), np.random.rand()) == expected  # noqa: NPY002


# sizes ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cls", GOOD)
def test_a_hidden_size_is_found_for_whatever_a_constructor_does(cls: type[Plain]) -> None:
    name = f"{cls.__module__}:{cls.__name__}"
    budget = 120 if cls is Reservoir else 150_000  # Of the first, only the decoder is trained.
    hidden_size = match_hidden_size(Budget("parameters", budget), lambda size: build_model(name, {}, 2, size, 1))
    assert hidden_size > 256 or cls is Reservoir
    count = parameter_count(build_model(name, {}, 2, hidden_size, 1))
    assert abs(count - budget) <= 0.05 * budget


class Forgetful(Plain):
    """Forgets the constructor of its base class."""

    def __init__(self, input_size: int, hidden_size: int) -> None:
        self.W = torch.nn.Parameter(torch.zeros(hidden_size, input_size))


class Even(Plain):
    def __init__(self, input_size: int, hidden_size: int) -> None:
        if hidden_size % 2 or hidden_size > 64:
            raise ValueError(f"hidden_size must be even, and at most 64; got {hidden_size}")
        super().__init__(input_size, hidden_size)


@pytest.mark.parametrize("hidden_size", [1, 300])
def test_a_constructor_that_fails_is_named_with_its_line(hidden_size: int) -> None:
    name = f"{__name__}:Forgetful"
    reason = rf"{name}\.__init__ raised AttributeError: cannot assign .* \(line \d+ of test_cells\.py\)$"
    with pytest.raises(InputError, match=f"^hidden_size 1: {reason}"):
        match_hidden_size(Budget("parameters", 100), lambda size: build_model(name, {}, 2, size, 1))
    with pytest.raises(InputError, match=f"^{reason}"):
        inspected(lambda: build_model(name, {}, 2, hidden_size, 1), hidden_size)


def test_a_size_that_a_constructor_refuses_is_told_with_the_reason_for_it() -> None:
    name = f"{__name__}:Even"
    told = r"^hidden_size \d+: hidden_size must be even, and at most 64; got \d+; a size for a number of parameters is"
    with pytest.raises(InputError, match=told):
        match_hidden_size(Budget("parameters", 1_000_000), lambda size: build_model(name, {}, 2, size, 1))
    with pytest.raises(InputError, match=r"^hidden_size must be even, and at most 64; got 3$"):
        inspected(lambda: build_model(name, {}, 2, 3, 1), 3)


def test_a_complex_number_counts_as_two() -> None:
    model = SequenceModel(Rotating, 2, 4, 1)
    assert state_size(model, 5) == StateSize(2 * 4 + 1, 0)


def test_a_state_that_grows_is_counted_after_a_sequence() -> None:
    model = SequenceModel(Growing, 2, 4, 1, depth=2, delay=1)
    assert state_size(model, 5) == StateSize(2 * 4 * (5 + 1), 2 * 4)
    assert state_size(model, 1) == StateSize(2 * 4 * 2, 2 * 4 * 2)


# diagnostics ----------------------------------------------------------------------------------------------------------


def log_gradient(model: SequenceModel, time: int = 30) -> Tensor:
    inputs = torch.randn(8, time, 2, generator=torch.Generator().manual_seed(0))
    return mean_log(state_gradient(model, inputs, torch.Generator().manual_seed(1)))


@pytest.mark.parametrize("cls", GOOD)
def test_the_gradient_from_output_to_input_can_be_measured_of_every_good_cell(cls: type[Plain]) -> None:
    inputs, generator = torch.randn(8, 30, 2), torch.Generator().manual_seed(1)
    norms = input_gradient(SequenceModel(cls, 2, 4, 1), inputs, generator)
    assert norms.shape == (30, 8)
    assert (norms > 0).all()


@pytest.mark.parametrize("cls", [cls for cls in GOOD if cls is not Growing])
def test_the_gradient_of_every_good_cell_can_be_measured(cls: type[Plain]) -> None:
    logs = log_gradient(SequenceModel(cls, 2, 4, 1))
    assert logs[0] == pytest.approx(0.0)
    assert logs.isfinite().all()


def test_a_mask_that_is_only_copied_is_no_memory() -> None:
    plain, dropped = SequenceModel(Plain, 2, 4, 1), SequenceModel(Dropped, 2, 4, 1)
    dropped.load_state_dict(plain.state_dict())
    assert torch.allclose(log_gradient(dropped), log_gradient(plain))
    assert effective_memory(log_gradient(dropped)).memory < 10


class Clockwork(Plain):
    """Copies the second half of its state at every step but the fourth."""

    def initial_state(self, batch_size: int) -> object:
        h = super().initial_state(batch_size)
        return h, h.clone(), torch.zeros(batch_size, dtype=torch.long)

    def step(self, x: Tensor, state: object) -> object:
        fast, slow, count = state  # type: ignore[misc]
        fast = super().step(x, fast + slow)[0]
        return fast, (fast, torch.where((count[:, None] + 1) % 4 == 0, fast, slow), count + 1)


def test_a_part_of_a_state_that_is_copied_for_a_while_is_memory() -> None:
    assert Scan(SequenceModel(Clockwork, 2, 4, 1), torch.randn(3, 10, 2)).state_size == 8


@pytest.mark.parametrize(("cls", "message"), [(Growing, "the model has none"), (LayersFirst, r"are \[batch, …\]")])
def test_a_state_that_cannot_be_measured_has_one_message(cls: type[Plain], message: str) -> None:
    with pytest.raises(InputError, match=message):
        log_gradient(SequenceModel(cls, 2, 4, 1))


def test_the_copy_of_a_normalised_weight_has_its_numbers() -> None:
    cell = OldWeightNorm(2, 4)
    copied = copy_of(cell)
    x, state = torch.randn(3, 2), cell.initial_state(3)
    assert torch.equal(copied.step(x, state)[0], cell.step(x, state)[0])
    copied.map.weight_g.data.mul_(2)
    assert not torch.equal(copied.step(x, state)[0], cell.step(x, state)[0])
