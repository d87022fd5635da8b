"""The LSTM with one gate for writing and keeping."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from suite.kernels import _layout as layout
from suite.kernels._compiled import compiled
from suite.kernels._math import ONE, ZERO, sigmoid, tanh
from suite.kernels._product import add_product, clear_padding
from suite.kernels._vector import LANES, load, store


@compiled("float32[:, :, ::1], float32[:, :, ::1], float32[:, :, ::1], float32[::1], int64")
def _forward(a, h, c, U, H):  # type: ignore[no-untyped-def]
    """``a``, W x + b on entry, holds the gates i, g, o at the end; ``h`` and ``c`` hold their first states."""
    T, B, _ = a.shape
    P = h.shape[2]
    for t in range(T):
        # a_t += U h_{t−1}
        add_product(a[t], 0, h[t], 0, H, U, 3 * P)
        for n in range(B):
            row, c_before, c_after, h_after = a[t, n], c[t, n], c[t + 1, n], h[t + 1, n]
            for j in range(0, P, LANES):
                i, g, o = sigmoid(load(row, j)), tanh(load(row, P + j)), sigmoid(load(row, 2 * P + j))
                # c_t = (1 − i_t) ⊙ c_{t−1} + i_t ⊙ g_t
                state = (ONE - i) * load(c_before, j) + i * g
                # h_t = o_t ⊙ tanh(c_t)
                store(h_after, j, o * tanh(state))
                store(c_after, j, state)
                store(row, j, i)
                store(row, P + j, g)
                store(row, 2 * P + j, o)


@compiled(
    "float32[:, :, ::1], float32[:, :, ::1], float32[:, :, ::1], float32[::1], int64,"
    "float32[:, ::1], int64, int64, float32[:, ::1], float32[:, ::1]"
)
def _backward(da, gates, c, U, H, dy, dy_step, dy_sequence, dh, dc):  # type: ignore[no-untyped-def]
    """Fill ``da``; ``dh`` and ``dc`` are the gradients of the last states on entry, of the first at the end."""
    T, B, _ = gates.shape
    P = c.shape[2]
    for t in range(T - 1, -1, -1):
        for n in range(B):
            row, d_row, c_before, c_after = gates[t, n], da[t, n], c[t, n], c[t + 1, n]
            d_h, d_c, d_y = dh[n], dc[n], dy[t * dy_step + n * dy_sequence]
            for j in range(H):
                d_h[j] += d_y[j]
            for j in range(0, P, LANES):
                i, g, o = load(row, j), load(row, P + j), load(row, 2 * P + j)
                # h_t = o_t ⊙ tanh(c_t)
                squashed, d_hidden = tanh(load(c_after, j)), load(d_h, j)
                d_state = load(d_c, j) + d_hidden * o * (ONE - squashed * squashed)
                store(d_row, 2 * P + j, d_hidden * squashed * o * (ONE - o))
                # c_t = (1 − i_t) ⊙ c_{t−1} + i_t ⊙ g_t
                store(d_row, j, d_state * (g - load(c_before, j)) * i * (ONE - i))
                store(d_row, P + j, d_state * i * (ONE - g * g))
                store(d_c, j, d_state * (ONE - i))
                store(d_h, j, ZERO)
        clear_padding(da[t], H, P)
        # a_t = … + U h_{t−1}
        add_product(dh, 0, da[t], 0, 3 * P, U, P)


class _CoupledLSTM(torch.autograd.Function):
    """a ``[time, batch, 3·padded]``, h, c ``[batch, hidden]``, U → outputs ``[batch, time, hidden]``, h, c.

    Kept for the backward, per unit and step: i, g, o, c, h: 5 numbers.
    """

    @staticmethod
    def forward(ctx: Any, a: Tensor, h: Tensor, c: Tensor, U: Tensor) -> tuple[Tensor, ...]:
        hidden = U.shape[1]
        gates = a.detach()
        hs, cs = layout.history(h, len(a)), layout.history(c, len(a))
        _forward(gates.numpy(), hs.numpy(), cs.numpy(), layout.pack_forward(U, 3).numpy(), hidden)
        ctx.save_for_backward(gates, hs, cs, U)
        ctx.set_materialize_grads(False)
        return layout.outputs(hs, hidden), layout.last(hs, hidden), layout.last(cs, hidden)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_outputs: Tensor | None, dh: Tensor | None, dc: Tensor | None) -> tuple[Any, ...]:
        gates, hs, cs, U = ctx.saved_tensors
        hidden = U.shape[1]
        dy, step, sequence = layout.rows(d_outputs, hidden, gates)
        dh, dc = layout.state_gradient(dh, hs), layout.state_gradient(dc, cs)
        da = layout.gate_gradient(gates)
        _backward(
            da.numpy(), gates.numpy(), cs.numpy(), layout.pack_backward(U, 3).numpy(), hidden,
            dy.numpy(), step, sequence, dh.numpy(), dc.numpy(),
        )  # fmt: skip
        dU = layout.recurrent_gradient(da, hs[:-1], hidden)
        return da, dh[:, :hidden], dc[:, :hidden], dU


def coupled(
    inputs: Tensor, h: Tensor, c: Tensor, W: Tensor, U: Tensor, b: Tensor
) -> tuple[Tensor, tuple[Tensor, Tensor]]:
    """``CoupledLSTM.forward``: inputs ``[batch, time, input]`` → outputs ``[batch, time, hidden]``, (h, c)."""
    outputs, h, c = _CoupledLSTM.apply(layout.project(inputs, W, b, 3), h, c, U)  # type: ignore[no-untyped-call]
    return outputs, (h, c)
