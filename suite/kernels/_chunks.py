"""The parallel form of Mamba's recurrence: a few large operations of torch for each chunk of steps, for a GPU."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

CHUNK = 64
"""The steps of a chunk. Only the states between chunks are kept, and the backward pass computes the others again."""


def selective_scan(delta: Tensor, x: Tensor, A: Tensor, B: Tensor, C: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
    """Return h_t C_t of h_t = e^{Δ_t A} ⊙ h_{t−1} + (Δ_t ⊙ x_t) B_tᵀ for all steps, and the last h.

    Args:
        delta: Δ, ``[batch, time, channels]``.
        x: ``[batch, time, channels]``.
        A: ``[channels, states]``, all negative.
        B: ``[batch, time, states]``.
        C: ``[batch, time, states]``.
        h: the state before the first step, ``[batch, channels, states]``.

    Returns:
        ``[batch, time, channels]`` and ``[batch, channels, states]``.
    """
    # torch.func has no hooks for what a checkpoint computes again.
    again = torch.is_grad_enabled() and not torch._C._are_functorch_transforms_active()
    outputs = []
    for first in range(0, x.shape[1], CHUNK):
        now = slice(first, first + CHUNK)
        parts = delta[:, now], x[:, now], B[:, now], C[:, now]
        if again:
            y, h = checkpoint(_chunk, *parts, A, h, use_reentrant=False, preserve_rng_state=False)
        else:
            y, h = _chunk(*parts, A, h)
        outputs.append(y)
    return torch.cat(outputs, dim=1), h


def _chunk(delta: Tensor, x: Tensor, B: Tensor, C: Tensor, A: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
    """Do one chunk in log₂ of its steps.

    Two spans of d steps after each other are one of 2 d, h_t = a a' h_{t−2d} + (a b' + b), where a' and b' are those of
    the first span. So the spans that end at each step are doubled until they reach the state before the chunk. There is
    no division, so a small product of many decays is harmless.
    """
    a = torch.exp(delta.unsqueeze(3) * A)
    b = (delta * x).unsqueeze(3) * B.unsqueeze(2)
    b = torch.cat([a[:, :1] * h.unsqueeze(1) + b[:, :1], b[:, 1:]], dim=1)
    d = 1
    while d < a.shape[1]:
        b = torch.cat([b[:, :d], a[:, d:] * b[:, :-d] + b[:, d:]], dim=1)
        a = torch.cat([a[:, :d], a[:, d:] * a[:, :-d]], dim=1)
        d *= 2
    # y_t = h_t C_t
    return (b @ C.unsqueeze(3)).squeeze(3), b[:, -1]
