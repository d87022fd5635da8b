"""The fused kernel of the GRU whose reset gate comes before the product."""

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
def _forward(a, s, v, WU_rz, WU_n, T, B, X, H, P):  # type: ignore[no-untyped-def]
    """Fill in the gates ``a`` (r, z, n), the states in the rows ``s``, and r_t ⊙ h_{t−1} in the rows ``v``.

    ``X`` is the size of (x_t, 1).
    """
    row = X + P
    for t in range(T):
        # a_t = W x_t + U h_{t−1} for r and z
        a_t, s_t = t * B * 3 * P, t * B * row
        product(a, s, WU_rz, a_t, 3 * P, s_t, row, B, X + H, 2 * P, 0)
        for n in range(t * B, t * B + B):
            gates, h = n * 3 * P, n * row + X
            for j in range(0, P, LANES):
                r = sigmoid(load(a, gates + j))
                store(a, gates + j, r)
                store(a, gates + P + j, sigmoid(load(a, gates + P + j)))
                store(v, h + j, r * load(s, h + j))
        # a_t = W_n x_t + U_n (r_t ⊙ h_{t−1}) for n
        product(a, v, WU_n, a_t + 2 * P, 3 * P, s_t, row, B, X + H, P, 0)
        for n in range(t * B, t * B + B):
            gates, before, after = n * 3 * P, n * row + X, (n + B) * row + X
            for j in range(0, P, LANES):
                z, new = load(a, gates + P + j), tanh(load(a, gates + 2 * P + j))
                store(a, gates + 2 * P + j, new)
                # h_t = (1 − z_t) ⊙ h_{t−1} + z_t ⊙ n_t
                store(s, after + j, (ONE - z) * load(s, before + j) + z * new)


@compiled
def _backward(da, dh, d_product, a, s, U_rz, U_n, dy, T, B, X, H, P, dy_step, dy_sequence):  # type: ignore[no-untyped-def]
    """Fill ``da``. ``dh`` enters as the last state's gradient and ends as the first's; ``d_product`` is a workspace."""
    row = X + P
    for t in range(T - 1, -1, -1):
        a_t = t * B * 3 * P
        for n in range(B):
            gates, h, d = a_t + n * 3 * P, (t * B + n) * row + X, n * P
            add_row(dh, d, dy, t * dy_step + n * dy_sequence, H)
            for j in range(0, P, LANES):
                z, new, d_after = load(a, gates + P + j), load(a, gates + 2 * P + j), load(dh, d + j)
                # h_t = (1 − z_t) ⊙ h_{t−1} + z_t ⊙ n_t
                store(da, gates + P + j, d_after * (new - load(s, h + j)) * z * (ONE - z))
                store(da, gates + 2 * P + j, d_after * z * (ONE - new * new))
                store(dh, d + j, d_after * (ONE - z))
        # a_t = … + U_n (r_t ⊙ h_{t−1}) for n
        clear_padding(da, a_t, 3 * P, B, 3, H, P)
        product(d_product, da, U_n, 0, P, a_t + 2 * P, 3 * P, B, P, P, 0)
        for n in range(B):
            gates, h, d = a_t + n * 3 * P, (t * B + n) * row + X, n * P
            for j in range(0, P, LANES):
                r, d_rh = load(a, gates + j), load(d_product, d + j)
                store(da, gates + j, d_rh * load(s, h + j) * r * (ONE - r))
                store(dh, d + j, load(dh, d + j) + d_rh * r)
        # a_t = … + U h_{t−1} for r and z
        clear_padding(da, a_t, 3 * P, B, 1, H, P)
        product(dh, da, U_rz, 0, P, a_t, 3 * P, B, 2 * P, P, 1)


class _GRUBefore(Function):
    """x ``[batch, time, input]``, h ``[batch, hidden]``, W, U → outputs ``[batch, time, hidden]``, h.

    The backward pass needs 5 numbers per unit and step (r, z, n, h, r ⊙ h), and the inputs twice.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, h: Tensor, W: Tensor, U: Tensor) -> tuple[Tensor, ...]:
        (B, T, size), H = x.shape, U.shape[1]
        P, X = layout.padded(H), size + 1
        s, a = layout.rows(x, W, U, h), x.new_empty(T, B, 3 * P)
        v = s[:T].clone()
        none = W.new_zeros(3 * H)  # This form has no biases.
        WU_rz = layout.pack_forward(2, W[: 2 * H], none[: 2 * H], U[: 2 * H])
        WU_n = layout.pack_forward(1, W[2 * H :], none[2 * H :], U[2 * H :])
        _forward(a, s, v, WU_rz, WU_n, T, B, X, H, P)
        ctx.save_for_backward(a, s, v, W, U)
        ctx.set_materialize_grads(False)
        return layout.outputs(s, X, H), layout.last(s, X, H)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_outputs: Tensor | None, dh: Tensor | None) -> tuple[Any, ...]:
        a, s, v, W, U = ctx.saved_tensors
        (T, B, _), H, X, P = a.shape, U.shape[1], W.shape[1] + 1, layout.padded(U.shape[1])
        dy, step, sequence = layout.output_gradient(d_outputs, H, a)
        dh, da = layout.state_gradient(dh, s, H), layout.gate_gradient(a)
        U_rz, U_n = layout.pack_backward(2, U[: 2 * H]), layout.pack_backward(1, U[2 * H :])
        _backward(da, dh, torch.empty_like(dh), a, s, U_rz, U_n, dy, T, B, X, H, P, step, sequence)
        dx = layout.input_gradient(da, W, 3) if ctx.needs_input_grad[0] else None
        dW_rz, _, dU_rz = layout.weight_gradients(da[:, :, : 2 * P], s, 2, X, H)
        dW_n, _, dU_n = layout.weight_gradients(da[:, :, 2 * P :], v, 1, X, H)
        return dx, dh[:, :H], torch.cat([dW_rz, dW_n]), torch.cat([dU_rz, dU_n])


def gru_before(inputs: Tensor, h: Tensor, W: Tensor, U: Tensor) -> tuple[Tensor, Tensor]:
    """Compute ``GRU.forward`` with ``reset="before"``: ``[batch, time, input]`` → ``[batch, time, hidden]``, h."""
    outputs, h = _GRUBefore.apply(inputs, h, W, U)  # type: ignore[no-untyped-call]
    return outputs, h
