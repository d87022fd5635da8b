"""The fused kernel of minGRU and minLSTM, whose gates and candidates know the inputs alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numba import njit
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable
from torch.nn.functional import pad

from suite.kernels import _layout as layout
from suite.kernels._compiled import compiled
from suite.kernels._math import HALF, ONE, TWO, ZERO, exp, sigmoid
from suite.kernels._product import matmul
from suite.kernels._vector import LANES, load, load_part, prefetch, store, where_at_least

BLOCK = 128
"""The number of steps whose gates are computed, and used, while they are in the cache."""

# Where both gates of a minLSTM are below SMALL, only their ratio counts, and the inputs of both are shifted up. A gate
# whose input is then below −LARGE is closed. So no e^−a can overflow.
SMALL, LARGE, CLOSED = np.float32(-30), np.float32(80), np.float32(1e34)


@njit  # type: ignore[untyped-decorator]
def _odds(f: Any, i: Any) -> Any:
    """Return v = (1 − f) / f = e^−a_f and w = (1 − i) / i = e^−a_i from the inputs a of the two gates of a minLSTM."""
    shift = SMALL - where_at_least(f, i, f, i)
    shift = where_at_least(shift, ZERO, shift, ZERO)
    v, w = ZERO - (f + shift), ZERO - (i + shift)
    return exp(where_at_least(v, LARGE, LARGE, v)), exp(where_at_least(w, LARGE, LARGE, w))


@njit  # type: ignore[untyped-decorator]
def _shares(v: Any, w: Any) -> Any:
    """Return f / (f + i) = (1 + w) / (2 + v + w), i / (f + i) = (1 + v) / (2 + v + w), and 1 / (2 + v + w)."""
    scale = ONE / (TWO + v + w)
    keep, write = (ONE + w) * scale, (ONE + v) * scale
    return where_at_least(v, CLOSED, ZERO, keep), where_at_least(w, CLOSED, ZERO, write), scale


@compiled
def _forward(y, a, x, h, W, b, B, T, X, P, lstm):  # type: ignore[no-untyped-def]
    """Fill in the states ``y`` and ``a``, which keeps z and g(u), or in a minLSTM v, w and g(u) (see `_odds`)."""
    G, M = (3 * P if lstm else 2 * P), B * T
    for first in range(0, M, BLOCK):
        end = min(first + BLOCK, M)
        matmul(a, first * G, G, x, first * X, X, 1, W, 0, G, end - first, X, G, 0)
        for m in range(first, end):
            n, gates, after = m // T, m * G, m * P
            before, before_at = (h, n * P) if m == n * T else (y, after - P)
            for j in range(0, P, LANES):
                at = gates + j
                for gate in range(0, G, P):
                    prefetch(a, at + BLOCK * G + gate)
                prefetch(y, after + BLOCK * P + j)
                u = load(a, at + G - P) + load(b, G - P + j)
                # g(u) = u + ½ where u ≥ 0, and σ(u) elsewhere
                g = where_at_least(u, ZERO, u + HALF, sigmoid(u))
                z = load(a, at) + load(b, j)
                if lstm:
                    v, w = _odds(z, load(a, at + P) + load(b, P + j))
                    keep, write, _ = _shares(v, w)
                    store(a, at, v)
                    store(a, at + P, w)
                else:
                    write = sigmoid(z)
                    keep = ONE - write
                    store(a, at, write)
                # h_t = (1 − z_t) ⊙ h_{t−1} + z_t ⊙ g(u_t)
                store(y, after + j, keep * load(before, before_at + j) + write * g)
                store(a, at + G - P, g)


@compiled
def _backward(dx, dW, db, da, dh, a, x, y, h, W, dy, B, T, X, H, P, lstm, dy_step, dy_sequence, wants_dx):  # type: ignore[no-untyped-def]
    """Add to ``dW`` and ``db``, and fill ``dx``. ``da`` has room for the gates of a block.

    ``dh`` enters as the gradient of the last state and ends as that of the first.
    """
    G, M = (3 * P if lstm else 2 * P), B * T
    for first in range((M - 1) // BLOCK * BLOCK, -1, -BLOCK):
        end = min(first + BLOCK, M)
        for m in range(end - 1, first - 1, -1):
            n, gates, d_gates = m // T, m * G, (m - first) * G
            d_y = (m - n * T) * dy_step + n * dy_sequence
            before, before_at = (h, n * P) if m == n * T else (y, m * P - P)
            for j in range(0, P, LANES):
                at = gates + j
                for gate in range(0, G, P):
                    prefetch(a, at - BLOCK * G + gate)
                prefetch(y, (m - BLOCK) * P + j)
                prefetch(dy, d_y - BLOCK * dy_step + j)
                g = load(a, at + G - P)
                d = load(dh, n * P + j) + load_part(dy, d_y + j, H - j)
                # h_t = (1 − z_t) ⊙ h_{t−1} + z_t ⊙ g(u_t)
                z = load(a, at)
                d_z = d * (g - load(before, before_at + j))
                if lstm:
                    v, w = z, load(a, at + P)
                    keep, write, scale = _shares(v, w)
                    d_f, d_i = ZERO - d_z * keep * (v * scale), d_z * write * (w * scale)
                    store(da, d_gates + j, d_f)
                    store(da, d_gates + P + j, d_i)
                else:
                    keep, write = ONE - z, z
                    store(da, d_gates + j, d_z * (z * keep))
                # g′(u) = 1 where u ≥ 0, and g (1 − g) elsewhere
                d_u = d * write * where_at_least(g, HALF, ONE, g * (ONE - g))
                store(da, d_gates + G - P + j, d_u)
                store(dh, n * P + j, d * keep)
        for j in range(0, G, LANES):
            total = load(db, j)
            for m in range(end - first):
                total = total + load(da, m * G + j)
            store(db, j, total)
        for gate in range(G // P):
            matmul(dW, gate * H * X, X, da, gate * P, 1, G, x, first * X, X, H, end - first, X, 1)
            if wants_dx:
                matmul(dx, first * X, X, da, gate * P, G, 1, W, gate * H * X, X, end - first, H, X, gate)


class _Minimal(Function):
    """x ``[batch, time, input]``, h ``[batch, hidden]``, W, b → the states ``[batch, time, hidden]``, the last state.

    The backward pass needs 3 numbers per unit and step in a minGRU (z, g, h) and 4 in a minLSTM, and the inputs.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, h: Tensor, W: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
        (B, T, X), H, gates = x.shape, h.shape[1], len(W) // h.shape[1]
        P = layout.padded(H)
        x = x.contiguous()
        a, y, first = x.new_empty(B, T, gates * P), x.new_empty(B, T, P), pad(h, (0, P - H))
        W_padded = W.new_zeros(X, gates, P)
        W_padded[:, :, :H] = W.view(gates, H, X).permute(2, 0, 1)
        b = pad(b.view(gates, H), (0, P - H)).contiguous()
        _forward(y, a, x, first, W_padded, b, B, T, X, P, gates > 2)
        ctx.save_for_backward(a, x, y, first, W)
        ctx.set_materialize_grads(False)
        return y[:, :, :H], y[:, -1, :H].clone()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_outputs: Tensor | None, d_last: Tensor | None) -> tuple[Tensor | None, ...]:
        a, x, y, h, W = ctx.saved_tensors
        (B, T, X), P = x.shape, h.shape[1]
        gates = a.shape[2] // P
        H = len(W) // gates
        dy, step, sequence = layout.output_gradient(d_outputs, H, a)
        dh = h.new_zeros(B, P)
        if d_last is not None:
            dh[:, :H] = d_last
        dx = torch.empty_like(x) if ctx.needs_input_grad[0] else None
        dW, db, da = torch.zeros_like(W), W.new_zeros(gates, P), W.new_empty(BLOCK, gates * P)
        wanted = int(dx is not None)
        _backward(
            x if dx is None else dx, dW, db, da, dh, a, x, y, h, W, dy, B, T, X, H, P, gates > 2, step, sequence, wanted
        )
        return dx, dh[:, :H], dW, db[:, :H].flatten()


def minimal(inputs: Tensor, h: Tensor, W: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """Compute the states ``[batch, time, hidden]`` and the last one from inputs ``[batch, time, input]``."""
    layout.check_sizes(inputs, W.shape[1], [h], h.shape[-1])
    outputs, last = _Minimal.apply(inputs, h, W, b)  # type: ignore[no-untyped-call]
    return outputs, last
