"""The plain recurrent net, tanh or ReLU."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from suite.kernels import _layout as layout
from suite.kernels._compiled import compiled
from suite.kernels._math import ONE, ZERO, tanh
from suite.kernels._product import add_product, clear_padding
from suite.kernels._vector import LANES, load, store, where_at_least


@compiled("float32[:, :, ::1], float32[:, ::1], float32[::1], int64, boolean")
def _forward(h, first, U, H, relu):  # type: ignore[no-untyped-def]
    """``h`` is W x + b on entry and the states at the end; ``first`` is the state before them."""
    T, B, P = h.shape
    before = first
    for t in range(T):
        # h_t = φ(… + U h_{t−1})
        add_product(h[t], 0, before, 0, H, U, P)
        before = h[t]
        for n in range(B):
            row = h[t, n]
            for j in range(0, P, LANES):
                a = load(row, j)
                # 0 where a ≤ 0, else a: a NaN stays one
                store(row, j, where_at_least(ZERO, a, ZERO, a) if relu else tanh(a))


@compiled(
    "float32[:, :, ::1], float32[:, :, ::1], float32[::1], int64, boolean,"
    "float32[:, ::1], int64, int64, float32[:, ::1]"
)
def _backward(da, h, U, H, relu, dy, dy_step, dy_sequence, dh):  # type: ignore[no-untyped-def]
    """Fill ``da``; ``dh`` is the gradient of the last state on entry, of the first at the end."""
    T, B, P = h.shape
    for t in range(T - 1, -1, -1):
        for n in range(B):
            row, d_row, d_h, d_y = h[t, n], da[t, n], dh[n], dy[t * dy_step + n * dy_sequence]
            for j in range(H):
                d_h[j] += d_y[j]
            for j in range(0, P, LANES):
                after, d_after = load(row, j), load(d_h, j)
                # φ′(a) in terms of h = φ(a): 1 − h², or 1 where h > 0
                slope = where_at_least(ZERO, after, ZERO, ONE) if relu else ONE - after * after
                store(d_row, j, d_after * slope)
                store(d_h, j, ZERO)
        clear_padding(da[t], H, P)
        # a_t = … + U h_{t−1}
        add_product(dh, 0, da[t], 0, P, U, P)


class _Elman(torch.autograd.Function):
    """a ``[time, batch, padded]``, h ``[batch, hidden]``, U → outputs ``[batch, time, hidden]``, h.

    Kept for the backward, per unit and step: h: 1 number.
    """

    @staticmethod
    def forward(ctx: Any, a: Tensor, h: Tensor, U: Tensor, relu: bool) -> tuple[Tensor, ...]:
        hidden = U.shape[1]
        hs, first = a.detach(), layout.history(h, 0)[0]
        _forward(hs.numpy(), first.numpy(), layout.pack_forward(U, 1).numpy(), hidden, relu)
        ctx.save_for_backward(hs, first, U)
        ctx.set_materialize_grads(False)
        ctx.relu = relu
        return hs[:, :, :hidden].transpose(0, 1), layout.last(hs, hidden)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_outputs: Tensor | None, dh: Tensor | None) -> tuple[Any, ...]:
        hs, first, U = ctx.saved_tensors
        hidden = U.shape[1]
        dy, step, sequence = layout.rows(d_outputs, hidden, hs)
        dh = layout.state_gradient(dh, hs)
        da = torch.empty_like(hs)
        _backward(
            da.numpy(), hs.numpy(), layout.pack_backward(U, 1).numpy(), hidden, ctx.relu,
            dy.numpy(), step, sequence, dh.numpy(),
        )  # fmt: skip
        dU = layout.recurrent_gradient(da[:1], first[None], hidden)
        dU += layout.recurrent_gradient(da[1:], hs[:-1], hidden)
        return da, dh[:, :hidden], dU, None


def elman(inputs: Tensor, h: Tensor, W: Tensor, U: Tensor, b: Tensor, nonlinearity: str) -> tuple[Tensor, Tensor]:
    """``RNN.forward``: inputs ``[batch, time, input]`` → outputs ``[batch, time, hidden]``, h."""
    outputs, h = _Elman.apply(layout.project(inputs, W, b, 1), h, U, nonlinearity == "relu")  # type: ignore[no-untyped-call]
    return outputs, h
