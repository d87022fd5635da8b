"""The fused kernel of the LSTM with a single gate for writing and keeping."""

from __future__ import annotations

from typing import Any

from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from suite.kernels import _layout as layout
from suite.kernels._compiled import compiled
from suite.kernels._math import ONE, add_row, sigmoid, tanh
from suite.kernels._product import clear_padding, product
from suite.kernels._vector import LANES, load, store


@compiled
def _forward(a, s, c, WbU, T, B, X, H, P):  # type: ignore[no-untyped-def]
    """Fill in the gates ``a`` (i, g, o) and the states, in ``s`` and in ``c``. ``X`` is the size of (x_t, 1)."""
    row = X + P
    for t in range(T):
        # a_t = W x_t + b + U h_{t−1}
        product(a, s, WbU, t * B * 3 * P, 3 * P, t * B * row, row, B, X + H, 3 * P, 0)
        for n in range(t * B, t * B + B):
            gates, before, after, h = n * 3 * P, n * P, (n + B) * P, (n + B) * row + X
            for j in range(0, P, LANES):
                i, g = sigmoid(load(a, gates + j)), tanh(load(a, gates + P + j))
                o = sigmoid(load(a, gates + 2 * P + j))
                # c_t = (1 − i_t) ⊙ c_{t−1} + i_t ⊙ g_t
                state = (ONE - i) * load(c, before + j) + i * g
                # h_t = o_t ⊙ tanh(c_t)
                store(s, h + j, o * tanh(state))
                store(c, after + j, state)
                store(a, gates + j, i)
                store(a, gates + P + j, g)
                store(a, gates + 2 * P + j, o)


@compiled
def _backward(da, dh, dc, a, c, U, dy, T, B, H, P, dy_step, dy_sequence):  # type: ignore[no-untyped-def]
    """Fill ``da``. ``dh`` and ``dc`` enter as the gradients of the last states and end as those of the first."""
    for t in range(T - 1, -1, -1):
        for n in range(B):
            gates, before, after, d = (t * B + n) * 3 * P, (t * B + n) * P, (t * B + B + n) * P, n * P
            add_row(dh, d, dy, t * dy_step + n * dy_sequence, H)
            for j in range(0, P, LANES):
                i, g, o = load(a, gates + j), load(a, gates + P + j), load(a, gates + 2 * P + j)
                # h_t = o_t ⊙ tanh(c_t)
                squashed, d_hidden = tanh(load(c, after + j)), load(dh, d + j)
                d_state = load(dc, d + j) + d_hidden * o * (ONE - squashed * squashed)
                store(da, gates + 2 * P + j, d_hidden * squashed * o * (ONE - o))
                # c_t = (1 − i_t) ⊙ c_{t−1} + i_t ⊙ g_t
                store(da, gates + j, d_state * (g - load(c, before + j)) * i * (ONE - i))
                store(da, gates + P + j, d_state * i * (ONE - g * g))
                store(dc, d + j, d_state * (ONE - i))
        clear_padding(da, t * B * 3 * P, 3 * P, B, 3, H, P)
        # a_t = … + U h_{t−1}
        product(dh, da, U, 0, P, t * B * 3 * P, 3 * P, B, 3 * P, P, 0)


class _CoupledLSTM(Function):
    """x ``[batch, time, input]``, h, c ``[batch, hidden]``, W, U, b → outputs ``[batch, time, hidden]``, h, c.

    The backward pass needs 5 numbers per unit and step (i, g, o, c, h), and the inputs.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, h: Tensor, c: Tensor, W: Tensor, U: Tensor, b: Tensor) -> tuple[Tensor, ...]:
        (B, T, size), H = x.shape, U.shape[1]
        P, X = layout.padded(H), size + 1
        s, cs, a = layout.rows(x, W, U, h, c), layout.history(c, T), x.new_empty(T, B, 3 * P)
        WbU = layout.pack_forward(3, W, b, U)
        _forward(a, s, cs, WbU, T, B, X, H, P)
        ctx.save_for_backward(a, s, cs, W, U)
        ctx.set_materialize_grads(False)
        return layout.outputs(s, X, H), layout.last(s, X, H), layout.last(cs, 0, H)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_outputs: Tensor | None, dh: Tensor | None, dc: Tensor | None) -> tuple[Any, ...]:
        a, s, cs, W, U = ctx.saved_tensors
        (T, B, _), H, X, P = a.shape, U.shape[1], W.shape[1] + 1, cs.shape[2]
        dy, step, sequence = layout.output_gradient(d_outputs, H, a)
        dh, dc, da = layout.state_gradient(dh, cs, H), layout.state_gradient(dc, cs, H), layout.gate_gradient(a)
        U_back = layout.pack_backward(3, U)
        _backward(da, dh, dc, a, cs, U_back, dy, T, B, H, P, step, sequence)
        dx = layout.input_gradient(da, W, 3) if ctx.needs_input_grad[0] else None
        dW, db, dU = layout.weight_gradients(da, s, 3, X, H)
        return dx, dh[:, :H], dc[:, :H], dW, dU, db


def coupled(
    inputs: Tensor, h: Tensor, c: Tensor, W: Tensor, U: Tensor, b: Tensor
) -> tuple[Tensor, tuple[Tensor, Tensor]]:
    """Compute ``CoupledLSTM.forward``: inputs ``[batch, time, input]`` → outputs ``[batch, time, hidden]``, (h, c)."""
    outputs, h, c = _CoupledLSTM.apply(inputs, h, c, W, U, b)  # type: ignore[no-untyped-call]
    return outputs, (h, c)
