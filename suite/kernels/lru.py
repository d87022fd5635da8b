"""The fused kernel of the linear recurrent unit, whose state is complex and whose factors are constant."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from suite.kernels import _layout as layout
from suite.kernels._compiled import compiled
from suite.kernels._math import gelu
from suite.kernels._product import matmul
from suite.kernels._vector import LANES, load, load_part, prefetch, store, store_part

BLOCK = 128
"""The number of steps whose states are computed, and used, while they are in the cache."""


@compiled
def _forward(y, a, s, x, h, B, C, D, lam, sequences, T, X, N, P, H, Q, wide, squashed):  # type: ignore[no-untyped-def]
    """Fill in the states ``s``, the outputs ``y`` = φ(a), and in ``a``, where φ is the GELU, its slopes φ′(a).

    A state has its ``P`` real parts beside its imaginary ones. ``wide`` says that D is a matrix.
    """
    M = sequences * T
    for first in range(0, M, BLOCK):
        rows = min(BLOCK, M - first)
        matmul(s, first * 2 * P, 2 * P, x, first * X, X, 1, B, 0, 2 * P, rows, X, 2 * P, 0)
        for m in range(first, first + rows):
            n, at = m // T, m * 2 * P
            before, before_at = (h, n * 2 * P) if m == n * T else (s, at - 2 * P)
            for j in range(0, P, LANES):
                prefetch(s, at + BLOCK * 2 * P + j)
                prefetch(s, at + BLOCK * 2 * P + P + j)
                # h_t = λ ⊙ h_{t−1} + B x_t
                l_re, l_im = load(lam, j), load(lam, P + j)
                re, im = load(before, before_at + j), load(before, before_at + P + j)
                store(s, at + j, l_re * re - l_im * im + load(s, at + j))
                store(s, at + P + j, l_re * im + l_im * re + load(s, at + P + j))
        # a_t = Re(C h_t) + D x_t, where C holds Re C and −Im C
        matmul(a, first * Q, Q, s, first * 2 * P, 2 * P, 1, C, 0, Q, rows, N, Q, 0)
        matmul(a, first * Q, Q, s, first * 2 * P + P, 2 * P, 1, C, P * Q, Q, rows, N, Q, 1)
        if wide:
            matmul(a, first * Q, Q, x, first * X, X, 1, D, 0, Q, rows, X, Q, 1)
        for m in range(first, first + rows):
            for j in range(0, Q, LANES):
                at = m * Q + j
                prefetch(a, at + BLOCK * Q)
                prefetch(y, at + BLOCK * Q)
                if not wide:
                    store(a, at, load(a, at) + load(D, j) * load_part(x, m * X + j, X - j))
                if squashed:
                    # y_t = φ(a_t)
                    value, slope = gelu(load(a, at))
                    store(y, at, value)
                    store(a, at, slope)


@compiled
def _backward(  # type: ignore[no-untyped-def]
    dx, dB, dC, dD, dl, dh, ds, da, a, s, x, h, B, C, D, lam, dy,
    sequences, T, X, N, P, H, Q, wide, squashed, dy_step, dy_sequence, wants_dx,
):  # fmt: skip
    """Add to ``dB``, ``dC``, ``dD`` and ``dl``, and fill ``dx``. ``ds`` and ``da`` have room for a block.

    ``dh`` enters as the gradient of the last state and ends as that of the first.
    """
    M = sequences * T
    for first in range((M - 1) // BLOCK * BLOCK, -1, -BLOCK):
        rows = min(BLOCK, M - first)
        for row in range(rows):
            m = first + row
            for j in range(0, Q, LANES):
                prefetch(a, (m - BLOCK) * Q + j)
                # y_t = φ(a_t)
                d = load_part(dy, m % T * dy_step + m // T * dy_sequence + j, H - j)
                if squashed:
                    d = d * load(a, m * Q + j)
                store(da, row * Q + j, d)
                if not wide:
                    store(dD, j, load(dD, j) + d * load_part(x, m * X + j, X - j))
        # a_t = Re(C h_t) + D x_t
        matmul(ds, 0, 2 * P, da, 0, Q, 1, C, 0, 2 * P, rows, H, 2 * P, 0)
        matmul(dC, 0, 2 * P, da, 0, 1, Q, s, first * 2 * P, 2 * P, H, rows, 2 * P, 1)
        for row in range(rows - 1, -1, -1):
            m, at = first + row, row * 2 * P
            n = m // T
            d = n * 2 * P
            before, before_at = (h, d) if m == n * T else (s, (m - 1) * 2 * P)
            for j in range(0, P, LANES):
                # h_t = λ ⊙ h_{t−1} + B x_t
                l_re, l_im = load(lam, j), load(lam, P + j)
                re, im = load(before, before_at + j), load(before, before_at + P + j)
                d_re, d_im = load(dh, d + j) + load(ds, at + j), load(dh, d + P + j) + load(ds, at + P + j)
                store(ds, at + j, d_re)
                store(ds, at + P + j, d_im)
                store(dl, j, load(dl, j) + d_re * re + d_im * im)
                store(dl, P + j, load(dl, P + j) + d_im * re - d_re * im)
                store(dh, d + j, l_re * d_re + l_im * d_im)
                store(dh, d + P + j, l_re * d_im - l_im * d_re)
        for part in range(2):
            matmul(dB, part * P * X, X, ds, part * P, 1, 2 * P, x, first * X, X, N, rows, X, 1)
            if wants_dx:
                matmul(dx, first * X, X, ds, part * P, 2 * P, 1, B, part * P * X, X, rows, N, X, part)
        if wide:
            matmul(dD, 0, X, da, 0, 1, Q, x, first * X, X, H, rows, X, 1)
            if wants_dx:
                matmul(dx, first * X, X, da, 0, Q, 1, D, 0, X, rows, H, X, 1)
        elif wants_dx:
            for row in range(rows):
                for j in range(0, Q, LANES):
                    at = (first + row) * X + j
                    store_part(dx, at, X - j, load_part(dx, at, X - j) + load(D, j) * load(da, row * Q + j))


class _LRU(Function):
    """x ``[batch, time, input]``, h ``[batch, modes, 2]`` and the parameters → outputs ``[batch, time, hidden]``, h.

    The backward pass needs 2 numbers per mode and step (h) and 1 per unit and step (φ′), and the inputs.
    """

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, h: Tensor, nu: Tensor, theta: Tensor, gamma: Tensor, B: Tensor, C: Tensor, D: Tensor,
        squashed: bool,
    ) -> tuple[Tensor, Tensor]:  # fmt: skip
        (batch, T, X), N, H, wide = x.shape, len(nu), len(C), D.dim() > 1
        P, Q = layout.padded(N), layout.padded(H)
        lam, scaled_B, real_C = x.new_zeros(2, P), x.new_zeros(2, P, X), x.new_zeros(H, 2, P)
        # λ = exp(−e^ν + i e^θ)
        size, phase = torch.exp(-nu.exp()), theta.exp()
        torch.mul(size, phase.cos(), out=lam[0, :N])
        torch.mul(size, phase.sin(), out=lam[1, :N])
        # e^γ ⊙ B, and the matrix Re C, −Im C that maps the parts of h to Re(C h)
        torch.mul(gamma.exp().unsqueeze(1), B.view(2, N, X), out=scaled_B[:, :N])
        real_C[:, 0, :N], real_C[:, 1, :N] = C[:, :N], -C[:, N:]
        x, s, a = x.contiguous(), x.new_empty(batch, T, 2, P), x.new_empty(batch, T, Q)
        y, first, D = torch.empty_like(a) if squashed else a, _padded(h.transpose(1, 2), P), D.contiguous()
        of_B, of_C, of_D = (
            scaled_B.permute(2, 0, 1).contiguous(),
            _padded(real_C.permute(1, 2, 0), Q),
            _padded(D.t(), Q),
        )
        _forward(y, a, s, x, first, of_B, of_C, of_D, lam, batch, T, X, N, P, H, Q, wide, squashed)
        ctx.save_for_backward(a if squashed else x, s, x, first, nu, theta, lam, gamma, scaled_B, real_C, D)
        ctx.set_materialize_grads(False)
        ctx.squashed = squashed
        return y[:, :, :H], s[:, -1, :, :N].transpose(1, 2).contiguous()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dy: Tensor | None, d_last: Tensor | None) -> tuple[Tensor | None, ...]:
        a, s, x, h, nu, theta, lam, gamma, B, C, D = ctx.saved_tensors
        (batch, T, X), N, P, H, wide = x.shape, len(nu), h.shape[2], len(C), D.dim() > 1
        Q = layout.padded(H)
        dy, step, sequence = layout.output_gradient(dy, H, x)
        dh = torch.zeros_like(h) if d_last is None else _padded(d_last.transpose(1, 2), P)
        dx = torch.empty_like(x) if ctx.needs_input_grad[0] else None
        D = D if wide else _padded(D, Q)
        dB, dC, dD, dl = torch.zeros_like(B), torch.zeros_like(C), torch.zeros_like(D), torch.zeros_like(lam)
        ds, da = x.new_empty(BLOCK, 2 * P), x.new_empty(BLOCK, Q)
        _backward(
            x if dx is None else dx, dB, dC, dD, dl, dh, ds, da, a, s, x, h, B, C, D, lam, dy,
            batch, T, X, N, P, H, Q, wide, ctx.squashed, step, sequence, dx is not None,
        )  # fmt: skip
        dB, B, dC, (l_re, l_im), (d_re, d_im) = dB[:, :N], B[:, :N], dC[:, :, :N], lam[:, :N], dl[:, :N]
        d_nu = -nu.exp() * (d_re * l_re + d_im * l_im)
        d_theta = theta.exp() * (d_im * l_re - d_re * l_im)
        d_gamma, dB = (dB * B).sum((0, 2)), (gamma.exp().unsqueeze(1) * dB).flatten(0, 1)
        dC = torch.cat([dC[:, 0], -dC[:, 1]], dim=1)
        return dx, dh[:, :, :N].transpose(1, 2), d_nu, d_theta, d_gamma, dB, dC, dD if wide else dD[:H], None


def _padded(tensor: Tensor, size: int) -> Tensor:
    """Copy a tensor whose last dimension is padded with zeros."""
    room = tensor.new_zeros(*tensor.shape[:-1], size)
    room[..., : tensor.shape[-1]] = tensor
    return room


def lru(
    inputs: Tensor,
    h: Tensor,
    nu: Tensor,
    theta: Tensor,
    gamma: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor,
    activation: str,
) -> tuple[Tensor, Tensor]:
    """Compute ``LRU.forward``: inputs ``[batch, time, input]`` → outputs ``[batch, time, hidden]``, h."""
    layout.check_sizes(inputs, B.shape[1], [h], len(nu), 2)
    outputs, last = _LRU.apply(inputs, h, nu, theta, gamma, B, C, D, activation == "gelu")  # type: ignore[no-untyped-call]
    return outputs, last
