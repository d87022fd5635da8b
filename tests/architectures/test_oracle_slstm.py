"""The sLSTM against loops written from the paper, without the stabiliser and with it."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.testing import assert_close

from suite import kernels
from suite.architectures import Cell
from suite.architectures.slstm import SLSTM, State

Array = NDArray[np.float64]

BATCH, TIME, INPUT, HIDDEN = 3, 12, 4, 8
CLOSE = {"rtol": 1e-10, "atol": 1e-10}


def randomised(cell: SLSTM, std: float = 0.5) -> SLSTM:
    for parameter in cell.parameters():
        nn.init.normal_(parameter, std=std)
    return cell


def random(*shape: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64)


def block_diagonal(cell: SLSTM) -> Tensor:
    """U of every gate as a whole matrix, ``[4 · hidden, hidden]``."""
    size = cell.hidden_size // cell.heads
    gates = cell.U.view(4, cell.heads, size, size)
    return torch.cat([torch.block_diag(*heads) for heads in gates])


def without_stabiliser(cell: SLSTM, inputs: Tensor, h: Tensor, c: Tensor, n: Tensor) -> list[Tensor]:
    """The equations of §2.2 as they are printed, with the exponential input gate and the logistic forget gate."""
    U, outputs = block_diagonal(cell), []
    for x in inputs.unbind(1):
        i, f, z, o = (x @ cell.W.T + h @ U.T + cell.b).chunk(4, dim=1)
        c = torch.sigmoid(f) * c + torch.exp(i) * torch.tanh(z)
        n = torch.sigmoid(f) * n + torch.exp(i)
        h = torch.sigmoid(o) * (c / n)
        outputs.append(h)
    return [torch.stack(outputs, dim=1), h, c, n]


def by_hand(cell: SLSTM, inputs: Array, h: Array, c: Array, n: Array, m: Array) -> list[Array]:
    """The equations of appendix A.2 in NumPy, number by number."""
    W, U, b = (tensor.detach().numpy() for tensor in (cell.W, block_diagonal(cell), cell.b))
    H, outputs = cell.hidden_size, np.zeros((len(inputs), inputs.shape[1], cell.hidden_size))
    h, c, n, m = (state.copy() for state in (h, c, n, m))
    for row in range(len(inputs)):
        for t in range(inputs.shape[1]):
            a = W @ inputs[row, t] + U @ h[row] + b
            for unit in range(H):
                i, f, z, o = a[unit::H]
                log_f = -np.log1p(np.exp(-f)) + m[row, unit]
                new_m = i if n[row, unit] == 0 else max(log_f, i)
                i, f = np.exp(i - new_m), min(np.exp(log_f - new_m), 1.0)
                c[row, unit] = f * c[row, unit] + i * np.tanh(z)
                n[row, unit] = f * n[row, unit] + i
                m[row, unit] = new_m
                h[row, unit] = c[row, unit] / n[row, unit] / (1 + np.exp(-o))
            outputs[row, t] = h[row]
    return [outputs, h, c, n, m]


def reached(cell: Cell[State], batch: int = BATCH) -> State:
    """A state after a few steps, whose counts n are positive."""
    with torch.no_grad():
        inputs = torch.randn(batch, 4, INPUT, dtype=next(cell.parameters()).dtype)
        return Cell.forward(cell, inputs, cell.initial_state(batch))[1]


@pytest.mark.parametrize("heads", [1, 2, 4])
@pytest.mark.parametrize("from_zero", [True, False])
def test_it_is_the_loop_of_the_paper(heads: int, from_zero: bool) -> None:
    cell = randomised(SLSTM(INPUT, HIDDEN, heads=heads)).double()
    inputs = random(BATCH, TIME, INPUT)
    state = cell.initial_state(BATCH) if from_zero else reached(cell)
    outputs, last = cell(inputs, state)
    expected = by_hand(cell, inputs.numpy(), *(leaf.numpy() for leaf in state))
    for one, other in zip([outputs, *last], expected, strict=True):
        assert_close(one.detach(), torch.from_numpy(other), **CLOSE)


@pytest.mark.parametrize("heads", [1, 4])
@pytest.mark.parametrize("from_zero", [True, False])
def test_the_stabiliser_changes_nothing_not_even_a_gradient(heads: int, from_zero: bool) -> None:
    cell = randomised(SLSTM(INPUT, HIDDEN, heads=heads)).double()
    inputs = random(BATCH, TIME, INPUT).requires_grad_()
    h, c, n, m = cell.initial_state(BATCH) if from_zero else reached(cell)
    outputs, (_, last_c, last_n, last_m) = cell(inputs, (h, c, n, m))
    scale = m.exp()  # c and n are stored divided by e^m
    expected, _, true_c, true_n = without_stabiliser(cell, inputs, h, c * scale, n * scale)
    assert_close(outputs, expected, **CLOSE)
    assert_close(last_c * last_m.exp(), true_c, **CLOSE)
    assert_close(last_n * last_m.exp(), true_n, **CLOSE)
    weights, sources = random(*outputs.shape), [inputs, *cell.parameters()]
    ours, theirs = (torch.autograd.grad((y * weights).sum(), sources) for y in (outputs, expected))
    for one, other in zip(ours, theirs, strict=True):
        assert_close(one, other, **CLOSE)


def test_every_unit_of_every_row_decides_by_itself_whether_it_is_new() -> None:
    """Some rows are new and some are not, and in one row half of the units."""
    cell = randomised(SLSTM(INPUT, HIDDEN)).double()
    state = [leaf.clone() for leaf in reached(cell)]
    for leaf in state:
        leaf[1] = 0
        leaf[2, ::2] = 0
    inputs = random(BATCH, TIME, INPUT)
    outputs, last = cell(inputs, tuple(state))
    expected = by_hand(cell, inputs.numpy(), *(leaf.numpy() for leaf in state))
    for one, other in zip([outputs, *last], expected, strict=True):
        assert_close(one.detach(), torch.from_numpy(other), **CLOSE)
    for row in range(BATCH):
        alone, _ = cell(inputs[row : row + 1], tuple(leaf[row : row + 1] for leaf in state))
        assert_close(alone[0], outputs[row])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("size", [-3000.0, -200.0, 200.0, 3000.0])
def test_no_input_gate_is_too_large_or_too_small(size: float, dtype: torch.dtype) -> None:
    """exp(200) overflows in single precision and exp(3000) in double. The first step has no other gate to lean on."""
    cell = randomised(SLSTM(INPUT, HIDDEN)).to(dtype)
    cell.b.data[:HIDDEN] = size
    outputs, last = cell(torch.randn(BATCH, TIME, INPUT, dtype=dtype))
    assert outputs.abs().max() <= 1
    assert all(leaf.isfinite().all() for leaf in last)
    found = torch.autograd.grad(outputs.square().sum(), list(cell.parameters()))
    assert all(gradient.isfinite().all() for gradient in found)


def test_heads_only_mix_their_own_units() -> None:
    cell, whole = randomised(SLSTM(INPUT, HIDDEN, heads=4)).double(), SLSTM(INPUT, HIDDEN).double()
    whole.load_state_dict({"W": cell.W.detach(), "b": cell.b.detach(), "U": block_diagonal(cell).detach()})
    inputs = random(BATCH, TIME, INPUT)
    assert_close(cell(inputs)[0], whole(inputs)[0], **CLOSE)


def results(cell: SLSTM, run: Any, inputs: Tensor, state: list[Tensor]) -> list[Tensor]:
    inputs, state = inputs.detach().requires_grad_(), [leaf.detach().requires_grad_() for leaf in state]
    outputs, last = run(inputs, tuple(state))
    generator = torch.Generator().manual_seed(1)
    parts = [outputs, *last]
    loss = sum((part * torch.randn(part.shape, generator=generator)).sum() for part in parts)
    return [*parts, *torch.autograd.grad(loss, [inputs, *state, *cell.parameters()])]


@pytest.mark.parametrize(("heads", "hidden"), [(2, 10), (4, 12), (3, 51), (4, 64)])
@pytest.mark.parametrize("new", ["all", "some", "none"])
def test_heads_are_fused(heads: int, hidden: int, new: str) -> None:
    torch.manual_seed(0)
    cell = randomised(SLSTM(INPUT, hidden, heads=heads), std=0.3)
    assert kernels.path(cell) == "fused"
    state = [leaf.clone() for leaf in (cell.initial_state(BATCH) if new == "all" else reached(cell))]
    for leaf in state if new == "some" else []:
        leaf[0], leaf[1, ::3] = 0, 0
    inputs = torch.randn(BATCH, 30, INPUT)
    ours, theirs = (results(cell, run, inputs, state) for run in (cell, partial(Cell.forward, cell)))
    for one, other in zip(ours, theirs, strict=True):
        assert_close(one, other, rtol=0, atol=2e-5 * other.abs().max().item() + 1e-6)


def test_forget_gates_begin_with_many_time_scales() -> None:
    cell = SLSTM(INPUT, 16, heads=2)
    b_i, b_f, b_z, b_o = cell.b.chunk(4)
    assert_close(b_f, torch.linspace(3, 6, 8).repeat(2))
    assert not torch.stack([b_i, b_z, b_o]).any()


@pytest.mark.parametrize("heads", [0, 3, 16])
def test_heads_that_do_not_divide_are_refused(heads: int) -> None:
    with pytest.raises(ValueError, match=rf"heads must divide hidden_size; got heads = {heads} and hidden_size = 8: "):
        SLSTM(INPUT, 8, heads=heads)
