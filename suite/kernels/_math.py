"""tanh and the logistic function of vectors: one rational function, no branches."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from suite.kernels._vector import where_at_least

# tanh x = x P(x²) / Q(x²) with P and Q of degree 4: a least-squares fit over Chebyshev nodes of [0, 8.2], reweighted
# until the relative error was level, at 8e-9. Beyond 8.2, tanh is 1 to single precision.
LIMIT = np.float32(8.2)
P0, P1, P2, P3, P4 = (np.float32(p) for p in (0.999999992, 0.134321405, 0.00355670697, 2.16376042e-05, 1.48409937e-08))
Q1, Q2, Q3, Q4 = (np.float32(q) for q in (0.467654663, 0.0261083777, 0.000338647443, 8.37078681e-07))
ZERO, HALF, ONE = np.float32(0), np.float32(0.5), np.float32(1)


@njit  # type: ignore[misc]
def tanh(x: Any) -> Any:
    """Tanh to 4e-7; NaN gives NaN, because both comparisons are then false."""
    x = where_at_least(x, LIMIT, LIMIT, x)
    x = where_at_least(-LIMIT, x, -LIMIT, x)
    u = x * x
    p = P0 + u * (P1 + u * (P2 + u * (P3 + u * P4)))
    q = ONE + u * (Q1 + u * (Q2 + u * (Q3 + u * Q4)))
    return x * p / q


@njit  # type: ignore[misc]
def sigmoid(x: Any) -> Any:
    """σ(x) = ½ + ½ tanh(x / 2)."""
    return HALF + HALF * tanh(HALF * x)
