"""The parts of Mamba's kernel that work on one chunk of steps of one sequence.

A vector holds 16 channels, and the N states of a channel are in N vectors, so that only the gradients of r, B and C are
summed across a vector. States and decays are ``[N, P]``, where P is the number of channels in whole vectors.
"""

from __future__ import annotations

from numba import njit

from suite.kernels._compiled import compiled_once
from suite.kernels._math import ONE, ZERO, exp2, sigmoid, softplus
from suite.kernels._vector import LANES, load, multiply_add, numbers, spread, store

STEPS = 16
"""The steps of a chunk. The backward pass computes the states of one chunk after the other again."""
LINE = STEPS * LANES

# The notes on a vector of channels in a chunk. Each is a line with a vector for every step: Δ, its slope, the gate of
# silu(z), Δ x, h C, and the gradients of h C, of Δ x and of Δ A.
DELTA, SLOPE, GATE, WRITTEN, READ, D_READ, D_WRITTEN, D_EXPONENT, NOTES = range(0, 9 * LINE, LINE)


@njit  # type: ignore[untyped-decorator]
def window(u, row, first, state, t, k, j, P, K):  # type: ignore[no-untyped-def]
    """Return u_{t−K+1+k} of a sequence, whose rows begin at ``row`` in ``u``, and its past at ``state`` in ``first``."""
    place = t - K + 1 + k
    return load(u, (row + place) * P + j) if place >= 0 else load(first, state + (t + k) * P + j)


@njit  # type: ignore[untyped-decorator]
def window_sum(u, row, first, state, t, w, b, j, P, K):  # type: ignore[no-untyped-def]
    """Return Σ_k w_k ⊙ u_{t−K+1+k} + b of one vector of channels."""
    a = load(b, j)
    for k in range(K):
        a = a + load(w, k * P + j) * window(u, row, first, state, t, k, j, P, K)
    return a


@njit  # type: ignore[untyped-decorator]
def prepare(notes, x, x_at, z, s, row, W, b, steps, P, R, S):  # type: ignore[no-untyped-def]
    """Note Δ_t = softplus(W r_t + b) with its slope, the gate and Δ_t ⊙ x_t of a chunk. The sum h_t C_t begins at 0."""
    r = numbers(s)
    for l in range(steps):
        for j in range(0, P, LANES):
            a = load(b, j)
            for i in range(R):
                a = a + load(W, i * P + j) * r[(row + l) * S + i]
            delta, slope = softplus(a)
            note = j // LANES * NOTES + l * LANES
            store(notes, note + DELTA, delta)
            store(notes, note + SLOPE, slope)
            store(notes, note + GATE, sigmoid(load(z, (row + l) * P + j)))
            store(notes, note + WRITTEN, delta * load(x, x_at + l * P + j))
            store(notes, note + READ, ZERO)


@compiled_once
def selective_states(h, h_at, kept, kept_at, notes, n_at, A, A_at, s, B_at, S, steps, N, P):  # type: ignore[no-untyped-def]
    """Keep the states before a chunk, write those after it, and note h_t C_t."""
    of = numbers(s)
    for i in range(N):
        state, exponent = load(h, h_at + i * P), load(A, A_at + i * P)
        store(kept, kept_at + i * LANES, state)
        for l in range(steps):
            note, at = n_at + l * LANES, B_at + l * S + i
            # h_t = e^{Δ_t A} ⊙ h_{t−1} + (Δ_t ⊙ x_t) B_tᵀ
            decay = exp2(load(notes, note + DELTA) * exponent)
            state = multiply_add(decay, state, load(notes, note + WRITTEN) * of[at])
            store(notes, note + READ, load(notes, note + READ) + state * of[at + N])
        store(h, h_at + i * P, state)


@compiled_once
def selective_states_back(dh, dh_at, dA, sums, h, kept, kept_at, notes, n_at, A, A_at, s, B_at, S, steps, N, P):  # type: ignore[no-untyped-def]
    """Compute the states of a chunk and h_t C_t again, and go back through them.

    ``h`` is a workspace for one state of each channel. The gradients of B and C are added to ``sums``.
    """
    of = numbers(s)
    for i in range(N):
        state, exponent = load(kept, kept_at + i * LANES), load(A, A_at + i * P)
        store(h, 0, state)
        for l in range(steps):
            note, at = n_at + l * LANES, B_at + l * S + i
            # h_t = e^{Δ_t A} ⊙ h_{t−1} + (Δ_t ⊙ x_t) B_tᵀ
            decay = exp2(load(notes, note + DELTA) * exponent)
            state = multiply_add(decay, state, load(notes, note + WRITTEN) * of[at])
            store(notes, note + READ, load(notes, note + READ) + state * of[at + N])
            store(h, (2 * l + 1) * LANES, decay)
            store(h, (2 * l + 2) * LANES, state)
        d_state, d_A, decay = load(dh, dh_at + i * P), load(dA, A_at + i * P), spread(ONE)
        for l in range(steps - 1, -1, -1):
            note, at = n_at + l * LANES, B_at + l * S + i
            dB, dC = i * LINE + l * LANES, (N + i) * LINE + l * LANES
            # y_t = h_t C_t, and the gradient from the step after it, where ``decay`` still is that of this step
            d_read = load(notes, note + D_READ)
            d_state = multiply_add(decay, d_state, d_read * of[at + N])
            store(sums, dC, load(sums, dC) + d_read * load(h, (2 * l + 2) * LANES))
            # h_t = e^{Δ_t A} ⊙ h_{t−1} + (Δ_t ⊙ x_t) B_tᵀ
            store(sums, dB, load(sums, dB) + d_state * load(notes, note + WRITTEN))
            store(notes, note + D_WRITTEN, load(notes, note + D_WRITTEN) + d_state * of[at])
            decay = load(h, (2 * l + 1) * LANES)
            d_exponent = d_state * load(h, 2 * l * LANES) * decay
            store(notes, note + D_EXPONENT, load(notes, note + D_EXPONENT) + d_exponent * exponent)
            d_A = d_A + d_exponent * load(notes, note + DELTA)
        store(dh, dh_at + i * P, decay * d_state)
        store(dA, A_at + i * P, d_A)
