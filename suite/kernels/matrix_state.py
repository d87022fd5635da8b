"""The fused kernel of states that are matrices: S ← αS + β k vᵀ, or by the delta rule S ← αS + β k (v − αSᵀk)ᵀ.

The state of a head is a matrix ``[d_k, d_v]`` of a few thousand bytes, so one head of one sequence after the other goes
through all steps, and its state stays in the cache. Vectors run over d_v where a sum over d_k is wanted, and over d_k
where a sum over d_v is, so no loop adds up the numbers of a vector. The backward pass therefore keeps its gradient dS
both ways, and it first computes the states of a segment of steps once more, with vectors over d_k.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable
from torch.nn.functional import linear

from suite.kernels import _layout as layout
from suite.kernels import _matrix_passes as passes
from suite.kernels._matrix_passes import SEGMENT


class Convolution(Protocol):
    """What a kernel has between W x and q, k, v."""

    def forward(self, u: Tensor, weights: Tensor) -> Tensor:
        """Return q, k and v ``[batch, time, channels]`` from W x, which begins with what precedes the first step."""

    def backward(self, d: Tensor, u: Tensor, weights: Tensor, d_weights: Tensor) -> Tensor:
        """Return the gradient of W x from that of q, k and v, and add that of the weights to ``d_weights``."""


class MatrixState(Function):
    """x ``[batch, time, input]``, W ``[3·heads·d, input]``, S ``[batch, heads, d, d]``, … → outputs, S and a window.

    The backward pass needs 3 numbers per unit and step (W x), every 32nd state and the inputs, and the delta rule 1
    number more (r). Both passes go through the batch in blocks whose q, k and v stay in the cache.
    """

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        W: Tensor,
        S: Tensor,
        log_alpha: Tensor | None,
        beta: Tensor | None,
        before: Tensor | None,
        weights: Tensor | None,
        convolution: Convolution | None,
    ) -> tuple[Tensor | None, ...]:
        (B, T, _), (_, H, D, V) = x.shape, S.shape
        P, width, one = layout.padded(D), layout.padded(V), S.new_ones(1)
        x, states = x.contiguous(), S.new_zeros(B, H, P, width)
        states[:, :, :D, :V] = S
        o, kept = x.new_empty(B, T, H * V), x.new_empty(B, H, -(-T // SEGMENT), P, width)
        r = torch.empty_like(o) if convolution else one
        alpha = one if log_alpha is None else log_alpha.exp().contiguous()
        beta = one if beta is None else beta.contiguous()
        per_head = 0 if log_alpha is None else alpha.shape[-1] // H
        a_strides = per_head * H if alpha.dim() == 3 else 0, per_head, int(per_head > 1)
        b_strides = (H, 1) if beta.dim() == 3 else (0, 0)
        ctx.sizes = (T, H, D, V, P, width, len(W), *a_strides, *b_strides, convolution is not None)
        window = 0 if before is None else before.shape[1]
        u, room = x.new_empty(B, window + T, len(W)), x.new_zeros(3 * P + width)
        if before is not None:
            u[:, :window] = before
        for block in _blocks(B, T):
            if window:
                u[block, window:] = linear(x[block], W)
            else:
                torch.mm(x[block].flatten(0, 1), W.t(), out=u[block].flatten(0, 1))
            q_k_v = convolution.forward(u[block], weights) if convolution and weights is not None else u[block]
            parts, gates = _parts((o, r, states, kept), block), _parts((alpha, beta), block)
            passes.forward(*parts, q_k_v, *gates, room, len(q_k_v), *ctx.sizes)
        ctx.save_for_backward(x, W, u, r, kept, alpha, beta, weights)
        ctx.set_materialize_grads(False)
        ctx.convolution, ctx.window = convolution, window
        return o, states[:, :, :D, :V].clone(), u[:, T:].clone() if before is not None else None

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, do: Tensor | None, dS: Tensor | None, d_window: Tensor | None) -> tuple[Any, ...]:
        x, W, u, r, kept, alpha, beta, weights = ctx.saved_tensors
        B, (T, H, D, V, P, width, *_), convolution, window = len(x), ctx.sizes, ctx.convolution, ctx.window
        d_states = x.new_zeros(B, H, P, width)
        if dS is not None:
            d_states[:, :, :D, :V] = dS
        do = x.new_zeros(B, T, H * V) if do is None else do.contiguous()
        dW, dalpha, dbeta = torch.zeros_like(W), torch.empty_like(alpha), torch.empty_like(beta)
        dx = torch.empty_like(x) if ctx.needs_input_grad[0] else None
        d_before, d_weights = x.new_empty(B, window, len(W)), None if weights is None else torch.zeros_like(weights)
        du = u if convolution else layout.gate_gradient(u)
        room = x.new_zeros((4 * P + 3 * width) * SEGMENT + P * width * (SEGMENT + 2))
        for block in _blocks(B, T):
            q_k_v = convolution.forward(u[block], weights) if convolution else u[block]
            d = q_k_v if convolution else du[block]
            parts, gates = _parts((dalpha, dbeta, d_states, do, r, kept), block), _parts((alpha, beta), block)
            passes.backward(d, *parts, q_k_v, *gates, room, len(q_k_v), *ctx.sizes, ctx.needs_input_grad[3])
            if convolution:
                d = convolution.backward(d, u[block], weights, d_weights)
                if d_window is not None:
                    d[:, T:] += d_window[block]
                d_before[block], d = d[:, :window], d[:, window:]
            flat = d.flatten(0, 1)
            dW.addmm_(flat.t(), x[block].flatten(0, 1))
            if dx is not None:
                torch.mm(flat, W, out=dx[block].flatten(0, 1))
        gradients = dx, dW, d_states[:, :, :D, :V], dalpha, dbeta, d_before, d_weights
        return *(d if need else None for d, need in zip(gradients, ctx.needs_input_grad, strict=False)), None


def _blocks(batch: int, time: int) -> Iterator[slice]:
    """Yield parts of a batch of about 1024 steps each."""
    rows = max(1, 1024 // time)
    return (slice(start, min(start + rows, batch)) for start in range(0, batch, rows))


def _parts(tensors: Sequence[Tensor], block: slice) -> list[Tensor]:
    """Return what belongs to a block of the batch. A constant, which has one dimension, belongs to all."""
    return [tensor[block] if tensor.dim() > 1 else tensor for tensor in tensors]


def matrix_state(
    x: Tensor, W: Tensor, S: Tensor, log_alpha: Tensor | None = None, beta: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Return the outputs Sᵀq of all heads and the last state of S ← αS + β k vᵀ, where q, k and v are parts of W x.

    Args:
        x: ``[batch, time, input]``.
        W: the rows of q of all heads, of k and of v, ``[3·heads·d, input]``.
        S: the first state, ``[batch, heads, d, d]``, or ``[batch, heads, d, d + 1]`` where each v ends in a 1.
        log_alpha: log α, ``[batch, time, heads]`` or ``[batch, time, heads·d]``, or a constant ``[heads]``, of which
            there is no gradient. None means that α is 1.
        beta: β, ``[batch, time, heads]``. None means that β is 1.

    Raises:
        RuntimeError: if the sizes do not fit. Compiled code checks none.
    """
    check_sizes(x, W, S, log_alpha, beta)
    outputs, S, _ = MatrixState.apply(x, W, S, log_alpha, beta, None, None, None)  # type: ignore[no-untyped-call]
    return outputs, S


def check_sizes(x: Tensor, W: Tensor, S: Tensor, *gates: Tensor | None) -> None:
    """Compare the sizes of all that a kernel is given.

    Raises:
        RuntimeError: if they do not fit.
    """
    (batch, time, size), (rows, heads, d, d_v) = x.shape, S.shape
    shapes = [tuple(gate.shape) for gate in gates if gate is not None]
    accepted = (heads,), (batch, time, heads), (batch, time, heads * d)
    if (
        rows != batch
        or W.shape != (3 * heads * d, size)
        or d_v not in (d, d + 1)
        or any(shape not in accepted for shape in shapes)
    ):
        raise RuntimeError(
            f"with weights of {list(W.shape)}, inputs must be [batch, time, {W.shape[1]}], states [batch, heads, d, d] "
            f"where 3·heads·d is {len(W)}, and gates [batch, time, heads] or [batch, time, heads·d]; got "
            f"{list(x.shape)}, {list(S.shape)} and {', '.join(str(list(shape)) for shape in shapes) or 'none'}"
        )
