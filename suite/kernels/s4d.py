"""The fused kernel of S4D, whose factors are constant: within a chunk of steps, the recurrence is a convolution.

All sequences share the factors λ and the readout w of a channel, so a chunk of steps is a few small matrix products.
With p_t = λ^t, the filter is K_t = Re(Σ_n w_n p_t). For the steps t = 0, 1, … of a chunk that begins at the state h::

    y_t = Σ_{s ≤ t} K_{t−s} u_s + Re(Σ_n w_n p_{t+1} h_n) + D u_t
    h ← p_l h + Σ_s p_{l−1−s} u_s           after l steps

Neither direction computes the states within a chunk. D is added to K_0. The channels are taken in groups, whose steps
are turned to lie side by side while they are in the cache.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from suite.kernels import _layout as layout
from suite.kernels import _s4d_passes as passes
from suite.kernels._s4d_passes import CHUNK
from suite.kernels._zero_order_hold import discretise, discretise_backward


class _S4D(Function):
    """x ``[batch, time, input]``, h ``[batch, channel, modes, 2]``, the parameters → y ``[batch, time, channel]``, h.

    The backward pass needs 2 numbers per channel and step (u, φ′), the states before every 128th step, and the inputs.
    """

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, h: Tensor | None, W: Tensor | None, squashed: bool, D: Tensor, *parameters: Tensor
    ) -> tuple[Tensor, Tensor]:
        (B, T, X), (H, N) = x.shape, parameters[0].shape
        P, chunks = layout.padded(N), -(-T // CHUNK)
        x, D, parameters = x.contiguous(), D.contiguous(), tuple(each.contiguous() for each in parameters)
        modes, u = x.new_zeros(H, 3, 2, P), x.new_empty(H, B * T)
        discretise(modes, *parameters, H, N, P)
        if W is None:
            passes.flip(u, x, B * T, H)
        else:
            torch.mm(W, x.view(B * T, X).t(), out=u)
        states, a, y = x.new_empty(H, chunks + 1, B, 2, P), torch.empty_like(u), x.new_empty(B, T, H)
        if h is not None:
            states[:, 0, :, :, :N], states[:, 0, :, :, N:] = h.permute(1, 0, 3, 2), 0
        work = x.new_empty(passes.room_size(P, B * T))
        passes.forward(y, a, states, u, work, modes, D, H, B, T, N, P, h is not None, squashed)
        ctx.save_for_backward(a if squashed else D, states, u, modes, x, W, D, *parameters)
        ctx.set_materialize_grads(False)
        ctx.given, ctx.squashed = h is not None, squashed
        return y, states[:, chunks, :, :, :N].permute(1, 0, 3, 2)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dy: Tensor | None, d_last: Tensor | None) -> tuple[Tensor | None, ...]:
        a, states, u, modes, x, W, D, *parameters = ctx.saved_tensors
        (B, T, X), (H, N), P, ended = x.shape, parameters[0].shape, modes.shape[3], d_last is not None
        dy = x.new_zeros(B, T, H) if dy is None else dy.contiguous()
        dh = x.new_zeros(H, B, 2, P) if ended or ctx.given or T > CHUNK else x
        if d_last is not None:
            dh[..., :N] = d_last.permute(1, 0, 3, 2)
        dx = torch.empty_like(x) if ctx.needs_input_grad[0] else None
        dW = None if W is None else torch.empty_like(W)
        d_modes, dD, work = x.new_empty(H, 2, 2, P), torch.empty_like(D), x.new_empty(passes.room_size(P, B * T))
        passes.backward(
            x if dx is None else dx, x if dW is None else dW, d_modes, dD, dh, a, states, u, x, work, modes, D,
            x if W is None else W, dy, H, B, T, 0 if W is None else X, N, P, ctx.given, ctx.squashed, ended,
            dx is not None,
        )  # fmt: skip
        gradients = [torch.empty_like(each) for each in parameters]
        discretise_backward(*gradients, d_modes, modes, *parameters, H, N, P)
        return dx, dh[..., :N].permute(1, 0, 3, 2) if ctx.given else None, dW, None, dD, *gradients


def s4d(
    inputs: Tensor, h: Tensor | None, log_decay: Tensor, frequency: Tensor, log_dt: Tensor, C: Tensor, D: Tensor,
    W: Tensor | None, activation: str,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """Compute ``S4D.forward``: inputs ``[batch, time, input]`` → outputs ``[batch, time, hidden]``, h. None is 0."""
    layout.check_sizes(inputs, len(D) if W is None else W.shape[1], [] if h is None else [h], *C.shape)
    first = None if h is None or not (h.requires_grad or h.any()) else h
    squashed, parameters = activation == "gelu", (log_decay, frequency, log_dt, C)
    outputs, last = _S4D.apply(inputs, first, W, squashed, D, *parameters)  # type: ignore[no-untyped-call]
    return outputs, last
