"""The two passes through a state that is a matrix, compiled: see `suite.kernels.matrix_state`."""

from __future__ import annotations

import numpy as np
from numba import njit

from suite.kernels._compiled import compiled, compiled_once
from suite.kernels._math import INFINITY, ONE, ZERO
from suite.kernels._transpose import transpose
from suite.kernels._vector import LANES, load, load_part, numbers, spread, store, store_part, total

SEGMENT = 32
"""The forward pass keeps the state before every so manieth step."""
EPSILON = np.float32(1e-6)
"""It is added to |q|² and |k|² in the delta rule."""


@njit
def _factor(of, at, size):  # type: ignore[no-untyped-def]
    """Return the factor that gives ``of[at : at + size]`` the length 1, which is 0 if the squares overflow."""
    squares = spread(ZERO)
    for j in range(0, size, LANES):
        x = load_part(of, at + j, size - j)
        squares = squares + x * x
    square = total(squares) + EPSILON
    return ZERO if square == INFINITY else ONE / np.sqrt(square)


@compiled_once
def _read(to, to_at, of, at, size, unit):  # type: ignore[no-untyped-def]
    """Copy ``of[at : at + size]`` and pad it with zeros to whole vectors, with length 1 if ``unit``."""
    factor = _factor(of, at, size) if unit else ONE
    for j in range(0, size, LANES):
        store(to, to_at + j, factor * load_part(of, at + j, size - j))


@compiled_once
def _write(to, d, of, at, size, unit):  # type: ignore[no-untyped-def]
    """Write the gradient of ``of[at : at + size]`` there in ``to``, from that of its copy, which begins at ``d``."""
    factor, along = ONE, ZERO
    if unit:
        factor, inner = _factor(of, at, size), spread(ZERO)
        for j in range(0, size, LANES):
            inner = inner + load_part(of, at + j, size - j) * load_part(d, j, size - j)
        along = factor * factor * total(inner)
    for j in range(0, size, LANES):
        gradient = load(d, j)
        if unit:
            gradient = factor * (gradient - along * load_part(of, at + j, size - j))
        store_part(to, at + j, size - j, gradient)


@njit
def _read_keys(room, at, qkv, alpha, step, h, H, D, P, R, a_step, a_head, a_key, delta):  # type: ignore[no-untyped-def]
    """Write q_t, k_t and α_t of a head one after the other into ``room``, each padded to P numbers."""
    decay = step * a_step + h * a_head
    _read(room, at, qkv, step * R + h * D, D, delta)
    _read(room, at + P, qkv, step * R + (H + h) * D, D, delta)
    if a_key:
        _read(room, at + 2 * P, alpha, decay, D, 0)
    else:
        for j in range(0, P, LANES):
            store(room, at + 2 * P + j, numbers(alpha)[decay])


@compiled
def forward(  # type: ignore[no-untyped-def]
    o, r, S, kept, qkv, alpha, beta, room, B, T, H, D, V, P, W, R, a_step, a_head, a_key, b_step, b_head, delta
):
    """Fill in ``o``, ``r`` and ``kept``. ``S`` ``[batch·heads, P, W]`` enters as the first states, ends as the last."""
    x, size, ones = numbers(room), P * W, 3 * P
    if V > D:
        x[ones + D] = ONE
    for n in range(B * H):
        h, state = n % H, n * size
        for t in range(T):
            step = n // H * T + t
            at = (step * H + h) * V
            if t % SEGMENT == 0:
                _read(kept, (n * ((T + SEGMENT - 1) // SEGMENT) + t // SEGMENT) * size, S, state, size, 0)
            _read_keys(room, 0, qkv, alpha, step, h, H, D, P, R, a_step, a_head, a_key, delta)
            strength = numbers(beta)[step * b_step + h * b_head]
            for j in range(0, V, LANES):
                w = load_part(qkv, step * R + (2 * H + h) * D + j, D - j) + load(room, ones + j)
                if delta:
                    # r_t = v_t − α_t S_{t−1}ᵀ k_t
                    recalled, place = spread(ZERO), state + j
                    for i in range(P, P + D):
                        recalled = recalled + x[i] * load(S, place)
                        place += W
                    w = w - x[2 * P] * recalled
                    store_part(r, at + j, V - j, w)
                # S_t = α_t S_{t−1} + β_t k_t r_tᵀ;  o_t = S_tᵀ q_t
                w, answer, more, place = strength * w, spread(ZERO), spread(ZERO), state + j
                for i in range(0, D, 2):
                    new = x[2 * P + i] * load(S, place) + x[P + i] * w
                    store(S, place, new)
                    answer = answer + x[i] * new
                    new = x[2 * P + i + 1] * load(S, place + W) + x[P + i + 1] * w
                    store(S, place + W, new)
                    more = more + x[i + 1] * new
                    place += 2 * W
                store_part(o, at + j, V - j, answer + more)


@compiled
def backward(  # type: ignore[no-untyped-def]
    dqkv, dalpha, dbeta, dS, do, r, kept, qkv, alpha, beta, room,
    B, T, H, D, V, P, W, R, a_step, a_head, a_key, b_step, b_head, delta, with_alpha,
):  # fmt: skip
    """Fill in the gradients. ``dS`` enters as that of the last states and ends as that of the first ones.

    ``dqkv`` may be ``qkv``. ``dalpha`` is the gradient of log α, which is α dα.
    """
    x, size, row = numbers(room), P * W, 4 * P + 3 * W
    turned, past = row * SEGMENT, delta or with_alpha
    states, move = turned + size, size if past else 0
    for n in range(B * H):
        h, d_state = n % H, n * size
        transpose(room, turned, P, dS, d_state, W, P, W)
        for segment in range((T - 1) // SEGMENT, -1, -1):
            start = n // H * T + segment * SEGMENT
            count = min(SEGMENT, T - segment * SEGMENT)
            transpose(room, states, P, kept, (n * ((T + SEGMENT - 1) // SEGMENT) + segment) * size, W, P, W)
            for t in range(count):
                step, at, before = start + t, t * row, states + t * move
                head, r_at, g = step * H + h, at + 4 * P, at + 4 * P + W
                _read_keys(room, at, qkv, alpha, step, h, H, D, P, R, a_step, a_head, a_key, delta)
                if delta:
                    _read(room, r_at, r, head * D, D, 0)
                else:
                    _read(room, r_at, qkv, step * R + (2 * H + h) * D, D, 0)
                    if V > D:
                        x[r_at + D] = ONE
                _read(room, g, do, head * V, V, 0)
                # S_t = α_t S_{t−1} + β_t k_t r_tᵀ;  o_t = S_tᵀ q_t
                strength = numbers(beta)[step * b_step + h * b_head]
                for j in range(0, P, LANES):
                    k, a, dq, place = (
                        strength * load(room, at + P + j),
                        load(room, at + 2 * P + j),
                        spread(ZERO),
                        before + j,
                    )
                    more = spread(ZERO)
                    for c in range(0, V, 2):
                        new = a * load(room, place) + x[r_at + c] * k
                        store(room, place + move, new)
                        dq = dq + x[g + c] * new
                        new = a * load(room, place + P) + x[r_at + c + 1] * k
                        store(room, place + P + move, new)
                        more = more + x[g + c + 1] * new
                        place += 2 * P
                    store(room, at + 3 * P + j, dq + more)
            for t in range(count - 1, -1, -1):
                step, at, before = start + t, t * row, states + t * move
                r_at, g, dr = at + 4 * P, at + 4 * P + W, at + 4 * P + 2 * W
                b_at, a_at = step * b_step + h * b_head, step * a_step + h * a_head
                # o_t = S_tᵀ q_t;  S_t = α_t S_{t−1} + β_t k_t r_tᵀ;  r_t = v_t − α_t S_{t−1}ᵀ k_t
                strength, along = numbers(beta)[b_at], spread(ZERO)
                for j in range(0, V, LANES):
                    up, dw, more, place = load(room, g + j), spread(ZERO), spread(ZERO), d_state + j
                    for i in range(at, at + D, 2):
                        d = load(dS, place) + x[i] * up
                        dw = dw + x[P + i] * d
                        store(dS, place, x[2 * P + i] * d)
                        d = load(dS, place + W) + x[i + 1] * up
                        more = more + x[P + i + 1] * d
                        store(dS, place + W, x[2 * P + i + 1] * d)
                        place += 2 * W
                    dw = dw + more
                    along = along + dw * load(room, r_at + j)
                    dw = strength * dw
                    store(room, dr + j, dw)
                    store_part(dqkv, step * R + (2 * H + h) * D + j, D - j, dw)
                    if delta:
                        dw, place = x[at + 2 * P] * dw, d_state + j
                        for i in range(at + P, at + P + D):
                            store(dS, place, load(dS, place) - x[i] * dw)
                            place += W
                numbers(dbeta)[b_at] = total(along)
                changes = spread(ZERO)
                for j in range(0, P, LANES):
                    q, k, a = load(room, at + j), load(room, at + P + j), load(room, at + 2 * P + j)
                    written, erased, change, place = spread(ZERO), spread(ZERO), spread(ZERO), turned + j
                    if past:
                        for c in range(V):
                            d = load(room, place) + x[g + c] * q
                            written = written + x[r_at + c] * d
                            s = load(room, place + before - turned)
                            if delta:
                                erased = erased + x[dr + c] * s
                                d = d - x[dr + c] * k
                            change = change + d * s
                            store(room, place, a * d)
                            place += P
                    else:
                        more = spread(ZERO)
                        for c in range(0, V, 2):
                            d = load(room, place) + x[g + c] * q
                            written = written + x[r_at + c] * d
                            store(room, place, a * d)
                            d = load(room, place + P) + x[g + c + 1] * q
                            more = more + x[r_at + c + 1] * d
                            store(room, place + P, a * d)
                            place += 2 * P
                        written = written + more
                    store(room, at + P + j, strength * written - a * erased)
                    if a_key and with_alpha:
                        store_part(dalpha, a_at + j, D - j, a * change)
                    changes = changes + a * change
                if with_alpha and not a_key:
                    numbers(dalpha)[a_at] = total(changes)
                _write(dqkv, room + 4 * (at + 3 * P), qkv, step * R + h * D, D, delta)
                _write(dqkv, room + 4 * (at + P), qkv, step * R + (H + h) * D, D, delta)
