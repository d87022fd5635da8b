"""The GRU whose reset gate comes after the product."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from suite.kernels import _layout as layout
from suite.kernels._compiled import compiled
from suite.kernels._math import ONE, sigmoid, tanh
from suite.kernels._product import add_product, clear_padding
from suite.kernels._vector import LANES, load, store


@compiled("float32[:, :, ::1], float32[:, :, ::1], float32[:, :, ::1], float32[::1], float32[::1], float32[::1], int64")
def _forward(a, q, h, U_rz, U_n, b_h, H):  # type: ignore[no-untyped-def]
    """``a``, W x + b on entry, holds r, z, n at the end and ``q`` U_n h + b_h; ``h`` holds its first state."""
    T, B, _ = a.shape
    P = h.shape[2]
    for t in range(T):
        # a_t += U h_{t−1}, for r and z;  q_t = U_n h_{t−1} + b_h
        for n in range(B):
            for j in range(0, P, LANES):
                store(q[t, n], j, load(b_h, j))
        add_product(a[t], 0, h[t], 0, H, U_rz, 2 * P)
        add_product(q[t], 0, h[t], 0, H, U_n, P)
        for n in range(B):
            row, q_row, before, after = a[t, n], q[t, n], h[t, n], h[t + 1, n]
            for j in range(0, P, LANES):
                r, z = sigmoid(load(row, j)), sigmoid(load(row, P + j))
                # n_t = tanh(W_n x_t + b_n + r_t ⊙ (U_n h_{t−1} + b_h))
                new = tanh(load(row, 2 * P + j) + r * load(q_row, j))
                # h_t = (1 − z_t) ⊙ n_t + z_t ⊙ h_{t−1}
                store(after, j, (ONE - z) * new + z * load(before, j))
                store(row, j, r)
                store(row, P + j, z)
                store(row, 2 * P + j, new)


@compiled(
    "float32[:, :, ::1], float32[:, :, ::1], float32[:, :, ::1], float32[:, :, ::1], float32[:, :, ::1],"
    "float32[::1], float32[::1], int64, float32[:, ::1], int64, int64, float32[:, ::1]"
)
def _backward(da, dq, gates, q, h, U_rz, U_n, H, dy, dy_step, dy_sequence, dh):  # type: ignore[no-untyped-def]
    """Fill ``da`` and ``dq``; ``dh`` is the gradient of the last state on entry, of the first at the end."""
    T, B, _ = gates.shape
    P = h.shape[2]
    for t in range(T - 1, -1, -1):
        for n in range(B):
            row, q_row, d_row, dq_row, before = gates[t, n], q[t, n], da[t, n], dq[t, n], h[t, n]
            d_h, d_y = dh[n], dy[t * dy_step + n * dy_sequence]
            for j in range(H):
                d_h[j] += d_y[j]
            for j in range(0, P, LANES):
                r, z, new, d_after = load(row, j), load(row, P + j), load(row, 2 * P + j), load(d_h, j)
                # h_t = (1 − z_t) ⊙ n_t + z_t ⊙ h_{t−1}
                store(d_row, P + j, d_after * (load(before, j) - new) * z * (ONE - z))
                store(d_h, j, d_after * z)
                # n_t = tanh(… + r_t ⊙ q_t)
                d_new = d_after * (ONE - z) * (ONE - new * new)
                store(d_row, 2 * P + j, d_new)
                store(d_row, j, d_new * load(q_row, j) * r * (ONE - r))
                store(dq_row, j, d_new * r)
        clear_padding(da[t], H, P)
        clear_padding(dq[t], H, P)
        # a_t = … + U h_{t−1}, for r and z;  q_t = U_n h_{t−1} + b_h
        add_product(dh, 0, da[t], 0, 2 * P, U_rz, P)
        add_product(dh, 0, dq[t], 0, P, U_n, P)


class _GRUAfter(torch.autograd.Function):
    """a ``[time, batch, 3·padded]``, h ``[batch, hidden]``, U, b_h → outputs ``[batch, time, hidden]``, h.

    Kept for the backward, per unit and step: r, z, n, q, h: 5 numbers.
    """

    @staticmethod
    def forward(ctx: Any, a: Tensor, h: Tensor, U: Tensor, b_h: Tensor) -> tuple[Tensor, ...]:
        hidden = U.shape[1]
        gates, hs = a.detach(), layout.history(h, len(a))
        q = torch.empty_like(hs[1:])
        U_rz, U_n = layout.pack_forward(U[: 2 * hidden], 2), layout.pack_forward(U[2 * hidden :], 1)
        bias = layout.history(b_h[None], 0).flatten()
        _forward(gates.numpy(), q.numpy(), hs.numpy(), U_rz.numpy(), U_n.numpy(), bias.numpy(), hidden)
        ctx.save_for_backward(gates, q, hs, U)
        ctx.set_materialize_grads(False)
        return layout.outputs(hs, hidden), layout.last(hs, hidden)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_outputs: Tensor | None, dh: Tensor | None) -> tuple[Any, ...]:
        gates, q, hs, U = ctx.saved_tensors
        hidden = U.shape[1]
        dy, step, sequence = layout.rows(d_outputs, hidden, gates)
        dh = layout.state_gradient(dh, hs)
        da, dq = layout.gate_gradient(gates), torch.empty_like(q)
        U_rz, U_n = layout.pack_backward(U[: 2 * hidden], 2), layout.pack_backward(U[2 * hidden :], 1)
        _backward(
            da.numpy(), dq.numpy(), gates.numpy(), q.numpy(), hs.numpy(), U_rz.numpy(), U_n.numpy(), hidden,
            dy.numpy(), step, sequence, dh.numpy(),
        )  # fmt: skip
        dU_rz = layout.recurrent_gradient(da[:, :, : 2 * hs.shape[2]], hs[:-1], hidden)
        dU_n = layout.recurrent_gradient(dq, hs[:-1], hidden)
        return da, dh[:, :hidden], torch.cat([dU_rz, dU_n]), dq[:, :, :hidden].sum((0, 1))


def gru_after(inputs: Tensor, h: Tensor, W: Tensor, U: Tensor, b: Tensor, b_h: Tensor) -> tuple[Tensor, Tensor]:
    """``GRU.forward``, ``reset="after"``: inputs ``[batch, time, input]`` → outputs ``[batch, time, hidden]``, h."""
    outputs, h = _GRUAfter.apply(layout.project(inputs, W, b, 3), h, U, b_h)  # type: ignore[no-untyped-call]
    return outputs, h
