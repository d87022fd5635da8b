"""The GRU whose reset gate comes before the product."""

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


@compiled("float32[:, :, ::1], float32[:, :, ::1], float32[::1], float32[::1], int64, float32[:, ::1]")
def _forward(a, h, U_rz, U_n, H, reset):  # type: ignore[no-untyped-def]
    """``a``, W x on entry, holds r, z, n at the end; ``h`` holds its first state; ``reset`` is room for one step."""
    T, B, _ = a.shape
    P = h.shape[2]
    for t in range(T):
        # a_t += U h_{t−1}, for r and z
        add_product(a[t], 0, h[t], 0, H, U_rz, 2 * P)
        for n in range(B):
            row, before, reset_row = a[t, n], h[t, n], reset[n]
            for j in range(0, P, LANES):
                r = sigmoid(load(row, j))
                store(row, j, r)
                store(row, P + j, sigmoid(load(row, P + j)))
                store(reset_row, j, r * load(before, j))
        # a_t += U_n (r_t ⊙ h_{t−1}), for n
        add_product(a[t], 2 * P, reset, 0, H, U_n, P)
        for n in range(B):
            row, before, after = a[t, n], h[t, n], h[t + 1, n]
            for j in range(0, P, LANES):
                z, new = load(row, P + j), tanh(load(row, 2 * P + j))
                store(row, 2 * P + j, new)
                # h_t = (1 − z_t) ⊙ h_{t−1} + z_t ⊙ n_t
                store(after, j, (ONE - z) * load(before, j) + z * new)


@compiled(
    "float32[:, :, ::1], float32[:, :, ::1], float32[:, :, ::1], float32[:, :, ::1], float32[::1], float32[::1], int64,"
    "float32[:, ::1], int64, int64, float32[:, ::1], float32[:, ::1]"
)
def _backward(da, reset, gates, h, U_rz, U_n, H, dy, dy_step, dy_sequence, dh, d_reset):  # type: ignore[no-untyped-def]
    """Fill ``da`` and ``reset`` (r_t ⊙ h_{t−1}); ``dh``: last state's gradient on entry, the first's at the end."""
    T, B, _ = gates.shape
    P = h.shape[2]
    for t in range(T - 1, -1, -1):
        for n in range(B):
            row, d_row, before = gates[t, n], da[t, n], h[t, n]
            d_h, d_r, d_y = dh[n], d_reset[n], dy[t * dy_step + n * dy_sequence]
            for j in range(H):
                d_h[j] += d_y[j]
            for j in range(0, P, LANES):
                z, new, d_after = load(row, P + j), load(row, 2 * P + j), load(d_h, j)
                # h_t = (1 − z_t) ⊙ h_{t−1} + z_t ⊙ n_t
                store(d_row, P + j, d_after * (new - load(before, j)) * z * (ONE - z))
                store(d_row, 2 * P + j, d_after * z * (ONE - new * new))
                store(d_h, j, d_after * (ONE - z))
                store(d_r, j, ZERO)
        # a_t = … + U_n (r_t ⊙ h_{t−1})
        clear_padding(da[t], H, P)
        add_product(d_reset, 0, da[t], 2 * P, P, U_n, P)
        for n in range(B):
            row, d_row, before, reset_row, d_h, d_r = gates[t, n], da[t, n], h[t, n], reset[t, n], dh[n], d_reset[n]
            for j in range(0, P, LANES):
                r, h_before, d_product = load(row, j), load(before, j), load(d_r, j)
                store(reset_row, j, r * h_before)
                store(d_row, j, d_product * h_before * r * (ONE - r))
                store(d_h, j, load(d_h, j) + d_product * r)
        # a_t = … + U h_{t−1}, for r and z
        clear_padding(da[t], H, P)
        add_product(dh, 0, da[t], 0, 2 * P, U_rz, P)


class _GRUBefore(torch.autograd.Function):
    """a ``[time, batch, 3·padded]``, h ``[batch, hidden]``, U → outputs ``[batch, time, hidden]``, h.

    Kept for the backward, per unit and step: r, z, n, h: 4 numbers.
    """

    @staticmethod
    def forward(ctx: Any, a: Tensor, h: Tensor, U: Tensor) -> tuple[Tensor, ...]:
        hidden = U.shape[1]
        gates, hs = a.detach(), layout.history(h, len(a))
        U_rz, U_n = layout.pack_forward(U[: 2 * hidden], 2), layout.pack_forward(U[2 * hidden :], 1)
        _forward(gates.numpy(), hs.numpy(), U_rz.numpy(), U_n.numpy(), hidden, torch.empty_like(hs[0]).numpy())
        ctx.save_for_backward(gates, hs, U)
        ctx.set_materialize_grads(False)
        return layout.outputs(hs, hidden), layout.last(hs, hidden)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_outputs: Tensor | None, dh: Tensor | None) -> tuple[Any, ...]:
        gates, hs, U = ctx.saved_tensors
        hidden = U.shape[1]
        dy, step, sequence = layout.rows(d_outputs, hidden, gates)
        dh = layout.state_gradient(dh, hs)
        da, reset = layout.gate_gradient(gates), torch.empty_like(hs[1:])
        U_rz, U_n = layout.pack_backward(U[: 2 * hidden], 2), layout.pack_backward(U[2 * hidden :], 1)
        _backward(
            da.numpy(), reset.numpy(), gates.numpy(), hs.numpy(), U_rz.numpy(), U_n.numpy(), hidden,
            dy.numpy(), step, sequence, dh.numpy(), torch.empty_like(dh).numpy(),
        )  # fmt: skip
        width = hs.shape[2]
        dU_rz = layout.recurrent_gradient(da[:, :, : 2 * width], hs[:-1], hidden)
        dU_n = layout.recurrent_gradient(da[:, :, 2 * width :], reset, hidden)
        return da, dh[:, :hidden], torch.cat([dU_rz, dU_n])


def gru_before(inputs: Tensor, h: Tensor, W: Tensor, U: Tensor) -> tuple[Tensor, Tensor]:
    """``GRU.forward``, ``reset="before"``: inputs ``[batch, time, input]`` → outputs ``[batch, time, hidden]``, h."""
    outputs, h = _GRUBefore.apply(layout.project(inputs, W, None, 3), h, U)  # type: ignore[no-untyped-call]
    return outputs, h
