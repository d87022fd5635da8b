"""The LSTM with one peephole weight per unit and gate."""

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


@compiled("float32[:, :, ::1], float32[:, :, ::1], float32[:, :, ::1], float32[::1], float32[:, ::1], int64")
def _forward(a, h, c, U, peep, H):  # type: ignore[no-untyped-def]
    """``a``, W x + b on entry, holds the gates i, f, g, o at the end; ``h`` and ``c`` hold their first states."""
    T, B, _ = a.shape
    P = h.shape[2]
    p_i, p_f, p_o = peep[0], peep[1], peep[2]
    for t in range(T):
        # a_t += U h_{t−1}
        add_product(a[t], 0, h[t], 0, H, U, 4 * P)
        for n in range(B):
            row, c_before, c_after, h_after = a[t, n], c[t, n], c[t + 1, n], h[t + 1, n]
            for j in range(0, P, LANES):
                before = load(c_before, j)
                i = sigmoid(load(row, j) + load(p_i, j) * before)
                f = sigmoid(load(row, P + j) + load(p_f, j) * before)
                g = tanh(load(row, 2 * P + j))
                # c_t = f_t ⊙ c_{t−1} + i_t ⊙ g_t
                state = f * before + i * g
                # h_t = o_t ⊙ tanh(c_t), where o_t sees c_t
                o = sigmoid(load(row, 3 * P + j) + load(p_o, j) * state)
                store(h_after, j, o * tanh(state))
                store(c_after, j, state)
                store(row, j, i)
                store(row, P + j, f)
                store(row, 2 * P + j, g)
                store(row, 3 * P + j, o)


@compiled(
    "float32[:, :, ::1], float32[:, ::1], float32[:, :, ::1], float32[:, :, ::1], float32[::1], float32[:, ::1], int64,"
    "float32[:, ::1], int64, int64, float32[:, ::1], float32[:, ::1]"
)
def _backward(da, d_peep, gates, c, U, peep, H, dy, dy_step, dy_sequence, dh, dc):  # type: ignore[no-untyped-def]
    """Fill ``da``, add to ``d_peep``; ``dh``, ``dc``: last states' gradients on entry, the first's at the end."""
    T, B, _ = gates.shape
    P = c.shape[2]
    p_i, p_f, p_o = peep[0], peep[1], peep[2]
    d_i, d_f, d_o = d_peep[0], d_peep[1], d_peep[2]
    for t in range(T - 1, -1, -1):
        for n in range(B):
            row, d_row, c_before, c_after = gates[t, n], da[t, n], c[t, n], c[t + 1, n]
            d_h, d_c, d_y = dh[n], dc[n], dy[t * dy_step + n * dy_sequence]
            for j in range(H):
                d_h[j] += d_y[j]
            for j in range(0, P, LANES):
                i, f, g, o = load(row, j), load(row, P + j), load(row, 2 * P + j), load(row, 3 * P + j)
                before, state, d_hidden = load(c_before, j), load(c_after, j), load(d_h, j)
                # h_t = o_t ⊙ tanh(c_t), where o_t sees c_t
                squashed = tanh(state)
                da_o = d_hidden * squashed * o * (ONE - o)
                d_state = load(d_c, j) + d_hidden * o * (ONE - squashed * squashed) + da_o * load(p_o, j)
                # c_t = f_t ⊙ c_{t−1} + i_t ⊙ g_t
                da_i = d_state * g * i * (ONE - i)
                da_f = d_state * before * f * (ONE - f)
                store(d_row, j, da_i)
                store(d_row, P + j, da_f)
                store(d_row, 2 * P + j, d_state * i * (ONE - g * g))
                store(d_row, 3 * P + j, da_o)
                store(d_c, j, d_state * f + da_i * load(p_i, j) + da_f * load(p_f, j))
                store(d_h, j, ZERO)
                store(d_i, j, load(d_i, j) + da_i * before)
                store(d_f, j, load(d_f, j) + da_f * before)
                store(d_o, j, load(d_o, j) + da_o * state)
        clear_padding(da[t], H, P)
        # a_t = … + U h_{t−1}
        add_product(dh, 0, da[t], 0, 4 * P, U, P)


class _DiagonalPeephole(torch.autograd.Function):
    """a ``[time, batch, 4·padded]``, h, c ``[batch, hidden]``, U, P → outputs ``[batch, time, hidden]``, h, c.

    Kept for the backward, per unit and step: i, f, g, o, c, h: 6 numbers.
    """

    @staticmethod
    def forward(ctx: Any, a: Tensor, h: Tensor, c: Tensor, U: Tensor, P: Tensor) -> tuple[Tensor, ...]:
        hidden = U.shape[1]
        gates, peep = a.detach(), layout.history(P, 0)[0]
        hs, cs = layout.history(h, len(a)), layout.history(c, len(a))
        _forward(gates.numpy(), hs.numpy(), cs.numpy(), layout.pack_forward(U, 4).numpy(), peep.numpy(), hidden)
        ctx.save_for_backward(gates, hs, cs, U, peep)
        ctx.set_materialize_grads(False)
        return layout.outputs(hs, hidden), layout.last(hs, hidden), layout.last(cs, hidden)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_outputs: Tensor | None, dh: Tensor | None, dc: Tensor | None) -> tuple[Any, ...]:
        gates, hs, cs, U, peep = ctx.saved_tensors
        hidden = U.shape[1]
        dy, step, sequence = layout.rows(d_outputs, hidden, gates)
        dh, dc = layout.state_gradient(dh, hs), layout.state_gradient(dc, cs)
        da, d_peep = layout.gate_gradient(gates), torch.zeros_like(peep)
        _backward(
            da.numpy(), d_peep.numpy(), gates.numpy(), cs.numpy(), layout.pack_backward(U, 4).numpy(), peep.numpy(),
            hidden, dy.numpy(), step, sequence, dh.numpy(), dc.numpy(),
        )  # fmt: skip
        dU = layout.recurrent_gradient(da, hs[:-1], hidden)
        return da, dh[:, :hidden], dc[:, :hidden], dU, d_peep[:, :hidden]


def peephole_diagonal(
    inputs: Tensor, h: Tensor, c: Tensor, W: Tensor, U: Tensor, P: Tensor, b: Tensor
) -> tuple[Tensor, tuple[Tensor, Tensor]]:
    """``PeepholeLSTM.forward``, diagonal: inputs ``[batch, time, input]`` → ``[batch, time, hidden]``, (h, c)."""
    outputs, h, c = _DiagonalPeephole.apply(layout.project(inputs, W, b, 4), h, c, U, P)  # type: ignore[no-untyped-call]
    return outputs, (h, c)
