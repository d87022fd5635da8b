"""The fused kernel of the real-gated linear recurrent unit."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numba import njit
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable
from torch.nn.functional import pad, softplus

from suite.kernels import _layout as layout
from suite.kernels._compiled import compiled
from suite.kernels._math import HALF, ONE, TWO, ZERO, exp, sigmoid
from suite.kernels._product import matmul
from suite.kernels._vector import (
    LANES,
    load,
    load_part,
    numbers,
    prefetch,
    square_root,
    store,
    store_part,
    where_at_least,
)

BLOCK = 128
"""The number of steps whose gates are computed, and used, while they are in the cache."""

# 1 − e^y = −y (1 + y/2 (1 + y/3 (1 + …))) to a relative 2e-7 for −½ ≤ y ≤ 0, where the difference would lose digits.
THIRD, FOURTH, FIFTH, SIXTH, SEVENTH = (np.float32(1 / n) for n in range(3, 8))
LEAST_ROOT = np.float32(5e-4)  # The slope of √q is 1/(2 √q), and at most 1000.


@njit  # type: ignore[untyped-decorator]
def _decay(log_a: Any) -> Any:
    """Return a and √(1 − a²)."""
    a, y = exp(log_a), TWO * log_a
    series = ONE + y * FOURTH * (ONE + y * FIFTH * (ONE + y * SIXTH * (ONE + y * SEVENTH)))
    series = ZERO - y * (ONE + y * HALF * (ONE + y * THIRD * series))
    return a, square_root(where_at_least(y, ZERO - HALF, series, ONE - a * a))


@compiled
def _forward(y, a, u, x, h, started, W, G, b, rate, B, T, X, S, P, D, E, heads):  # type: ignore[no-untyped-def]
    """Fill in the states ``y`` and the gates ``a`` (r, i), and the inputs ``u`` = W x where there is a W."""
    M, beginning = B * T, numbers(started)
    for first in range(0, M, BLOCK):
        rows = min(BLOCK, M - first)
        if X:
            matmul(u, first * S, S, x, first * X, X, 1, W, 0, P, rows, X, P, 0)
        for head in range(heads):
            for gate in range(2):
                to, of_G = first * 2 * P + gate * P + head * D, (gate * heads + head) * D * E
                matmul(a, to, 2 * P, u, first * S + head * D, S, 1, G, of_G, E, rows, D, E if heads == 1 else D, 0)
        for m in range(first, first + rows):
            n = m // T
            before, before_at = (h, n * P) if m == n * T else (y, m * P - P)
            is_first = m == n * T and beginning[n] <= 0
            for j in range(0, P, LANES):
                at = m * 2 * P + j
                prefetch(a, at + BLOCK * 2 * P)
                prefetch(a, at + BLOCK * 2 * P + P)
                prefetch(u, (m + BLOCK) * S + j)
                prefetch(y, (m + BLOCK) * P + j)
                # r_t = σ(W_r u_t + b_r),  i_t = σ(W_i u_t + b_i)
                r, i = sigmoid(load(a, at) + load(b, j)), sigmoid(load(a, at + P) + load(b, P + j))
                store(a, at, r)
                store(a, at + P, i)
                # h_t = a_t ⊙ h_{t−1} + √(1 − a_t²) ⊙ i_t ⊙ u_t,  log a_t = −8 softplus(Λ) ⊙ r_t
                decay, root = _decay(load(rate, j) * r)
                driven = i * load_part(u, m * S + j, S - j)
                if not is_first:
                    driven = root * driven
                store(y, m * P + j, decay * load(before, before_at + j) + driven)


@compiled
def _backward(  # type: ignore[no-untyped-def]
    dx, dW, dG, db, d_rate, dh, da, du, y, a, u, x, h, started, W, G, rate, dy,
    B, T, X, S, H, P, D, E, heads, dy_step, dy_sequence, wants_dx,
):  # fmt: skip
    """Add to ``dW``, ``dG``, ``db`` and ``d_rate``, and fill ``dx``. ``da`` and ``du`` have room for a block.

    ``dh`` enters as the gradient of the last state and ends as that of the first.
    """
    M, beginning = B * T, numbers(started)
    for first in range((M - 1) // BLOCK * BLOCK, -1, -BLOCK):
        rows = min(BLOCK, M - first)
        for row in range(rows - 1, -1, -1):
            m = first + row
            n = m // T
            before, before_at = (h, n * P) if m == n * T else (y, m * P - P)
            is_first = m == n * T and beginning[n] <= 0
            for j in range(0, P, LANES):
                at, to = m * 2 * P + j, row * 2 * P + j
                prefetch(a, at - BLOCK * 2 * P)
                prefetch(a, at - BLOCK * 2 * P + P)
                prefetch(u, (m - BLOCK) * S + j)
                prefetch(y, (m - BLOCK) * P + j)
                prefetch(dy, (m - n * T - BLOCK) * dy_step + n * dy_sequence + j)
                r, i, v = load(a, at), load(a, at + P), load_part(u, m * S + j, S - j)
                d = load(dh, n * P + j) + load_part(dy, (m - n * T) * dy_step + n * dy_sequence + j, H - j)
                # h_t = a_t ⊙ h_{t−1} + √(1 − a_t²) ⊙ i_t ⊙ u_t
                decay, root = _decay(load(rate, j) * r)
                store(dh, n * P + j, d * decay)
                d_log = d * decay * load(before, before_at + j)
                if is_first:
                    root = where_at_least(r, r, ONE, ONE)
                else:
                    bounded = where_at_least(root, LEAST_ROOT, root, LEAST_ROOT)
                    d_log = d_log - d * i * v * (decay * decay / bounded)
                d_driven = d * root
                store(du, row * P + j, d_driven * i)
                store(da, to + P, d_driven * v * (i * (ONE - i)))
                # log a_t = −8 softplus(Λ) ⊙ r_t
                store(da, to, d_log * load(rate, j) * (r * (ONE - r)))
                store(d_rate, j, load(d_rate, j) + d_log * r)
        for j in range(0, 2 * P, LANES):
            total = load(db, j)
            for row in range(rows):
                total = total + load(da, row * 2 * P + j)
            store(db, j, total)
        for head in range(heads):
            for gate in range(2):
                of_a, of_G = gate * P + head * D, (gate * heads + head) * D * E
                matmul(
                    dG,
                    of_G,
                    E,
                    da,
                    of_a,
                    1,
                    2 * P,
                    u,
                    first * S + head * D,
                    S,
                    D,
                    rows,
                    E if heads == 1 and X else D,
                    1,
                )
                if X or wants_dx:
                    matmul(du, head * D, P, da, of_a, 2 * P, 1, G, of_G, E, rows, D, E if heads == 1 else D, 1)
        if X:
            matmul(dW, 0, X, du, 0, 1, P, x, first * X, X, H, rows, X, 1)
            if wants_dx:
                matmul(dx, first * X, X, du, 0, P, 1, W, 0, X, rows, H, X, 0)
        elif wants_dx:
            for row in range(rows):
                for j in range(0, H, LANES):
                    store_part(dx, (first + row) * H + j, H - j, load(du, row * P + j))


class _RGLRU(Function):
    """x ``[batch, time, input]``, h, started ``[batch, 1]``, the parameters → the states ``[batch, time, hidden]``, h.

    The backward pass needs 3 numbers per unit and step (r, i, h), and the inputs. If there is a W, it needs W x too.
    """

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, h: Tensor, started: Tensor, G: Tensor, b: Tensor, Lambda: Tensor, W: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        (B, T, X), H, (_, heads, D, _) = x.shape, h.shape[1], G.shape
        P, E = layout.padded(H), layout.padded(D)
        extra, x = P - H, x.contiguous()
        a, y = x.new_empty(B, T, 2 * P), x.new_empty(B, T, P)
        u = x if W is None else x.new_empty(B, T, P)
        first, started, b = pad(h, (0, extra)), started.contiguous(), pad(b, (0, extra)).contiguous()
        rate = pad(-8 * softplus(Lambda), (0, extra))
        rows_of_G = pad(G.transpose(2, 3), (0, E - D)).contiguous()
        rows_of_W = x if W is None else pad(W.t(), (0, extra)).contiguous()
        X = 0 if W is None else X
        S = P if X else H
        _forward(y, a, u, x, first, started, rows_of_W, rows_of_G, b, rate, B, T, X, S, P, D, E, heads)
        ctx.save_for_backward(a, x, u, y, first, started, G, Lambda, rate, W)
        ctx.set_materialize_grads(False)
        return y[:, :, :H], y[:, -1, :H].clone()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_outputs: Tensor | None, d_last: Tensor | None) -> tuple[Tensor | None, ...]:
        a, x, u, y, h, started, G, Lambda, rate, W = ctx.saved_tensors
        (B, T, X), H, (_, heads, D, _), P = x.shape, len(Lambda), G.shape, h.shape[1]
        E = layout.padded(D)
        dy, step, sequence = layout.output_gradient(d_outputs, H, x)
        dh = torch.zeros_like(h)
        if d_last is not None:
            dh[:, :H] = d_last
        dx = torch.empty_like(x) if ctx.needs_input_grad[0] else None
        dW = None if W is None else torch.zeros_like(W)
        G_padded, db, d_rate = pad(G, (0, E - D)).contiguous(), x.new_zeros(2, P), x.new_zeros(P)
        dG, da, du = torch.zeros_like(G_padded), x.new_empty(BLOCK, 2 * P), x.new_empty(BLOCK, P)
        X = 0 if W is None else X
        S = P if X else H
        _backward(
            x if dx is None else dx, x if dW is None else dW, dG, db, d_rate, dh, da, du, y, a, u, x, h, started,
            x if W is None else W, G_padded, rate, dy, B, T, X, S, H, P, D, E, heads, step, sequence, dx is not None,
        )  # fmt: skip
        d_Lambda = -8 * torch.sigmoid(Lambda) * d_rate[:H]
        return dx, dh[:, :H], None, dG[..., :D], db[:, :H], d_Lambda, dW


def rg_lru(
    inputs: Tensor, h: Tensor, started: Tensor, G: Tensor, b: Tensor, Lambda: Tensor, W: Tensor | None
) -> tuple[Tensor, Tensor]:
    """Compute the states ``[batch, time, hidden]`` and the last one from inputs ``[batch, time, input]``."""
    hidden = len(Lambda)
    layout.check_sizes(inputs, hidden if W is None else W.shape[1], [h], hidden)
    layout.check_sizes(inputs, inputs.shape[2], [started], 1)
    outputs, last = _RGLRU.apply(inputs, h, started, G, b, Lambda, W)  # type: ignore[no-untyped-call]
    return outputs, last
