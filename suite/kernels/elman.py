"""The fused kernel of the plain recurrent net with tanh, ReLU or modReLU."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable
from torch.nn.functional import pad

from suite.kernels import _layout as layout
from suite.kernels._compiled import compiled
from suite.kernels._math import ONE, ZERO, add_row, tanh
from suite.kernels._product import clear_padding, product
from suite.kernels._vector import LANES, load, store, where_at_least

TANH, RELU, MODRELU = range(3)


@compiled
def _forward(s, WbU, beta, T, B, X, H, P, phi):  # type: ignore[no-untyped-def]
    """Fill in the states of the rows ``s``, which hold x_t, 1 and the first state. ``X`` is the size of (x_t, 1)."""
    row = X + P
    for t in range(T):
        # a_t = W x_t + b + U h_{t−1}
        after = (t + 1) * B * row + X
        product(s, s, WbU, after, row, t * B * row, row, B, X + H, P, 0)
        for h in range(after, after + B * row, row):
            for j in range(h, h + P, LANES):
                # h_t = φ(a_t), where the ReLU is 0 if a ≤ 0 and a otherwise, so that a NaN stays a NaN
                a = load(s, j)
                if phi == MODRELU:
                    # φ(a) = sgn(a) relu(|a| + β), and 0 where a = 0
                    sign = where_at_least(ZERO, a, where_at_least(a, ZERO, ZERO, -ONE), ONE)
                    size = sign * a + load(beta, j - h)
                    store(s, j, sign * where_at_least(ZERO, size, ZERO, size))
                elif phi == RELU:
                    store(s, j, where_at_least(ZERO, a, ZERO, a))
                else:
                    store(s, j, tanh(a))


@compiled
def _backward(da, dh, s, U, dy, T, B, X, H, P, phi, dy_step, dy_sequence):  # type: ignore[no-untyped-def]
    """Fill ``da``. ``dh`` enters as the gradient of the last state and ends as that of the first."""
    row = X + P
    for t in range(T - 1, -1, -1):
        for n in range(B):
            h, d_h, d_a, d_y = ((t + 1) * B + n) * row + X, n * P, (t * B + n) * P, t * dy_step + n * dy_sequence
            add_row(dh, d_h, dy, d_y, H)
            for j in range(0, P, LANES):
                after = load(s, h + j)
                # φ′(a) in terms of h = φ(a): 1 − h², or 1 where h > 0, or 1 where h < 0 or h > 0
                if phi == MODRELU:
                    above = where_at_least(after, ZERO, ONE, ZERO)
                    slope = where_at_least(ZERO, after, where_at_least(after, ZERO, ZERO, ONE), above)
                elif phi == RELU:
                    slope = where_at_least(ZERO, after, ZERO, ONE)
                else:
                    slope = ONE - after * after
                store(da, d_a + j, load(dh, d_h + j) * slope)
        clear_padding(da, t * B * P, P, B, 1, H, P)
        # a_t = … + U h_{t−1}
        product(dh, da, U, 0, P, t * B * P, P, B, P, P, 0)


class _Elman(Function):
    """x ``[batch, time, input]``, h ``[batch, hidden]``, W, U, b → outputs ``[batch, time, hidden]``, h.

    With modReLU, b is β. The backward pass needs 1 number per unit and step (h), and the inputs.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, h: Tensor, W: Tensor, U: Tensor, b: Tensor, phi: int) -> tuple[Tensor, ...]:
        (B, T, size), H = x.shape, U.shape[1]
        P, X = layout.padded(H), size + 1
        inside = torch.zeros_like(b) if phi == MODRELU else b
        s, WbU = layout.rows(x, W, U, h), layout.pack_forward(1, W, inside, U)
        _forward(s, WbU, pad(b, (0, P - H)), T, B, X, H, P, phi)
        ctx.save_for_backward(s, W, U)
        ctx.set_materialize_grads(False)
        ctx.phi = phi
        return layout.outputs(s, X, H), layout.last(s, X, H)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_outputs: Tensor | None, dh: Tensor | None) -> tuple[Any, ...]:
        s, W, U = ctx.saved_tensors
        T, B, H, X, P = len(s) - 1, s.shape[1], U.shape[1], W.shape[1] + 1, layout.padded(U.shape[1])
        dy, step, sequence = layout.output_gradient(d_outputs, H, s)
        dh, da = layout.state_gradient(dh, s, H), s.new_empty(T, B, P)
        U_back = layout.pack_backward(1, U)
        _backward(da, dh, s, U_back, dy, T, B, X, H, P, ctx.phi, step, sequence)
        dx = layout.input_gradient(da, W, 1) if ctx.needs_input_grad[0] else None
        dW = db = dU = None
        if any(ctx.needs_input_grad[2:5]):  # The weights of a reservoir are frozen.
            dW, db, dU = layout.weight_gradients(da, s, 1, X, H)
        if ctx.phi == MODRELU:
            # h_t = sgn(a_t) ⊙ relu(|a_t| + β), and the sign of h_t is that of a_t
            db = (da[:, :, :H] * s[1:, :, X : X + H].sign()).sum((0, 1))
        return dx, dh[:, :H], dW, dU, db, None


def elman(inputs: Tensor, h: Tensor, W: Tensor, U: Tensor, b: Tensor, nonlinearity: str) -> tuple[Tensor, Tensor]:
    """Compute ``RNN.forward``: inputs ``[batch, time, input]`` → outputs ``[batch, time, hidden]``, h.

    ``nonlinearity`` is ``"tanh"`` or ``"relu"``, with the bias b inside, or ``"modrelu"``, of which b is the bias.
    """
    phi = {"tanh": TANH, "relu": RELU, "modrelu": MODRELU}[nonlinearity]
    outputs, h = _Elman.apply(inputs, h, W, U, b, phi)  # type: ignore[no-untyped-call]
    return outputs, h
