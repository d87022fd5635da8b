"""The fused kernel of the LSTM whose gates see the whole cell state."""

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
def _forward(a, s, c, WbU, P_if, P_o, T, B, X, H, P):  # type: ignore[no-untyped-def]
    """Fill in the gates ``a`` (i, f, g, o) and the states, in ``s`` and in ``c``. ``X`` is the size of (x_t, 1)."""
    row = X + P
    for t in range(T):
        # a_t = W x_t + b + U h_{t−1}, and + P c_{t−1} for i, f and o
        a_t, c_t = t * B * 4 * P, t * B * P
        product(a, s, WbU, a_t, 4 * P, t * B * row, row, B, X + H, 4 * P, 0)
        product(a, c, P_if, a_t, 4 * P, c_t, P, B, H, 2 * P, 1)
        product(a, c, P_o, a_t + 3 * P, 4 * P, c_t, P, B, H, P, 1)
        for n in range(t * B, t * B + B):
            gates, before, after, h = n * 4 * P, n * P, (n + B) * P, (n + B) * row + X
            for j in range(0, P, LANES):
                i, f = sigmoid(load(a, gates + j)), sigmoid(load(a, gates + P + j))
                g, o = tanh(load(a, gates + 2 * P + j)), sigmoid(load(a, gates + 3 * P + j))
                # c_t = f_t ⊙ c_{t−1} + i_t ⊙ g_t
                state = f * load(c, before + j) + i * g
                # h_t = o_t ⊙ tanh(c_t)
                store(s, h + j, o * tanh(state))
                store(c, after + j, state)
                store(a, gates + j, i)
                store(a, gates + P + j, f)
                store(a, gates + 2 * P + j, g)
                store(a, gates + 3 * P + j, o)


@compiled
def _backward(da, dh, dc, a, c, U, P_if, P_o, dy, T, B, H, P, dy_step, dy_sequence):  # type: ignore[no-untyped-def]
    """Fill ``da``. ``dh`` and ``dc`` enter as the gradients of the last states and end as those of the first."""
    for t in range(T - 1, -1, -1):
        for n in range(B):
            gates, before, after, d = (t * B + n) * 4 * P, (t * B + n) * P, (t * B + B + n) * P, n * P
            add_row(dh, d, dy, t * dy_step + n * dy_sequence, H)
            for j in range(0, P, LANES):
                i, f = load(a, gates + j), load(a, gates + P + j)
                g, o = load(a, gates + 2 * P + j), load(a, gates + 3 * P + j)
                # h_t = o_t ⊙ tanh(c_t)
                squashed, d_hidden = tanh(load(c, after + j)), load(dh, d + j)
                d_state = load(dc, d + j) + d_hidden * o * (ONE - squashed * squashed)
                store(da, gates + 3 * P + j, d_hidden * squashed * o * (ONE - o))
                # c_t = f_t ⊙ c_{t−1} + i_t ⊙ g_t
                store(da, gates + j, d_state * g * i * (ONE - i))
                store(da, gates + P + j, d_state * load(c, before + j) * f * (ONE - f))
                store(da, gates + 2 * P + j, d_state * i * (ONE - g * g))
                store(dc, d + j, d_state * f)
        a_t = t * B * 4 * P
        clear_padding(da, a_t, 4 * P, B, 4, H, P)
        # a_t = … + U h_{t−1}, and … + P c_{t−1} for i, f and o
        product(dh, da, U, 0, P, a_t, 4 * P, B, 4 * P, P, 0)
        product(dc, da, P_if, 0, P, a_t, 4 * P, B, 2 * P, P, 1)
        product(dc, da, P_o, 0, P, a_t + 3 * P, 4 * P, B, P, P, 1)


class _FullPeephole(Function):
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
        WbU = layout.pack_forward(4, W, b, U)
        P_if, P_o = layout.pack_forward(2, peep[: 2 * H]), layout.pack_forward(1, peep[2 * H :])
        _forward(a, s, cs, WbU, P_if, P_o, T, B, X, H, P)
        ctx.save_for_backward(a, s, cs, W, U, peep)
        ctx.set_materialize_grads(False)
        return layout.outputs(s, X, H), layout.last(s, X, H), layout.last(cs, 0, H)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_outputs: Tensor | None, dh: Tensor | None, dc: Tensor | None) -> tuple[Any, ...]:
        a, s, cs, W, U, peep = ctx.saved_tensors
        (T, B, _), H, X, P = a.shape, U.shape[1], W.shape[1] + 1, cs.shape[2]
        dy, step, sequence = layout.output_gradient(d_outputs, H, a)
        dh, dc, da = layout.state_gradient(dh, cs, H), layout.state_gradient(dc, cs, H), layout.gate_gradient(a)
        U_back = layout.pack_backward(4, U)
        P_if, P_o = layout.pack_backward(2, peep[: 2 * H]), layout.pack_backward(1, peep[2 * H :])
        _backward(da, dh, dc, a, cs, U_back, P_if, P_o, dy, T, B, H, P, step, sequence)
        dx = layout.input_gradient(da, W, 4) if ctx.needs_input_grad[0] else None
        dW, db, dU = layout.weight_gradients(da, s, 4, X, H)
        dP_if = layout.weight_gradient(da[:, :, : 2 * P], cs[:-1], 2, H)
        dP_o = layout.weight_gradient(da[:, :, 3 * P :], cs[:-1], 1, H)
        return dx, dh[:, :H], dc[:, :H], dW, dU, torch.cat([dP_if, dP_o])[:, :H], db


def peephole_full(
    inputs: Tensor, h: Tensor, c: Tensor, W: Tensor, U: Tensor, P: Tensor, b: Tensor
) -> tuple[Tensor, tuple[Tensor, Tensor]]:
    """Compute the full ``PeepholeLSTM.forward``: ``[batch, time, input]`` → ``[batch, time, hidden]``, (h, c)."""
    outputs, h, c = _FullPeephole.apply(inputs, h, c, W, U, P, b)  # type: ignore[no-untyped-call]
    return outputs, (h, c)
