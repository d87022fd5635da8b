"""The mLSTM against the loop of mlstm-kernels, in double precision and in single."""

from __future__ import annotations

from math import sqrt
from typing import Any

import pytest
import torch
from torch import Tensor, sigmoid
from torch.nn.functional import linear
from torch.testing import assert_close

from suite import kernels
from suite.architectures.mlstm import MLSTM
from tests.architectures.comparing import assert_same, results

BATCH, TIME, INPUT, HIDDEN, HEADS = 3, 50, 6, 24, 4
D = HIDDEN // HEADS


def by_loop(cell: MLSTM, x: Tensor, C: Tensor, n: Tensor, m: Tensor) -> Any:
    """The loop divides q by √d where the paper divides k, so its C and n are √d times ours."""
    native = pytest.importorskip(
        "mlstm_kernels.torch.recurrent.native_sequence", reason="mlstm-kernels is not installed"
    )
    q, k, v = (part.unflatten(2, (HEADS, D)).transpose(1, 2) for part in linear(x, cell.W).chunk(3, dim=2))
    i, f = (gate.transpose(1, 2) for gate in linear(x, cell.W_if, cell.b_if).chunk(2, dim=2))
    h, (C, n, m) = native.mlstm_recurrent_sequence__native_fw(
        q, k, v, i, f, c_initial=sqrt(D) * C, n_initial=sqrt(D) * n, m_initial=m.unsqueeze(2),
        return_last_states=True, dtype_state=x.dtype,
    )  # fmt: skip
    outputs = sigmoid(linear(x, cell.W_o, cell.b_o)) * h.transpose(1, 2).flatten(2)
    return outputs, (C / sqrt(D), n / sqrt(D), m.squeeze(2))


def random_cell() -> MLSTM:
    cell = MLSTM(INPUT, HIDDEN, heads=HEADS)
    torch.nn.init.normal_(cell.W_if)
    torch.nn.init.normal_(cell.b_o)
    return cell


def random_state() -> list[Tensor]:
    return [torch.randn(BATCH, HEADS, D, D), torch.randn(BATCH, HEADS, D), torch.randn(BATCH, HEADS)]


@pytest.mark.parametrize("path", ["definition", "parallel"])
@pytest.mark.parametrize("from_zero", [True, False], ids=["from_zero", "from_a_state"])
def test_the_mlstm_is_that_of_mlstm_kernels(from_zero: bool, path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEMSPAN_KERNELS", path if path == "parallel" else "0")
    cell = random_cell().double()
    state = [leaf.double() for leaf in (cell.initial_state(BATCH) if from_zero else random_state())]
    inputs = torch.randn(BATCH, TIME, INPUT, dtype=torch.float64)
    ours = results(cell, cell, inputs, state)
    assert_same(ours, results(cell, lambda x, s: by_loop(cell, x, *s), inputs, state), 1e-10)


@pytest.mark.parametrize("from_zero", [True, False], ids=["from_zero", "from_a_state"])
def test_the_kernel_is_that_of_mlstm_kernels_in_single_precision(from_zero: bool) -> None:
    cell = random_cell()
    assert kernels.path(cell) == "fused"
    state = list(cell.initial_state(BATCH)) if from_zero else random_state()
    inputs = torch.randn(BATCH, TIME, INPUT)
    ours = results(cell, cell, inputs, state)
    assert_same(ours, results(cell, lambda x, s: by_loop(cell, x, *s), inputs, state))


def test_the_stabiliser_cancels_out_but_for_epsilon() -> None:
    """C, n and m stand for e^m C and e^m n. Only where C and n are as small as ε is the same memory read smaller."""
    cell = random_cell().double()
    C, n, _ = (leaf.double() for leaf in random_state())
    inputs = torch.randn(BATCH, 1, INPUT, dtype=torch.float64)
    with torch.no_grad():
        cell.W_if.zero_()
        cell.b_if.copy_(torch.tensor([-100.0] * HEADS + [100.0] * HEADS))  # Nothing is written or forgotten.

    def answer(m: float) -> Tensor:
        """The answer from the memory e^10 C, e^10 n."""
        scale = torch.tensor(10 - m, dtype=torch.float64).exp()
        outputs, _ = cell(inputs, (scale * C, scale * n, torch.full((BATCH, HEADS), m, dtype=torch.float64)))
        return outputs

    assert_close(answer(1.0), answer(3.0), rtol=1e-3, atol=1e-4)
    assert not torch.allclose(answer(1.0), answer(24.0), rtol=0.1, atol=1e-4)


def test_gates_far_out_neither_overflow_nor_lose_the_state() -> None:
    """An input gate of e^300 wipes out all before it, and one of e^−300 writes nothing."""
    cell = random_cell()
    with torch.no_grad():
        cell.W_if.zero_()
        cell.b_if.copy_(torch.tensor([-300.0] * HEADS + [300.0] * HEADS))
    state = random_state()
    inputs = torch.randn(BATCH, 200, INPUT)
    assert_close(cell(inputs, tuple(state))[1], tuple(state))
    with torch.no_grad():
        cell.b_if[:HEADS] = 300.0
    outputs, last = cell(inputs, tuple(state))
    assert outputs.isfinite().all()
    assert all(leaf.isfinite().all() for leaf in last)
    assert_close(outputs, cell(inputs, tuple(map(torch.zeros_like, state)))[0], rtol=1e-4, atol=1e-5)


def test_the_first_gates_are_those_of_the_source() -> None:
    cell = MLSTM(INPUT, HIDDEN, heads=HEADS)
    assert not cell.W_if.any()
    assert cell.b_if[HEADS:].tolist() == [3.0, 4.0, 5.0, 6.0]
    b_i = torch.stack([MLSTM(1, 4).b_if[:4].detach() for _ in range(500)])
    assert abs(b_i.std().item() - 0.1) < 0.01


def test_heads_that_do_not_divide_are_refused() -> None:
    message = "heads must divide hidden_size; got heads = 7 and hidden_size = 24: choose a multiple of 7"
    with pytest.raises(ValueError, match=f"^{message}$"):
        MLSTM(INPUT, HIDDEN, heads=7)
