"""The contract of an architecture, held for everything in the folder and every combination of its options."""

from __future__ import annotations

import inspect
import io
import re
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.testing import assert_close

from suite import kernels
from suite.architectures import Cell
from suite.registry import architectures
from tests.helpers import discovered, leaves, map_state, with_leaves

BATCH, TIME, INPUT, HIDDEN = 3, 7, 2, 4

every_cell = pytest.mark.parametrize(("name", "options"), discovered(architectures))
every_name = pytest.mark.parametrize("name", architectures.names())


def new_cell(name: str, options: dict[str, Any]) -> Cell[Any]:
    return architectures.get(name)(INPUT, HIDDEN, **options).double()


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
        return Cell.forward(cell, random_inputs(5))[1]


def assert_states_close(actual: Any, expected: Any) -> None:
    assert_close(leaves(actual), leaves(expected), rtol=1e-9, atol=1e-12)


@every_cell
def test_initial_state_is_zeros_with_the_batch_first(name: str, options: dict[str, Any]) -> None:
    cell = new_cell(name, options)
    for leaf, single in zip(leaves(cell.initial_state(BATCH)), leaves(cell.initial_state(1)), strict=True):
        assert leaf.shape == (BATCH, *single.shape[1:])
        assert leaf.is_floating_point() or leaf.is_complex()
        assert not leaf.any()


@every_cell
def test_step_gives_an_output_and_a_state_like_the_one_it_got(name: str, options: dict[str, Any]) -> None:
    cell = new_cell(name, options)
    before = cell.initial_state(BATCH)
    output, after = cell.step(random_inputs()[:, 0], before)
    assert output.shape == (BATCH, cell.output_size)
    assert [(leaf.shape, leaf.dtype) for leaf in leaves(after)] == [(leaf.shape, leaf.dtype) for leaf in leaves(before)]
    assert type(after) is type(before)


@every_cell
@pytest.mark.parametrize("time", [1, TIME])
@pytest.mark.parametrize("from_zero", [True, False], ids=["from_zero", "from_a_state"])
def test_forward_is_the_scan_of_step_gradients_too(
    name: str, options: dict[str, Any], time: int, from_zero: bool
) -> None:
    cell = random_cell(name, options)
    inputs = random_inputs(time).requires_grad_()
    state = None if from_zero else map_state(lambda leaf: leaf.requires_grad_(), reached_state(cell))
    sources = [inputs, *cell.parameters(), *([] if state is None else leaves(state))]
    weights: list[Tensor] = []

    def outputs_and_gradients(outputs: Tensor, last: Any) -> tuple[list[Tensor], list[Tensor]]:
        results = [outputs, *leaves(last)]
        weights.extend(torch.randn_like(result) for result in results[len(weights) :])
        total = torch.stack([(a * w).sum().real for a, w in zip(results, weights, strict=True)]).sum()
        return results, list(torch.autograd.grad(total, sources, materialize_grads=True))

    actual = outputs_and_gradients(*cell(inputs, state))
    expected = outputs_and_gradients(*Cell.forward(cell, inputs, state))
    assert actual[0][0].shape == (BATCH, time, cell.output_size)
    for one, other in zip(actual, expected, strict=True):
        assert_close(one, other, rtol=1e-9, atol=1e-12)


@every_cell
@pytest.mark.parametrize("cut", [1, 4])
def test_a_sequence_cut_in_two_gives_the_same(name: str, options: dict[str, Any], cut: int) -> None:
    cell = random_cell(name, options)
    inputs, state = random_inputs(), reached_state(cell)
    whole, last = cell(inputs, state)
    first, between = cell(inputs[:, :cut], state)
    second, end = cell(inputs[:, cut:], between)
    assert_close(torch.cat([first, second], dim=1), whole)
    assert_states_close(end, last)


@every_cell
def test_forward_leaves_its_inputs_and_state_as_they_were(name: str, options: dict[str, Any]) -> None:
    cell = random_cell(name, options)
    given = random_inputs(), reached_state(cell)
    copies = [leaf.clone() for leaf in leaves(given)]
    with torch.no_grad():
        cell(*given)
    assert_close(leaves(given), copies, rtol=0, atol=0)


@every_cell
def test_no_output_depends_on_a_later_input(name: str, options: dict[str, Any]) -> None:
    cell = random_cell(name, options)
    inputs = random_inputs()
    outputs, _ = cell(inputs)
    changes = torch.zeros(TIME, dtype=torch.bool)
    for t in range(TIME):
        changed = inputs.clone()
        changed[:, t] += 1.0
        others, _ = cell(changed)
        assert_close(others[:, :t], outputs[:, :t], rtol=0, atol=1e-12)
        changes[t] = not torch.allclose(others[:, t:], outputs[:, t:])
    assert changes.any()


@every_cell
def test_the_rows_of_a_batch_are_independent(name: str, options: dict[str, Any]) -> None:
    cell = random_cell(name, options)
    inputs, state = random_inputs(), reached_state(cell)
    outputs, last = cell(inputs, state)
    for row in range(BATCH):

        def this_row(leaf: Tensor, row: int = row) -> Tensor:
            return leaf[row : row + 1]

        alone, alone_last = cell(this_row(inputs), map_state(this_row, state))
        assert_close(alone, this_row(outputs))
        assert_states_close(alone_last, map_state(this_row, last))


@every_cell
def test_gradients_are_those_of_finite_differences(name: str, options: dict[str, Any]) -> None:
    cell = random_cell(name, options)
    inputs, state = random_inputs(3)[:2], map_state(lambda leaf: leaf[:2], reached_state(cell))
    names = [key for key, _ in cell.named_parameters()]

    def run(inputs: Tensor, *tensors: Tensor) -> tuple[Tensor, ...]:
        parameters = dict(zip(names, tensors, strict=False))
        outputs, last = functional_call(cell, parameters, (inputs, with_leaves(state, tensors[len(names) :])))
        return outputs, *leaves(last)

    sources = [leaf.detach().clone().requires_grad_() for leaf in (inputs, *cell.parameters(), *leaves(state))]
    assert torch.autograd.gradcheck(run, sources)


@every_cell
def test_gradients_reach_every_parameter_of_a_new_cell(name: str, options: dict[str, Any]) -> None:
    cell = new_cell(name, options)
    cell(random_inputs())[0].square().sum().backward()
    for key, parameter in cell.named_parameters():
        assert parameter.grad is not None, key
        assert parameter.grad.isfinite().all(), key
        assert parameter.grad.any(), key


@every_cell
def test_a_saved_cell_loads_into_a_new_one(name: str, options: dict[str, Any]) -> None:
    cell, other = random_cell(name, options), random_cell(name, options)
    inputs = random_inputs()
    assert not torch.equal(cell(inputs)[0], other(inputs)[0])
    file = io.BytesIO()
    torch.save(cell.state_dict(), file)
    file.seek(0)
    other.load_state_dict(torch.load(file, weights_only=True))
    assert torch.equal(cell(inputs)[0], other(inputs)[0])


@every_cell
def test_a_cell_works_without_storage(name: str, options: dict[str, Any]) -> None:
    with torch.device("meta"):
        cell = architectures.get(name)(INPUT, HIDDEN, **options)
        outputs, last = cell(torch.empty(BATCH, TIME, INPUT))
    assert all(tensor.is_meta for tensor in (*cell.parameters(), outputs, *leaves(last)))
    real = architectures.get(name)(INPUT, HIDDEN, **options)
    assert [p.shape for p in cell.parameters()] == [p.shape for p in real.parameters()]
    assert outputs.shape == (BATCH, TIME, cell.output_size)


@every_cell
def test_no_option_loses_the_kernel(name: str, options: dict[str, Any]) -> None:
    make = architectures.get(name)
    assert kernels.path(make(INPUT, HIDDEN, **options)) == kernels.path(make(INPUT, HIDDEN))


@every_name
def test_the_docstring_has_equations_a_state_and_a_source(name: str) -> None:
    text = inspect.cleandoc(vars(architectures.get(name)).get("__doc__") or "")
    assert re.search(r"::\n\n +\w+_t = .+", text), "equations: an indented block after '::'"
    assert re.search(r"^State: .*\[batch, ", text, re.MULTILINE)
    assert re.search(r"^Sources?: ", text, re.MULTILINE)


@pytest.mark.parametrize(
    ("name", "option"),
    sorted(
        {(name, option) for name, options in (case.values for case in discovered(architectures)) for option in options}
    ),
)
def test_a_wrong_choice_is_refused_by_the_cell_itself(name: str, option: str) -> None:
    with pytest.raises(ValueError, match=f"{option} must be '.*'; got 'bogus'"):
        architectures.get(name)(INPUT, HIDDEN, **{option: "bogus"})
