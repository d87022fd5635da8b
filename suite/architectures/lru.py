"""The linear recurrent unit, whose state rotates and shrinks at constant rates."""

from __future__ import annotations

from math import pi, sqrt
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import gelu, linear

from suite import kernels
from suite.architectures._base import Cell

EDGE = 1e-6
"""How far the random numbers stay from 0 and 1, where the logarithm of a rate would be infinite."""


class LRU(Cell[Tensor]):
    """A linear recurrence with a complex diagonal, followed by a nonlinearity that is not part of it::

        λ = exp(−e^ν + i e^θ)
        h_t = λ ⊙ h_{t−1} + e^γ ⊙ (B x_t)
        y_t = φ(Re(C h_t) + D x_t)

    There are as many modes as hidden units, N = H = ``hidden_size``. λ, B, C and h are complex. They are kept as pairs
    of real numbers: B is ``[2N, input_size]`` with its real parts above the imaginary ones, and C is ``[H, 2N]`` with
    its real parts to the left. D ⊙ x_t takes the place of D x_t where the input is as wide as the output, as in a
    residual block, and this is the form of the source.

    φ is the GELU (``activation = "gelu"``) or the identity (``"none"``). The recurrence is linear in x, and without a
    nonlinearity a stack of such layers would be one linear map. The source puts GELU and a gated linear unit behind
    each. There is no matrix behind φ here, because the residual block's projection, or the decoder, is one.

    |λ|² is uniform in [``r_min``², ``r_max``²] at the start, so that λ is uniform on the ring, and the phase is uniform
    in [0, ``max_phase``]. The form exp(−e^ν) keeps |λ| below 1 throughout. e^γ starts at √(1 − |λ|²), which gives every
    mode of white noise the same variance, however slowly it forgets, and γ is learnt. The elements of B have standard
    deviation 1/√(2 input_size) in each part, so that B x has the size of x. Those of C have 1/√N in each part, as at
    the source. D is standard normal where it is a vector, and 1/√input_size of that where it is a matrix. Weight decay
    does not touch ν, θ and γ.

    State: h, ``[batch, hidden_size, 2]``, real and imaginary parts.

    Source: Orvieto et al. 2023, Resurrecting recurrent neural networks for long sequences (section 3.3 and appendix A);
    NicolasZucchet/minimal-LRU.
    """

    family = "linear"
    without_weight_decay = ("nu", "theta", "gamma")

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        r_min: float = 0.0,
        r_max: float = 1.0,
        max_phase: float = 6.28,
        activation: Literal["gelu", "none"] = "gelu",
    ) -> None:
        super().__init__(input_size, hidden_size)
        if not 0 <= r_min < r_max <= 1:
            raise ValueError(f"r_min and r_max are radii with 0 ≤ r_min < r_max ≤ 1; got {r_min} and {r_max}")
        if not 0 < max_phase <= 2 * pi:
            raise ValueError(f"max_phase is an angle above 0 and at most 2π; got {max_phase}")
        if activation not in ("gelu", "none"):
            raise ValueError(f"activation must be 'gelu' or 'none'; got {activation!r}")
        self.activation = activation
        radius, phase = (torch.rand(hidden_size).clamp(EDGE, 1 - EDGE) for _ in range(2))
        # |λ|² = exp(−2 e^ν) is uniform in [r_min², r_max²]
        nu = torch.log(-0.5 * torch.log(radius * (r_max**2 - r_min**2) + r_min**2))
        self.nu, self.theta = nn.Parameter(nu), nn.Parameter(torch.log(max_phase * phase))
        # e^γ = √(1 − |λ|²)
        self.gamma = nn.Parameter(0.5 * torch.log(-torch.expm1(-2 * nu.exp())))
        self.B = nn.Parameter(torch.randn(2 * hidden_size, input_size) / sqrt(2 * input_size))
        self.C = nn.Parameter(torch.randn(hidden_size, 2 * hidden_size) / sqrt(hidden_size))
        D = torch.randn(hidden_size) if input_size == hidden_size else torch.randn(hidden_size, input_size)
        self.D = nn.Parameter(D if D.dim() == 1 else D / sqrt(input_size))

    def initial_state(self, batch_size: int) -> Tensor:
        return self.zeros(batch_size, self.hidden_size, 2)

    def step(self, x: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        # λ = exp(−e^ν + i e^θ)
        l_re, l_im = self._factors()
        # h_t = λ ⊙ h_{t−1} + e^γ ⊙ (B x_t)
        b_re, b_im = linear(x, self._scaled_b()).chunk(2, dim=-1)
        re, im = state.unbind(-1)
        re, im = l_re * re - l_im * im + b_re, l_re * im + l_im * re + b_im
        # y_t = φ(Re(C h_t) + D x_t)
        return self._output(linear(torch.cat([re, im], dim=-1), self._real_c()), x), torch.stack([re, im], dim=-1)

    def _factors(self) -> Tensor:
        """Return the real and the imaginary parts of λ, ``[2, modes]``."""
        phase = self.theta.exp()
        return torch.exp(-self.nu.exp()) * torch.stack([phase.cos(), phase.sin()])

    def _scaled_b(self) -> Tensor:
        """Return e^γ B, with the real parts above the imaginary ones."""
        return self.gamma.exp().repeat(2).unsqueeze(1) * self.B

    def _real_c(self) -> Tensor:
        """Return [Re C, −Im C], which maps the parts of h side by side to Re(C h)."""
        C_re, C_im = self.C.chunk(2, dim=1)
        return torch.cat([C_re, -C_im], dim=1)

    def _output(self, read: Tensor, x: Tensor) -> Tensor:
        """Return φ(Re(C h) + D x) from Re(C h) and x."""
        y = read + (self.D * x if self.D.dim() == 1 else linear(x, self.D))
        return gelu(y) if self.activation == "gelu" else y

    def forward(self, inputs: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor]:
        h = self.initial_state(len(inputs)) if state is None else state
        parameters = self.nu, self.theta, self.gamma, self.B, self.C, self.D
        kernel = kernels.find("lru", inputs, h, *parameters)
        if kernel is not None:
            return kernel(inputs, h, *parameters, self.activation)  # type: ignore[no-any-return]
        if kernels.parallel(inputs):
            b = torch.complex(*linear(inputs, self._scaled_b()).chunk(2, dim=-1))
            states = kernels.diagonal_recurrence(torch.complex(*self._factors()), b, torch.complex(*h.unbind(-1)))
            read = linear(torch.cat([states.real, states.imag], dim=-1), self._real_c())
            return self._output(read, inputs), torch.view_as_real(states[:, -1])
        return super().forward(inputs, h)
