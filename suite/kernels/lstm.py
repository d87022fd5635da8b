"""The LSTM."""

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
    """``a``, W x + b on entry, holds the gates i, f, g, o at the end; ``h`` and ``c`` hold their first states."""
    T, B, _ = a.shape
    P = h.shape[2]
    for t in range(T):
        # a_t += U h_{t−1}
        add_product(a[t], 0, h[t], 0, H, U, 4 * P)
        for n in range(B):
            row, c_before, c_after, h_after = a[t, n], c[t, n], c[t + 1, n], h[t + 1, n]
            for j in range(0, P, LANES):
                i, f = sigmoid(load(row, j)), sigmoid(load(row, P + j))
                g, o = tanh(load(row, 2 * P + j)), sigmoid(load(row, 3 * P + j))
                # c_t = f_t ⊙ c_{t−1} + i_t ⊙ g_t
                state = f * load(c_before, j) + i * g
                # h_t = o_t ⊙ tanh(c_t)
                store(h_after, j, o * tanh(state))
                store(c_after, j, state)
                store(row, j, i)
                store(row, P + j, f)
                store(row, 2 * P + j, g)
                store(row, 3 * P + j, o)


@compiled(
    "float32[:, :, ::1], float32[:, :, ::1], float32[:, :, ::1], float32[::1], int64,"
    "float32[:, ::1], int64, int64, boolean, float32[:, ::1], float32[:, ::1]"
)
def _backward(da, gates, c, U, H, dy, dy_step, dy_sequence, cell_readout, dh, dc):  # type: ignore[no-untyped-def]
    """Fill ``da``; ``dh`` and ``dc`` are the gradients of the last states on entry, of the first at the end."""
    T, B, _ = gates.shape
    P = c.shape[2]
    for t in range(T - 1, -1, -1):
        for n in range(B):
            row, d_row, c_before, c_after = gates[t, n], da[t, n], c[t, n], c[t + 1, n]
            d_h, d_c, d_y = dh[n], dc[n], dy[t * dy_step + n * dy_sequence]
            target = d_c if cell_readout else d_h
            for j in range(H):
                target[j] += d_y[j]
            for j in range(0, P, LANES):
                i, f, g, o = load(row, j), load(row, P + j), load(row, 2 * P + j), load(row, 3 * P + j)
                # h_t = o_t ⊙ tanh(c_t)
                squashed, d_hidden = tanh(load(c_after, j)), load(d_h, j)
                d_state = load(d_c, j) + d_hidden * o * (ONE - squashed * squashed)
                store(d_row, 3 * P + j, d_hidden * squashed * o * (ONE - o))
                # c_t = f_t ⊙ c_{t−1} + i_t ⊙ g_t
                store(d_row, j, d_state * g * i * (ONE - i))
                store(d_row, P + j, d_state * load(c_before, j) * f * (ONE - f))
                store(d_row, 2 * P + j, d_state * i * (ONE - g * g))
                store(d_c, j, d_state * f)
                store(d_h, j, ZERO)
        clear_padding(da[t], H, P)
        # a_t = … + U h_{t−1}
        add_product(dh, 0, da[t], 0, 4 * P, U, P)


class _LSTM(torch.autograd.Function):
    """a ``[time, batch, 4·padded]``, h, c ``[batch, hidden]``, U → outputs ``[batch, time, hidden]``, h, c.

    Kept for the backward, per unit and step: i, f, g, o, c, h: 6 numbers.
    """

    @staticmethod
    def forward(ctx: Any, a: Tensor, h: Tensor, c: Tensor, U: Tensor, cell_readout: bool) -> tuple[Tensor, ...]:
        hidden = U.shape[1]
        gates = a.detach()
        hs, cs = layout.history(h, len(a)), layout.history(c, len(a))
        _forward(gates.numpy(), hs.numpy(), cs.numpy(), layout.pack_forward(U, 4).numpy(), hidden)
        ctx.save_for_backward(gates, hs, cs, U)
        ctx.set_materialize_grads(False)
        ctx.cell_readout = cell_readout
        outputs = layout.outputs(cs if cell_readout else hs, hidden)
        return outputs, layout.last(hs, hidden), layout.last(cs, hidden)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_outputs: Tensor | None, dh: Tensor | None, dc: Tensor | None) -> tuple[Any, ...]:
        gates, hs, cs, U = ctx.saved_tensors
        hidden = U.shape[1]
        dy, step, sequence = layout.rows(d_outputs, hidden, gates)
        dh, dc = layout.state_gradient(dh, hs), layout.state_gradient(dc, cs)
        da = layout.gate_gradient(gates)
        _backward(
            da.numpy(), gates.numpy(), cs.numpy(), layout.pack_backward(U, 4).numpy(), hidden,
            dy.numpy(), step, sequence, ctx.cell_readout, dh.numpy(), dc.numpy(),
        )  # fmt: skip
        dU = layout.recurrent_gradient(da, hs[:-1], hidden)
        return da, dh[:, :hidden], dc[:, :hidden], dU, None


def lstm(
    inputs: Tensor, h: Tensor, c: Tensor, W: Tensor, U: Tensor, b: Tensor, readout: str
) -> tuple[Tensor, tuple[Tensor, Tensor]]:
    """``LSTM.forward``: inputs ``[batch, time, input]`` → outputs ``[batch, time, hidden]``, (h, c)."""
    outputs, h, c = _LSTM.apply(layout.project(inputs, W, b, 4), h, c, U, readout == "cell")  # type: ignore[no-untyped-call]
    return outputs, (h, c)
