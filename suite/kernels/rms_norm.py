"""The fused kernel of the RMS norm, in one pass forward and one back, where PyTorch has about fifteen on a CPU."""

from __future__ import annotations

from typing import Any

import numpy as np
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from suite.kernels._compiled import compiled
from suite.kernels._layout import padded
from suite.kernels._math import ONE, ZERO
from suite.kernels._vector import LANES, load, load_part, numbers, spread, store, store_part, total


@compiled
def _forward(y, r, x, g, N, D, epsilon):  # type: ignore[no-untyped-def]
    """Fill ``y`` ``[N, D]`` and ``r`` ``[N]``. ``epsilon`` holds one number."""
    factors, eps, size = numbers(r), numbers(epsilon)[0], np.float32(D)
    for n in range(N):
        squares = spread(ZERO)
        for j in range(0, D, LANES):
            part = load_part(x, n * D + j, D - j)
            squares = squares + part * part
        # y = g ⊙ x r,  r = 1 / √(mean x² + ε)
        factor = ONE / np.sqrt(total(squares) / size + eps)
        factors[n] = factor
        for j in range(0, D, LANES):
            store_part(y, n * D + j, D - j, factor * load_part(x, n * D + j, D - j) * load_part(g, j, D - j))


@compiled
def _backward(dx, dg, dy, x, r, g, N, D):  # type: ignore[no-untyped-def]
    """Fill ``dx``, and add to ``dg``, which is padded to whole vectors."""
    factors, size = numbers(r), np.float32(D)
    for n in range(N):
        factor, inner = factors[n], spread(ZERO)
        for j in range(0, D, LANES):
            part, d = load_part(x, n * D + j, D - j), load_part(dy, n * D + j, D - j)
            store(dg, j, load(dg, j) + factor * (d * part))
            inner = inner + d * load_part(g, j, D - j) * part
        # dx = r (g ⊙ dy − x r² (g ⊙ dy)·x / D)
        along = factor * factor * total(inner) / size
        for j in range(0, D, LANES):
            d = load_part(dy, n * D + j, D - j) * load_part(g, j, D - j)
            store_part(dx, n * D + j, D - j, factor * (d - along * load_part(x, n * D + j, D - j)))


class _RMSNorm(Function):
    """x ``[batch, time, features]``, g ``[features]`` → ``[batch, time, features]``.

    The backward pass needs 1 number per step (r), and the inputs.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, g: Tensor, epsilon: float) -> Tensor:
        if x.shape[-1:] != g.shape:
            raise RuntimeError(f"inputs must be [batch, time, {len(g)}]; got {list(x.shape)}")
        x, g = x.contiguous(), g.contiguous()
        y, r = x.new_empty(x.shape), x.new_empty(x.shape[:-1])
        _forward(y, r, x, g, r.numel(), len(g), x.new_tensor([epsilon]))
        ctx.save_for_backward(x, r, g)
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
        x, r, g = ctx.saved_tensors
        dx, dg = x.new_empty(x.shape), x.new_zeros(padded(len(g)))
        _backward(dx, dg, dy.contiguous(), x, r, g, r.numel(), len(g))
        return dx, dg[: len(g)], None


def rms_norm(x: Tensor, g: Tensor, epsilon: float) -> Tensor:
    """Return x r ⊙ g with r = 1 / √(mean x² + ε) for each step of x ``[batch, time, features]``.

    Source: Zhang & Sennrich 2019, equation 4.

    Raises:
        RuntimeError: if the sizes do not fit. Compiled code checks none.
    """
    y: Tensor = _RMSNorm.apply(x, g, epsilon)  # type: ignore[no-untyped-call]
    return y
