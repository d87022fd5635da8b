"""minGRU and minLSTM against the package minGRU-pytorch, and what its parallel forms cannot do."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from suite import kernels
from suite.architectures import Cell
from suite.architectures.min_gru import MinGRU
from suite.architectures.min_lstm import MinLSTM

BATCH, TIME, INPUT, HIDDEN = 3, 9, 4, 8
PRECISION = {torch.float64: 1e-10, torch.float32: 1e-5}

each_precision = pytest.mark.parametrize("dtype", PRECISION, ids=["float64", "float32"])


def pair(name: str, dtype: torch.dtype) -> tuple[Cell[Tensor], Any, Tensor]:
    """A cell, theirs, and the rows of our W in the order of theirs, whose candidate comes first."""
    module = pytest.importorskip(f"minGRU_pytorch.{name}", reason="minGRU-pytorch is not installed")
    cell = (MinGRU if name == "minGRU" else MinLSTM)(INPUT, HIDDEN).to(dtype)
    torch.nn.init.normal_(cell.W)
    theirs = getattr(module, name)(INPUT, expansion_factor=HIDDEN / INPUT, proj_out=False).to(dtype)
    gates = torch.arange(len(cell.W))
    return cell, theirs, torch.cat([gates[-HIDDEN:], gates[:-HIDDEN]])


def assert_same_as(cell: Cell[Tensor], theirs: Any, order: Tensor, run: Any, h: Tensor | None) -> None:
    """Compare outputs and the gradients of inputs, of a state and of W. Theirs has no biases, and ours are 0."""
    dtype = cell.W.dtype
    (weight,) = theirs.parameters()
    with torch.no_grad():
        weight.copy_(cell.W[order])
    x, up = torch.randn(BATCH, TIME, INPUT, dtype=dtype), torch.randn(BATCH, TIME, HIDDEN, dtype=dtype)
    ours_x, theirs_x = (x.clone().requires_grad_() for _ in range(2))
    states = [] if h is None else [h.clone().requires_grad_() for _ in range(2)]
    outputs, _ = cell(ours_x, *states[:1])
    expected = run(theirs_x, *states[1:])
    of_x, of_W, *of_h = torch.autograd.grad(outputs, [ours_x, cell.W, *states[:1]], up)
    expected_x, expected_W, *expected_h = torch.autograd.grad(expected, [theirs_x, weight, *states[1:]], up)
    for one, other in zip(
        [outputs, of_x, of_W[order], *of_h], [expected, expected_x, expected_W, *expected_h], strict=True
    ):
        scale = max(1.0, other.abs().max().item())
        assert_close(one, other, rtol=PRECISION[dtype], atol=PRECISION[dtype] * scale)


@each_precision
@pytest.mark.parametrize("name", ["minGRU", "minLSTM"])
def test_from_zero_as_their_parallel_form(name: str, dtype: torch.dtype) -> None:
    cell, theirs, order = pair(name, dtype)
    assert_same_as(cell, theirs, order, theirs, None)


@each_precision
def test_the_gru_from_a_positive_state_as_their_parallel_form(dtype: torch.dtype) -> None:
    cell, theirs, order = pair("minGRU", dtype)
    h = torch.rand(BATCH, HIDDEN, dtype=dtype) + 0.1
    assert_same_as(cell, theirs, order, lambda x, h: theirs(x, prev_hidden=h.unsqueeze(1)), h)


@each_precision
@pytest.mark.parametrize("name", ["minGRU", "minLSTM"])
def test_from_any_state_as_their_single_steps(name: str, dtype: torch.dtype) -> None:
    """Theirs has another form for sequences of one step. From a given state, their minLSTM only has this one right."""
    cell, theirs, order = pair(name, dtype)

    def step_by_step(x: Tensor, h: Tensor) -> Tensor:
        outputs, state = [], h.unsqueeze(1)
        for t in range(TIME):
            output, state = theirs(x[:, t : t + 1], prev_hidden=state, return_next_prev_hidden=True)
            outputs.append(output)
        return torch.cat(outputs, dim=1)

    assert_same_as(cell, theirs, order, step_by_step, torch.randn(BATCH, HIDDEN, dtype=dtype))


@pytest.mark.parametrize("form", ["1", "parallel", "0"])
@pytest.mark.parametrize("make", [MinGRU, MinLSTM])
def test_a_negative_state_decays(make: Any, form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A form with logarithms of the states would give NaN."""
    monkeypatch.setenv("MEMSPAN_KERNELS", form)
    cell = make(INPUT, HIDDEN)
    with torch.no_grad():
        cell.W.zero_()
    outputs, _ = cell(torch.zeros(1, 50, INPUT), torch.full((1, HIDDEN), -8.0))
    kept = 0.5 ** torch.arange(1, 51.0).unsqueeze(1).expand(-1, HIDDEN)
    assert_close(outputs[0], -8 * kept + 0.5 * (1 - kept))  # g(0) = ½


@pytest.mark.parametrize("form", ["1", "0"])
@pytest.mark.parametrize("value", [-60.0, -150.0])
def test_two_closed_gates_share_the_state_and_not_zero_by_zero(
    value: float, form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MEMSPAN_KERNELS", form)
    cell = MinLSTM(INPUT, HIDDEN)
    f, i = cell.b.detach().view(3, HIDDEN)[:2]
    f.fill_(value)
    i.fill_(value - 1)
    outputs, _ = cell(torch.zeros(2, 3, INPUT), torch.ones(2, HIDDEN))
    assert kernels.path(cell) == {"1": "fused", "0": "definition"}[form]
    share = torch.sigmoid(torch.tensor(1.0))  # f / i = e
    assert_close(outputs[:, 0], (share + (1 - share) * 0.5).expand(2, HIDDEN), rtol=1e-5, atol=0)
    gradients = torch.autograd.grad(outputs.sum(), list(cell.parameters()))
    assert all(gradient.isfinite().all() for gradient in gradients)
    assert gradients[1][:HIDDEN].any()


def test_all_gates_start_half_open() -> None:
    for cell in (MinGRU(INPUT, HIDDEN), MinLSTM(INPUT, HIDDEN)):
        assert not cell.b.any()
        assert 0.9 * INPUT**-0.5 < cell.W.abs().max() <= INPUT**-0.5
