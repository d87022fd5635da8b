"""The diagonal state space model S4D, whose channels are filters that remember with many modes each."""

from __future__ import annotations

from math import log, pi, sqrt
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import gelu, linear, pad

from suite import kernels
from suite.architectures._base import Cell, weight

CHUNK = 64
"""The number of steps of the parallel form that are one convolution."""


class S4D(Cell[Tensor]):
    """Independent channels with ``d_state`` complex modes each, discretised from continuous time::

        u_t = x_t, or W x_t where the input is not as wide as the layer
        Λ = −e^a + iω,    Δ = e^δ
        Λ̄ = e^{ΔΛ},    B̄ = Λ⁻¹(Λ̄ − 1)                               zero-order hold, with B = 1
        h_t = Λ̄ ⊙ h_{t−1} + u_t                                      in every mode of a channel
        y_t = φ(2 Re(Σ_n C_n B̄_n h_{t,n}) + D u_t)                   in every channel

    B̄ is a constant factor of every mode, and is multiplied into C, as at the source. The real part is doubled because
    each mode stands for itself and its conjugate. ``d_state`` counts the modes, so the N of the paper is 2 ``d_state``.

    φ is the GELU (``activation = "gelu"``) or the identity (``"none"``). The recurrence is linear in u, and without a
    nonlinearity a stack of such layers would be one linear filter. The source puts GELU and a gated linear unit behind
    each. There is no matrix behind φ here, because the residual block's projection, or the decoder, is one.

    ``init`` gives the modes n = 0 … d_state − 1 at the start, with N = 2 ``d_state``:

    - ``"lin"`` has Λ_n = −½ + iπn, whose frequencies are those of Fourier's series.
    - ``"inv"`` has Λ_n = −½ + i(N/π)(N/(2n + 1) − 1), which comes closest to the matrix of S4.
    - ``"real"`` has Λ_n = −(n + 1). Its modes only decay, but may learn to oscillate.

    Δ is drawn between ``dt_min`` and ``dt_max``, uniformly in its logarithm, one for each channel. A channel then
    remembers of the order of 1/Δ steps, so the range is that of the expected dependencies: 10 … 1000 by default. C is a
    complex normal number of variance 1 and D a real one. The elements of W are uniform in ±1/√input_size, as in torch's
    linear maps. Weight decay does not touch a, ω and δ, as at the source.

    State: h, ``[batch, hidden_size, d_state, 2]``, real and imaginary parts.

    Source: Gu et al. 2022, On the parameterization and initialization of diagonal state space models (sections 3 and
    4); state-spaces/s4, models/s4/s4d.py.
    """

    family = "linear"
    without_weight_decay = ("log_decay", "frequency", "log_dt")

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        d_state: int = 32,
        init: Literal["lin", "inv", "real"] = "lin",
        dt_min: float = 0.001,
        dt_max: float = 0.1,
        activation: Literal["gelu", "none"] = "gelu",
    ) -> None:
        super().__init__(input_size, hidden_size)
        if d_state < 1:
            raise ValueError(f"d_state, the number of modes of a channel, must be at least 1; got {d_state}")
        if not 0 < dt_min <= dt_max:
            raise ValueError(f"dt_min and dt_max must have 0 < dt_min ≤ dt_max; got {dt_min} and {dt_max}")
        if init not in ("lin", "inv", "real"):
            raise ValueError(f"init must be 'lin', 'inv' or 'real'; got {init!r}")
        if activation not in ("gelu", "none"):
            raise ValueError(f"activation must be 'gelu' or 'none'; got {activation!r}")
        self.activation = activation
        self.W = None if input_size == hidden_size else weight(hidden_size, input_size, 1 / sqrt(input_size))
        n, N = torch.arange(d_state, dtype=torch.float32), 2 * d_state
        frequency = {"lin": pi * n, "inv": N / pi * (N / (2 * n + 1) - 1), "real": torch.zeros_like(n)}[init]
        decay = n + 1 if init == "real" else torch.full_like(n, 0.5)
        self.log_decay = nn.Parameter(decay.log().repeat(hidden_size, 1))
        self.frequency = nn.Parameter(frequency.repeat(hidden_size, 1))
        self.log_dt = nn.Parameter(torch.empty(hidden_size).uniform_(log(dt_min), log(dt_max)))
        self.C = nn.Parameter(torch.randn(hidden_size, d_state, 2) / sqrt(2))
        self.D = nn.Parameter(torch.randn(hidden_size))

    def initial_state(self, batch_size: int) -> Tensor:
        return self.zeros(batch_size, *self.C.shape)

    def step(self, x: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        u = x if self.W is None else linear(x, self.W)
        (l_re, l_im), (w_re, w_im), (re, im) = (each.unbind(1) for each in (*self._discrete(), state.movedim(-1, 1)))
        # h_t = Λ̄ ⊙ h_{t−1} + u_t
        re, im = l_re * re - l_im * im + u.unsqueeze(-1), l_re * im + l_im * re
        # y_t = φ(2 Re(Σ_n C_n B̄_n h_{t,n}) + D u_t)
        return self._activated((w_re * re - w_im * im).sum(-1) + self.D * u), torch.stack([re, im], dim=-1)

    def _discrete(self) -> tuple[Tensor, Tensor]:
        """Return Λ̄ and 2 C B̄, ``[hidden_size, 2, d_state]`` each, real and imaginary parts."""
        # Λ = −e^a + iω,  Δ = e^δ
        decay, dt = self.log_decay.exp(), self.log_dt.exp().unsqueeze(1)
        shrunk, phase = -dt * decay, dt * self.frequency
        # Λ̄ = e^{ΔΛ}, and Λ̄ − 1 without the loss of digits that the difference would have
        l_re, l_im = shrunk.exp() * phase.cos(), shrunk.exp() * phase.sin()
        less_re = torch.expm1(shrunk) * phase.cos() - 2 * (phase / 2).sin().square()
        # B̄ = Λ⁻¹(Λ̄ − 1)
        size = decay.square() + self.frequency.square()
        B_re = (l_im * self.frequency - less_re * decay) / size
        B_im = -(l_im * decay + less_re * self.frequency) / size
        C_re, C_im = self.C.unbind(-1)
        w_re, w_im = 2 * (C_re * B_re - C_im * B_im), 2 * (C_re * B_im + C_im * B_re)
        return torch.stack([l_re, l_im], dim=1), torch.stack([w_re, w_im], dim=1)

    def _activated(self, y: Tensor) -> Tensor:
        return gelu(y) if self.activation == "gelu" else y

    def forward(self, inputs: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor]:
        own = (self.log_decay, self.frequency, self.log_dt, self.C, self.D)
        others = [tensor for tensor in (state, self.W) if tensor is not None]
        kernel = kernels.find("s4d", inputs, *own, *others)
        # The kernel multiplies later inputs by 0 in places, and 0 · ∞ is NaN.
        if kernel is not None and inputs.sum().isfinite():
            return kernel(inputs, state, *own, self.W, self.activation)  # type: ignore[no-any-return]
        h = self.initial_state(len(inputs)) if state is None else state
        if kernels.parallel(inputs):
            return self._in_chunks(inputs, h)
        return super().forward(inputs, h)

    def _in_chunks(self, inputs: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
        """Return what `forward` does, by a convolution within every chunk and a recurrence between the chunks."""
        u = inputs if self.W is None else linear(inputs, self.W)
        (batch, time, channels), (_, modes, _) = u.shape, self.C.shape
        chunks, steps = -(-time // CHUNK), (time - 1) % CHUNK + 1  # How many there are, and the steps of the last one.
        parts = pad(u.transpose(1, 2), (0, chunks * CHUNK - time)).view(batch, channels, chunks, CHUNK)
        w = torch.complex(*self._discrete()[1].unbind(1))
        # p_t = Λ̄^t = e^{tΔΛ}
        L, dt = torch.complex(-self.log_decay.exp(), self.frequency), self.log_dt.exp().unsqueeze(1)
        p = torch.exp((dt * L).unsqueeze(2) * torch.arange(CHUNK + 1, device=u.device))
        # K_t = Re(Σ_n w_n p_t) is the filter, here as a matrix of t and s that holds K_{t−s}
        lag = torch.arange(CHUNK, device=u.device).unsqueeze(1) - torch.arange(CHUNK, device=u.device)
        K = (w.unsqueeze(2) * p[..., :CHUNK]).real.sum(1)[:, lag.clamp(min=0)].where(lag >= 0, 0)
        # Σ_s p_{l−1−s} u_s is what a chunk adds to a state; the last one has fewer steps
        added = torch.einsum("bhcs,hns->bchn", parts.to(p.dtype), p[..., :CHUNK].flip(2))
        last = torch.einsum("bhs,hns->bhn", parts[:, :, -1, :steps].to(p.dtype), p[..., :steps].flip(2))
        # h ← p_l h + Σ_s p_{l−1−s} u_s from chunk to chunk
        h, before = torch.view_as_complex(h.contiguous()), []
        if chunks > 1:
            whole, sums = p[..., CHUNK].flatten(), added[:, :-1].flatten(2)
            before = [kernels.diagonal_recurrence(whole, sums, h.flatten(1)).view(batch, -1, channels, modes)]
        starts = torch.cat([h.unsqueeze(1), *before], dim=1)
        # y_t = Σ_s K_{t−s} u_s + Re(Σ_n w_n p_{t+1} h_n) + D u_t
        read = torch.einsum("bchn,hnt->bhct", starts, w.unsqueeze(2) * p[..., 1:]).real
        y = (torch.einsum("bhcs,hts->bhct", parts, K) + read).flatten(2)[..., :time].transpose(1, 2) + self.D * u
        return self._activated(y), torch.view_as_real(p[..., steps] * starts[:, -1] + last)
