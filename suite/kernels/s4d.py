"""The fused kernel of S4D, whose factors are constant: within a chunk of steps, the recurrence is a convolution.

All sequences share the factors λ and the readout w of a channel, so a chunk of steps is a few small matrix products.
With p_t = λ^t, the filter is K_t = Re(Σ_n w_n p_t). For the steps t = 0, 1, … of a chunk that begins at the state h::

    y_t = Σ_{s ≤ t} K_{t−s} u_s + Re(Σ_n w_n p_{t+1} h_n) + D u_t
    h ← p_l h + Σ_s p_{l−1−s} u_s           after l steps

Neither direction computes the states within a chunk. D is added to K_0.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable
from torch.nn.functional import pad

from suite.kernels import _layout as layout
from suite.kernels._compiled import compiled, compiled_once
from suite.kernels._math import ONE, ZERO, gelu
from suite.kernels._product import PANEL, matmul
from suite.kernels._transpose import transpose
from suite.kernels._vector import LANES, load, load_part, numbers, store, store_part, total, where_at_least

CHUNK = 128
"""The largest number of steps that are one convolution."""


@compiled_once
def _tables(p, K, K_back, q, modes, D, channel, H, P):  # type: ignore[no-untyped-def]
    """Fill in p_t, the filter with zeros before it, the filter reversed with zeros after it, and the readouts q.

    A row of modes has ``P`` real parts and then the imaginary ones. q_t holds those of the conjugate of w p_{t+1}, so
    that Re(w p_{t+1} h) is the product of a row with a state.
    """
    forth, back, of_l, of_w = numbers(K), numbers(K_back), channel * 2 * P, (H + channel) * 2 * P
    for j in range(0, P, LANES):
        store(p, j, ONE)
        store(p, P + j, ZERO)
    for j in range(PANEL):
        forth[j] = 0
        back[CHUNK + j] = 0
    for t in range(CHUNK):
        K_t = numbers(D)[channel] if t == 0 else ZERO
        for j in range(0, P, LANES):
            at = t * 2 * P + j
            l_re, l_im = load(modes, of_l + j), load(modes, of_l + P + j)
            w_re, w_im = load(modes, of_w + j), load(modes, of_w + P + j)
            re, im = load(p, at), load(p, at + P)
            # K_t = Re(Σ_n w_n p_t)
            K_t += total(w_re * re - w_im * im)
            # p_{t+1} = λ p_t
            re, im = l_re * re - l_im * im, l_re * im + l_im * re
            store(p, at + 2 * P, re)
            store(p, at + 3 * P, im)
            store(q, at, w_re * re - w_im * im)
            store(q, at + P, ZERO - (w_re * im + w_im * re))
        forth[PANEL + t] = K_t
        back[CHUNK - 1 - t] = K_t


@compiled
def _forward(y, a, states, u, p, K, K_back, q, turned, modes, D, H, B, T, N, P, given, squashed):  # type: ignore[no-untyped-def]
    """Fill in the outputs ``y`` = φ(a), and in ``a``, where φ is the GELU, its slopes φ′(a), both ``[channel, batch, time]``.

    ``states`` ``[channel, chunk, batch, modes]`` begins with the first states if they are ``given``, and gets those
    before every other chunk, and the last ones.
    """
    M, S, chunks = B * T, B * 2 * P, (T + CHUNK - 1) // CHUNK
    for channel in range(H):
        _tables(p, K, K_back, q, modes, D, channel, H, P)
        if given or chunks > 1:
            transpose(turned, 0, CHUNK, q, 0, 2 * P, CHUNK, 2 * P)
        for chunk in range(chunks):
            first = chunk * CHUNK
            steps, at, state = min(CHUNK, T - first), channel * M + first, (channel * (chunks + 1) + chunk) * S
            for t in range(0, steps, PANEL):
                # y_t = Σ_s K_{t−s} u_s
                columns, depth = min(PANEL, steps - t), min(t + PANEL, steps)
                matmul(a, at + t, T, u, at, T, 1, K, PANEL + t, -1, B, depth, columns, 0)
            # h ← Σ_s p_{l−1−s} u_s
            matmul(states, state + S, 2 * P, u, at + steps - 1, T, -1, p, 0, 2 * P, B, steps, 2 * P, 0)
            if chunk or given:
                for part in range(2):
                    # y_t += Re(Σ_n w_n p_{t+1} h_n)
                    of_q = part * P * CHUNK
                    matmul(a, at, T, states, state + part * P, 2 * P, 1, turned, of_q, CHUNK, B, N, steps, 1)
                for of in range(state, state + S, 2 * P):
                    for j in range(of, of + P, LANES):
                        # h ← p_l h
                        p_at = steps * 2 * P + j - of
                        p_re, p_im, re, im = load(p, p_at), load(p, p_at + P), load(states, j), load(states, j + P)
                        store(states, S + j, load(states, S + j) + p_re * re - p_im * im)
                        store(states, S + j + P, load(states, S + j + P) + p_re * im + p_im * re)
        if squashed:
            for m in range(0, M, LANES):
                # y_t = φ(a_t)
                value, slope = gelu(load_part(a, channel * M + m, M - m))
                store_part(y, channel * M + m, M - m, value)
                store_part(a, channel * M + m, M - m, slope)


@compiled
def _backward(
    du, d_modes, dD, dh, da, a, states, u, p, K, K_back, q, turned, dp, dq, dK, products, modes, D,
    H, B, T, N, P, given, squashed, ended,
):  # type: ignore[no-untyped-def]  # fmt: skip
    """Fill ``du``, ``d_modes`` and ``dD``. ``da`` enters as the gradient of the outputs, and ``dh`` as that of the last state.

    ``dh`` ends as the gradient of the first state if that is ``given``. ``ended`` says that it enters with a gradient.
    """
    M, S, chunks = B * T, B * 2 * P, (T + CHUNK - 1) // CHUNK
    lags = numbers(dK)
    for channel in range(H):
        of_l, of_w, d_h = channel * 2 * P, (H + channel) * 2 * P, channel * S
        _tables(p, K, K_back, q, modes, D, channel, H, P)
        if ended or chunks > 1:
            # p_{l−1−s} by modes
            transpose(turned, 0, CHUNK, p, (CHUNK - 1) * 2 * P, -2 * P, CHUNK, 2 * P)
        for j in range(0, (CHUNK + 1) * 2 * P, LANES):
            store(dp, j, ZERO)
            store(dq, j, ZERO)
        for t in range(CHUNK + PANEL):
            lags[t] = 0
        if squashed:
            for m in range(0, M, LANES):
                # y_t = φ(a_t)
                at = channel * M + m
                store_part(da, at, M - m, load_part(da, at, M - m) * load_part(a, at, M - m))
        for chunk in range(chunks - 1, -1, -1):
            first = chunk * CHUNK
            steps, at, state = min(CHUNK, T - first), channel * M + first, (channel * (chunks + 1) + chunk) * S
            for s in range(0, steps, PANEL):
                # y_t = Σ_s K_{t−s} u_s
                columns = min(PANEL, steps - s)
                matmul(du, at + s, T, da, at + s, T, 1, K_back, CHUNK - 1, -1, B, steps - s, columns, 0)
            for t in range(0, steps, PANEL):
                rows = min(PANEL, steps - t)
                for s in range(0, t + rows, PANEL):
                    # A row of products lies one number to the left of that above, so each column has one lag t − s.
                    skewed, columns = 2 * PANEL - 1, min(PANEL, steps - s)
                    matmul(products, PANEL, skewed, da, at + t, 1, T, u, at + s, T, rows, B, columns, 0)
                    for j in range(0, 2 * PANEL, LANES):
                        to = CHUNK - (t - s) - PANEL + j
                        of_lag = load(dK, to)
                        for row in range(rows):
                            of_lag = of_lag + load(products, row * 2 * PANEL + j)
                        store(dK, to, of_lag)
            if ended or chunk < chunks - 1:
                for part in range(2):
                    # h ← Σ_s p_{l−1−s} u_s
                    of_p = part * P * CHUNK + CHUNK - steps
                    matmul(du, at, T, dh, d_h + part * P, 2 * P, 1, turned, of_p, CHUNK, B, N, steps, 1)
                matmul(dp, 0, 2 * P, u, at + steps - 1, -1, T, dh, d_h, 2 * P, steps, B, 2 * P, 1)
            if chunk or given:
                # y_t += Re(Σ_n w_n p_{t+1} h_n)
                matmul(dq, 2 * P, 2 * P, da, at, 1, T, states, state, 2 * P, steps, B, 2 * P, 1)
                for n in range(B):
                    for j in range(0, P, LANES):
                        # h ← p_l h
                        p_at, of, to = steps * 2 * P + j, state + n * 2 * P + j, d_h + n * 2 * P + j
                        p_re, p_im, re, im = load(p, p_at), load(p, p_at + P), load(states, of), load(states, of + P)
                        d_re, d_im = load(dh, to), load(dh, to + P)
                        store(dp, p_at, load(dp, p_at) + d_re * re + d_im * im)
                        store(dp, p_at + P, load(dp, p_at + P) + d_im * re - d_re * im)
                        store(dh, to, p_re * d_re + p_im * d_im)
                        store(dh, to + P, p_re * d_im - p_im * d_re)
                # y_t += Re(Σ_n w_n p_{t+1} h_n)
                matmul(dh, d_h, 2 * P, da, at, T, 1, q, 0, 2 * P, B, steps, 2 * P, 1)
        numbers(dD)[channel] = lags[CHUNK]
        for j in range(0, P, LANES):
            l_re, l_im = load(modes, of_l + j), load(modes, of_l + P + j)
            w_re, w_im = load(modes, of_w + j), load(modes, of_w + P + j)
            d_re = d_im = dl_re = dl_im = dw_re = dw_im = where_at_least(l_re, l_re, ZERO, ZERO)
            for t in range(CHUNK, -1, -1):
                at = t * 2 * P + j
                # K_t = Re(Σ_n w_n p_t), and q_{t−1} = conj(w p_t)
                e_re, e_im = lags[CHUNK - t] + load(dq, at), ZERO - load(dq, at + P)
                re, im = load(p, at), load(p, at + P)
                dw_re, dw_im = dw_re + re * e_re + im * e_im, dw_im + re * e_im - im * e_re
                # p_{t+1} = λ p_t
                dl_re, dl_im = dl_re + d_re * re + d_im * im, dl_im + d_im * re - d_re * im
                d_re, d_im = l_re * d_re + l_im * d_im, l_re * d_im - l_im * d_re
                d_re, d_im = d_re + load(dp, at), d_im + load(dp, at + P)
                d_re, d_im = d_re + w_re * e_re + w_im * e_im, d_im + w_re * e_im - w_im * e_re
            store(d_modes, of_l + j, dl_re)
            store(d_modes, of_l + P + j, dl_im)
            store(d_modes, of_w + j, dw_re)
            store(d_modes, of_w + P + j, dw_im)


class _S4D(Function):
    """x ``[batch, time, input]``, h ``[batch, channel, modes, 2]``, the parameters → y ``[batch, time, channel]``, h.

    The backward pass needs 2 numbers per channel and step (u, φ′), the states before every 128th step, and the inputs.
    """

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, h: Tensor | None, log_decay: Tensor, frequency: Tensor, log_dt: Tensor, C: Tensor, D: Tensor,
        W: Tensor | None, squashed: bool,
    ) -> tuple[Tensor, Tensor]:  # fmt: skip
        (B, T, X), (H, N) = x.shape, frequency.shape
        P, chunks = layout.padded(N), -(-T // CHUNK)
        # Λ = −e^a + iω,  Δ = e^δ,  Λ̄ = e^{ΔΛ},  B̄ = Λ⁻¹(Λ̄ − 1)
        L, dt = torch.complex(-log_decay.exp(), frequency), log_dt.exp().unsqueeze(1)
        z = dt * L
        l, B_bar = torch.exp(z), torch.expm1(z) / L
        w = 2 * torch.view_as_complex(C) * B_bar
        modes = x.new_zeros(2, H, 2, P)
        modes[0, :, :, :N], modes[1, :, :, :N] = (torch.view_as_real(each).transpose(1, 2) for each in (l, w))
        x, D, u = x.contiguous(), D.contiguous(), x.new_empty(H, B * T)
        if W is None:
            flip(u, x, B * T, H)
        else:
            torch.mm(W, x.view(B * T, X).t(), out=u)
        states, a, y = x.new_empty(H, chunks + 1, B, 2, P), torch.empty_like(u), x.new_empty(B, T, H)
        if h is not None:
            states[:, 0, :, :, :N], states[:, 0, :, :, N:] = h.permute(1, 0, 3, 2), 0
        out = torch.empty_like(u) if squashed else a
        _forward(out, a, states, u, *_room(x, P), modes, D, H, B, T, N, P, h is not None, squashed)
        flip(y, out, H, B * T)
        ctx.save_for_backward(a if squashed else D, states, u, modes, L, dt, l, B_bar, C, D, x, W)
        ctx.set_materialize_grads(False)
        ctx.given, ctx.squashed = h is not None, squashed
        return y, states[:, chunks, :, :, :N].permute(1, 0, 3, 2)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dy: Tensor | None, d_last: Tensor | None) -> tuple[Tensor | None, ...]:
        a, states, u, modes, L, dt, l, B_bar, C, D, x, W = ctx.saved_tensors
        (B, T, X), (H, N), P = x.shape, L.shape, modes.shape[3]
        da, du, ended = torch.empty_like(u), torch.empty_like(u), d_last is not None
        if dy is None:
            da.zero_()
        else:
            flip(da, dy.contiguous(), B * T, H)
        needed = ended or ctx.given or T > CHUNK
        dh = x.new_zeros(H, B, 2, P) if needed else x
        if d_last is not None:
            dh[..., :N] = d_last.permute(1, 0, 3, 2)
        d_modes, dD, powers = torch.empty_like(modes), torch.empty_like(D), (CHUNK + 1) * 2 * P
        sizes = powers, powers, CHUNK + PANEL, 2 * PANEL * PANEL
        _backward(
            du, d_modes, dD, dh, da, a, states, u, *_room(x, P), *(x.new_zeros(size) for size in sizes), modes, D,
            H, B, T, N, P, ctx.given, ctx.squashed, ended,
        )  # fmt: skip
        dl, dw = (torch.view_as_complex(each[..., :N].transpose(1, 2).contiguous()) for each in d_modes)
        # w = 2 C B̄,  B̄ = (e^z − 1) / Λ,  Λ̄ = e^z,  z = ΔΛ
        dw = 2 * dw
        dC, dB = B_bar.conj() * dw, torch.view_as_complex(C).conj() * dw / L.conj()
        dz = l.conj() * (dl + dB)
        dL = dt * dz - B_bar.conj() * dB
        d_log_dt = dt.squeeze(1) * (L.conj() * dz).real.sum(1)
        dx = None
        if ctx.needs_input_grad[0]:
            dx = (du.t() if W is None else du.t() @ W).reshape(x.shape)
        return (
            dx, dh[..., :N].permute(1, 0, 3, 2) if ctx.given else None, L.real * dL.real, dL.imag, d_log_dt,
            torch.view_as_real(dC), dD, None if W is None else du @ x.view(B * T, X), None,
        )  # fmt: skip


def _room(x: Tensor, P: int) -> list[Tensor]:
    """Make room for the tables of a channel: the powers, the filter forwards and backwards, q, and one transposed."""
    sizes = (CHUNK + 1) * 2 * P, PANEL + CHUNK, CHUNK + PANEL, CHUNK * 2 * P, 2 * P * CHUNK
    return [x.new_empty(size) for size in sizes]


@compiled
def flip(to, of, rows, columns):  # type: ignore[no-untyped-def]
    """Transpose a whole matrix ``[rows, columns]``."""
    transpose(to, 0, rows, of, 0, columns, rows, columns)


def s4d(
    inputs: Tensor, h: Tensor | None, log_decay: Tensor, frequency: Tensor, log_dt: Tensor, C: Tensor, D: Tensor,
    W: Tensor | None, activation: str,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """Compute ``S4D.forward``: inputs ``[batch, time, input]`` → outputs ``[batch, time, hidden]``, h. None is zeros."""
    layout.check_sizes(inputs, len(D) if W is None else W.shape[1], [] if h is None else [h], *C.shape)
    first = None if h is None or not (h.requires_grad or h.any()) else h
    parameters = log_decay, frequency, log_dt, C, D, W
    outputs, last = _S4D.apply(inputs, first, *parameters, activation == "gelu")  # type: ignore[no-untyped-call]
    return outputs, last
