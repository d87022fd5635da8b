"""Functions of vectors: tanh and the logistic function from one rational function without branches, and a sum."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from suite.kernels._vector import LANES, load, numbers, store, where_at_least

# tanh x = x P(x²) / Q(x²), where P and Q have degree 4. They are a least-squares fit over Chebyshev nodes of [0, 9],
# reweighted until the relative error was level, at 2e-8. Beyond 9, tanh is 1 in single precision and must be exactly 1,
# so that 0 · ∞ in a gradient is NaN, as it should be.
LIMIT = np.float32(9)
P0, P1, P2, P3, P4 = (np.float32(p) for p in (0.999999979, 0.133810391, 0.00349560339, 2.06093036e-05, 1.33549134e-08))
Q1, Q2, Q3, Q4 = (np.float32(q) for q in (0.467143548, 0.0258770423, 0.000328565848, 7.77667287e-07))
ZERO, HALF, ONE = np.float32(0), np.float32(0.5), np.float32(1)


@njit  # type: ignore[untyped-decorator]
def tanh(x: Any) -> Any:
    """Compute tanh to 4e-7. NaN gives NaN, because both comparisons are then false."""
    u = x * x
    p = P0 + u * (P1 + u * (P2 + u * (P3 + u * P4)))
    q = ONE + u * (Q1 + u * (Q2 + u * (Q3 + u * Q4)))
    y = x * p / q
    y = where_at_least(x, LIMIT, ONE, y)
    return where_at_least(-LIMIT, x, -ONE, y)


@njit  # type: ignore[untyped-decorator]
def sigmoid(x: Any) -> Any:
    """Compute σ(x) = ½ + ½ tanh(x / 2)."""
    return HALF + HALF * tanh(HALF * x)


@njit  # type: ignore[untyped-decorator]
def add_row(a: Any, a_at: Any, b: Any, b_at: Any, size: Any) -> None:
    """Do ``a[a_at : a_at + size] += b[b_at : b_at + size]``."""
    whole = size // LANES * LANES
    for j in range(0, whole, LANES):
        store(a, a_at + j, load(a, a_at + j) + load(b, b_at + j))
    to, of = numbers(a), numbers(b)
    for j in range(whole, size):
        to[a_at + j] += of[b_at + j]
