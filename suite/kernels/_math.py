"""Functions of vectors without branches: tanh, the logistic function, exponentials, softplus, GELU, and a sum."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from suite.kernels._vector import LANES, load, multiply_add, numbers, power_of_two, spread, store, where_at_least

# tanh x = x P(x²) / Q(x²), where P and Q have degree 4. They are a least-squares fit over Chebyshev nodes of [0, 9],
# reweighted until the relative error was level, at 2e-8. Beyond 9, tanh is 1 in single precision and must be exactly 1,
# so that 0 · ∞ in a gradient is NaN, as it should be.
LIMIT = np.float32(9)
P0, P1, P2, P3, P4 = (np.float32(p) for p in (0.999999979, 0.133810391, 0.00349560339, 2.06093036e-05, 1.33549134e-08))
Q1, Q2, Q3, Q4 = (np.float32(q) for q in (0.467143548, 0.0258770423, 0.000328565848, 7.77667287e-07))
ZERO, HALF, ONE, TWO = np.float32(0), np.float32(0.5), np.float32(1), np.float32(2)

# 2^f = 1 + f C(f) for |f| ≤ ½, where C has degree 4. It is fitted like P and Q above, to 9e-8, and exact at f = 0, so
# that a decay near 1 is not biased. Adding SHIFT rounds x to a whole number k, and leaves k + 127 in the lowest bits.
C0, C1, C2, C3, C4 = (np.float32(c) for c in (0.693146978, 0.240222421, 0.0555073374, 0.00967151272, 0.00132647273))
SHIFT = np.float32(1.5 * 2**23 + 127)
LOWEST, HIGHEST = np.float32(-126), np.float32(127.5)  # 2^x is subnormal below, and k does not fit from here on.
BELOW = np.float32(-127)  # the whole numbers k for which 2^k is subnormal
LOG2_E, LN_2, INFINITY = np.float32(1.44269504), np.float32(0.693147181), np.float32(np.inf)
LN_2_HIGH, LN_2_LOW = np.float32(0.693145752), np.float32(1.42860677e-06)  # k times the first has no rounding error.

# Φ(−x) = e^−x²/2 M(x) / N(x) for 0 ≤ x ≤ FAR, where Φ is the normal distribution, M has degree 4 and N degree 5: to a
# relative 6e-9, fitted likewise. Beyond FAR, the exponential is 0.
M0, M1, M2, M3, M4 = (np.float32(m) for m in (0.5, 0.437250704, 0.182461675, 0.0403725006, 0.00407760177))
N1, N2, N3, N4, N5 = (np.float32(n) for n in (1.67238636, 1.19929009, 0.467428689, 0.101205662, 0.0102209031))
FAR, DENSITY = np.float32(14), np.float32(0.398942280)  # The density of Φ at 0 is 1/√(2π).

# log(1 + y) = s (2 + s² L(s²)) with s = y / (2 + y), for 0 ≤ y ≤ 1, where L has degree 3: to 5e-9, fitted likewise.
L0, L1, L2, L3 = (np.float32(c) for c in (0.666664131, 0.400216991, 0.279991406, 0.280244616))


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
def exp2_of_product(x: Any, y: Any) -> Any:
    """Compute 2^(x y) for x y < 128 to 2e-7, and 0 where it is below 2^−126. NaN gives NaN."""
    t = multiply_add(x, y, spread(SHIFT))
    k = t - SHIFT
    return where_at_least(BELOW, k, ZERO, _fraction(multiply_add(x, y, ZERO - k)) * power_of_two(t))


@njit  # type: ignore[untyped-decorator]
def exp(x: Any) -> Any:
    """Compute e^x to 3e-7, 0 where it is below 2^−126, and infinity from 2^127.5 on. NaN gives NaN."""
    t = LOG2_E * x + SHIFT
    k = t - SHIFT
    f = LOG2_E * ((x - k * LN_2_HIGH) - k * LN_2_LOW)
    y = where_at_least(LOWEST * LN_2, x, ZERO, _fraction(f) * power_of_two(t))
    return where_at_least(x, HIGHEST * LN_2, INFINITY, y)


@njit  # type: ignore[untyped-decorator]
def _fraction(f: Any) -> Any:
    return ONE + f * (C0 + f * (C1 + f * (C2 + f * (C3 + f * C4))))


@njit  # type: ignore[untyped-decorator]
def gelu(x: Any) -> Any:
    """Compute x Φ(x), the GELU, and its slope Φ(x) + x Φ′(x), each to 4e-7."""
    z = where_at_least(x, ZERO, x, ZERO - x)
    z = where_at_least(z, FAR, FAR, z)
    bell = exp(ZERO - HALF * x * x)
    m = M0 + z * (M1 + z * (M2 + z * (M3 + z * M4)))
    n = ONE + z * (N1 + z * (N2 + z * (N3 + z * (N4 + z * N5))))
    tail = bell * m / n
    normal = where_at_least(x, ZERO, ONE - tail, tail)
    return x * normal, normal + x * (DENSITY * bell)


@njit  # type: ignore[untyped-decorator]
def softplus(x: Any) -> Any:
    """Compute log(1 + e^x) and its slope σ(x), each to a relative 4e-7, however small they are."""
    y = exp(where_at_least(x, ZERO, ZERO - x, x))
    one, two = ONE + y, TWO + y
    both = ONE / (one * two)  # One division for both quotients.
    s = y * (one * both)
    q = s * s
    logarithm = s * (TWO + q * (L0 + q * (L1 + q * (L2 + q * L3))))
    return where_at_least(ZERO, x, ZERO, x) + logarithm, where_at_least(x, ZERO, ONE, y) * (two * both)


@njit  # type: ignore[untyped-decorator]
def copy_row(a: Any, a_at: Any, b: Any, b_at: Any, size: Any) -> None:
    """Do ``a[a_at : a_at + size] = b[b_at : b_at + size]``."""
    whole = size // LANES * LANES
    for j in range(0, whole, LANES):
        store(a, a_at + j, load(b, b_at + j))
    to, of = numbers(a), numbers(b)
    for j in range(whole, size):
        to[a_at + j] = of[b_at + j]


@njit  # type: ignore[untyped-decorator]
def add_row(a: Any, a_at: Any, b: Any, b_at: Any, size: Any) -> None:
    """Do ``a[a_at : a_at + size] += b[b_at : b_at + size]``."""
    whole = size // LANES * LANES
    for j in range(0, whole, LANES):
        store(a, a_at + j, load(a, a_at + j) + load(b, b_at + j))
    to, of = numbers(a), numbers(b)
    for j in range(whole, size):
        to[a_at + j] += of[b_at + j]
