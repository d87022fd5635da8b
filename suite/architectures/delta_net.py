"""DeltaNet, a memory in a matrix that first erases what it has stored under a key."""

from __future__ import annotations

from math import sqrt

import torch
from torch import Tensor, sigmoid
from torch.nn.functional import linear, silu

from suite.architectures._base import Cell, weight
from suite.architectures._matrix import (
    by_head,
    decayed,
    fast_form,
    head_size,
    read,
    time_step_decay,
    time_steps,
    written,
)

EPSILON = 1e-6
"""It is added to a squared length before the division by its root, as in the source."""


class DeltaNet(Cell[tuple[Tensor, Tensor]]):
    """A memory that stores each value under a key in a matrix, in the place of what the key has recalled before::

        u_t = W x_t
        (q̃_t, k̃_t, v_t) = silu(Σ_j w_j ⊙ u_{t−K+1+j})        a causal convolution over K = ``conv`` steps
        q_t = q̃_t / |q̃_t|,    k_t = k̃_t / |k̃_t|
        S_t = α_t S_{t−1} + β_t k_t (v_t − α_t S_{t−1}ᵀ k_t)ᵀ
        y_t = S_tᵀ q_t                                        the heads side by side
        β_t = ``beta`` · σ(W_β x_t)
        α_t = exp(−e^A softplus(W_α x_t + b))   if ``gate``,  and 1 otherwise

    The vectors are cut into ``heads`` parts of d = hidden / heads numbers, each with a length and a matrix of its own,
    and β and α are numbers per head. A step is one of gradient descent on ½|Sᵀk − v|², of the size β. The matrix S is
    multiplied by α (I − β k kᵀ), whose eigenvalue along k is 1 − β. With ``beta`` = 1 it is in 0 … 1. With ``beta`` = 2
    it is in −1 … 1, so a head can also turn a vector round, which a state must do to count modulo 2.

    A key can only recall a pair of neighbours if it has read both. The source therefore calls the convolution crucial,
    and its width is 4. The convolution has no bias, and its weights begin uniform in ±1/√K. Where q or k is 0, 1e-6
    below the root keeps the quotient finite. The code of the source also divides q by √d, which the norm of its output
    takes back. With ``gate``, e^A and the time steps begin as in Mamba-2: the memories of the heads begin between one
    and a thousand steps, and no weight decay pulls at A and b.

    There is no output matrix and no norm or gate of the output. The matrix P of the residual block is the ``o_proj`` of
    the source, and in the plain block the decoder mixes the heads. Keys and values have the same size, and there are
    four heads, so the state has hidden² / 4 numbers. The elements of W, W_β and W_α begin uniform in ±1/√input, as in
    ``torch.nn.Linear``.

    State: the last K − 1 of u, ``[batch, 3·hidden, conv − 1]``, and S, ``[batch, heads, d, d]``.

    Sources: Schlag, Irie & Schmidhuber 2021; Yang et al. 2024 (DeltaNet), with their code; Yang, Kautz & Hatamizadeh
    2024 (``gate``); Grazzi et al. 2024 (``beta``).

    Raises:
        ValueError: if the heads do not divide the hidden size, ``beta`` is neither 1 nor 2, or ``conv`` is below 1.
    """

    family = "matrix state"
    without_weight_decay = ("A_log", "b")

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        heads: int = 4,
        gate: bool = False,
        beta: int = 1,
        conv: int = 4,
    ) -> None:
        super().__init__(input_size, hidden_size)
        if beta not in (1, 2):
            raise ValueError(f"beta is the largest strength of writing and must be 1 or 2; got {beta!r}")
        if conv < 1:
            raise ValueError(f"conv must be at least 1, the step itself; got {conv}")
        self.heads, self.size, self.beta, self.conv = heads, head_size(hidden_size, heads), beta, conv
        self.W = weight(3 * hidden_size, input_size, 1 / sqrt(input_size))
        self.W_conv = weight(3 * hidden_size, conv, 1 / sqrt(conv))
        self.W_beta = weight(heads, input_size, 1 / sqrt(input_size))
        self.A_log, self.b = None, None
        if gate:
            self.W_alpha = weight(heads, input_size, 1 / sqrt(input_size))
            self.A_log, self.b = time_steps(heads)

    def initial_state(self, batch_size: int) -> tuple[Tensor, Tensor]:
        before = self.zeros(batch_size, 3 * self.hidden_size, self.conv - 1)
        return before, self.zeros(batch_size, self.heads, self.size, self.size)

    def step(self, x: Tensor, state: tuple[Tensor, Tensor]) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        before, S = state
        # u_t = W x_t
        window = torch.cat([before, linear(x, self.W).unsqueeze(2)], dim=2)
        # (q̃_t, k̃_t, v_t) = silu(Σ_j w_j ⊙ u_{t−K+1+j})
        q, k, v = (by_head(part, self.heads) for part in silu((window * self.W_conv).sum(dim=2)).chunk(3, dim=-1))
        # q_t = q̃_t / |q̃_t|,  k_t = k̃_t / |k̃_t|
        q, k = (part * torch.rsqrt(part.square().sum(dim=-1, keepdim=True) + EPSILON) for part in (q, k))
        log_alpha, beta = self._gates(x)
        # S_t = α_t S_{t−1} + β_t k_t (v_t − α_t S_{t−1}ᵀ k_t)ᵀ
        S = decayed(S, log_alpha)
        S = written(S, k, v - read(S, k), beta)
        # y_t = S_tᵀ q_t
        return read(S, q).flatten(1), (window[:, :, 1:], S)

    def _gates(self, x: Tensor) -> tuple[Tensor | None, Tensor]:
        """Return log α and β of inputs ``[…, input]``, where None stands for an α of 1."""
        # β_t = beta · σ(W_β x_t)
        beta = self.beta * sigmoid(linear(x, self.W_beta))
        if self.A_log is None:
            return None, beta
        # α_t = exp(−e^A softplus(W_α x_t + b))
        return time_step_decay(self.A_log, linear(x, self.W_alpha, self.b))[0], beta

    def forward(
        self, inputs: Tensor, state: tuple[Tensor, Tensor] | None = None
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        before, S = self.initial_state(len(inputs)) if state is None else state
        recurrence = fast_form("delta_net", inputs, before, S, *self.parameters())
        if recurrence is None:
            return super().forward(inputs, (before, S))
        return recurrence(inputs, self.W, before, self.W_conv, S, *self._gates(inputs))  # type: ignore[no-any-return]
