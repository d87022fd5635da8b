"""The fused kernel of the temporal convolutional network: all its convolutions, with their ReLUs and residuals."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable
from torch.nn.functional import pad

from suite.kernels._compiled import compiled
from suite.kernels._layout import padded
from suite.kernels._math import ZERO
from suite.kernels._product import outer_product, pack, product
from suite.kernels._vector import LANES, load, store, where_at_least

BLOCK = 256
"""The number of rows that pass through all taps at a time, so that their sums stay in the cache."""


@compiled
def _convolve(out, out_at, s, W, b, R, K, step, C, S, P, y, y_at, x, x_at, joins):  # type: ignore[no-untyped-def]
    """Fill the rows of ``out`` with relu(Σ_k W_k s_{row + k·step} + b), and with ``joins`` also y = relu(out + x)."""
    for first in range(0, R, BLOCK):
        rows = min(BLOCK, R - first)
        at = out_at + first * P
        for k in range(K):
            product(out, s, W + 4 * k * C * P, at, P, (first + k * step) * S, S, rows, C, P, min(k, 1))
        for n in range(rows):
            for j in range(0, P, LANES):
                place = (first + n) * P + j
                # relu(Σ_k W_k x_{t−kd} + b), which is 0 if the sum is ≤ 0, so that a NaN stays a NaN
                a = load(out, out_at + place) + load(b, j)
                c = where_at_least(ZERO, a, ZERO, a)
                store(out, out_at + place, c)
                if joins:
                    # y_t = relu(c_t + x_t)
                    total = c + load(x, x_at + place)
                    store(y, y_at + place, where_at_least(ZERO, total, ZERO, total))


@compiled
def _through_relu(da, d, d_at, a, a_at, size):  # type: ignore[no-untyped-def]
    """Take a gradient ``d`` back through a ReLU with the outputs ``a``."""
    for j in range(0, size, LANES):
        store(da, j, where_at_least(ZERO, load(a, a_at + j), ZERO, load(d, d_at + j)))


@compiled
def _spread(ds, da, W, R, K, step, H, S, P):  # type: ignore[no-untyped-def]
    """Add W_kᵀ da_row to ds_{row + k·step}, for every row and tap."""
    for first in range(0, R, BLOCK):
        for k in range(K):
            product(ds, da, W + 4 * k * H * S, (first + k * step) * S, S, first * P, P, min(BLOCK, R - first), H, S, 1)


@compiled
def _weight_gradient(dW, da, s, R, K, step, C, S, P):  # type: ignore[no-untyped-def]
    """Add Σ_row s_{row + k·step} da_rowᵀ to dW ``[kernel, channels, padded]``."""
    for first in range(0, R, BLOCK):
        for k in range(K):
            s_at = (first + k * step) * S
            outer_product(dW, s, da, k * C * P, P, s_at, S, first * P, P, min(BLOCK, R - first), C, P)


class _TCN(Function):
    """x ``[batch, time, input]``, (R, r) or (), and of each convolution its window, W and b → outputs, windows.

    Time comes first inside, and the channels are padded to whole vectors. Each convolution reads an array that begins
    with its window, and writes into that of the next one. The backward pass needs 3 numbers per channel, level and step
    (x, a, c), and the inputs.
    """

    @staticmethod
    def forward(ctx: Any, count: int, x: Tensor, *others: Tensor) -> tuple[Tensor, ...]:
        windows, Ws, bs = (others[n * count : (n + 1) * count] for n in range(3))
        residual = others[3 * count :]
        (B, T, _), (H, K, _) = x.shape, Ws[0].shape
        P = padded(H)
        _check(x, windows, Ws)
        rooms = [(window.shape[1] + T, B, padded(window.shape[2])) for window in windows]
        arrays, outputs = _arrays(x, [*rooms, *[(T, B, P)] * (count // 2)]), x.new_empty(T, B, P)
        inputs, written = arrays[:count], arrays[count:]
        for s, window in zip(inputs, windows, strict=True):
            s[: len(s) - T, :, : window.shape[2]] = window.transpose(0, 1)
        inputs[0][:, :, x.shape[2] :] = 0  # Channels that are padded stay 0 from here on.
        inputs[0][len(inputs[0]) - T :, :, : x.shape[2]] = x.transpose(0, 1)
        if residual:  # R x_t + r, in place of x_t
            first = pad(x.transpose(0, 1) @ residual[0].T + residual[1], (0, P - H))
        for n, (s, W, b) in enumerate(zip(inputs, Ws, bs, strict=True)):
            after = inputs[n + 1] if n + 1 < count else outputs
            joins, c = n % 2, written[n // 2] if n % 2 else after
            skipped = (first if residual and n == 1 else inputs[n - 1]) if joins else after
            _convolve(
                c, 0 if joins else _begin(c, T), s, _packed(W, forward=True), pad(b, (0, P - H)),
                T * B, K, _dilation(s, T, K) * B, W.shape[2], s.shape[2], P,
                after, _begin(after, T), skipped, _begin(skipped, T), joins,
            )  # fmt: skip
        ctx.save_for_backward(*inputs, *written, outputs, *Ws, *residual)
        ctx.count = count
        ctx.set_materialize_grads(False)
        sizes = [W.shape[2] for W in Ws]
        last = [s[T:, :, :size].transpose(0, 1).clone() for s, size in zip(inputs, sizes, strict=True)]
        return outputs[:, :, :H].transpose(0, 1), *last

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_outputs: Tensor | None, *d_last: Tensor | None) -> tuple[Any, ...]:
        count, saved = ctx.count, ctx.saved_tensors
        inputs, written, outputs = saved[:count], saved[count : count * 3 // 2], saved[count * 3 // 2]
        Ws, residual = saved[count * 3 // 2 + 1 :][:count], saved[count * 5 // 2 + 1 :]
        (T, B, P), (H, K, _) = outputs.shape, Ws[0].shape
        sizes = [outputs.shape] * 3 + [max(inputs, key=torch.numel).shape] * 2
        dy, da, d_sum, *rooms = _arrays(outputs, sizes)
        dy.zero_()
        if d_outputs is not None:
            dy[:, :, :H] = d_outputs.transpose(0, 1)
        dy_at, d_windows, dWs, dbs = 0, [], [], []
        for n in range(count - 1, -1, -1):
            s, W = inputs[n], Ws[n]
            after = inputs[n + 1] if n + 1 < count else outputs
            if n % 2:
                # y_t = relu(c_t + x_t), and c_t = relu(…)
                _through_relu(d_sum, dy, dy_at, after, _begin(after, T), T * B * P)
                _through_relu(da, d_sum, 0, written[n // 2], 0, T * B * P)
            else:
                _through_relu(da, dy, dy_at, after, _begin(after, T), T * B * P)
            step, size = _dilation(s, T, K) * B, W.shape[2]
            dW = da.new_zeros(K, size, P)
            _weight_gradient(dW, da, s, T * B, K, step, size, s.shape[2], P)
            dWs.append(dW[:, :, :H].permute(2, 0, 1))
            dbs.append(da.sum((0, 1))[:H])
            # Σ_k W_k x_{t−kd} + b
            ds = rooms[n % 2].view(-1)[: s.numel()].view_as(s).zero_()
            if (d_window := d_last[n]) is not None:
                ds[T:, :, :size] = d_window.transpose(0, 1)
            if n % 2 == 0 and not (n == 0 and residual):
                ds[len(s) - T :] += d_sum
            if n or ctx.needs_input_grad[1] or ctx.needs_input_grad[2]:
                _spread(ds, da, _packed(W, forward=False), T * B, K, step, H, s.shape[2], P)
            d_windows.append(
                ds[: len(s) - T, :, :size].transpose(0, 1).clone() if ctx.needs_input_grad[2 + n] else None
            )
            dy, dy_at = ds, _begin(ds, T)
        dx, d_residual = ds[len(s) - T :, :, :size], []
        if residual:
            x, d_sum = s[len(s) - T :, :, :size].flatten(0, 1), d_sum[:, :, :H].flatten(0, 1)
            d_residual = [d_sum.T @ x, d_sum.sum(0)]
            dx = dx + (d_sum @ residual[0]).view_as(dx)
        return None, dx.transpose(0, 1), *d_windows[::-1], *dWs[::-1], *dbs[::-1], *d_residual


def _check(x: Tensor, windows: Sequence[Tensor], Ws: Sequence[Tensor]) -> None:
    """Check all sizes, because compiled code checks none.

    Raises:
        RuntimeError: if one is wrong.
    """
    for n, (window, W) in enumerate(zip(windows, Ws, strict=True)):
        expected = (len(x), (W.shape[1] - 1) * 2 ** (n // 2), W.shape[2])
        if x.shape[2] != Ws[0].shape[2] or window.shape != expected:
            raise RuntimeError(
                f"inputs must be [batch, time, {Ws[0].shape[2]}] and the window of convolution {n} {list(expected)}; "
                f"got {list(x.shape)} and {list(window.shape)}"
            )


def _arrays(like: Tensor, shapes: Sequence[Sequence[int]]) -> list[Tensor]:
    """Return arrays of these shapes that share one piece of memory.

    Many pieces of medium size would be given back to the system after each pass, and fetched again page by page.
    """
    sizes = [math.prod(shape) for shape in shapes]
    parts = torch.split(like.new_empty(sum(sizes)), sizes)
    return [part.view(tuple(shape)) for part, shape in zip(parts, shapes, strict=True)]


def _begin(array: Tensor, steps: int) -> int:
    """Return where the last ``steps`` steps of an array begin."""
    return (len(array) - steps) * array.shape[1] * array.shape[2]


def _dilation(array: Tensor, steps: int, kernel: int) -> int:
    return (len(array) - steps) // (kernel - 1)


def _packed(W: Tensor, forward: bool) -> Tensor:
    """Pack the matrices of all taps ``[hidden, kernel, channels]`` for x → W x, or backward for da → Wᵀ da."""
    H, K, C = W.shape
    W, width = W.contiguous(), padded(H if forward else C)
    packed = W.new_zeros(K, (C if forward else H) * width)
    for k in range(K):
        if forward:
            pack(packed[k], W, k * C, C, width, 0, 0, C, H, 1, K * C)
        else:
            pack(packed[k], W, k * C, H, width, 0, 0, H, C, K * C, 1)
    return packed


def tcn(
    inputs: Tensor, windows: Sequence[Tensor], Ws: Sequence[Tensor], bs: Sequence[Tensor], residual: Sequence[Tensor]
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """Compute ``TCN.forward``: inputs ``[batch, time, input]`` → outputs ``[batch, time, hidden]``, windows.

    Of each convolution come its window ``[batch, (kernel − 1) · dilation, channels]``, W ``[hidden, kernel, channels]``
    and b ``[hidden]``. ``residual`` is (R, r), or () where the sizes of input and output are one.
    """
    outputs, *last = _TCN.apply(len(Ws), inputs, *windows, *Ws, *bs, *residual)  # type: ignore[no-untyped-call]
    return outputs, tuple(last)
