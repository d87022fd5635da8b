"""The fused kernel of Mamba: its whole layer, one chunk of steps of one sequence after the other."""

from __future__ import annotations

from typing import Any

import torch
from numba import njit
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable
from torch.nn.functional import pad

from suite.kernels import _layout as layout
from suite.kernels._compiled import compiled
from suite.kernels._math import LN_2, LOG2_E, ONE, ZERO, copy_row, sigmoid
from suite.kernels._product import outer_product, pack, product
from suite.kernels._selective import (
    D_EXPONENT,
    D_READ,
    D_WRITTEN,
    DELTA,
    GATE,
    LINE,
    NOTES,
    READ,
    SLOPE,
    STEPS,
    convolved,
    gather,
    prepare,
    selective_states,
    selective_states_back,
)
from suite.kernels._vector import LANES, load, numbers, prefetch, spread, store, total

SPAN = 4 * STEPS
"""The products for the gradients of weights are made of so many steps at a time, because short ones are slow."""
NUMBER = 4  # the bytes of a number, in which addresses are moved


@njit
def _parameters(c, P, N, R, K):  # type: ignore[no-untyped-def]
    """Return where b, W_Δ, b_Δ, A and D are in ``c``, which holds the parameters by channel and begins with w."""
    row = P * NUMBER
    return c + K * row, c + (K + 1) * row, c + (K + 1 + R) * row, c + (K + 2 + R) * row, c + (K + 2 + R + N) * row


@compiled
def _forward(y, uz, s, kept, last, work, inputs, first, w, W_in, W_x, B, T, X, E, P, N, R, S, K):  # type: ignore[no-untyped-def]
    """Fill the outputs ``y``, the states ``last``, and ``uz``, ``s`` and ``kept`` for the backward pass.

    ``uz`` has the rows (u_t, z_t), ``s`` has (r_t, B_t, C_t), and ``w`` begins all parameters by channel, with A in
    units of log 2.
    """
    b, W, b_dt, A, D = _parameters(w, P, N, R, K)
    chunk_bytes, chunks = STEPS * P * NUMBER, (T + STEPS - 1) // STEPS
    x, notes, part = work, work + chunk_bytes, work + chunk_bytes + NOTES * NUMBER
    window = part + LINE * NUMBER
    for n in range(B):
        past = n * (K - 1 + N) * P
        h = past + (K - 1) * P
        for k in range(h, h + N * P, LANES):
            store(last, k, load(first, k))
        for chunk in range(chunks):
            t, steps = chunk * STEPS, min(STEPS, T - chunk * STEPS)
            row = n * T + t
            # u_t = W_u i_t;  z_t = W_z i_t
            product(uz, inputs, W_in, row * 2 * P, 2 * P, row * X, X, steps, X, 2 * P, 0)
            gather(window, uz, n * T, t, steps, first, past, P, K)
            for m in range(steps):
                for j in range(0, P, LANES):
                    # x_t = silu(Σ_k w_k ⊙ u_{t−K+1+k} + b)
                    a = convolved(window, w, b, m, j, P, K)
                    store(x, m * P + j, a * sigmoid(a))
            # r_t, B_t, C_t = W_x x_t
            product(s, x, W_x, row * S, S, 0, P, steps, E, S, 0)
            for j in range(0, P, LANES):
                prepare(notes, x, 0, uz, s, row, W, b_dt, j, steps, P, R, S)
                kept_at = ((n * chunks + chunk) * P + j) * N
                selective_states(last, h + j, kept, kept_at, notes, A, j, s, row * S + R, S, steps, N, P)
                is_whole = j + LANES <= E
                to, to_at, to_step = (y, row * E + j, E) if is_whole else (part, 0, LANES)
                for m in range(steps):
                    # y_t = (h_t C_t + D ⊙ x_t) ⊙ silu(z_t)
                    read = load(notes, m * LANES + READ) + load(D, j) * load(x, m * P + j)
                    gate = load(uz, (row + m) * 2 * P + P + j) * load(notes, m * LANES + GATE)
                    store(to, to_at + m * to_step, read * gate)
                    prefetch(uz, (row + STEPS + m) * 2 * P + j)
                    prefetch(uz, (row + STEPS + m) * 2 * P + P + j)
                    prefetch(y, (row + STEPS + m) * E + j)
                for m in range(0 if is_whole else steps):
                    copy_row(y, (row + m) * E + j, part, m * LANES, E - j)
        gather(last + past * NUMBER, uz, n * T, T, 0, first, past, P, K)


@compiled
def _backward(  # type: ignore[no-untyped-def]
    d_inputs, dW_in, dW_x, dw, d, work, dy, inputs, uz, s, kept, first, w, W_in, W_x,
    wanted, B, T, X, E, P, N, R, S, Q, K,
):  # fmt: skip
    """Fill ``d_inputs`` if it is ``wanted``, and add to the next three, where dW_in is transposed.

    ``d`` enters as the gradient of the last states and ends as that of the first, and ``work`` enters as zeros. ``Q``
    is the size of the inputs in whole vectors.
    """
    b, W, b_dt, A, D = _parameters(w, P, N, R, K)
    db, dW, db_dt, dA, dD = _parameters(dw, P, N, R, K)
    M, chunk_bytes, chunks = R + 2 * N, STEPS * P * NUMBER, (T + STEPS - 1) // STEPS
    dx, slope, da = work, work + chunk_bytes, work + 2 * chunk_bytes
    window = da + chunk_bytes + (K - 1) * P * NUMBER
    notes = window + chunk_bytes + (K - 1) * P * NUMBER
    part, sums = notes + NOTES * NUMBER, notes + (NOTES + LINE) * NUMBER
    h, x = sums + M * LINE * NUMBER, sums + (M + 5) * LINE * NUMBER
    duz, ds = x + SPAN * P * NUMBER, x + 3 * SPAN * P * NUMBER
    ds_to, s_of = numbers(ds), numbers(s)
    for n in range(B):
        past = n * (K - 1 + N) * P
        for k in range(0, (K - 1) * P, LANES):
            store(da, k, ZERO)
        for chunk in range(chunks - 1, -1, -1):
            t, steps = chunk * STEPS, min(STEPS, T - chunk * STEPS)
            row, place = n * T + t, t % SPAN
            following = row - STEPS if chunk else (n + 1) * T + (chunks - 1) * STEPS
            gather(window, uz, n * T, t, steps, first, past, P, K)
            for m in range(steps):
                for j in range(0, P, LANES):
                    # x_t = silu(a_t)
                    a = convolved(window, w, b, m, j, P, K)
                    gate = sigmoid(a)
                    store(x, (place + m) * P + j, a * gate)
                    store(slope, m * P + j, gate * (ONE + a * (ONE - gate)))
            for j in range(0, P, LANES):
                prepare(notes, x, place * P, uz, s, row, W, b_dt, j, steps, P, R, S)
                is_whole = j + LANES <= E
                for m in range(0 if is_whole else steps):
                    copy_row(part, m * LANES, dy, (row + m) * E + j, E - j)
                up, up_at, up_step = (dy, row * E + j, E) if is_whole else (part, 0, LANES)
                for m in range(steps):
                    # y_t = (h_t C_t + D ⊙ x_t) ⊙ silu(z_t)
                    note, z = m * LANES, load(uz, (row + m) * 2 * P + P + j)
                    prefetch(uz, (following + m) * 2 * P + j)
                    prefetch(uz, (following + m) * 2 * P + P + j)
                    prefetch(dy, (following + m) * E + j)
                    store(notes, note + D_READ, load(up, up_at + m * up_step) * (z * load(notes, note + GATE)))
                    store(notes, note + D_WRITTEN, ZERO)
                    store(notes, note + D_EXPONENT, ZERO)
                kept_at, d_at = ((n * chunks + chunk) * P + j) * N, past + (K - 1) * P + j
                selective_states_back(d, d_at, dA, sums, h, kept, kept_at, notes, A, j, s, row * S + R, S, steps, N, P)
                skip, d_skip, d_bias = load(D, j), load(dD, j), load(db_dt, j)
                for m in range(steps):
                    note, at = m * LANES, (place + m) * P + j
                    # y_t = (h_t C_t + D ⊙ x_t) ⊙ silu(z_t)
                    x_t, z, gate = load(x, at), load(uz, (row + m) * 2 * P + P + j), load(notes, note + GATE)
                    d_read, d_written = load(notes, note + D_READ), load(notes, note + D_WRITTEN)
                    d_silu = load(up, up_at + m * up_step) * (load(notes, note + READ) + skip * x_t)
                    store(duz, (place + m) * 2 * P + P + j, d_silu * gate * (ONE + z * (ONE - gate)))
                    store(dx, m * P + j, d_read * skip + d_written * load(notes, note + DELTA))
                    # Δ_t = softplus(W_Δ r_t + b_Δ)
                    d_a = (load(notes, note + D_EXPONENT) * LN_2 + d_written * x_t) * load(notes, note + SLOPE)
                    store(notes, note + D_EXPONENT, d_a)
                    d_skip, d_bias = d_skip + d_read * x_t, d_bias + d_a
                store(dD, j, d_skip)
                store(db_dt, j, d_bias)
                for i in range(R):
                    weight, d_weight = load(W, i * P + j), load(dW, i * P + j)
                    for m in range(steps):
                        d_a, at = load(notes, m * LANES + D_EXPONENT), (2 * N + i) * LINE + m * LANES
                        d_weight = d_weight + d_a * s_of[(row + m) * S + i]
                        store(sums, at, load(sums, at) + d_a * weight)
                    store(dW, i * P + j, d_weight)
            for i in range(M):
                column = R + i if i < 2 * N else i - 2 * N
                for m in range(steps):
                    ds_to[(place + m) * M + column] = total(load(sums, i * LINE + m * LANES))
                    store(sums, i * LINE + m * LANES, ZERO)
            # r_t, B_t, C_t = W_x x_t
            product(dx, ds, W_x, 0, P, place * M, M, steps, M, P, 1)
            # x_t = silu(a_t), where the gradients of a_t of the K − 1 steps after the chunk are moved behind its own
            for k in range((K - 1) * P - LANES, -1, -LANES):
                store(da, steps * P + k, load(da, k))
            for k in range(0, steps * P, LANES):
                store(da, k, load(dx, k) * load(slope, k))
            for j in range(0, P, LANES):
                # a_t = Σ_k w_k ⊙ u_{t−K+1+k} + b
                d_bias = load(db, j)
                for m in range(steps):
                    d_bias = d_bias + load(da, m * P + j)
                    after = T - 1 - t - m  # The last K − 1 of u are in the last state, too.
                    du = load(d, past + (K - 2 - after) * P + j) if after < K - 1 else spread(ZERO)
                    for k in range(K):
                        du = du + load(w, k * P + j) * load(da, (m + K - 1 - k) * P + j)
                    store(duz, (place + m) * 2 * P + j, du)
                store(db, j, d_bias)
                for k in range(K):
                    d_weight = load(dw, k * P + j)
                    for m in range(steps):
                        d_weight = d_weight + load(da, m * P + j) * load(window, (m + k) * P + j)
                    store(dw, k * P + j, d_weight)
            # u_t = W_u i_t;  z_t = W_z i_t
            if wanted:
                product(d_inputs, duz, W_in, row * Q, Q, place * 2 * P, 2 * P, steps, 2 * P, Q, 0)
            if place == 0:
                span = min(SPAN, T - t)
                outer_product(dW_x, ds, x, 0, P, 0, M, 0, P, span, M, P)
                outer_product(dW_in, inputs, duz, 0, 2 * P, row * X, X, 0, 2 * P, span, X, 2 * P)
        for m in range(K - 2, -1, -1):
            for j in range(0, P, LANES):
                du = load(d, past + (m - T) * P + j) if m >= T else spread(ZERO)
                for k in range(m + 1):
                    du = du + load(w, k * P + j) * load(da, (m - k) * P + j)
                store(d, past + m * P + j, du)


class _Mamba(Function):
    """inputs ``[batch, time, input]``, before ``[batch, E, K − 1]``, h ``[batch, E, N]``, weights → outputs, before, h.

    The number N of states is even. The backward pass needs 2 + N / 16 numbers per channel and step (u, z, and the N of
    h at every 16th step), and the inputs, and R + 2 N numbers per step (r, B, C). There are E channels.
    """

    @staticmethod
    def forward(
        ctx: Any, inputs: Tensor, before: Tensor, h: Tensor, W_in: Tensor, w: Tensor, b: Tensor, W_x: Tensor,
        W: Tensor, b_dt: Tensor, A: Tensor, D: Tensor,
    ) -> tuple[Tensor, ...]:  # fmt: skip
        (B, T, X), (E, N), R, K = inputs.shape, A.shape, W.shape[1], w.shape[1]
        P, S = layout.padded(E), layout.padded(len(W_x))
        inputs, first = inputs.contiguous(), _by_channel(P, before, h)
        w = _by_channel(P, w, b[:, None], W, b_dt[:, None], A * float(LOG2_E), D[:, None])
        packed = layout.pack_forward(2, W_in), layout.pack_forward(1, W_x)
        y, last = inputs.new_empty(B, T, E), torch.empty_like(first)
        uz, s, kept = (inputs.new_empty(B, size) for size in (T * 2 * P, T * S, -(-T // STEPS) * N * P))
        work = inputs.new_empty((2 * STEPS + K - 1) * P + NOTES + LINE)
        _forward(y, uz, s, kept, last, work, inputs, first, w, *packed, B, T, X, E, P, N, R, S, K)
        ctx.save_for_backward(inputs, uz, s, kept, first, w, W_in, W_x)
        ctx.set_materialize_grads(False)
        ctx.sizes = E, N, R, K
        before, h = torch.split(last[..., :E].transpose(1, 2), [K - 1, N], dim=2)
        return y, before, h

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dy: Tensor | None, d_before: Tensor | None, dh: Tensor | None) -> tuple[Any, ...]:
        inputs, uz, s, kept, first, w, W_in, W_x = ctx.saved_tensors
        (B, T, X), (E, N, R, K), M, P = inputs.shape, ctx.sizes, len(W_x), w.shape[1]
        S, Q, wanted = layout.padded(M), layout.padded(X), ctx.needs_input_grad[0]
        dy = uz.new_zeros(B, T, E) if dy is None else dy.contiguous()
        if d_before is None and dh is None:
            d = torch.zeros_like(first)
        else:
            given = (d_before, K - 1), (dh, N)
            d = _by_channel(P, *(uz.new_zeros(B, E, n) if part is None else part for part, n in given))
        W_in_packed, W_x_packed = uz.new_zeros(2 * P * Q if wanted else 0), uz.new_zeros(M * P)
        for half in range(2 if wanted else 0):
            pack(W_in_packed, W_in, half * E * X, 2 * P, Q, half * P, 0, E, X, X, 1)
        pack(W_x_packed, W_x, 0, M, P, 0, 0, M, E, E, 1)
        d_inputs, dW_in, dW_x = uz.new_empty(B, T, Q) if wanted else uz, uz.new_zeros(X, 2, P), uz.new_zeros(M, P)
        size = (4 * STEPS + 3 * SPAN + 2 * K - 2) * P + NOTES + (M + 6) * LINE + M * SPAN
        dw, work = torch.zeros_like(w), uz.new_zeros(size)
        _backward(
            d_inputs, dW_in, dW_x, dw, d, work, dy, inputs, uz, s, kept, first, w, W_in_packed, W_x_packed,
            wanted, B, T, X, E, P, N, R, S, Q, K,
        )  # fmt: skip
        dw, db, dW, db_dt, dA, dD = torch.split(dw[:, :E].t(), [K, 1, R, 1, N, 1], dim=1)
        d_before, dh = torch.split(d[..., :E].transpose(1, 2), [K - 1, N], dim=2)
        return (
            d_inputs[..., :X] if wanted else None, d_before, dh, dW_in[:, :, :E].flatten(1).t(), dw, db[:, 0],
            dW_x[:, :E], dW, db_dt[:, 0], dA, dD[:, 0],
        )  # fmt: skip


def _by_channel(size: int, *parts: Tensor) -> Tensor:
    """Lay out parts ``[…, E, n]`` by number and channel, ``[…, Σ n, size]``, with zeros beyond the E channels."""
    rows = torch.cat(parts, dim=-1).transpose(-1, -2)
    return pad(rows, (0, size - rows.shape[-1])).contiguous()


def mamba(
    inputs: Tensor, before: Tensor, h: Tensor, W_in: Tensor, w: Tensor, b: Tensor, W_x: Tensor, W: Tensor,
    b_dt: Tensor, A_log: Tensor, D: Tensor,
) -> tuple[Tensor, tuple[Tensor, Tensor]]:  # fmt: skip
    """Compute ``Mamba.forward``: inputs ``[batch, time, input]`` → outputs ``[batch, time, E]``, (before, h).

    Raises:
        RuntimeError: if a size is wrong. Compiled code checks no sizes, so all are checked here.
    """
    size, batch, (E, N), R, K = W_in.shape[1], len(inputs), A_log.shape, W.shape[1], w.shape[1]
    if inputs.shape[2] != size or before.shape != (batch, E, K - 1) or h.shape != (batch, E, N):
        raise RuntimeError(
            f"inputs must be [batch, time, {size}] and states [batch, {E}, {K - 1}] and [batch, {E}, {N}]; got "
            f"{list(inputs.shape)}, {list(before.shape)} and {list(h.shape)}"
        )
    A = -A_log.exp()
    if N % 2:  # The kernel takes states in pairs. The last one is added, and nothing is written to it or read.
        A, h = pad(A, (0, 1)), pad(h, (0, 1))
        W_x = torch.cat([W_x[: R + N], torch.zeros_like(W_x[:1]), W_x[R + N :], torch.zeros_like(W_x[:1])])
    outputs, before, h = _Mamba.apply(inputs, before, h, W_in, w, b, W_x, W, b_dt, A, D)  # type: ignore[no-untyped-call]
    return outputs, (before, h[..., :N])
