"""The fused kernel of Mamba: the selective scan with its time step and its gate, after a short convolution.

A vector holds 16 channels, and the N states of a channel are N vectors, so that nothing has to be summed across a
vector but the gradients of r, B and C. States and decays lie in tiles ``[channels / 16, N, 16]``.
"""

from __future__ import annotations

from typing import Any

import torch
from numba import njit
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable
from torch.nn.functional import linear, pad

from suite.kernels import _layout as layout
from suite.kernels._compiled import compiled, compiled_once
from suite.kernels._math import LN_2, LOG2_E, ONE, ZERO, exp2, sigmoid, softplus
from suite.kernels._vector import LANES, load, numbers, store, total
from suite.kernels.convolution import convolution

STEPS = 16
"""The steps of a chunk. The backward pass computes the states of one chunk after the other again."""
LINE = STEPS * LANES
# The notes of a vector of channels in a chunk are lines, with a vector for each step: Δ, its slope, silu's gate, Δ x,
# h C, and the gradients of h C, of Δ x and of Δ A.
DELTA, SLOPE, GATE, WRITTEN, READ, D_READ, D_WRITTEN, D_EXPONENT, NOTES = range(0, 9 * LINE, LINE)


@njit  # type: ignore[untyped-decorator]
def _prepare(u, steps, x, z, row, s, at, W, b, P, R, size):  # type: ignore[no-untyped-def]
    """Note Δ_t = softplus(W r_t + b), its slope, the gate and Δ_t ⊙ x_t of a chunk, and begin the sums at 0."""
    of = numbers(s)
    for l in range(steps):
        for j in range(0, P, LANES):
            a = load(b, j)
            for i in range(R):
                a = a + load(W, i * P + j) * of[at + l * size + i]
            delta, slope = softplus(a)
            note = j // LANES * NOTES + l * LANES
            store(u, note + DELTA, delta)
            store(u, note + SLOPE, slope)
            store(u, note + GATE, sigmoid(load(z, row + l * P + j)))
            store(u, note + WRITTEN, delta * load(x, row + l * P + j))
            store(u, note + READ, ZERO)


@compiled_once
def mamba_states(h, h_at, kept, kept_at, u, u_at, A, A_at, s, B_at, size, steps, N):  # type: ignore[no-untyped-def]
    """Keep the states before a chunk, write those after it, and note h_t C_t."""
    of = numbers(s)
    for i in range(N):
        state, exponent = load(h, h_at + i * LANES), load(A, A_at + i * LANES)
        store(kept, kept_at + i * LANES, state)
        for l in range(steps):
            note, at = u_at + l * LANES, B_at + l * size + i
            # h_t = e^{Δ_t A} ⊙ h_{t−1} + (Δ_t ⊙ x_t) B_tᵀ
            state = exp2(load(u, note + DELTA) * exponent) * state + load(u, note + WRITTEN) * of[at]
            store(u, note + READ, load(u, note + READ) + state * of[at + N])
        store(h, h_at + i * LANES, state)


@compiled_once
def mamba_states_back(dh, dh_at, dA, sums, h, kept, kept_at, u, u_at, A, A_at, s, B_at, size, steps, N):  # type: ignore[no-untyped-def]
    """Compute the states of a chunk and note h_t C_t again, and go back through them."""
    of = numbers(s)
    for i in range(N):
        state, exponent = load(kept, kept_at + i * LANES), load(A, A_at + i * LANES)
        store(h, 0, state)
        for l in range(steps):
            note, at = u_at + l * LANES, B_at + l * size + i
            decay = exp2(load(u, note + DELTA) * exponent)
            # h_t = e^{Δ_t A} ⊙ h_{t−1} + (Δ_t ⊙ x_t) B_tᵀ
            state = decay * state + load(u, note + WRITTEN) * of[at]
            store(u, note + READ, load(u, note + READ) + state * of[at + N])
            store(h, (2 * l + 1) * LANES, decay)
            store(h, (2 * l + 2) * LANES, state)
        d_state, d_A = load(dh, dh_at + i * LANES), load(dA, A_at + i * LANES)
        for l in range(steps - 1, -1, -1):
            note, at = u_at + l * LANES, B_at + l * size + i
            dB, dC = i * LINE + l * LANES, (N + i) * LINE + l * LANES
            d_read = load(u, note + D_READ)
            # y_t = h_t C_t
            d_state = d_state + d_read * of[at + N]
            store(sums, dC, load(sums, dC) + d_read * load(h, (2 * l + 2) * LANES))
            # h_t = e^{Δ_t A} ⊙ h_{t−1} + (Δ_t ⊙ x_t) B_tᵀ
            store(sums, dB, load(sums, dB) + d_state * load(u, note + WRITTEN))
            store(u, note + D_WRITTEN, load(u, note + D_WRITTEN) + d_state * of[at])
            decay = load(h, (2 * l + 1) * LANES)
            d_exponent = d_state * load(h, 2 * l * LANES) * decay
            store(u, note + D_EXPONENT, load(u, note + D_EXPONENT) + d_exponent * exponent)
            d_A = d_A + d_exponent * load(u, note + DELTA)
            d_state = d_state * decay
        store(dh, dh_at + i * LANES, d_state)
        store(dA, A_at + i * LANES, d_A)


@compiled
def _forward(y, h, kept, u, x, z, s, W, b, A, D, B, T, P, N, R):  # type: ignore[no-untyped-def]
    """Fill ``y``, and ``kept`` with the state before each chunk. ``h`` enters as the first state and ends as the last.

    ``s`` has the rows (r_t, B_t, C_t), A is in units of log 2, and ``u`` is a workspace.
    """
    size, chunks = R + 2 * N, (T + STEPS - 1) // STEPS
    for n in range(B):
        for chunk in range(chunks):
            first = n * T + chunk * STEPS
            row, start, steps = first * P, first * size, min(STEPS, T - chunk * STEPS)
            _prepare(u, steps, x, z, row, s, start, W, b, P, R, size)
            for j in range(0, P, LANES):
                h_at, kept_at, u_at = (n * P + j) * N, ((n * chunks + chunk) * P + j) * N, j // LANES * NOTES
                mamba_states(h, h_at, kept, kept_at, u, u_at, A, j * N, s, start + R, size, steps, N)
            for l in range(steps):
                for j in range(0, P, LANES):
                    # y_t = (h_t C_t + D ⊙ x_t) ⊙ silu(z_t)
                    at, note = row + l * P + j, j // LANES * NOTES + l * LANES
                    store(y, at, (load(u, note + READ) + load(D, j) * load(x, at)) * (load(z, at) * load(u, note + GATE)))


@compiled
def _backward(dx, dz, ds, dW, db, dA, dD, dh, dy, h, u, sums, kept, x, z, s, W, b, A, D, B, T, P, N, R):  # type: ignore[no-untyped-def]
    """Fill the first three and add to the next four. ``dh`` enters as the last state's gradient, ends as the first's.

    ``h``, ``u`` and ``sums`` are workspaces for one chunk, and ``sums`` enters as zeros.
    """
    size, chunks = R + 2 * N, (T + STEPS - 1) // STEPS
    to, of = numbers(ds), numbers(s)
    for n in range(B):
        for chunk in range(chunks - 1, -1, -1):
            first = n * T + chunk * STEPS
            row, start, steps = first * P, first * size, min(STEPS, T - chunk * STEPS)
            _prepare(u, steps, x, z, row, s, start, W, b, P, R, size)
            for l in range(steps):
                for j in range(0, P, LANES):
                    # y_t = (h_t C_t + D ⊙ x_t) ⊙ silu(z_t)
                    at, note = row + l * P + j, j // LANES * NOTES + l * LANES
                    store(u, note + D_READ, load(dy, at) * (load(z, at) * load(u, note + GATE)))
                    store(u, note + D_WRITTEN, ZERO)
                    store(u, note + D_EXPONENT, ZERO)
            for j in range(0, P, LANES):
                dh_at, kept_at, u_at = (n * P + j) * N, ((n * chunks + chunk) * P + j) * N, j // LANES * NOTES
                mamba_states_back(dh, dh_at, dA, sums, h, kept, kept_at, u, u_at, A, j * N, s, start + R, size, steps, N)
            for l in range(steps):
                for j in range(0, P, LANES):
                    at, note = row + l * P + j, j // LANES * NOTES + l * LANES
                    # y_t = (h_t C_t + D ⊙ x_t) ⊙ silu(z_t)
                    x_t, z_t, skip, gate, d_read = load(x, at), load(z, at), load(D, j), load(u, note + GATE), load(u, note + D_READ)
                    d_gate = load(dy, at) * (load(u, note + READ) + skip * x_t)
                    store(dz, at, d_gate * gate * (ONE + z_t * (ONE - gate)))
                    store(dD, j, load(dD, j) + d_read * x_t)
                    d_written = load(u, note + D_WRITTEN)
                    store(dx, at, d_read * skip + d_written * load(u, note + DELTA))
                    # Δ_t = softplus(W r_t + b)
                    d_a = (load(u, note + D_EXPONENT) * LN_2 + d_written * x_t) * load(u, note + SLOPE)
                    store(db, j, load(db, j) + d_a)
                    for i in range(R):
                        store(dW, i * P + j, load(dW, i * P + j) + d_a * of[start + l * size + i])
                        at_sum = (2 * N + i) * LINE + l * LANES
                        store(sums, at_sum, load(sums, at_sum) + d_a * load(W, i * P + j))
            for i in range(size):
                column = R + i if i < 2 * N else i - 2 * N
                for l in range(steps):
                    to[start + l * size + column] = total(load(sums, i * LINE + l * LANES))
                    store(sums, i * LINE + l * LANES, ZERO)


class _Scan(Function):
    """x, z ``[batch, time, P]``, s ``[batch, time, R + 2N]``, W ``[R, P]``, b, A, D, h → y ``[batch, time, P]``, h.

    h is ``[batch, P / 16, N, 16]``, A one of its rows, and P the number of channels in whole vectors. The backward pass
    needs 2 + N / 8 numbers per channel and step (x, z, and the N of h at every eighth step), and s.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, z: Tensor, s: Tensor, W: Tensor, b: Tensor, A: Tensor, D: Tensor, h: Tensor) -> Any:
        (B, T, P), R, N = x.shape, len(W), h.shape[2]
        y, h, u = torch.empty_like(x), h.clone(), x.new_empty(P // LANES, NOTES)
        kept = x.new_empty(B, -(-T // STEPS), P * N)
        A = A * LOG2_E
        _forward(y, h, kept, u, x, z, s, W, b, A, D, B, T, P, N, R)
        ctx.save_for_backward(kept, x, z, s, W, b, A, D)
        ctx.set_materialize_grads(False)
        return y, h

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dy: Tensor | None, dh: Tensor | None) -> tuple[Tensor, ...]:
        kept, x, z, s, W, b, A, D = ctx.saved_tensors
        (B, T, P), R, N = x.shape, len(W), A.shape[1]
        dy = torch.zeros_like(x) if dy is None else dy.contiguous()
        dh = x.new_zeros(B, *A.shape) if dh is None else dh.clone(memory_format=torch.contiguous_format)
        filled, added = [torch.empty_like(t) for t in (x, z, s)], [torch.zeros_like(t) for t in (W, b, A, D)]
        h, u = x.new_empty(2 * STEPS + 1, LANES), x.new_empty(P // LANES, NOTES)
        sums = x.new_zeros(R + 2 * N, LINE)
        work = (h, u, sums)
        _backward(*filled, *added, dh, dy, *work, kept, x, z, s, W, b, A, D, B, T, P, N, R)
        return *filled, *added, dh


def mamba(
    inputs: Tensor,
    before: Tensor,
    h: Tensor,
    W_in: Tensor,
    W_conv: Tensor,
    b_conv: Tensor,
    W_x: Tensor,
    W_dt: Tensor,
    b_dt: Tensor,
    A_log: Tensor,
    D: Tensor,
) -> tuple[Tensor, tuple[Tensor, Tensor]]:
    """Compute ``Mamba.forward``: inputs ``[batch, time, input]`` → outputs ``[batch, time, E]``, (before, h).

    Raises:
        RuntimeError: if a size is wrong. Compiled code checks no sizes, so all are checked here.
    """
    batch, (E, N), K = len(inputs), A_log.shape, W_conv.shape[1]
    if before.shape != (batch, E, K - 1) or h.shape != (batch, E, N):
        raise RuntimeError(
            f"states must be {[batch, E, K - 1]} and {[batch, E, N]}; got {list(before.shape)} and {list(h.shape)}"
        )
    extra = layout.padded(E) - E
    W_u, W_z = W_in.chunk(2)
    u, z = linear(inputs, _rows(W_u, extra)), linear(inputs, _rows(W_z, extra))
    past = _last(before.transpose(1, 2), extra)
    x = convolution(u, past, _last(W_conv.t(), extra), _last(b_conv, extra))
    s = linear(x, _last(W_x, extra))
    A, D, W, b = _tiles(-A_log.exp(), extra), _last(D, extra), _last(W_dt.t(), extra).contiguous(), _last(b_dt, extra)
    y, h = _Scan.apply(x, z, s, W, b, A, D, _tiles(h, extra))  # type: ignore[no-untyped-call]
    after = torch.cat([past, u[:, 1 - K :]], dim=1)[:, 1 - K :] if K > 1 else past
    return y[:, :, :E], (after.transpose(1, 2)[:, :E], h.transpose(2, 3).flatten(1, 2)[:, :E])


def _rows(matrix: Tensor, extra: int) -> Tensor:
    """Add rows of zeros."""
    return pad(matrix, (0, 0, 0, extra)) if extra else matrix


def _last(tensor: Tensor, extra: int) -> Tensor:
    """Add zeros to the last axis."""
    return pad(tensor, (0, extra)) if extra else tensor


def _tiles(states: Tensor, extra: int) -> Tensor:
    """Lay out ``[…, E, N]`` as ``[…, P / 16, N, 16]``."""
    tiles = _rows(states, extra).unflatten(-2, (-1, LANES)).transpose(-1, -2)
    return tiles.contiguous()
