"""The parts of Mamba's kernel that work on one chunk of steps of one sequence.

A vector holds 16 channels, and the N states of a channel are in N vectors, so that only the gradients of r, B and C are
summed across a vector. States and decays are ``[N, P]``, where P is the number of channels in whole vectors.
"""

from __future__ import annotations

from numba import njit

from suite.kernels._compiled import compiled_once
from suite.kernels._math import ZERO, exp2_of_product, sigmoid, softplus
from suite.kernels._vector import LANES, load, multiply_add, numbers, prefetch, store

STEPS = 32
"""The steps of a chunk. The backward pass computes the states of one chunk after the other again."""
LINE = (STEPS + 1) * LANES  # One vector more than the steps, or all lines would begin at the same place of the cache.

# The notes on one vector of channels in a chunk. Each is a line with a vector for every step: Δ, its slope, the gate of
# silu(z), Δ x, h C, and the gradients of h C, of Δ x and of Δ A.
DELTA, SLOPE, GATE, WRITTEN, READ, D_READ, D_WRITTEN, D_EXPONENT, NOTES = range(0, 9 * LINE, LINE)


@njit
def gather(window, uz, row, t, steps, first, past, P, K):  # type: ignore[no-untyped-def]
    """Put u of the K − 1 steps before t and of the ``steps`` from t on into the rows of ``window``.

    A sequence begins at ``row`` in ``uz``, and the K − 1 steps before it at ``past`` in ``first``.
    """
    for m in range(K - 1 + steps):
        place = t - K + 1 + m
        for j in range(0, P, LANES):
            u = load(uz, (row + place) * 2 * P + j) if place >= 0 else load(first, past + (t + m) * P + j)
            store(window, m * P + j, u)


@njit
def convolved(window, w, b, m, j, P, K):  # type: ignore[no-untyped-def]
    """Return Σ_k w_k ⊙ u_{t−K+1+k} + b of one vector of channels, at step ``m`` of a chunk."""
    a = load(b, j)
    for k in range(K):
        a = a + load(w, k * P + j) * load(window, (m + k) * P + j)
    return a


@njit
def prepare(notes, x, x_at, uz, s, row, W, b, j, steps, P, R, S):  # type: ignore[no-untyped-def]
    """Note Δ_t = softplus(W r_t + b) with its slope, the gate and Δ_t ⊙ x_t of a chunk. The sum h_t C_t begins at 0."""
    r = numbers(s)
    # The loops are short, so that the processor works on several steps at once.
    for m in range(steps):
        a = load(b, j)
        for i in range(R):
            a = a + load(W, i * P + j) * r[(row + m) * S + i]
        store(notes, m * LANES + DELTA, a)
        store(notes, m * LANES + READ, ZERO)
    for m in range(steps):
        note = m * LANES
        delta, slope = softplus(load(notes, note + DELTA))
        store(notes, note + DELTA, delta)
        store(notes, note + SLOPE, slope)
        store(notes, note + WRITTEN, delta * load(x, x_at + m * P + j))
    for m in range(steps):
        store(notes, m * LANES + GATE, sigmoid(load(uz, (row + m) * 2 * P + P + j)))


@compiled_once
def selective_states(h, h_at, kept, kept_at, notes, A, A_at, s, B_at, S, steps, N, P):  # type: ignore[no-untyped-def]
    """Keep the states before a chunk, write those after it, and note h_t C_t."""
    of = numbers(s)
    for i in range(0, N, 2):
        one, one_exponent = load(h, h_at + i * P), load(A, A_at + i * P)
        two, two_exponent = load(h, h_at + i * P + P), load(A, A_at + i * P + P)
        store(kept, kept_at + i * LANES, one)
        store(kept, kept_at + i * LANES + LANES, two)
        prefetch(kept, kept_at + N * P + i * LANES)
        prefetch(kept, kept_at + N * P + i * LANES + LANES)
        for m in range(steps):
            note, at = m * LANES, B_at + m * S + i
            # h_t = e^{Δ_t A} ⊙ h_{t−1} + (Δ_t ⊙ x_t) B_tᵀ
            delta, written = load(notes, note + DELTA), load(notes, note + WRITTEN)
            one = multiply_add(exp2_of_product(delta, one_exponent), one, written * of[at])
            two = multiply_add(exp2_of_product(delta, two_exponent), two, written * of[at + 1])
            store(notes, note + READ, load(notes, note + READ) + (one * of[at + N] + two * of[at + N + 1]))
        store(h, h_at + i * P, one)
        store(h, h_at + i * P + P, two)


@compiled_once
def selective_states_back(dh, dh_at, dA, sums, h, kept, kept_at, notes, A, A_at, s, B_at, S, steps, N, P):  # type: ignore[no-untyped-def]
    """Compute the states of a chunk and h_t C_t again, and go back through them.

    ``h`` is a workspace for the decays and states of a pair. The gradients of B and C are added to ``sums``.
    """
    of = numbers(s)
    for i in range(0, N, 2):
        one, one_exponent = load(kept, kept_at + i * LANES), load(A, A_at + i * P)
        two, two_exponent = load(kept, kept_at + i * LANES + LANES), load(A, A_at + i * P + P)
        prefetch(kept, kept_at - N * P + i * LANES)
        prefetch(kept, kept_at - N * P + i * LANES + LANES)
        store(h, 0, one)
        store(h, LANES, two)
        for m in range(steps):
            note, at, step = m * LANES, B_at + m * S + i, 4 * m * LANES
            # h_t = e^{Δ_t A} ⊙ h_{t−1} + (Δ_t ⊙ x_t) B_tᵀ
            delta, written = load(notes, note + DELTA), load(notes, note + WRITTEN)
            one_decay, two_decay = exp2_of_product(delta, one_exponent), exp2_of_product(delta, two_exponent)
            one = multiply_add(one_decay, one, written * of[at])
            two = multiply_add(two_decay, two, written * of[at + 1])
            store(notes, note + READ, load(notes, note + READ) + (one * of[at + N] + two * of[at + N + 1]))
            store(h, step + 2 * LANES, one_decay)
            store(h, step + 3 * LANES, two_decay)
            store(h, step + 4 * LANES, one)
            store(h, step + 5 * LANES, two)
        one_before, d_one_A = load(dh, dh_at + i * P), load(dA, A_at + i * P)
        two_before, d_two_A = load(dh, dh_at + i * P + P), load(dA, A_at + i * P + P)
        for m in range(steps - 1, -1, -1):
            note, at, step = m * LANES, B_at + m * S + i, 4 * m * LANES
            dB = i * LINE + m * LANES
            dC = dB + N * LINE
            # y_t = h_t C_t
            d_read, delta, written = load(notes, note + D_READ), load(notes, note + DELTA), load(notes, note + WRITTEN)
            d_one, d_two = one_before + d_read * of[at + N], two_before + d_read * of[at + N + 1]
            store(sums, dC, load(sums, dC) + d_read * load(h, step + 4 * LANES))
            store(sums, dC + LINE, load(sums, dC + LINE) + d_read * load(h, step + 5 * LANES))
            # h_t = e^{Δ_t A} ⊙ h_{t−1} + (Δ_t ⊙ x_t) B_tᵀ
            store(sums, dB, load(sums, dB) + d_one * written)
            store(sums, dB + LINE, load(sums, dB + LINE) + d_two * written)
            store(notes, note + D_WRITTEN, load(notes, note + D_WRITTEN) + (d_one * of[at] + d_two * of[at + 1]))
            one_before, two_before = d_one * load(h, step + 2 * LANES), d_two * load(h, step + 3 * LANES)
            e_one, e_two = one_before * load(h, step), two_before * load(h, step + LANES)
            d_exponent = e_one * one_exponent + e_two * two_exponent
            store(notes, note + D_EXPONENT, load(notes, note + D_EXPONENT) + d_exponent)
            d_one_A, d_two_A = d_one_A + e_one * delta, d_two_A + e_two * delta
        store(dh, dh_at + i * P, one_before)
        store(dh, dh_at + i * P + P, two_before)
        store(dA, A_at + i * P, d_one_A)
        store(dA, A_at + i * P + P, d_two_A)
