"""The parallel form of the diagonal linear recurrence: a few large operations of torch, for a GPU."""

from __future__ import annotations

import torch
from torch import Tensor


def diagonal_scan(a: Tensor, b: Tensor, h: Tensor) -> Tensor:
    """Return the states of h_t = a_t ⊙ h_{t−1} + b_t, real or complex: ``[batch, time, units]``.

    Two steps after each other are one step of the same form, h_t = a_t a_{t−1} h_{t−2} + (a_t b_{t−1} + b_t). Joining
    the steps in pairs gives a recurrence of half the length, whose states are every second state of the whole. Its
    states are found in the same way, so log₂ T halvings take the place of T steps. There is no division, so a small
    product of many a is harmless.

    Args:
        a: the factors, ``[batch, time, units]``.
        b: what is added, ``[batch, time, units]``.
        h: the state before the first step, ``[batch, units]``.

    Source: Blelloch 1990, Prefix sums and their applications.
    """
    first = a[:, :1] * h.unsqueeze(1) + b[:, :1]
    return _scan(a, torch.cat([first, b[:, 1:]], dim=1))


def _scan(a: Tensor, b: Tensor) -> Tensor:
    """Return the states from a state of zero, so that the first one is b_1."""
    pairs = b.shape[1] // 2
    if pairs == 0:
        return b
    left, right = slice(0, 2 * pairs, 2), slice(1, 2 * pairs, 2)
    # h_t = a_t a_{t−1} h_{t−2} + (a_t b_{t−1} + b_t)
    second = _scan(a[:, right] * a[:, left], a[:, right] * b[:, left] + b[:, right])
    # h_t = a_t h_{t−1} + b_t for the states between
    between = a[:, 2::2] * second[:, : (b.shape[1] - 1) // 2] + b[:, 2::2]
    first = torch.cat([b[:, :1], between], dim=1)
    joined = torch.stack([first[:, :pairs], second], dim=2).flatten(1, 2)
    return torch.cat([joined, first[:, pairs:]], dim=1)
