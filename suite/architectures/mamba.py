"""The selective state space model of Mamba, whose time step, writing and reading depend on the input."""

from __future__ import annotations

from math import ceil, log, sqrt

import torch
from torch import Tensor, nn
from torch.nn.functional import linear, silu, softplus

from suite import kernels
from suite.architectures._base import Cell, weight
from suite.kernels._chunks import selective_scan

SHORTEST, LONGEST = 1e-3, 0.1
"""The range of the first time steps. With A = −1 they remember 1000 to 10 steps."""


class Mamba(Cell[tuple[Tensor, Tensor]]):
    """Many small linear recurrences per channel, which choose by their input what they keep, write and read::

        u_t = W_u i_t,    z_t = W_z i_t                      i_t is the input of the layer
        x_t = silu(Σ_k w_k ⊙ u_{t−K+1+k} + b)                a causal convolution over K = ``conv`` steps
        r_t, B_t, C_t = W_x x_t
        Δ_t = softplus(W_Δ r_t + b_Δ)
        h_t = e^{Δ_t A} ⊙ h_{t−1} + (Δ_t ⊙ x_t) B_tᵀ         A = −e^{A_log}
        y_t = (h_t C_t + D ⊙ x_t) ⊙ silu(z_t)

    The layer has E = ``expand`` · hidden channels. Each channel has N = ``d_state`` numbers in h, with a decay of their
    own, and all channels write with the same B_t and read with the same C_t. Δ_t comes from ``dt_rank`` numbers r_t,
    where 0 means hidden / 16, rounded up. A long Δ_t forgets and writes, and a short one keeps the state as it is.

    The factor of B_t is Δ_t, which is Euler's rule. The paper prints the zero-order hold, (Δ A)⁻¹ (e^{Δ A} − 1) Δ B,
    and its code has Euler's rule. There is no output matrix, and the output has E numbers. The matrix P of the residual
    block is the ``out_proj`` of the source, and in the plain block the decoder mixes the channels.

    The initial values are those of the source. A is −1, −2, …, −N in each channel (S4D-Real), so that one channel
    remembers over many time scales. b_Δ is softplus⁻¹ of a draw between 0.001 and 0.1 whose logarithm is uniform, and
    W_Δ is uniform in ±1/√rank. D is 1. The other elements are uniform in ±1/√fan-in, as in torch's own layers. No
    weight decay pulls at A_log, D and b_Δ: at 0, Δ would be 0.69, and nothing would last.

    State: the last K − 1 of u, ``[batch, E, conv − 1]``, and h, ``[batch, E, d_state]``.

    Sources: Gu & Dao 2023, §3 and its code; Gu et al. 2022 (S4D-Real). Mamba-2 (Dao & Gu 2024) also spares b_Δ.

    Raises:
        ValueError: if an option is out of its range.
    """

    family = "linear"
    without_weight_decay = ("A_log", "D", "b_dt")

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        expand: int = 2,
        d_state: int = 16,
        conv: int = 4,
        dt_rank: int = 0,
    ) -> None:
        super().__init__(input_size, hidden_size)
        for name, value, least in (("expand", expand, 1), ("d_state", d_state, 1), ("conv", conv, 1)):
            if value < least:
                raise ValueError(f"{name} must be at least {least}; got {value}")
        if dt_rank < 0:
            raise ValueError(f"dt_rank must be 0 (hidden_size / 16, rounded up) or at least 1; got {dt_rank}")
        channels, rank = expand * hidden_size, dt_rank or ceil(hidden_size / 16)
        self.channels, self.d_state, self.conv, self.rank = channels, d_state, conv, rank
        self.W_in = weight(2 * channels, input_size, 1 / sqrt(input_size))
        self.W_conv = weight(channels, conv, 1 / sqrt(conv))
        self.b_conv = nn.Parameter(torch.empty(channels).uniform_(-1 / sqrt(conv), 1 / sqrt(conv)))
        self.W_x = weight(rank + 2 * d_state, channels, 1 / sqrt(channels))
        self.W_dt = weight(channels, rank, 1 / sqrt(rank))
        step = torch.empty(channels).uniform_(log(SHORTEST), log(LONGEST)).exp()
        self.b_dt = nn.Parameter(step + torch.log(-torch.expm1(-step)))  # softplus⁻¹
        self.A_log = nn.Parameter(torch.arange(1, d_state + 1).float().log().repeat(channels, 1))
        self.D = nn.Parameter(torch.ones(channels))

    @property
    def output_size(self) -> int:
        return self.channels

    def initial_state(self, batch_size: int) -> tuple[Tensor, Tensor]:
        before = self.zeros(batch_size, self.channels, self.conv - 1)
        return before, self.zeros(batch_size, self.channels, self.d_state)

    def step(self, x: Tensor, state: tuple[Tensor, Tensor]) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        before, h = state
        # u_t = W_u i_t;  z_t = W_z i_t
        u, z = linear(x, self.W_in).chunk(2, dim=-1)
        # x_t = silu(Σ_k w_k ⊙ u_{t−K+1+k} + b)
        window = torch.cat([before, u.unsqueeze(2)], dim=2)
        x = silu((window * self.W_conv).sum(dim=2) + self.b_conv)
        # r_t, B_t, C_t = W_x x_t
        r, B, C = torch.split(linear(x, self.W_x), [self.rank, self.d_state, self.d_state], dim=-1)
        # Δ_t = softplus(W_Δ r_t + b_Δ)
        delta = softplus(linear(r, self.W_dt, self.b_dt))
        # h_t = e^{Δ_t A} ⊙ h_{t−1} + (Δ_t ⊙ x_t) B_tᵀ
        decay = torch.exp(delta.unsqueeze(2) * -self.A_log.exp())
        h = decay * h + (delta * x).unsqueeze(2) * B.unsqueeze(1)
        # y_t = (h_t C_t + D ⊙ x_t) ⊙ silu(z_t)
        y = (h @ C.unsqueeze(2)).squeeze(2) + self.D * x
        return y * silu(z), (window[:, :, 1:], h)

    def forward(
        self, inputs: Tensor, state: tuple[Tensor, Tensor] | None = None
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        before, h = self.initial_state(len(inputs)) if state is None else state
        weights = self.W_in, self.W_conv, self.b_conv, self.W_x, self.W_dt, self.b_dt, self.A_log, self.D
        kernel = kernels.find("mamba", inputs, before, h, *weights)
        if kernel is not None:
            return kernel(inputs, before, h, *weights)  # type: ignore[no-any-return]
        if inputs.numel() and kernels.parallel(inputs):
            return self._in_chunks(inputs, before, h)
        return super().forward(inputs, (before, h))

    def _in_chunks(self, inputs: Tensor, before: Tensor, h: Tensor) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """Do all steps of `forward` by a few large operations for each chunk of them."""
        u, z = linear(inputs, self.W_in).chunk(2, dim=-1)
        u = torch.cat([before.transpose(1, 2), u], dim=1)
        windows = u.unfold(1, self.conv, 1)  # [batch, time, E, conv]
        x = silu((windows * self.W_conv).sum(dim=3) + self.b_conv)
        r, B, C = torch.split(linear(x, self.W_x), [self.rank, self.d_state, self.d_state], dim=-1)
        delta = softplus(linear(r, self.W_dt, self.b_dt))
        y, h = selective_scan(delta, x, -self.A_log.exp(), B, C, h)
        return (y + self.D * x) * silu(z), (u[:, inputs.shape[1] :].transpose(1, 2), h)
