"""The two passes of S4D, compiled: see `suite.kernels.s4d`."""

from __future__ import annotations

from typing import Any

from numba import njit

from suite.kernels._compiled import compiled, compiled_once
from suite.kernels._math import ONE, ZERO, gelu
from suite.kernels._product import PANEL, matmul
from suite.kernels._transpose import transpose
from suite.kernels._vector import LANES, load, load_part, numbers, prefetch, store, store_part, total, where_at_least

CHUNK = 128
"""The largest number of steps that are one convolution."""
BYTES = 4
"""The size of a number."""


def room_size(P: int, M: int) -> int:
    """Return how many numbers `_room` divides: those of a group of channels, of a channel, and of its tables."""
    return 2 * LANES * M + (5 * CHUNK + 3) * 2 * P + 3 * (CHUNK + PANEL) + 2 * PANEL * PANEL


@njit  # type: ignore[untyped-decorator]
def _room(work: Any, P: Any, M: Any) -> Any:
    """Return the addresses of the parts of ``work``."""
    row, table, filtered = BYTES * 2 * P, BYTES * CHUNK * 2 * P, BYTES * (CHUNK + PANEL)
    first, second = work, work + BYTES * LANES * M
    p = second + BYTES * LANES * M
    q = p + table + row
    turned = q + table
    dp = turned + table
    dq = dp + table + row
    K = dq + table + row
    K_back = K + filtered
    dK = K_back + filtered
    return first, second, p, q, turned, dp, dq, K, K_back, dK, dK + filtered


@compiled_once
def _tables(p, q, K, K_back, modes, D, channel, P):  # type: ignore[no-untyped-def]
    """Fill in p_t, the readouts q, the filter with zeros before it, and the filter reversed with zeros after it.

    A row of modes has ``P`` real parts and then the imaginary ones. q_t holds those of the conjugate of w p_{t+1}, so
    that Re(w p_{t+1} h) is the product of a row with a state.
    """
    forth, back, of_l, of_w = numbers(K), numbers(K_back), channel * 6 * P, channel * 6 * P + 2 * P
    for j in range(0, P, LANES):
        store(p, j, ONE)
        store(p, P + j, ZERO)
    for j in range(PANEL):
        forth[j] = 0
        back[CHUNK + j] = 0
    for t in range(CHUNK):
        of_K = where_at_least(load(p, 0), ZERO, ZERO, ZERO)
        for j in range(0, P, LANES):
            at = t * 2 * P + j
            l_re, l_im = load(modes, of_l + j), load(modes, of_l + P + j)
            w_re, w_im = load(modes, of_w + j), load(modes, of_w + P + j)
            re, im = load(p, at), load(p, at + P)
            # K_t = Re(Σ_n w_n p_t)
            of_K = of_K + w_re * re - w_im * im
            # p_{t+1} = λ p_t
            re, im = l_re * re - l_im * im, l_re * im + l_im * re
            store(p, at + 2 * P, re)
            store(p, at + 3 * P, im)
            store(q, at, w_re * re - w_im * im)
            store(q, at + P, ZERO - (w_re * im + w_im * re))
        K_t = total(of_K) if t else total(of_K) + numbers(D)[channel]
        forth[PANEL + t] = K_t
        back[CHUNK - 1 - t] = K_t


@compiled
def forward(y, a, states, u, work, modes, D, H, B, T, N, P, given, squashed):  # type: ignore[no-untyped-def]
    """Fill in the outputs ``y`` = φ(a), and in ``a`` ``[channel, batch·time]``, where φ is the GELU, its slopes φ′(a).

    ``states`` ``[channel, chunk, batch, modes]`` begins with the first states if they are ``given``, and gets those
    before every other chunk, and the last ones.
    """
    M, S, chunks = B * T, B * 2 * P, (T + CHUNK - 1) // CHUNK
    outputs, _, p, q, turned, _, _, K, K_back, _, _ = _room(work, P, M)
    for channel in range(H):
        own, out = channel * M, channel % LANES * M
        for m in range(own + M, own + 2 * M, LANES):
            prefetch(u, m)
            prefetch(a, m)
        _tables(p, q, K, K_back, modes, D, channel, P)
        if given or chunks > 1:
            transpose(turned, 0, CHUNK, q, 0, 2 * P, CHUNK, 2 * P)
        for chunk in range(chunks):
            steps, state = min(CHUNK, T - chunk * CHUNK), (channel * (chunks + 1) + chunk) * S
            at = own + chunk * CHUNK
            for t in range(0, steps, PANEL):
                # y_t = Σ_s K_{t−s} u_s
                columns, depth = min(PANEL, steps - t), min(t + PANEL, steps)
                matmul(a, at + t, T, u, at, T, 1, K, PANEL + t, -1, B, depth, columns, 0)
            # h ← Σ_s p_{l−1−s} u_s
            matmul(states, state + S, 2 * P, u, at + steps - 1, T, -1, p, 0, 2 * P, B, steps, 2 * P, 0)
            if chunk or given:
                for part in range(2):
                    # y_t += Re(Σ_n w_n p_{t+1} h_n)
                    of_q = part * P * CHUNK
                    matmul(a, at, T, states, state + part * P, 2 * P, 1, turned, of_q, CHUNK, B, N, steps, 1)
                for of in range(state, state + S, 2 * P):
                    for j in range(0, P, LANES):
                        # h ← p_l h
                        to, p_at = of + S + j, steps * 2 * P + j
                        p_re, p_im, re, im = (
                            load(p, p_at),
                            load(p, p_at + P),
                            load(states, of + j),
                            load(states, of + P + j),
                        )
                        store(states, to, load(states, to) + p_re * re - p_im * im)
                        store(states, to + P, load(states, to + P) + p_re * im + p_im * re)
        for m in range(0, M, LANES):
            # y_t = φ(a_t)
            value = load_part(a, own + m, M - m)
            if squashed:
                value, slope = gelu(value)
                store_part(a, own + m, M - m, slope)
            store_part(outputs, out + m, M - m, value)
        members = channel % LANES + 1
        if members == LANES or channel == H - 1:
            transpose(y, channel + 1 - members, H, outputs, 0, M, members, M)


@compiled
def backward(  # type: ignore[no-untyped-def]
    dx, dW, d_modes, dD, dh, a, states, u, x, work, modes, D, W, dy, H, B, T, X, N, P, given, squashed, ended, wants_dx
):  # fmt: skip
    """Fill ``d_modes`` and ``dD``, and add to ``dW`` and ``dx``, or fill ``dx`` if there is no W: ``X`` is 0.

    ``dh`` enters as the gradient of the last state, if it has one (``ended``), and ends as that of the first state if
    that is ``given``.
    """
    M, S, chunks = B * T, B * 2 * P, (T + CHUNK - 1) // CHUNK
    da, du, p, q, turned, dp, dq, K, K_back, dK, products = _room(work, P, M)
    lags = numbers(dK)
    for j in range(0, 2 * PANEL * PANEL, LANES):
        store(products, j, ZERO)
    for channel in range(H):
        of_l, of_d, d_h, first = channel * 6 * P, channel * 4 * P, channel * S, channel % LANES * M
        for m in range((channel + 1) * M, (channel + 2) * M, LANES):
            prefetch(u, m)
            prefetch(a, m)
        if first == 0:
            transpose(da, 0, M, dy, channel, H, M, min(LANES, H - channel))
        _tables(p, q, K, K_back, modes, D, channel, P)
        if ended or chunks > 1:
            # p_{l−1−s} by modes
            transpose(turned, 0, CHUNK, p, (CHUNK - 1) * 2 * P, -2 * P, CHUNK, 2 * P)
        for j in range(0, (CHUNK + 1) * 2 * P, LANES):
            store(dp, j, ZERO)
            store(dq, j, ZERO)
        for t in range(CHUNK + PANEL):
            lags[t] = 0
        if squashed:
            for m in range(0, M, LANES):
                # y_t = φ(a_t)
                d = load_part(da, first + m, M - m) * load_part(a, channel * M + m, M - m)
                store_part(da, first + m, M - m, d)
        for chunk in range(chunks - 1, -1, -1):
            begin = chunk * CHUNK
            steps, state = min(CHUNK, T - begin), (channel * (chunks + 1) + chunk) * S
            at, of_u = first + begin, channel * M + begin
            for s in range(0, steps, PANEL):
                # y_t = Σ_s K_{t−s} u_s
                columns = min(PANEL, steps - s)
                matmul(du, at + s, T, da, at + s, T, 1, K_back, CHUNK - 1, -1, B, steps - s, columns, 0)
            for t in range(0, steps, PANEL):
                rows = min(PANEL, steps - t)
                for s in range(0, t + rows, PANEL):
                    # A row of products lies one number to the left of that above, so each column has one lag t − s.
                    skewed, columns = 2 * PANEL - 1, min(PANEL, steps - s)
                    matmul(products, PANEL, skewed, da, at + t, 1, T, u, of_u + s, T, rows, B, columns, 0)
                    for j in range(0, 2 * PANEL, LANES):
                        to = CHUNK - (t - s) - PANEL + j
                        of_lag = load(dK, to)
                        for row in range(rows):
                            of_lag = of_lag + load(products, row * 2 * PANEL + j)
                        store(dK, to, of_lag)
            if ended or chunk < chunks - 1:
                for part in range(2):
                    # h ← Σ_s p_{l−1−s} u_s
                    of_p = part * P * CHUNK + CHUNK - steps
                    matmul(du, at, T, dh, d_h + part * P, 2 * P, 1, turned, of_p, CHUNK, B, N, steps, 1)
                matmul(dp, 0, 2 * P, u, of_u + steps - 1, -1, T, dh, d_h, 2 * P, steps, B, 2 * P, 1)
            if chunk or given:
                # y_t += Re(Σ_n w_n p_{t+1} h_n)
                matmul(dq, 2 * P, 2 * P, da, at, 1, T, states, state, 2 * P, steps, B, 2 * P, 1)
                for n in range(B):
                    for j in range(0, P, LANES):
                        # h ← p_l h
                        p_at, of, to = steps * 2 * P + j, state + n * 2 * P + j, d_h + n * 2 * P + j
                        p_re, p_im, re, im = load(p, p_at), load(p, p_at + P), load(states, of), load(states, of + P)
                        d_re, d_im = load(dh, to), load(dh, to + P)
                        store(dp, p_at, load(dp, p_at) + d_re * re + d_im * im)
                        store(dp, p_at + P, load(dp, p_at + P) + d_im * re - d_re * im)
                        store(dh, to, p_re * d_re + p_im * d_im)
                        store(dh, to + P, p_re * d_im - p_im * d_re)
                # y_t += Re(Σ_n w_n p_{t+1} h_n)
                matmul(dh, d_h, 2 * P, da, at, T, 1, q, 0, 2 * P, B, steps, 2 * P, 1)
        numbers(dD)[channel] = lags[CHUNK]
        for j in range(0, P, LANES):
            l_re, l_im = load(modes, of_l + j), load(modes, of_l + P + j)
            w_re, w_im = load(modes, of_l + 2 * P + j), load(modes, of_l + 3 * P + j)
            d_re = d_im = dl_re = dl_im = dw_re = dw_im = where_at_least(l_re, l_re, ZERO, ZERO)
            for t in range(CHUNK, -1, -1):
                at = t * 2 * P + j
                # K_t = Re(Σ_n w_n p_t), and q_{t−1} = conj(w p_t)
                e_re, e_im = lags[CHUNK - t] + load(dq, at), ZERO - load(dq, at + P)
                re, im = load(p, at), load(p, at + P)
                dw_re, dw_im = dw_re + re * e_re + im * e_im, dw_im + re * e_im - im * e_re
                # p_{t+1} = λ p_t
                dl_re, dl_im = dl_re + d_re * re + d_im * im, dl_im + d_im * re - d_re * im
                d_re, d_im = l_re * d_re + l_im * d_im, l_re * d_im - l_im * d_re
                d_re, d_im = d_re + load(dp, at), d_im + load(dp, at + P)
                d_re, d_im = d_re + w_re * e_re + w_im * e_im, d_im + w_re * e_im - w_im * e_re
            store(d_modes, of_d + j, dl_re)
            store(d_modes, of_d + P + j, dl_im)
            store(d_modes, of_d + 2 * P + j, dw_re)
            store(d_modes, of_d + 3 * P + j, dw_im)
        members = channel % LANES + 1
        if members == LANES or channel == H - 1:
            low = channel + 1 - members
            if X:
                # u_t = W x_t
                matmul(dW, low * X, X, du, 0, M, 1, x, 0, X, members, M, X, 0)
                if wants_dx:
                    matmul(dx, 0, X, du, 0, 1, M, W, low * X, X, M, members, X, low > 0)
            elif wants_dx:
                transpose(dx, low, H, du, 0, M, members, M)


@compiled
def flip(to, of, rows, columns):  # type: ignore[no-untyped-def]
    """Transpose a whole matrix ``[rows, columns]``."""
    transpose(to, 0, rows, of, 0, columns, rows, columns)
