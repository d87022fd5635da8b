"""The fused kernel of the long expressive memory."""

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
from suite.kernels._vector import LANES, load, numbers, store


@compiled
def _forward(a, s, zs, dt, VbW, Vb_y, W_y, T, B, X, H, P):  # type: ignore[no-untyped-def]
    """Fill in the gates ``a`` (1, 2, z, y), y in the rows ``s``, and ``zs``. ``X`` is the size of (x_t, 1)."""
    row, longest = X + P, numbers(dt)[0]
    for t in range(T):
        # a_t = V x_t + b + W y_{t−1} for 1, 2 and z
        a_t, s_t = t * B * 4 * P, t * B * row
        product(a, s, VbW, a_t, 4 * P, s_t, row, B, X + H, 3 * P, 0)
        for n in range(t * B, t * B + B):
            gates, before, after = n * 4 * P, n * P, (n + B) * P
            for j in range(0, P, LANES):
                one, new = sigmoid(load(a, gates + j)), tanh(load(a, gates + 2 * P + j))
                # z_t = (1 − Δ_t) ⊙ z_{t−1} + Δ_t ⊙ tanh(…)
                step = longest * one
                store(zs, after + j, (ONE - step) * load(zs, before + j) + step * new)
                store(a, gates + j, one)
                store(a, gates + P + j, sigmoid(load(a, gates + P + j)))
                store(a, gates + 2 * P + j, new)
        # a_t = V_y x_t + b_y + W_y z_t
        product(a, s, Vb_y, a_t + 3 * P, 4 * P, s_t, row, B, X, P, 0)
        product(a, zs, W_y, a_t + 3 * P, 4 * P, (t + 1) * B * P, P, B, H, P, 1)
        for n in range(t * B, t * B + B):
            gates, before, after = n * 4 * P, n * row + X, (n + B) * row + X
            for j in range(0, P, LANES):
                step, new = longest * load(a, gates + P + j), tanh(load(a, gates + 3 * P + j))
                # y_t = (1 − Δ̄_t) ⊙ y_{t−1} + Δ̄_t ⊙ tanh(…)
                store(s, after + j, (ONE - step) * load(s, before + j) + step * new)
                store(a, gates + 3 * P + j, new)


@compiled
def _backward(da, dy, dz, a, s, zs, dt, W, W_y, d_outputs, T, B, X, H, P, dy_step, dy_sequence):  # type: ignore[no-untyped-def]
    """Fill ``da``. ``dy`` and ``dz`` enter as the gradients of the last states and end as those of the first."""
    row, longest = X + P, numbers(dt)[0]
    for t in range(T - 1, -1, -1):
        a_t = t * B * 4 * P
        for n in range(B):
            gates, before, d = a_t + n * 4 * P, (t * B + n) * row + X, n * P
            add_row(dy, d, d_outputs, t * dy_step + n * dy_sequence, H)
            for j in range(0, P, LANES):
                two, new, d_after = load(a, gates + P + j), load(a, gates + 3 * P + j), load(dy, d + j)
                # y_t = (1 − Δ̄_t) ⊙ y_{t−1} + Δ̄_t ⊙ tanh(…), Δ̄_t = Δt σ(…)
                step = longest * two
                store(da, gates + P + j, d_after * (new - load(s, before + j)) * step * (ONE - two))
                store(da, gates + 3 * P + j, d_after * step * (ONE - new * new))
                store(dy, d + j, d_after * (ONE - step))
        # a_t = … + W_y z_t
        clear_padding(da, a_t, 4 * P, B, 4, H, P)
        product(dz, da, W_y, 0, P, a_t + 3 * P, 4 * P, B, P, P, 1)
        for n in range(B):
            gates, before, d = a_t + n * 4 * P, (t * B + n) * P, n * P
            for j in range(0, P, LANES):
                one, new, d_after = load(a, gates + j), load(a, gates + 2 * P + j), load(dz, d + j)
                # z_t = (1 − Δ_t) ⊙ z_{t−1} + Δ_t ⊙ tanh(…), Δ_t = Δt σ(…)
                step = longest * one
                store(da, gates + j, d_after * (new - load(zs, before + j)) * step * (ONE - one))
                store(da, gates + 2 * P + j, d_after * step * (ONE - new * new))
                store(dz, d + j, d_after * (ONE - step))
        # a_t = … + W y_{t−1} for 1, 2 and z
        clear_padding(da, a_t, 4 * P, B, 3, H, P)
        product(dy, da, W, 0, P, a_t, 4 * P, B, 3 * P, P, 1)


class _LEM(Function):
    """x ``[batch, time, input]``, y, z ``[batch, hidden]``, V, W, b → outputs ``[batch, time, hidden]``, y, z.

    The backward pass needs 6 numbers per unit and step (four gates, y, z), and the inputs.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, y: Tensor, z: Tensor, V: Tensor, W: Tensor, b: Tensor, dt: float) -> Any:
        (B, T, size), H = x.shape, W.shape[1]
        P, X = layout.padded(H), size + 1
        s, zs, a, longest = (
            layout.rows(x, V, W, y, z),
            layout.history(z, T),
            x.new_empty(T, B, 4 * P),
            x.new_tensor([dt]),
        )
        VbW = layout.pack_forward(3, V[: 3 * H], b[: 3 * H], W[: 3 * H])
        Vb_y, W_y = layout.pack_forward(1, V[3 * H :], b[3 * H :]), layout.pack_forward(1, W[3 * H :])
        _forward(a, s, zs, longest, VbW, Vb_y, W_y, T, B, X, H, P)
        ctx.save_for_backward(a, s, zs, longest, V, W)
        ctx.set_materialize_grads(False)
        return layout.outputs(s, X, H), layout.last(s, X, H), layout.last(zs, 0, H)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_outputs: Tensor | None, dy: Tensor | None, dz: Tensor | None) -> tuple[Any, ...]:
        a, s, zs, longest, V, W = ctx.saved_tensors
        (T, B, _), H, X, P = a.shape, W.shape[1], V.shape[1] + 1, zs.shape[2]
        up, step, sequence = layout.output_gradient(d_outputs, H, a)
        dy, dz, da = layout.state_gradient(dy, zs, H), layout.state_gradient(dz, zs, H), layout.gate_gradient(a)
        W_back, W_y_back = layout.pack_backward(3, W[: 3 * H]), layout.pack_backward(1, W[3 * H :])
        _backward(da, dy, dz, a, s, zs, longest, W_back, W_y_back, up, T, B, X, H, P, step, sequence)
        dx = layout.input_gradient(da, V, 4) if ctx.needs_input_grad[0] else None
        dV, db, dW = layout.weight_gradients(da[:, :, : 3 * P], s, 3, X, H)
        dVb_y = layout.weight_gradient(da[:, :, 3 * P :], s[:-1, :, :X], 1, H)
        dW_y = layout.weight_gradient(da[:, :, 3 * P :], zs[1:, :, :H], 1, H)
        dV, dW, db = torch.cat([dV, dVb_y[:, :-1]]), torch.cat([dW, dW_y]), torch.cat([db, dVb_y[:, -1]])
        return dx, dy[:, :H], dz[:, :H], dV, dW, db, None


def lem(
    inputs: Tensor, y: Tensor, z: Tensor, V: Tensor, W: Tensor, b: Tensor, dt: float
) -> tuple[Tensor, tuple[Tensor, Tensor]]:
    """Compute ``LEM.forward``: inputs ``[batch, time, input]`` → outputs ``[batch, time, hidden]``, (y, z)."""
    outputs, y, z = _LEM.apply(inputs, y, z, V, W, b, dt)  # type: ignore[no-untyped-call]
    return outputs, (y, z)
