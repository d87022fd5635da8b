"""The fused kernel of Mamba: its whole layer, one chunk of steps of one sequence after the other."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable
from torch.nn.functional import pad

from suite.kernels import _layout as layout
from suite.kernels._compiled import compiled
from suite.kernels._math import LN_2, LOG2_E, ONE, ZERO, copy_row, sigmoid
from suite.kernels._product import pack, product
from suite.kernels._selective import D_EXPONENT, D_READ, D_WRITTEN, DELTA, GATE, LINE, NOTES, READ, SLOPE, STEPS
from suite.kernels._selective import prepare, selective_states, selective_states_back, window, window_sum
from suite.kernels._vector import LANES, load, numbers, spread, store, total


@compiled
def _forward(y, u, z, s, kept, last, work, inputs, first, c, W_u, W_z, W_x, B, T, I, E, P, N, R, S, K):  # type: ignore[no-untyped-def]
    """Fill the outputs ``y``, the states ``last``, and ``u``, ``z``, ``s`` and ``kept`` for the backward pass.

    ``s`` has the rows (r_t, B_t, C_t), and ``c`` the parameters by channel (see `_by_channel`).
    """
    b, W, b_dt, A, D = c + 4 * K * P, c + 4 * (K + 1) * P, c + 4 * (K + 1 + R) * P, c + 4 * (K + 2 + R) * P, c + 4 * (K + 2 + R + N) * P
    x, notes = work, work + 4 * STEPS * P
    chunks = (T + STEPS - 1) // STEPS
    for n in range(B):
        state = n * (K - 1 + N) * P
        h = state + (K - 1) * P
        for k in range(h, h + N * P, LANES):
            store(last, k, load(first, k))
        for chunk in range(chunks):
            t, steps = chunk * STEPS, min(STEPS, T - chunk * STEPS)
            row = n * T + t
            # u_t = W_u i_t;  z_t = W_z i_t
            product(u, inputs, W_u, row * P, P, row * I, I, steps, I, P, 0)
            product(z, inputs, W_z, row * P, P, row * I, I, steps, I, P, 0)
            for l in range(steps):
                for j in range(0, P, LANES):
                    # x_t = silu(Σ_k w_k ⊙ u_{t−K+1+k} + b)
                    a = window_sum(u, n * T, first, state, t + l, c, b, j, P, K)
                    store(x, l * P + j, a * sigmoid(a))
            # r_t, B_t, C_t = W_x x_t
            product(s, x, W_x, row * S, S, 0, P, steps, E, S, 0)
            prepare(notes, x, 0, z, s, row, W, b_dt, steps, P, R, S)
            for j in range(0, P, LANES):
                kept_at, notes_at = ((n * chunks + chunk) * P + j) * N, j // LANES * NOTES
                selective_states(last, h + j, kept, kept_at, notes, notes_at, A, j, s, row * S + R, S, steps, N, P)
            for l in range(steps):
                for j in range(0, P, LANES):
                    # y_t = (h_t C_t + D ⊙ x_t) ⊙ silu(z_t)
                    note, z_t = j // LANES * NOTES + l * LANES, load(z, (row + l) * P + j)
                    read = load(notes, note + READ) + load(D, j) * load(x, l * P + j)
                    store(x, l * P + j, read * (z_t * load(notes, note + GATE)))
                copy_row(y, (row + l) * E, x, l * P, E)
        for k in range(K - 1):
            for j in range(0, P, LANES):
                store(last, state + k * P + j, window(u, n * T, first, state, T, k, j, P, K))


@compiled
def _backward(du, dz, ds, x, dc, d, work, dy, u, z, s, kept, first, c, W_x, B, T, E, P, N, R, S, M, K):  # type: ignore[no-untyped-def]
    """Fill the first four, which may be ``u`` and ``z`` themselves, and add to ``dc``. ``M`` is R + 2 N.

    ``d`` enters as the gradient of the last states and ends as that of the first. ``work`` enters as zeros.
    """
    b, W, b_dt, A, D = c + 4 * K * P, c + 4 * (K + 1) * P, c + 4 * (K + 1 + R) * P, c + 4 * (K + 2 + R) * P, c + 4 * (K + 2 + R + N) * P
    db, dW, db_dt, dA, dD = dc + 4 * K * P, dc + 4 * (K + 1) * P, dc + 4 * (K + 1 + R) * P, dc + 4 * (K + 2 + R) * P, dc + 4 * (K + 2 + R + N) * P
    up, dx, slope, notes = work, work + 4 * STEPS * P, work + 8 * STEPS * P, work + 12 * STEPS * P
    sums = notes + 4 * P // LANES * NOTES
    h, da = sums + 4 * M * LINE, sums + 4 * (M + 5) * LINE
    chunks = (T + STEPS - 1) // STEPS
    to, of = numbers(ds), numbers(s)
    for n in range(B):
        state = n * (K - 1 + N) * P
        for k in range(0, (K - 1) * P, LANES):
            store(da, k, ZERO)
        for chunk in range(chunks - 1, -1, -1):
            t, steps = chunk * STEPS, min(STEPS, T - chunk * STEPS)
            row = n * T + t
            for l in range(steps):
                for j in range(0, P, LANES):
                    # x_t = silu(a_t)
                    a = window_sum(u, n * T, first, state, t + l, c, b, j, P, K)
                    gate = sigmoid(a)
                    store(x, (row + l) * P + j, a * gate)
                    store(slope, l * P + j, gate * (ONE + a * (ONE - gate)))
            prepare(notes, x, row * P, z, s, row, W, b_dt, steps, P, R, S)
            for l in range(steps):
                copy_row(up, l * P, dy, (row + l) * E, E)
                for j in range(0, P, LANES):
                    # y_t = (h_t C_t + D ⊙ x_t) ⊙ silu(z_t)
                    note, z_t = j // LANES * NOTES + l * LANES, load(z, (row + l) * P + j)
                    store(notes, note + D_READ, load(up, l * P + j) * (z_t * load(notes, note + GATE)))
                    store(notes, note + D_WRITTEN, ZERO)
                    store(notes, note + D_EXPONENT, ZERO)
            for j in range(0, P, LANES):
                d_at, kept_at, notes_at = state + (K - 1) * P + j, ((n * chunks + chunk) * P + j) * N, j // LANES * NOTES
                selective_states_back(
                    d, d_at, dA, sums, h, kept, kept_at, notes, notes_at, A, j, s, row * S + R, S, steps, N, P
                )
            for l in range(steps):
                for j in range(0, P, LANES):
                    at, note = (row + l) * P + j, j // LANES * NOTES + l * LANES
                    # y_t = (h_t C_t + D ⊙ x_t) ⊙ silu(z_t)
                    x_t, z_t, skip, gate = load(x, at), load(z, at), load(D, j), load(notes, note + GATE)
                    d_read, d_written = load(notes, note + D_READ), load(notes, note + D_WRITTEN)
                    d_silu = load(up, l * P + j) * (load(notes, note + READ) + skip * x_t)
                    store(dz, at, d_silu * gate * (ONE + z_t * (ONE - gate)))
                    store(dD, j, load(dD, j) + d_read * x_t)
                    store(dx, l * P + j, d_read * skip + d_written * load(notes, note + DELTA))
                    # Δ_t = softplus(W r_t + b)
                    d_a = (load(notes, note + D_EXPONENT) * LN_2 + d_written * x_t) * load(notes, note + SLOPE)
                    store(db_dt, j, load(db_dt, j) + d_a)
                    for i in range(R):
                        store(dW, i * P + j, load(dW, i * P + j) + d_a * of[(row + l) * S + i])
                        at = (2 * N + i) * LINE + l * LANES
                        store(sums, at, load(sums, at) + d_a * load(W, i * P + j))
            for i in range(M):
                column = R + i if i < 2 * N else i - 2 * N
                for l in range(steps):
                    to[(row + l) * S + column] = total(load(sums, i * LINE + l * LANES))
                    store(sums, i * LINE + l * LANES, ZERO)
            # r_t, B_t, C_t = W_x x_t
            product(dx, ds, W_x, 0, P, row * S, S, steps, M, P, 1)
            # x_t = silu(a_t), where the gradients of a_t of the K − 1 steps after the chunk are moved behind its own
            for k in range((K - 1) * P - LANES, -1, -LANES):
                store(da, steps * P + k, load(da, k))
            for k in range(0, steps * P, LANES):
                store(da, k, load(dx, k) * load(slope, k))
            for l in range(steps - 1, -1, -1):
                from_end = T - 1 - t - l
                for j in range(0, P, LANES):
                    # a_t = Σ_k w_k ⊙ u_{t−K+1+k} + b
                    d_sum = load(da, l * P + j)
                    d_input = load(d, state + (K - 2 - from_end) * P + j) if from_end < K - 1 else spread(ZERO)
                    store(db, j, load(db, j) + d_sum)
                    for k in range(K):
                        u_t = window(u, n * T, first, state, t + l + 1, k - 1, j, P, K)
                        store(dc, k * P + j, load(dc, k * P + j) + d_sum * u_t)
                        d_input = d_input + load(c, k * P + j) * load(da, (l + K - 1 - k) * P + j)
                    store(du, (row + l) * P + j, d_input)
        for l in range(K - 2, -1, -1):
            for j in range(0, P, LANES):
                d_input = load(d, state + (l - T) * P + j) if l >= T else spread(ZERO)
                for k in range(l + 1):
                    d_input = d_input + load(c, k * P + j) * load(da, (l - k) * P + j)
                store(d, state + l * P + j, d_input)


class _Mamba(Function):
    """inputs ``[batch, time, input]``, before ``[batch, E, K − 1]``, h ``[batch, E, N]``, weights → outputs, before, h.

    The backward pass needs 2 + N / 16 numbers per channel and step (u, z, and the N of h at every 16th step), and the
    inputs, and R + 2 N numbers per step (r, B, C). There are E channels.
    """

    @staticmethod
    def forward(
        ctx: Any, inputs: Tensor, before: Tensor, h: Tensor, W_in: Tensor, w: Tensor, b: Tensor, W_x: Tensor,
        W: Tensor, b_dt: Tensor, A_log: Tensor, D: Tensor,
    ) -> tuple[Tensor, ...]:  # fmt: skip
        (B, T, I), (E, N), R, K = inputs.shape, A_log.shape, W.shape[1], w.shape[1]
        P, S, chunks = layout.padded(E), layout.padded(len(W_x)), -(-T // STEPS)
        inputs, first = inputs.contiguous(), _by_channel(P, before, h)
        c = _by_channel(P, w, b[:, None], W, b_dt[:, None], A_log.exp().mul_(-LOG2_E), D[:, None])
        packed = [layout.pack_forward(1, matrix) for matrix in (*W_in.chunk(2), W_x)]
        y, last, work = inputs.new_empty(B, T, E), torch.empty_like(first), inputs.new_empty(STEPS * P + P // LANES * NOTES)
        u, z, s, kept = (inputs.new_empty(B, size) for size in (T * P, T * P, T * S, chunks * N * P))
        _forward(y, u, z, s, kept, last, work, inputs, first, c, *packed, B, T, I, E, P, N, R, S, K)
        ctx.save_for_backward(u, z, s, kept, inputs, first, c, W_in, W_x, A_log)
        ctx.set_materialize_grads(False)
        ctx.rank, ctx.conv = R, K
        before, h = last[..., :E].transpose(1, 2).split([K - 1, N], dim=2)
        return y, before, h

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dy: Tensor | None, d_before: Tensor | None, dh: Tensor | None) -> tuple[Any, ...]:
        u, z, s, kept, inputs, first, c, W_in, W_x, A_log = ctx.saved_tensors
        (B, T, I), (E, N), (M, _), P, R, K = inputs.shape, A_log.shape, W_x.shape, c.shape[1], ctx.rank, ctx.conv
        S = layout.padded(M)
        dy = u.new_zeros(B, T, E) if dy is None else dy.contiguous()
        if d_before is None and dh is None:
            d = torch.zeros_like(first)
        else:
            d = _by_channel(P, *(u.new_zeros(B, E, n) if part is None else part for part, n in ((d_before, K - 1), (dh, N))))
        du, dz, ds, x, dc = layout.gate_gradient(u), layout.gate_gradient(z), u.new_empty(B * T, S), u.new_empty(B * T, P), torch.zeros_like(c)
        packed_x = u.new_zeros(M * P)
        pack(packed_x, W_x, 0, M, P, 0, 0, M, E, E, 1)
        work = u.new_zeros((4 * STEPS + K - 1) * P + P // LANES * NOTES + (M + 5) * LINE)
        _backward(du, dz, ds, x, dc, d, work, dy, u, z, s, kept, first, c, packed_x, B, T, E, P, N, R, S, M, K)
        du, dz, flat = du.view(B * T, P)[:, :E], dz.view(B * T, P)[:, :E], inputs.view(B * T, I)
        W_u, W_z = W_in.chunk(2)
        d_inputs = (du @ W_u).addmm_(dz, W_z).view(B, T, I) if ctx.needs_input_grad[0] else None
        dW_in, dW_x = torch.cat([du.t() @ flat, dz.t() @ flat]), ds[:, :M].t() @ x[:, :E]
        dw, db, dW, db_dt, dA, dD = dc[:, :E].t().split([K, 1, R, 1, N, 1], dim=1)
        d_before, dh = d[..., :E].transpose(1, 2).split([K - 1, N], dim=2)
        return d_inputs, d_before, dh, dW_in, dw, db[:, 0], dW_x, dW, db_dt[:, 0], dA * -A_log.exp(), dD[:, 0]


def _by_channel(size: int, *parts: Tensor) -> Tensor:
    """Lay out parts ``[…, E, n]`` by number and channel, ``[…, Σ n, size]``, with zeros beyond the E channels."""
    rows = torch.cat(parts, dim=-1).transpose(-1, -2)
    return pad(rows, (0, size - rows.shape[-1])).contiguous()


def mamba(inputs: Tensor, before: Tensor, h: Tensor, *weights: Tensor) -> tuple[Tensor, tuple[Tensor, Tensor]]:
    """Compute ``Mamba.forward``: inputs ``[batch, time, input]`` → outputs ``[batch, time, E]``, (before, h).

    Raises:
        RuntimeError: if a size is wrong. Compiled code checks no sizes, so all are checked here.
    """
    W_in, w, *_, A_log, _ = weights
    size, batch, (E, N), K = W_in.shape[1], len(inputs), A_log.shape, w.shape[1]
    if inputs.shape[2] != size or before.shape != (batch, E, K - 1) or h.shape != (batch, E, N):
        raise RuntimeError(
            f"inputs must be [batch, time, {size}] and states [batch, {E}, {K - 1}] and [batch, {E}, {N}]; got "
            f"{list(inputs.shape)}, {list(before.shape)} and {list(h.shape)}"
        )
    outputs, before, h = _Mamba.apply(inputs, before, h, *weights)  # type: ignore[no-untyped-call]
    return outputs, (before, h)
