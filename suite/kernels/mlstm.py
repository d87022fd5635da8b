"""The fused kernel of the mLSTM, which is that of matrix states and a running maximum."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from suite.kernels._compiled import compiled
from suite.kernels._math import HALF, ZERO
from suite.kernels._parallel_matrix import stabilised
from suite.kernels._vector import numbers
from suite.kernels.matrix_state import matrix_state


@compiled
def _forward(m, log_f, i, B, T, H):  # type: ignore[no-untyped-def]
    """Fill ``m`` ``[batch, time + 1, heads]``, which begins with the first m."""
    maximum, kept, new = numbers(m), numbers(log_f), numbers(i)
    for n in range(B):
        for step in range(n * T * H, (n + 1) * T * H):
            # m_t = max(log f_t + m_{t−1}, i_t), or NaN if one of the two is
            x, y = kept[step] + maximum[step + n * H], new[step]
            larger = x if x >= y else y
            maximum[step + (n + 1) * H] = larger if x == x else x


@compiled
def _backward(d_log_f, di, dm, m, log_f, i, B, T, H):  # type: ignore[no-untyped-def]
    """Fill the first two. ``dm`` enters as the gradient of all m, and its first row ends as that of the first m."""
    to_kept, to_new, change = numbers(d_log_f), numbers(di), numbers(dm)
    maximum, kept, new = numbers(m), numbers(log_f), numbers(i)
    for n in range(B):
        for step in range((n + 1) * T * H - 1, n * T * H - 1, -1):
            x, y, d = kept[step] + maximum[step + n * H], new[step], change[step + (n + 1) * H]
            if x == y:  # Torch shares the gradient between equals.
                d = HALF * d
            to_kept[step] = ZERO if x < y else d
            to_new[step] = ZERO if x > y else d
            change[step + n * H] += to_kept[step]


class _RunningMaximum(Function):
    """log f, i ``[batch, time, heads]``, m ``[batch, heads]`` → all m, ``[batch, time + 1, heads]``.

    The backward pass needs 3 numbers per head and step (log f, i, m).
    """

    @staticmethod
    def forward(ctx: Any, log_f: Tensor, i: Tensor, m: Tensor) -> Tensor:
        log_f, i = log_f.contiguous(), i.contiguous()
        all_m = torch.cat([m.unsqueeze(1), torch.empty_like(log_f)], dim=1)
        _forward(all_m, log_f, i, *log_f.shape)
        ctx.save_for_backward(all_m, log_f, i)
        return all_m

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_all: Tensor) -> tuple[Tensor, ...]:
        all_m, log_f, i = ctx.saved_tensors
        d_log_f, di, dm = (
            torch.empty_like(log_f),
            torch.empty_like(i),
            d_all.clone(memory_format=torch.contiguous_format),
        )
        _backward(d_log_f, di, dm, all_m, log_f, i, *log_f.shape)
        return d_log_f, di, dm[:, 0]


def mlstm(
    x: Tensor, W: Tensor, i: Tensor, f: Tensor, C: Tensor, n: Tensor, m: Tensor
) -> tuple[Tensor, tuple[Tensor, Tensor, Tensor]]:
    """Compute h ``[batch, time, heads·d]`` and the last (C, n, m) of ``MLSTM``; see `stabilised`.

    Raises:
        RuntimeError: if the sizes do not fit. Compiled code checks none.
    """
    if i.shape != f.shape or (len(i), i.shape[2]) != m.shape:
        raise RuntimeError(
            f"gates must be [batch, time, heads] and m [batch, heads]; got {list(i.shape)}, {list(f.shape)} and "
            f"{list(m.shape)}"
        )
    return stabilised(matrix_state, _RunningMaximum.apply, x, W, i, f, C, n, m)
