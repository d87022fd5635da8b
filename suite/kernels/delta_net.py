"""The fused kernel of DeltaNet, which is that of matrix states with the delta rule after a short convolution."""

from __future__ import annotations

from typing import Any

import torch
from numba import njit
from torch import Tensor

from suite.kernels._compiled import compiled
from suite.kernels._math import ONE, ZERO, exp
from suite.kernels._vector import LANES, load_part, spread, store_part
from suite.kernels.matrix_state import MatrixState, check_sizes


@njit  # type: ignore[untyped-decorator]
def _sigmoid(x: Any) -> Any:
    """Compute σ(x) to a relative 4e-7, however small it is, because the lengths of q and k are divided by later."""
    return ONE / (ONE + exp(ZERO - x))


@compiled
def _forward(y, u, w, B, T, C, K):  # type: ignore[no-untyped-def]
    """Fill ``y`` ``[batch, time, C]`` from ``u`` ``[batch, time + K − 1, C]`` and ``w`` ``[K, C]``."""
    for n in range(B):
        for t in range(T):
            here, to = (n * (T + K - 1) + t) * C, (n * T + t) * C
            for j in range(0, C, LANES):
                # y_t = silu(a_t),  a_t = Σ_k w_k ⊙ u_{t−K+1+k}
                a = spread(ZERO)
                for k in range(j, j + K * C, C):
                    a = a + load_part(w, k, C - j) * load_part(u, here + k, C - j)
                store_part(y, to + j, C - j, a * _sigmoid(a))


@compiled
def _backward(du, dw, dy, u, w, B, T, C, K):  # type: ignore[no-untyped-def]
    """Add the gradients to ``du`` and ``dw``."""
    for n in range(B):
        for t in range(T):
            here, of = (n * (T + K - 1) + t) * C, (n * T + t) * C
            for j in range(0, C, LANES):
                a = spread(ZERO)
                for k in range(j, j + K * C, C):
                    a = a + load_part(w, k, C - j) * load_part(u, here + k, C - j)
                # y_t = silu(a_t),  a_t = Σ_k w_k ⊙ u_{t−K+1+k}
                s = _sigmoid(a)
                da = load_part(dy, of + j, C - j) * s * (ONE + a * (ONE - s))
                for k in range(j, j + K * C, C):
                    store_part(dw, k, C - j, load_part(dw, k, C - j) + da * load_part(u, here + k, C - j))
                    store_part(du, here + k, C - j, load_part(du, here + k, C - j) + da * load_part(w, k, C - j))


class ShortConvolution:
    """A causal convolution of each channel by itself, and the SiLU after it."""

    @staticmethod
    def forward(u: Tensor, w: Tensor) -> Tensor:
        """Return y ``[batch, time, channels]`` for ``u`` ``[batch, K − 1 + time, channels]``, w ``[K, channels]``."""
        (batch, steps, channels), K = u.shape, len(w)
        y = u.new_empty(batch, steps - K + 1, channels)
        _forward(y, u, w, *y.shape, K)
        return y

    @staticmethod
    def backward(dy: Tensor, u: Tensor, w: Tensor, dw: Tensor) -> Tensor:
        """Return the gradient of ``u``, and add that of ``w`` to ``dw``."""
        du = torch.zeros_like(u)
        _backward(du, dw, dy, u, w, *dy.shape, len(w))
        return du


def delta_net(
    x: Tensor, W: Tensor, before: Tensor, w: Tensor, S: Tensor, log_alpha: Tensor | None, beta: Tensor
) -> tuple[Tensor, tuple[Tensor, Tensor]]:
    """Compute ``DeltaNet.forward``: the outputs ``[batch, time, heads·d]`` and the last state.

    Args:
        x: ``[batch, time, input]``.
        W: ``[3·heads·d, input]``.
        before: the window of the convolution, ``[batch, 3·heads·d, K − 1]``.
        w: the weights of the convolution, ``[3·heads·d, K]``.
        S: the first matrices, ``[batch, heads, d, d]``.
        log_alpha: log α, ``[batch, time, heads]``, or None for an α of 1.
        beta: β, ``[batch, time, heads]``.

    Raises:
        RuntimeError: if the sizes do not fit. Compiled code checks none.
    """
    check_sizes(x, W, S, log_alpha, beta)
    if before.shape != (len(x), len(W), w.shape[1] - 1) or len(w) != len(W) or S.shape[2] != S.shape[3]:
        raise RuntimeError(
            f"the window must be [batch, channels, K − 1] for weights [channels, K] of {len(W)} channels; got "
            f"{list(before.shape)} and {list(w.shape)}"
        )
    arguments = x, W, S, log_alpha, beta, before.transpose(1, 2), w.t().contiguous()
    outputs, S, window = MatrixState.apply(*arguments, ShortConvolution)  # type: ignore[no-untyped-call]
    return outputs, (window.transpose(1, 2), S)
