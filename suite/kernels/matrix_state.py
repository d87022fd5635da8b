"""The fused kernel of states that are matrices: S ← αS + β k vᵀ, or by the delta rule S ← αS + β k (v − αSᵀk)ᵀ.

The state of a head is a matrix ``[d_k, d_v]`` of a few thousand bytes, so one head of one sequence after the other goes
through all steps, and its state stays in the cache. Vectors run over d_v where a sum over d_k is wanted, and over d_k
where a sum over d_v is, so no loop adds up the numbers of a vector. The backward pass therefore keeps its gradient dS
both ways, and it first computes the states of a segment of steps once more, with vectors over d_k.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Protocol

import numpy as np
import torch
from numba import njit
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable
from torch.nn.functional import linear

from suite.kernels import _layout as layout
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
def _forward(  # type: ignore[no-untyped-def]
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
def _backward(  # type: ignore[no-untyped-def]
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


class Convolution(Protocol):
    """What a kernel has between W x and q, k, v."""

    def forward(self, u: Tensor, weights: Tensor) -> Tensor:
        """Return q, k and v ``[batch, time, channels]`` from W x, which begins with what precedes the first step."""

    def backward(self, d: Tensor, u: Tensor, weights: Tensor, d_weights: Tensor) -> Tensor:
        """Return the gradient of W x from that of q, k and v, and add that of the weights to ``d_weights``."""


class MatrixState(Function):
    """x ``[batch, time, input]``, W ``[3·heads·d, input]``, S ``[batch, heads, d, d]``, … → outputs, S and a window.

    The backward pass needs 3 numbers per unit and step (W x), every 32nd state and the inputs, and the delta rule 1
    number more (r). Both passes go through the batch in blocks whose q, k and v stay in the cache.
    """

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        W: Tensor,
        S: Tensor,
        log_alpha: Tensor | None,
        beta: Tensor | None,
        before: Tensor | None,
        weights: Tensor | None,
        convolution: Convolution | None,
    ) -> tuple[Tensor | None, ...]:
        (B, T, _), (_, H, D, V) = x.shape, S.shape
        P, width, one = layout.padded(D), layout.padded(V), S.new_ones(1)
        x, states = x.contiguous(), S.new_zeros(B, H, P, width)
        states[:, :, :D, :V] = S
        o, kept = x.new_empty(B, T, H * V), x.new_empty(B, H, -(-T // SEGMENT), P, width)
        r = torch.empty_like(o) if convolution else one
        alpha = one if log_alpha is None else log_alpha.exp().contiguous()
        beta = one if beta is None else beta.contiguous()
        per_head = 0 if log_alpha is None else alpha.shape[-1] // H
        a_strides = per_head * H if alpha.dim() == 3 else 0, per_head, int(per_head > 1)
        b_strides = (H, 1) if beta.dim() == 3 else (0, 0)
        ctx.sizes = (T, H, D, V, P, width, len(W), *a_strides, *b_strides, convolution is not None)
        window = 0 if before is None else before.shape[1]
        u, room = x.new_empty(B, window + T, len(W)), x.new_zeros(3 * P + width)
        if before is not None:
            u[:, :window] = before
        for block in _blocks(B, T):
            if window:
                u[block, window:] = linear(x[block], W)
            else:
                torch.mm(x[block].flatten(0, 1), W.t(), out=u[block].flatten(0, 1))
            q_k_v = convolution.forward(u[block], weights) if convolution and weights is not None else u[block]
            parts, gates = _parts((o, r, states, kept), block), _parts((alpha, beta), block)
            _forward(*parts, q_k_v, *gates, room, len(q_k_v), *ctx.sizes)
        ctx.save_for_backward(x, W, u, r, kept, alpha, beta, weights)
        ctx.set_materialize_grads(False)
        ctx.convolution, ctx.window = convolution, window
        return o, states[:, :, :D, :V].clone(), u[:, T:].clone() if before is not None else None

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, do: Tensor | None, dS: Tensor | None, d_window: Tensor | None) -> tuple[Any, ...]:
        x, W, u, r, kept, alpha, beta, weights = ctx.saved_tensors
        B, (T, H, D, V, P, width, *_), convolution, window = len(x), ctx.sizes, ctx.convolution, ctx.window
        d_states = x.new_zeros(B, H, P, width)
        if dS is not None:
            d_states[:, :, :D, :V] = dS
        do = x.new_zeros(B, T, H * V) if do is None else do.contiguous()
        dW, dalpha, dbeta = torch.zeros_like(W), torch.empty_like(alpha), torch.empty_like(beta)
        dx = torch.empty_like(x) if ctx.needs_input_grad[0] else None
        d_before, d_weights = x.new_empty(B, window, len(W)), None if weights is None else torch.zeros_like(weights)
        du = u if convolution else layout.gate_gradient(u)
        room = x.new_zeros((4 * P + 3 * width) * SEGMENT + P * width * (SEGMENT + 2))
        for block in _blocks(B, T):
            q_k_v = convolution.forward(u[block], weights) if convolution else u[block]
            d = q_k_v if convolution else du[block]
            parts, gates = _parts((dalpha, dbeta, d_states, do, r, kept), block), _parts((alpha, beta), block)
            _backward(d, *parts, q_k_v, *gates, room, len(q_k_v), *ctx.sizes, ctx.needs_input_grad[3])
            if convolution:
                d = convolution.backward(d, u[block], weights, d_weights)
                if d_window is not None:
                    d[:, T:] += d_window[block]
                d_before[block], d = d[:, :window], d[:, window:]
            flat = d.flatten(0, 1)
            dW.addmm_(flat.t(), x[block].flatten(0, 1))
            if dx is not None:
                torch.mm(flat, W, out=dx[block].flatten(0, 1))
        gradients = dx, dW, d_states[:, :, :D, :V], dalpha, dbeta, d_before, d_weights
        return *(d if need else None for d, need in zip(gradients, ctx.needs_input_grad, strict=False)), None


def _blocks(batch: int, time: int) -> Iterator[slice]:
    """Yield parts of a batch of about 1024 steps each."""
    rows = max(1, 1024 // time)
    return (slice(start, min(start + rows, batch)) for start in range(0, batch, rows))


def _parts(tensors: Sequence[Tensor], block: slice) -> list[Tensor]:
    """Return what belongs to a block of the batch. A constant, which has one dimension, belongs to all."""
    return [tensor[block] if tensor.dim() > 1 else tensor for tensor in tensors]


def matrix_state(
    x: Tensor, W: Tensor, S: Tensor, log_alpha: Tensor | None = None, beta: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Return the outputs Sᵀq of all heads and the last state of S ← αS + β k vᵀ, where q, k and v are parts of W x.

    Args:
        x: ``[batch, time, input]``.
        W: the rows of q of all heads, of k and of v, ``[3·heads·d, input]``.
        S: the first state, ``[batch, heads, d, d]``, or ``[batch, heads, d, d + 1]`` where each v ends in a 1.
        log_alpha: log α, ``[batch, time, heads]`` or ``[batch, time, heads·d]``, or a constant ``[heads]``, of which
            there is no gradient. None means that α is 1.
        beta: β, ``[batch, time, heads]``. None means that β is 1.

    Raises:
        RuntimeError: if the sizes do not fit. Compiled code checks none.
    """
    check_sizes(x, W, S, log_alpha, beta)
    outputs, S, _ = MatrixState.apply(x, W, S, log_alpha, beta, None, None, None)  # type: ignore[no-untyped-call]
    return outputs, S


def check_sizes(x: Tensor, W: Tensor, S: Tensor, *gates: Tensor | None) -> None:
    """Compare the sizes of all that a kernel is given.

    Raises:
        RuntimeError: if they do not fit.
    """
    (batch, time, size), (rows, heads, d, d_v) = x.shape, S.shape
    shapes = [tuple(gate.shape) for gate in gates if gate is not None]
    accepted = (heads,), (batch, time, heads), (batch, time, heads * d)
    if (
        rows != batch
        or W.shape != (3 * heads * d, size)
        or d_v not in (d, d + 1)
        or any(shape not in accepted for shape in shapes)
    ):
        raise RuntimeError(
            f"with weights of {list(W.shape)}, inputs must be [batch, time, {W.shape[1]}], states [batch, heads, d, d] "
            f"where 3·heads·d is {len(W)}, and gates [batch, time, heads] or [batch, time, heads·d]; got "
            f"{list(x.shape)}, {list(S.shape)} and {', '.join(str(list(shape)) for shape in shapes) or 'none'}"
        )
