"""The fused kernel of the independently recurrent net."""

from __future__ import annotations

from typing import Any

from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable
from torch.nn.functional import linear, pad

from suite.kernels._compiled import compiled
from suite.kernels._layout import padded
from suite.kernels._math import ONE, ZERO, tanh
from suite.kernels._vector import LANES, load, store, where_at_least


@compiled
def _forward(h, u, B, T, P, relu):  # type: ignore[no-untyped-def]
    """Turn W x_t + b into h_t, in place. ``h`` ``[batch, time + 1, padded]`` begins with the first state."""
    for n in range(B):
        for after in range((n * (T + 1) + 1) * P, (n + 1) * (T + 1) * P, P):
            for j in range(0, P, LANES):
                # h_t = φ(W x_t + u ⊙ h_{t−1} + b), where the ReLU is 0 if a ≤ 0 and a otherwise, so that a NaN stays
                a = load(h, after + j) + load(u, j) * load(h, after - P + j)
                store(h, after + j, where_at_least(ZERO, a, ZERO, a) if relu else tanh(a))


@compiled
def _backward(d, du, h, u, B, T, P, relu):  # type: ignore[no-untyped-def]
    """Turn the gradients of the outputs into those of W x_t + b, in place, and add to ``du`` ``[padded]``.

    ``d`` ``[batch, time + 1, padded]`` has room for the gradient of the first state in its first step.
    """
    for n in range(B):
        first = n * (T + 1) * P
        for after in range(first + T * P, first, -P):
            for j in range(0, P, LANES):
                h_t, before = load(h, after + j), load(h, after - P + j)
                # φ′(a) in terms of h = φ(a): 1 − h², or 1 where h > 0
                slope = where_at_least(ZERO, h_t, ZERO, ONE) if relu else ONE - h_t * h_t
                da = load(d, after + j) * slope
                store(d, after + j, da)
                # a_t = … + u ⊙ h_{t−1}
                store(d, after - P + j, load(d, after - P + j) + da * load(u, j))
                store(du, j, load(du, j) + da * before)


class _IndRNN(Function):
    """x ``[batch, time, input]``, h ``[batch, hidden]``, W, u, b → outputs ``[batch, time, hidden]``, h.

    The backward pass needs 1 number per unit and step (h), and the inputs.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, h: Tensor, W: Tensor, u: Tensor, b: Tensor, relu: bool) -> tuple[Tensor, ...]:
        (B, T, size), H = x.shape, len(u)
        if size != W.shape[1] or h.shape != (B, H):
            raise RuntimeError(
                f"inputs must be [batch, time, {W.shape[1]}] and the state [batch, {H}]; got {list(x.shape)} and "
                f"{list(h.shape)}"
            )
        P = padded(H)
        extra = P - H
        hs, u_padded = x.new_empty(B, T + 1, P), pad(u, (0, extra))
        hs[:, 0] = pad(h, (0, extra))
        hs[:, 1:] = linear(x, pad(W, (0, 0, 0, extra)), pad(b, (0, extra)))
        _forward(hs, u_padded, B, T, P, relu)
        ctx.save_for_backward(x, hs, W, u_padded)
        ctx.set_materialize_grads(False)
        ctx.relu = relu
        return hs[:, 1:, :H], hs[:, -1, :H].clone()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_outputs: Tensor | None, dh: Tensor | None) -> tuple[Any, ...]:
        x, hs, W, u = ctx.saved_tensors
        (B, steps, P), H = hs.shape, len(W)
        d, du = hs.new_zeros(B, steps, P), hs.new_zeros(P)
        if d_outputs is not None:
            d[:, 1:, :H] = d_outputs
        if dh is not None:
            d[:, -1, :H] += dh
        _backward(d, du, hs, u, B, steps - 1, P, ctx.relu)
        da = d[:, 1:, :H]
        dW = da.flatten(0, 1).T @ x.flatten(0, 1)
        dx = da @ W if ctx.needs_input_grad[0] else None
        return dx, d[:, 0, :H], dW, du[:H], da.sum((0, 1)), None


def indrnn(inputs: Tensor, h: Tensor, W: Tensor, u: Tensor, b: Tensor, nonlinearity: str) -> tuple[Tensor, Tensor]:
    """Compute ``IndRNN.forward``: inputs ``[batch, time, input]`` → outputs ``[batch, time, hidden]``, h."""
    outputs, h = _IndRNN.apply(inputs, h, W, u, b, nonlinearity == "relu")  # type: ignore[no-untyped-call]
    return outputs, h
