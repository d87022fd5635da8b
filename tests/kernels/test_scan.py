"""The parallel forms, which a GPU takes, on the CPU against the definition."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor

from suite import kernels
from suite.architectures import Cell
from suite.kernels._scan import diagonal_scan
from tests.architectures.comparing import results
from tests.helpers import leaves
from tests.kernels.test_kernels import forms, long_forms

LENGTHS = {torch.float64: (1, 7, 64, 1000), torch.float32: (7, 100)}


def has_parallel_form(make: Any) -> bool:
    cell = make(3, 8)
    if not isinstance(cell, Cell):
        return False
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MEMSPAN_KERNELS", "parallel")
        return kernels.path(cell) == "parallel"


def test_the_linear_cells_have_a_parallel_form() -> None:
    names = {case.id.split("-")[0] for case in forms() if has_parallel_form(case.values[0])}
    assert names >= {"lru", "min_gru", "min_lstm", "rg_lru", "s4d"}


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=["float64", "float32"])
@pytest.mark.parametrize("make", [case for case in long_forms() if has_parallel_form(case.values[0])])
def test_as_the_definition_with_all_gradients(make: Any, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEMSPAN_KERNELS", "parallel")
    for time in LENGTHS[dtype]:
        cell: Cell[Any] = make(3, 4).to(dtype)
        inputs = torch.randn(2, time, 3, dtype=dtype)
        state = [torch.randn_like(leaf) for leaf in leaves(cell.initial_state(2))]
        ours, theirs = (results(cell, run, inputs, state) for run in (cell, partial(Cell.forward, cell)))
        for one, other in zip(ours, theirs, strict=True):
            error, largest = (one - other).abs().max().item(), other.abs().max().item()
            assert error <= (1e-9 if dtype == torch.float64 else 3e-4) * largest, time


@pytest.mark.parametrize("dtype", [torch.float64, torch.complex128])
@pytest.mark.parametrize("time", [1, 2, 3, 7, 64, 1000])
def test_the_scan_is_the_recurrence(time: int, dtype: torch.dtype) -> None:
    a = torch.randn(2, time, 3, dtype=dtype)
    a = (a / a.abs() * torch.rand(2, time, 3)).requires_grad_()
    b, h = torch.randn(2, time, 3, dtype=dtype, requires_grad=True), torch.randn(2, 3, dtype=dtype, requires_grad=True)
    up = torch.randn(2, time, 3, dtype=dtype)

    def run(function: Any) -> list[Tensor]:
        states = function(a, b, h)
        return [states, *torch.autograd.grad(states, [a, b, h], up)]

    for one, other in zip(run(diagonal_scan), run(kernels.diagonal_definition), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-12)


def test_products_that_vanish_do_no_harm() -> None:
    """A form that divides by cumulative products would give NaN."""
    a, b = torch.full((1, 1000, 2), 1e-4), torch.ones(1, 1000, 2)
    states = diagonal_scan(a, b, torch.zeros(1, 2))
    torch.testing.assert_close(states[:, 1:], torch.full((1, 999, 2), 1.0001), rtol=1e-6, atol=0)


def test_no_steps_are_refused_as_by_the_definition(monkeypatch: pytest.MonkeyPatch) -> None:
    from suite.registry import architectures

    monkeypatch.setenv("MEMSPAN_KERNELS", "parallel")
    with pytest.raises(RuntimeError, match="non-empty"):
        architectures.get("min_gru")(3, 4)(torch.zeros(2, 0, 3))
