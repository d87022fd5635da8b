"""The fused kernel of the diagonal linear recurrence h_t = a_t ⊙ h_{t−1} + b_t, real or complex."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import torch
from numba import types
from numba.np.numpy_support import from_dtype
from torch import Tensor
from torch.autograd.function import once_differentiable

from suite.kernels._compiled import compiled_for


def _forward(a, b, h, B, T, D):  # type: ignore[no-untyped-def]
    """Fill ``h`` ``[batch, time + 1, units]``, which begins with the first state."""
    for n in range(B):
        for t in range(T):
            at, before = (n * T + t) * D, (n * T + n + t) * D
            for j in range(D):
                # h_t = a_t ⊙ h_{t−1} + b_t
                h[before + D + j] = a[at + j] * h[before + j] + b[at + j]


def _backward(da, db, a, h, dy, dh, B, T, D):  # type: ignore[no-untyped-def]
    """Fill ``da`` and ``db``. ``dh`` ``[batch, units]`` enters as zeros and ends as the first state's gradient."""
    for n in range(B):
        for t in range(T - 1, -1, -1):
            at, before = (n * T + t) * D, (n * T + n + t) * D
            for j in range(D):
                # h_t = a_t ⊙ h_{t−1} + b_t, and torch's gradients are conjugates
                d_after = dh[n * D + j] + dy[at + j]
                db[at + j] = d_after
                da[at + j] = d_after * h[before + j].conjugate()
                dh[n * D + j] = d_after * a[at + j].conjugate()


@cache
def _compiled(dtype: torch.dtype) -> tuple[Callable[..., None], Callable[..., None]]:
    """Compile forward and backward for numbers of ``dtype``."""
    array = types.Array(from_dtype(np.dtype(str(dtype).removeprefix("torch."))), 1, "C")
    size = types.int64
    return compiled_for(_forward, [array] * 3 + [size] * 3), compiled_for(_backward, [array] * 6 + [size] * 3)


_compiled(torch.float32)  # Compile it now, like every kernel. Complex numbers are compiled on first use.


def _flat(tensor: Tensor) -> Any:
    """View a contiguous tensor as the flat NumPy array that compiled code takes. They share their memory."""
    return tensor.detach().view(-1).numpy()


class _Diagonal(torch.autograd.Function):
    """a, b ``[batch, time, units]``, h ``[batch, units]`` → the states ``[batch, time, units]``.

    The backward pass needs 2 numbers per unit and step (a, h).
    """

    @staticmethod
    def forward(ctx: Any, a: Tensor, b: Tensor, h: Tensor) -> Tensor:
        batch, time, units = a.shape
        hs = a.new_empty(batch, time + 1, units)
        hs[:, 0] = h
        _compiled(a.dtype)[0](_flat(a), _flat(b), _flat(hs), batch, time, units)
        ctx.save_for_backward(a, hs)
        return hs[:, 1:]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor, ...]:
        a, hs = ctx.saved_tensors
        da, db, dh = torch.empty_like(a), torch.empty_like(a), torch.zeros_like(hs[:, 0])
        dy = dy.resolve_conj().contiguous()
        _compiled(a.dtype)[1](_flat(da), _flat(db), _flat(a), _flat(hs), _flat(dy), _flat(dh), *a.shape)
        return da, db, dh


def diagonal(a: Tensor, b: Tensor, h: Tensor) -> Tensor:
    """The fused form of ``suite.kernels.diagonal_recurrence``."""
    a, b = a.resolve_conj().contiguous(), b.resolve_conj().contiguous()
    states: Tensor = _Diagonal.apply(a, b, h)  # type: ignore[no-untyped-call]
    return states
