"""The fused kernel of the sLSTM, with recurrent weights by heads.

The columns of the gates are ordered by head, then by gate, then by unit, and the units of each head are padded to whole
vectors. So the gates of a head lie together, and U h is one product for each head.
"""

from __future__ import annotations

from typing import Any

import torch
from numba import njit
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable
from torch.nn.functional import pad

from suite.kernels import _layout as layout
from suite.kernels._compiled import compiled
from suite.kernels._math import ONE, ZERO, add_row, exp, sigmoid, softplus, tanh
from suite.kernels._product import clear_padding, product
from suite.kernels._vector import LANES, load, store, where_at_least

NUMBER = 4  # the bytes of a number, in which addresses are moved
GATES = 5  # i, f, z, o and the slope of log σ(f̃)


@njit
def _where_zero(x, then, otherwise):  # type: ignore[no-untyped-def]
    return where_at_least(ZERO, x, where_at_least(x, ZERO, then, otherwise), otherwise)


@njit
def _larger(x, y):  # type: ignore[no-untyped-def]
    """Return the larger of two numbers, and NaN if one is NaN."""
    return where_at_least(x, x, where_at_least(x, y, x, y), x)


@compiled
def _forward(a, s, cs, ns, m, Wb, U, T, B, X, heads, H, P):  # type: ignore[no-untyped-def]
    """Fill in the gates ``a``, h in the rows ``s``, ``cs`` and ``ns``. ``m`` enters as the first and ends as the last.

    ``X`` is the size of (x_t, 1), and each of the ``heads`` has H units, padded to P.
    """
    row, width = X + heads * P, GATES * heads * P
    for t in range(T):
        # ĩ_t, f̃_t, z̃_t, õ_t = W x_t + b + U h_{t−1}
        product(a, s, Wb, t * B * width, width, t * B * row, row, B, X, 4 * heads * P, 0)
        for k in range(heads):
            U_k = U + k * 4 * H * P * NUMBER
            product(a, s, U_k, t * B * width + 4 * k * P, width, t * B * row + X + k * P, row, B, H, 4 * P, 1)
        for n in range(B):
            for k in range(heads):
                gates, slopes = (t * B + n) * width + 4 * k * P, (t * B + n) * width + (4 * heads + k) * P
                at, before = (n * heads + k) * P, ((t * B + n) * heads + k) * P
                after, h = before + B * heads * P, ((t + 1) * B + n) * row + X + k * P
                for j in range(0, P, LANES):
                    i, z = load(a, gates + j), tanh(load(a, gates + 2 * P + j))
                    loss, slope = softplus(ZERO - load(a, gates + P + j))
                    o, count = sigmoid(load(a, gates + 3 * P + j)), load(ns, before + j)
                    # m_t = max(log σ(f̃_t) + m_{t−1}, ĩ_t), and ĩ_t where n_{t−1} = 0
                    kept = load(m, at + j) - loss
                    new_m = _where_zero(count, i, _larger(kept, i))
                    # i_t = exp(ĩ_t − m_t), f_t = exp(log σ(f̃_t) + m_{t−1} − m_t): one is 1, and m_t − m_t is 0 or NaN
                    gap = kept - i
                    ratio = exp(where_at_least(gap, ZERO, ZERO - gap, gap))
                    f = where_at_least(kept, i, ONE, ratio)
                    i = _where_zero(count, ONE, where_at_least(kept, i, ratio, ONE)) + (new_m - new_m)
                    # c_t = f_t ⊙ c_{t−1} + i_t ⊙ tanh(z̃_t);  n_t = f_t ⊙ n_{t−1} + i_t
                    c, new_count = f * load(cs, before + j) + i * z, f * count + i
                    # h_t = σ(õ_t) ⊙ c_t / n_t
                    store(s, h + j, o * c / new_count)
                    store(cs, after + j, c)
                    store(ns, after + j, new_count)
                    store(m, at + j, new_m)
                    store(a, gates + j, i)
                    store(a, gates + P + j, f)
                    store(a, gates + 2 * P + j, z)
                    store(a, gates + 3 * P + j, o)
                    store(a, slopes + j, slope)


@compiled
def _backward(da, dh, dc, dn, dm, a, cs, ns, U, dy, T, B, heads, H, P, dy_step, dy_sequence):  # type: ignore[no-untyped-def]
    """Fill ``da``. The next four enter as the gradients of the last states and end as those of the first."""
    width = GATES * heads * P
    for t in range(T - 1, -1, -1):
        for n in range(B):
            for k in range(heads):
                gates, slopes = (t * B + n) * width + 4 * k * P, (t * B + n) * width + (4 * heads + k) * P
                at, before = (n * heads + k) * P, ((t * B + n) * heads + k) * P
                after = before + B * heads * P
                add_row(dh, at, dy, t * dy_step + n * dy_sequence + k * H, H)
                for j in range(0, P, LANES):
                    i, f = load(a, gates + j), load(a, gates + P + j)
                    z, o = load(a, gates + 2 * P + j), load(a, gates + 3 * P + j)
                    # h_t = σ(õ_t) ⊙ c_t / n_t
                    share, d_hidden = ONE / load(ns, after + j), load(dh, at + j)
                    mean = load(cs, after + j) * share
                    d_mean = d_hidden * o * share
                    store(da, gates + 3 * P + j, d_hidden * mean * o * (ONE - o))
                    # c_t = f_t ⊙ c_{t−1} + i_t ⊙ tanh(z̃_t);  n_t = f_t ⊙ n_{t−1} + i_t
                    d_c, d_n = load(dc, at + j) + d_mean, load(dn, at + j) - d_mean * mean
                    store(da, gates + 2 * P + j, d_c * i * (ONE - z * z))
                    d_i = (d_c * z + d_n) * i
                    d_f = (d_c * load(cs, before + j) + d_n * load(ns, before + j)) * f
                    store(dc, at + j, d_c * f)
                    store(dn, at + j, d_n * f)
                    # m_t is ĩ_t where i_t = 1, and log σ(f̃_t) + m_{t−1} elsewhere. The gate that is 1 is a constant.
                    d_m = load(dm, at + j)
                    d_kept = where_at_least(i, ONE, d_f, d_m - d_i)
                    store(da, gates + j, where_at_least(i, ONE, d_m - d_f, d_i))
                    store(da, gates + P + j, d_kept * load(a, slopes + j))
                    store(dm, at + j, d_kept)
        # ĩ_t, f̃_t, z̃_t, õ_t = … + U h_{t−1}
        clear_padding(da, t * B * width, width, B, 4 * heads, H, P)
        for k in range(heads):
            U_k = U + k * 4 * P * P * NUMBER
            product(dh, da, U_k, k * P, heads * P, t * B * width + 4 * k * P, width, B, 4 * P, P, 0)


class _SLSTM(Function):
    """x ``[batch, time, input]``, states ``[batch, hidden]``, W, U, b → outputs ``[batch, time, hidden]``, h, c, n, m.

    The backward pass needs 8 numbers per unit and step (i, f, z, o, the slope of log σ(f̃), c, n, h), and the inputs.
    """

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, h: Tensor, c: Tensor, n: Tensor, m: Tensor, W: Tensor, U: Tensor, b: Tensor
    ) -> tuple[Tensor, ...]:
        (B, T, size), H = x.shape, U.shape[1]
        P, X, heads = layout.padded(H), size + 1, len(U) // (4 * H)
        s = x.new_empty(T + 1, B, X + heads * P)
        s[:T, :, :size] = x.transpose(0, 1)
        s[:, :, size] = 1
        s[0, :, X:] = _padded(h, H, P)
        cs, ns = x.new_empty(T + 1, B, heads * P), x.new_empty(T + 1, B, heads * P)
        cs[0], ns[0], m = _padded(c, H, P), _padded(n, H, P), _padded(m, H, P)
        a = x.new_empty(T, B, GATES * heads * P)
        W, U, b = _by_head(W, heads), _by_head(U, heads), _by_head(b, heads)
        Wb = layout.pack_forward(4 * heads, W, b)
        packed = torch.cat([layout.pack_forward(4, U_k) for U_k in U.chunk(heads)])
        _forward(a, s, cs, ns, m, Wb, packed, T, B, X, heads, H, P)
        ctx.save_for_backward(a, s, cs, ns, W, U)
        ctx.set_materialize_grads(False)
        outputs = _units(s[1:, :, X:].transpose(0, 1), H, P)
        return outputs, *(_units(state, H, P).clone() for state in (s[-1, :, X:], cs[-1], ns[-1], m))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_outputs: Tensor | None, *d_last: Tensor | None) -> tuple[Any, ...]:
        a, s, cs, ns, W, U = ctx.saved_tensors
        (T, B, _), H, X = a.shape, U.shape[1], W.shape[1] + 1
        P, heads = layout.padded(H), len(U) // (4 * H)
        dy, step, sequence = layout.output_gradient(d_outputs, heads * H, a)
        d_states = [torch.zeros_like(cs[0]) if d is None else _padded(d, H, P) for d in d_last]
        da, U_back = layout.gate_gradient(a), torch.cat([layout.pack_backward(4, U_k) for U_k in U.chunk(heads)])
        _backward(da, *d_states, a, cs, ns, U_back, dy, T, B, heads, H, P, step, sequence)
        da = da[:, :, : 4 * heads * P]
        dx = layout.input_gradient(da, W, 4 * heads) if ctx.needs_input_grad[0] else None
        dWb = layout.weight_gradient(da, s[:-1, :, :X], 4 * heads, H)
        hs, das = s[:-1, :, X:].chunk(heads, dim=2), da.chunk(heads, dim=2)
        dU = torch.cat([layout.weight_gradient(d, h[:, :, :H], 4, H) for d, h in zip(das, hs, strict=True)])
        dW, db, dU = (_by_gate(d, heads) for d in (dWb[:, :-1], dWb[:, -1], dU))
        return dx, *(_units(d, H, P) for d in d_states), dW, dU, db


def _padded(tensor: Tensor, size: int, padded: int) -> Tensor:
    """Copy ``[…, heads · size]`` as ``[…, heads · padded]``, with zeros behind the units of each head."""
    return pad(torch.unflatten(tensor, -1, (-1, size)), (0, padded - size)).flatten(-2).contiguous()


def _units(tensor: Tensor, size: int, padded: int) -> Tensor:
    """Return ``[…, heads · size]`` of ``[…, heads · padded]``."""
    return torch.unflatten(tensor, -1, (-1, padded))[..., :size].flatten(-2)


def _by_head(tensor: Tensor, heads: int) -> Tensor:
    """Order the rows of a parameter by head and gate, which are ordered by gate and head."""
    return torch.unflatten(tensor, 0, (4, heads, -1)).transpose(0, 1).flatten(0, 2)


def _by_gate(tensor: Tensor, heads: int) -> Tensor:
    """Order the rows of a gradient by gate and head, which are ordered by head and gate."""
    return torch.unflatten(tensor, 0, (heads, 4, -1)).transpose(0, 1).flatten(0, 2)


def slstm(
    inputs: Tensor, h: Tensor, c: Tensor, n: Tensor, m: Tensor, W: Tensor, U: Tensor, b: Tensor
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """Compute ``SLSTM.forward``: inputs ``[batch, time, input]`` → outputs ``[batch, time, hidden]``, (h, c, n, m).

    Raises:
        RuntimeError: if a size is wrong. Compiled code checks no sizes, so all are checked here.
    """
    size, hidden = W.shape[1], len(U) // 4
    states = [tuple(state.shape) for state in (h, c, n, m)]
    if inputs.shape[2] != size or any(shape != (len(inputs), hidden) for shape in states):
        raise RuntimeError(
            f"inputs must be [batch, time, {size}] and states [batch, {hidden}]; got {list(inputs.shape)} and "
            f"{', '.join(str(list(shape)) for shape in states)}"
        )
    outputs, *state = _SLSTM.apply(inputs, h, c, n, m, W, U, b)  # type: ignore[no-untyped-call]
    return outputs, tuple(state)
