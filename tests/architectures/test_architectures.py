"""The contract of an architecture, held for everything in the folder and every combination of its options."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.testing import assert_close

from suite import kernels
from suite.architectures import Cell
from suite.contracts.cell_probe import CellProbe
from suite.contracts.cells import CELL_CHECKS
from suite.contracts.checking import Check, outcome, violations
from suite.contracts.layers import LAYER_CHECKS
from suite.contracts.thorough import THOROUGH_CELL_CHECKS, THOROUGH_LAYER_CHECKS
from suite.model.states import in_double, is_differentiable
from suite.registry import architectures
from tests.helpers import discovered, lacking, leaves, map_state

BATCH, TIME, INPUT, HIDDEN = 3, 7, 2, 8

LOOPS = {"layer_norm": "the statistics over the units of each step have no fused form"}
"""The options with which a cell runs its definition, though it has a kernel without them."""

CASES = discovered(architectures, switches=True)
CELLS = [case for case in CASES if issubclass(architectures.get(case.values[0]), Cell)]
every_cell = pytest.mark.parametrize(("name", "options"), CELLS)
every_layer = pytest.mark.parametrize(("name", "options"), [case for case in CASES if case not in CELLS])
every_name = pytest.mark.parametrize("name", architectures.names())


def new_cell(name: str, options: dict[str, Any]) -> Cell[Any]:
    return architectures.get(name)(INPUT, HIDDEN, **options).double().eval()


def random_cell(name: str, options: dict[str, Any]) -> Cell[Any]:
    """A cell with every parameter random, so that none hides behind an initial value of zero."""
    cell = new_cell(name, options)
    for parameter in cell.parameters():
        nn.init.normal_(parameter, std=0.5)
    return cell


def random_inputs(time: int = TIME) -> Tensor:
    return torch.randn(BATCH, time, INPUT, dtype=torch.float64)


def reached_state(cell: Cell[Any]) -> Any:
    """A state that is not zero: the one after a few steps."""
    with torch.no_grad():
        return Cell.forward(cell, random_inputs(5), initial_state(cell))[1]


def initial_state(cell: Cell[Any]) -> Any:
    """The initial state in double precision, in which a cell without parameters does not make it itself."""
    return in_double(cell.initial_state(BATCH))


@every_cell
@pytest.mark.parametrize("check", [check for stage in CELL_CHECKS for check in stage], ids=lambda check: check.__name__)
def test_a_cell_keeps_its_contract(name: str, options: dict[str, Any], check: Check[CellProbe]) -> None:
    probe = CellProbe(architectures.get(name), lambda: random_cell(name, options), INPUT, torch.float64)
    assert outcome(check, probe).messages == ()


@every_layer
@pytest.mark.parametrize(
    "check", [check for stage in LAYER_CHECKS for check in stage], ids=lambda check: check.__name__
)
def test_a_layer_without_a_step_keeps_its_contract(name: str, options: dict[str, Any], check: Check[CellProbe]) -> None:
    probe = CellProbe(architectures.get(name), lambda: random_cell(name, options), INPUT, torch.float64)
    assert outcome(check, probe).messages == ()


@pytest.mark.parametrize(("name", "options"), CASES)
def test_a_new_cell_or_layer_keeps_the_further_rules_too(name: str, options: dict[str, Any]) -> None:
    cls = architectures.get(name)
    probe = CellProbe(cls, lambda: cls(INPUT, HIDDEN, **options), INPUT)
    stages = THOROUGH_CELL_CHECKS if issubclass(cls, Cell) else THOROUGH_LAYER_CHECKS
    assert violations(stages, probe) == []


@every_cell
@pytest.mark.parametrize("time", [1, TIME])
@pytest.mark.parametrize("from_zero", [True, False], ids=["from_zero", "from_a_state"])
def test_forward_is_the_scan_of_step_gradients_too(
    name: str, options: dict[str, Any], time: int, from_zero: bool
) -> None:
    cell = random_cell(name, options)
    inputs = random_inputs(time).requires_grad_()
    state = initial_state(cell) if from_zero else reached_state(cell)
    of_state = [leaf.requires_grad_() for leaf in leaves(state) if is_differentiable(leaf)]
    sources = [inputs, *(parameter for parameter in cell.parameters() if parameter.requires_grad), *of_state]
    weights: list[Tensor] = []

    def outputs_and_gradients(outputs: Tensor, last: Any) -> tuple[list[Tensor], list[Tensor]]:
        results = [outputs, *filter(is_differentiable, leaves(last))]
        weights.extend(torch.randn_like(result) for result in results[len(weights) :])
        total = torch.stack([(a * w).sum().real for a, w in zip(results, weights, strict=True)]).sum()
        return results, list(torch.autograd.grad(total, sources, materialize_grads=True))

    torch.manual_seed(1)  # A cell may draw random numbers.
    actual = outputs_and_gradients(*cell(inputs, state))
    torch.manual_seed(1)
    expected = outputs_and_gradients(*Cell.forward(cell, inputs, state))
    assert actual[0][0].shape == (BATCH, time, cell.output_size)
    for one, other in zip(actual, expected, strict=True):
        assert_close(one, other, rtol=1e-9, atol=1e-12)


@every_cell
def test_gradients_are_those_of_finite_differences(name: str, options: dict[str, Any]) -> None:
    cell = random_cell(name, options)
    inputs, state = random_inputs(3)[:2], map_state(lambda leaf: leaf[:2], reached_state(cell))
    names = [key for key, _ in cell.named_parameters()]

    def run(inputs: Tensor, *tensors: Tensor) -> tuple[Tensor, ...]:
        torch.manual_seed(1)  # A cell may draw random numbers.
        parameters = dict(zip(names, tensors, strict=False))
        replaced = iter(tensors[len(names) :])
        given = map_state(lambda leaf: next(replaced) if is_differentiable(leaf) else leaf, state)
        outputs, last = functional_call(cell, parameters, (inputs, given))
        return outputs, *filter(is_differentiable, leaves(last))

    of_state = filter(is_differentiable, leaves(state))
    sources = [leaf.detach().clone().requires_grad_() for leaf in (inputs, *cell.parameters(), *of_state)]
    assert torch.autograd.gradcheck(run, sources, fast_mode=True)  # Along random directions.


@every_cell
def test_no_option_loses_the_kernel(name: str, options: dict[str, Any]) -> None:
    make = architectures.get(name)
    expected = "definition" if options.keys() & LOOPS.keys() else kernels.path(make(INPUT, HIDDEN))
    assert kernels.path(make(INPUT, HIDDEN, **options)) == expected


@every_name
def test_the_docstring_has_equations_a_state_and_a_source(name: str) -> None:
    demands = {
        "a line that ends in '::', and below it an indented block with an equation": r"::\n(\n| .*\n)*? .*=",
        "a paragraph that begins with 'State:'": r"^State:",
        "a paragraph that begins with 'Source:' or 'Sources:'": r"^Sources?:",
    }
    assert lacking(architectures.get(name), demands) == []


@pytest.mark.parametrize(
    ("name", "option"),
    sorted(
        {(name, option) for name, options in (case.values for case in discovered(architectures)) for option in options}
    ),
)
def test_a_wrong_choice_is_refused_by_the_cell_itself(name: str, option: str) -> None:
    with pytest.raises(ValueError, match=f"{option} must be '.*'; got 'bogus'"):
        architectures.get(name)(INPUT, HIDDEN, **{option: "bogus"})
