"""The fused kernel of the LSTM with one peephole weight per unit and gate."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from suite.kernels import _layout as layout
from suite.kernels._compiled import compiled
from suite.kernels._math import ONE, add_row, sigmoid, tanh
from suite.kernels._product import clear_padding, product
from suite.kernels._vector import LANES, load, store


@compiled
def _forward(a, s, c, WbU, p, T, B, X, H, P):  # type: ignore[no-untyped-def]
    """Fill in the gates ``a`` (i, f, g, o) and the states, in ``s`` and in ``c``. ``X`` is the size of (x_t, 1)."""
    row = X + P
    for t in range(T):
        # a_t = W x_t + b + U h_{t−1}
        product(a, s, WbU, t * B * 4 * P, 4 * P, t * B * row, row, B, X + H, 4 * P, 0)
        for n in range(t * B, t * B + B):
            gates, h = n * 4 * P, (n + B) * row + X
            for j in range(0, P, LANES):
                before = load(c, n * P + j)
                i = sigmoid(load(a, gates + j) + load(p, j) * before)
                f = sigmoid(load(a, gates + P + j) + load(p, P + j) * before)
                g = tanh(load(a, gates + 2 * P + j))
                # c_t = f_t ⊙ c_{t−1} + i_t ⊙ g_t
                state = f * before + i * g
                # h_t = o_t ⊙ tanh(c_t), where o_t sees c_t
                o = sigmoid(load(a, gates + 3 * P + j) + load(p, 2 * P + j) * state)
                store(s, h + j, o * tanh(state))
                store(c, (n + B) * P + j, state)
                store(a, gates + j, i)
                store(a, gates + P + j, f)
                store(a, gates + 2 * P + j, g)
                store(a, gates + 3 * P + j, o)


@compiled
def _backward(da, dp, dh, dc, a, c, U, p, dy, T, B, H, P, dy_step, dy_sequence):  # type: ignore[no-untyped-def]
    """Fill ``da`` and add to ``dp``. ``dh`` and ``dc`` enter as gradients of the last states and end as the first's."""
    for t in range(T - 1, -1, -1):
        for n in range(B):
            gates, before_at, after_at, d = (t * B + n) * 4 * P, (t * B + n) * P, (t * B + B + n) * P, n * P
            add_row(dh, d, dy, t * dy_step + n * dy_sequence, H)
            for j in range(0, P, LANES):
                i, f = load(a, gates + j), load(a, gates + P + j)
                g, o = load(a, gates + 2 * P + j), load(a, gates + 3 * P + j)
                before, state, d_hidden = load(c, before_at + j), load(c, after_at + j), load(dh, d + j)
                # h_t = o_t ⊙ tanh(c_t), where o_t sees c_t
                squashed = tanh(state)
                da_o = d_hidden * squashed * o * (ONE - o)
                d_state = load(dc, d + j) + d_hidden * o * (ONE - squashed * squashed) + da_o * load(p, 2 * P + j)
                # c_t = f_t ⊙ c_{t−1} + i_t ⊙ g_t
                da_i = d_state * g * i * (ONE - i)
                da_f = d_state * before * f * (ONE - f)
                store(da, gates + j, da_i)
                store(da, gates + P + j, da_f)
                store(da, gates + 2 * P + j, d_state * i * (ONE - g * g))
                store(da, gates + 3 * P + j, da_o)
                store(dc, d + j, d_state * f + da_i * load(p, j) + da_f * load(p, P + j))
                store(dp, j, load(dp, j) + da_i * before)
                store(dp, P + j, load(dp, P + j) + da_f * before)
                store(dp, 2 * P + j, load(dp, 2 * P + j) + da_o * state)
        clear_padding(da, t * B * 4 * P, 4 * P, B, 4, H, P)
        # a_t = … + U h_{t−1}
        product(dh, da, U, 0, P, t * B * 4 * P, 4 * P, B, 4 * P, P, 0)


class _DiagonalPeephole(Function):
    """x ``[batch, time, input]``, h, c ``[batch, hidden]``, W, U, P, b → outputs ``[batch, time, hidden]``, h, c.

    The backward pass needs 6 numbers per unit and step (i, f, g, o, c, h), and the inputs.
    """

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, h: Tensor, c: Tensor, W: Tensor, U: Tensor, peep: Tensor, b: Tensor
    ) -> tuple[Tensor, ...]:
        (B, T, size), H = x.shape, U.shape[1]
        P, X = layout.padded(H), size + 1
        s, cs, a = layout.rows(x, W, U, h, c), layout.history(c, T), x.new_empty(T, B, 4 * P)
        WbU, p = layout.pack_forward(4, W, b, U), layout.history(peep, 0)[0]
        _forward(a, s, cs, WbU, p, T, B, X, H, P)
        ctx.save_for_backward(a, s, cs, W, U, p)
        ctx.set_materialize_grads(False)
        return layout.outputs(s, X, H), layout.last(s, X, H), layout.last(cs, 0, H)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_outputs: Tensor | None, dh: Tensor | None, dc: Tensor | None) -> tuple[Any, ...]:
        a, s, cs, W, U, p = ctx.saved_tensors
        (T, B, _), H, X, P = a.shape, U.shape[1], W.shape[1] + 1, cs.shape[2]
        dy, step, sequence = layout.output_gradient(d_outputs, H, a)
        dh, dc, da = layout.state_gradient(dh, cs, H), layout.state_gradient(dc, cs, H), layout.gate_gradient(a)
        U_back, dp = layout.pack_backward(4, U), torch.zeros_like(p)
        _backward(da, dp, dh, dc, a, cs, U_back, p, dy, T, B, H, P, step, sequence)
        dx = layout.input_gradient(da, W, 4) if ctx.needs_input_grad[0] else None
        dW, db, dU = layout.weight_gradients(da, s, 4, X, H)
        return dx, dh[:, :H], dc[:, :H], dW, dU, dp[:, :H], db


def peephole_diagonal(
    inputs: Tensor, h: Tensor, c: Tensor, W: Tensor, U: Tensor, P: Tensor, b: Tensor
) -> tuple[Tensor, tuple[Tensor, Tensor]]:
    """Compute the diagonal ``PeepholeLSTM.forward``: ``[batch, time, input]`` → ``[batch, time, hidden]``, (h, c)."""
    outputs, h, c = _DiagonalPeephole.apply(inputs, h, c, W, U, P, b)  # type: ignore[no-untyped-call]
    return outputs, (h, c)
