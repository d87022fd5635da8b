"""The fused kernel of the GRU whose reset gate comes after the product."""

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
def _forward(a, q, s, WbU_rz, Wb_n, bU_n, T, B, X, H, P):  # type: ignore[no-untyped-def]
    """Fill in the gates ``a`` (r, z, n), ``q`` = U_n h + b_h and the states in ``s``. ``X`` is the size of (x_t, 1)."""
    row = X + P
    for t in range(T):
        # a_t = W x_t + b + U h_{t−1} for r and z, W_n x_t + b_n for n, and q_t = U_n h_{t−1} + b_h
        a_t, s_t, q_t = t * B * 3 * P, t * B * row, t * B * P
        product(a, s, WbU_rz, a_t, 3 * P, s_t, row, B, X + H, 2 * P, 0)
        product(a, s, Wb_n, a_t + 2 * P, 3 * P, s_t, row, B, X, P, 0)
        product(q, s, bU_n, q_t, P, s_t + X - 1, row, B, 1 + H, P, 0)
        for n in range(t * B, t * B + B):
            gates, before, after = n * 3 * P, n * row + X, (n + B) * row + X
            for j in range(0, P, LANES):
                r, z = sigmoid(load(a, gates + j)), sigmoid(load(a, gates + P + j))
                # n_t = tanh(W_n x_t + b_n + r_t ⊙ (U_n h_{t−1} + b_h))
                new = tanh(load(a, gates + 2 * P + j) + r * load(q, n * P + j))
                # h_t = (1 − z_t) ⊙ n_t + z_t ⊙ h_{t−1}
                store(s, after + j, (ONE - z) * new + z * load(s, before + j))
                store(a, gates + j, r)
                store(a, gates + P + j, z)
                store(a, gates + 2 * P + j, new)


@compiled
def _backward(da, dq, dh, a, q, s, U_rz, U_n, dy, T, B, X, H, P, dy_step, dy_sequence):  # type: ignore[no-untyped-def]
    """Fill ``da`` and ``dq``. ``dh`` enters as the gradient of the last state and ends as that of the first."""
    row = X + P
    for t in range(T - 1, -1, -1):
        a_t, q_t = t * B * 3 * P, t * B * P
        for n in range(B):
            gates, q_n, h, d = a_t + n * 3 * P, q_t + n * P, (t * B + n) * row + X, n * P
            add_row(dh, d, dy, t * dy_step + n * dy_sequence, H)
            for j in range(0, P, LANES):
                r, z, new = load(a, gates + j), load(a, gates + P + j), load(a, gates + 2 * P + j)
                d_after = load(dh, d + j)
                # h_t = (1 − z_t) ⊙ n_t + z_t ⊙ h_{t−1}
                store(da, gates + P + j, d_after * (load(s, h + j) - new) * z * (ONE - z))
                store(dh, d + j, d_after * z)
                # n_t = tanh(… + r_t ⊙ q_t)
                d_new = d_after * (ONE - z) * (ONE - new * new)
                store(da, gates + 2 * P + j, d_new)
                store(da, gates + j, d_new * load(q, q_n + j) * r * (ONE - r))
                store(dq, q_n + j, d_new * r)
        clear_padding(da, a_t, 3 * P, B, 3, H, P)
        clear_padding(dq, q_t, P, B, 1, H, P)
        # a_t = … + U h_{t−1} for r and z, and q_t = U_n h_{t−1} + b_h
        product(dh, da, U_rz, 0, P, a_t, 3 * P, B, 2 * P, P, 1)
        product(dh, dq, U_n, 0, P, q_t, P, B, P, P, 1)


class _GRUAfter(Function):
    """x ``[batch, time, input]``, h ``[batch, hidden]``, W, U, b, b_h → outputs ``[batch, time, hidden]``, h.

    The backward pass needs 5 numbers per unit and step (r, z, n, q, h), and the inputs.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, h: Tensor, W: Tensor, U: Tensor, b: Tensor, b_h: Tensor) -> tuple[Tensor, ...]:
        (B, T, size), H = x.shape, U.shape[1]
        P, X = layout.padded(H), size + 1
        s, a, q = layout.rows(x, W, U, h), x.new_empty(T, B, 3 * P), x.new_empty(T, B, P)
        WbU_rz = layout.pack_forward(2, W[: 2 * H], b[: 2 * H], U[: 2 * H])
        Wb_n, bU_n = layout.pack_forward(1, W[2 * H :], b[2 * H :]), layout.pack_forward(1, b_h, U[2 * H :])
        _forward(a, q, s, WbU_rz, Wb_n, bU_n, T, B, X, H, P)
        ctx.save_for_backward(a, q, s, W, U)
        ctx.set_materialize_grads(False)
        return layout.outputs(s, X, H), layout.last(s, X, H)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_outputs: Tensor | None, dh: Tensor | None) -> tuple[Any, ...]:
        a, q, s, W, U = ctx.saved_tensors
        (T, B, _), H, X, P = a.shape, U.shape[1], W.shape[1] + 1, q.shape[2]
        dy, step, sequence = layout.output_gradient(d_outputs, H, a)
        dh, da, dq = layout.state_gradient(dh, s, H), layout.gate_gradient(a), layout.gate_gradient(q)
        U_rz, U_n = layout.pack_backward(2, U[: 2 * H]), layout.pack_backward(1, U[2 * H :])
        _backward(da, dq, dh, a, q, s, U_rz, U_n, dy, T, B, X, H, P, step, sequence)
        dx = layout.input_gradient(da, W, 3) if ctx.needs_input_grad[0] else None
        dW_rz, db_rz, dU_rz = layout.weight_gradients(da[:, :, : 2 * P], s, 2, X, H)
        dWb_n = layout.weight_gradient(da[:, :, 2 * P :], s[:-1, :, :X], 1, H)
        dbU_n = layout.weight_gradient(dq, s[:-1, :, X - 1 :], 1, H)
        dW, db = torch.cat([dW_rz, dWb_n[:, :-1]]), torch.cat([db_rz, dWb_n[:, -1]])
        return dx, dh[:, :H], dW, torch.cat([dU_rz, dbU_n[:, 1 : H + 1]]), db, dbU_n[:, 0]


def gru_after(inputs: Tensor, h: Tensor, W: Tensor, U: Tensor, b: Tensor, b_h: Tensor) -> tuple[Tensor, Tensor]:
    """Compute ``GRU.forward`` with ``reset="after"``: ``[batch, time, input]`` → ``[batch, time, hidden]``, h."""
    outputs, h = _GRUAfter.apply(inputs, h, W, U, b, b_h)  # type: ignore[no-untyped-call]
    return outputs, h
