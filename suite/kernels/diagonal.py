"""The diagonal linear recurrence h_t = a_t ⊙ h_{t−1} + b_t, real or complex."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from suite.kernels._compiled import compiled

_FORWARD = "{0}[:, :, ::1], {0}[:, :, ::1], {0}[:, :, ::1]"
_BACKWARD = "{0}[:, :, ::1], {0}[:, :, ::1], {0}[:, :, ::1], {0}[:, :, ::1], {0}[:, :, ::1], {0}[:, ::1]"


@compiled(_FORWARD.format("float32"), _FORWARD.format("complex64"))
def _forward(a, b, h):  # type: ignore[no-untyped-def]
    """Fill ``h`` ``[batch, time + 1, units]``, whose first step is given."""
    B, T, D = a.shape
    for n in range(B):
        for t in range(T):
            for j in range(D):
                # h_t = a_t ⊙ h_{t−1} + b_t
                h[n, t + 1, j] = a[n, t, j] * h[n, t, j] + b[n, t, j]


@compiled(_BACKWARD.format("float32"), _BACKWARD.format("complex64"))
def _backward(da, db, a, h, dy, dh):  # type: ignore[no-untyped-def]
    """Fill ``da`` and ``db``; ``dh`` ``[batch, units]``: zeros on entry, the first state's gradient at the end."""
    B, T, D = a.shape
    for n in range(B):
        for t in range(T - 1, -1, -1):
            for j in range(D):
                # h_t = a_t ⊙ h_{t−1} + b_t; torch's gradients are those of the conjugates
                d_after = dh[n, j] + dy[n, t, j]
                db[n, t, j] = d_after
                da[n, t, j] = d_after * h[n, t, j].conjugate()
                dh[n, j] = d_after * a[n, t, j].conjugate()


class _Diagonal(torch.autograd.Function):
    """a, b ``[batch, time, units]``, h ``[batch, units]`` → the states ``[batch, time, units]``.

    Kept for the backward, per unit and step: a, h: 2 numbers.
    """

    @staticmethod
    def forward(ctx: Any, a: Tensor, b: Tensor, h: Tensor) -> Tensor:
        batch, time, units = a.shape
        hs = a.new_empty(batch, time + 1, units)
        hs[:, 0] = h
        _forward(a.numpy(), b.numpy(), hs.numpy())
        ctx.save_for_backward(a, hs)
        return hs[:, 1:]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor, ...]:
        a, hs = ctx.saved_tensors
        da, db, dh = torch.empty_like(a), torch.empty_like(a), torch.zeros_like(hs[:, 0])
        dy = dy.resolve_conj().contiguous()
        _backward(da.numpy(), db.numpy(), a.detach().numpy(), hs.numpy(), dy.numpy(), dh.numpy())
        return da, db, dh


def diagonal(a: Tensor, b: Tensor, h: Tensor) -> Tensor:
    """The fused form of ``suite.kernels.diagonal_recurrence``."""
    a, b = a.resolve_conj().contiguous(), b.resolve_conj().contiguous()
    states: Tensor = _Diagonal.apply(a, b, h)  # type: ignore[no-untyped-call]
    return states
