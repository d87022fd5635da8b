"""The fused kernel of a short causal convolution of each channel by itself, and the SiLU after it."""

from __future__ import annotations

from typing import Any

import torch
from numba import njit
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from suite.kernels._compiled import compiled
from suite.kernels._math import ONE, sigmoid
from suite.kernels._vector import LANES, load, store


@njit  # type: ignore[untyped-decorator]
def _sum(u, before, w, b, n, t, j, T, P, K):  # type: ignore[no-untyped-def]
    """Return Σ_k w_k ⊙ u_{t−K+1+k} + b of one vector of channels. ``before`` ``[batch, K − 1, P]`` precedes u_0."""
    a = load(b, j)
    for k in range(K):
        place = t - K + 1 + k
        a = a + load(w, k * P + j) * (
            load(u, (n * T + place) * P + j) if place >= 0 else load(before, (n * (K - 1) + t + k) * P + j)
        )
    return a


@compiled
def _forward(x, u, before, w, b, B, T, P, K):  # type: ignore[no-untyped-def]
    """Fill ``x`` ``[batch, time, P]``."""
    for n in range(B):
        for t in range(T):
            for j in range(0, P, LANES):
                a = _sum(u, before, w, b, n, t, j, T, P, K)
                # x_t = silu(a_t), where silu(a) = a σ(a)
                store(x, (n * T + t) * P + j, a * sigmoid(a))


@compiled
def _backward(du, d_before, dw, db, dx, u, before, w, b, B, T, P, K):  # type: ignore[no-untyped-def]
    """Add to the first four, which enter as zeros."""
    for n in range(B):
        for t in range(T):
            for j in range(0, P, LANES):
                a = _sum(u, before, w, b, n, t, j, T, P, K)
                # x_t = silu(a_t)
                s = sigmoid(a)
                da = load(dx, (n * T + t) * P + j) * s * (ONE + a * (ONE - s))
                # a_t = Σ_k w_k ⊙ u_{t−K+1+k} + b
                store(db, j, load(db, j) + da)
                for k in range(K):
                    place, weight = t - K + 1 + k, k * P + j
                    if place >= 0:
                        at = (n * T + place) * P + j
                        store(dw, weight, load(dw, weight) + da * load(u, at))
                        store(du, at, load(du, at) + da * load(w, weight))
                    else:
                        at = (n * (K - 1) + t + k) * P + j
                        store(dw, weight, load(dw, weight) + da * load(before, at))
                        store(d_before, at, load(d_before, at) + da * load(w, weight))


class _Convolution(Function):
    """u ``[batch, time, P]``, before ``[batch, K − 1, P]``, w ``[K, P]``, b ``[P]`` → x ``[batch, time, P]``.

    The backward pass needs 1 number per channel and step (u).
    """

    @staticmethod
    def forward(ctx: Any, u: Tensor, before: Tensor, w: Tensor, b: Tensor) -> Tensor:
        x = torch.empty_like(u)
        _forward(x, u, before, w, b, *u.shape, len(w))
        ctx.save_for_backward(u, before, w, b)
        return x

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dx: Tensor) -> tuple[Tensor, ...]:
        u, before, w, b = ctx.saved_tensors
        gradients = [torch.zeros_like(tensor) for tensor in (u, before, w, b)]
        _backward(*gradients, dx.contiguous(), u, before, w, b, *u.shape, len(w))
        return tuple(gradients)


def convolution(u: Tensor, before: Tensor, w: Tensor, b: Tensor) -> Tensor:
    """Return silu(Σ_k w_k ⊙ u_{t−K+1+k} + b), ``[batch, time, channels]``.

    Args:
        u: ``[batch, time, channels]``, where the channels fill whole vectors.
        before: the K − 1 values before the first of u, ``[batch, K − 1, channels]``.
        w: ``[K, channels]``.
        b: ``[channels]``.

    Raises:
        RuntimeError: if the sizes do not fit. Compiled code checks none.
    """
    (batch, _, channels), K = u.shape, len(w)
    if (
        channels % LANES
        or before.shape != (batch, K - 1, channels)
        or w.shape[1:] != b.shape
        or b.shape != (channels,)
    ):
        raise RuntimeError(
            f"u must be [batch, time, a multiple of {LANES}], and what precedes it [batch, {K - 1}, channels]; got "
            f"{list(u.shape)} and {list(before.shape)}, with weights {list(w.shape)} and {list(b.shape)}"
        )
    x: Tensor = _Convolution.apply(*(t.contiguous() for t in (u, before, w, b)))  # type: ignore[no-untyped-call]
    return x
