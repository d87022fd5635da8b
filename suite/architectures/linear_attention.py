"""Linear attention, a memory that adds up pairs of keys and values in a matrix and may forget them."""

from __future__ import annotations

from math import sqrt
from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import linear, logsigmoid

from suite.architectures._base import Cell, bias, weight
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

RANK = 16
"""The gates of GLA come from so many numbers, in all sizes of its source."""
ROOT = 16
"""GLA takes this root of a logistic function, so that its gates begin near 1."""


class LinearAttention(Cell[Tensor]):
    """A memory that stores each value under a key in a matrix, and answers a query with a mixture of values::

        q_t = W_q x_t,    k_t = W_k x_t,    v_t = W_v x_t
        S_t = α_t S_{t−1} + β_t k_t v_tᵀ
        y_t = S_tᵀ q_t / √d                    the heads side by side

    The vectors are cut into ``heads`` parts of d = hidden / heads numbers, and each head has a matrix of its own. Keys
    and values have the same size, as in the sources of Mamba-2 and DeltaNet, so the state has hidden² / heads numbers.
    Four heads are those of GLA. ``decay`` says what a head forgets, which is all in which the four forms differ::

        α = 1                                  "none"      nothing (Katharopoulos et al. 2020)
        α = 1 − 2^(−5−h)                       "fixed"     in head h = 0, 1, …, a fixed share (RetNet)
        α_t = σ(W_2 W_1 x_t + b)^(1/16)        "gated"     a share of each row of S (GLA)
        α_t = exp(−e^A Δ_t),  β_t = Δ_t        "scalar"    a share of S, where Δ_t = softplus(W_Δ x_t + b) (Mamba-2)

    β is 1 unless it is Δ. W_1 has 16 rows. The root of "gated" keeps α near 1: with b = 0, α begins near 0.96, which is
    a memory of 23 steps. In "scalar", e^A begins between 1 and 16 and Δ between 0.001 and 0.1, so the memories of the
    heads begin between one and a thousand steps. No weight decay pulls at A and b, because it would set how long a
    head remembers.

    What else the sources have is left to the block around the cell, or left out: the feature map and the normaliser of
    Katharopoulos et al., the rotation of RetNet, the convolution and D of Mamba-2, and the norms and gates of the
    outputs. There is no output matrix. The matrix P of the residual block is the one of the sources, and in the plain
    block the decoder mixes the heads. The elements of W, W_1, W_2 and W_Δ begin uniform in ±1/√fan-in, as in
    ``torch.nn.Linear``.

    State: S, ``[batch, heads, d, d]``, where a row belongs to a number of the key and a column to one of the value.

    Sources: Katharopoulos et al. 2020; Sun et al. 2023 (RetNet); Yang et al. 2023 (GLA); Dao & Gu 2024 (Mamba-2).

    Raises:
        ValueError: if the heads do not divide the hidden size, or there is no such decay.
    """

    family = "matrix state"
    without_weight_decay = ("A_log", "b")

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        heads: int = 4,
        decay: Literal["none", "fixed", "gated", "scalar"] = "none",
    ) -> None:
        super().__init__(input_size, hidden_size)
        if decay not in ("none", "fixed", "gated", "scalar"):
            raise ValueError(f"decay must be 'none', 'fixed', 'gated' or 'scalar'; got {decay!r}")
        self.heads, self.size, self.decay = heads, head_size(hidden_size, heads), decay
        self.W = weight(3 * hidden_size, input_size, 1 / sqrt(input_size))
        self.A_log, self.b = None, None
        if decay == "gated":
            self.W_1 = weight(RANK, input_size, 1 / sqrt(input_size))
            self.W_2 = weight(hidden_size, RANK, 1 / sqrt(RANK))
            self.b = bias(1, hidden_size)
        elif decay == "scalar":
            self.W_step = weight(heads, input_size, 1 / sqrt(input_size))
            self.A_log, self.b = time_steps(heads)

    def initial_state(self, batch_size: int) -> Tensor:
        return self.zeros(batch_size, self.heads, self.size, self.size)

    def step(self, x: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        # q_t = W_q x_t,  k_t = W_k x_t,  v_t = W_v x_t
        q, k, v = (by_head(part, self.heads) for part in linear(x, self.W).chunk(3, dim=-1))
        log_alpha, beta = self._gates(x)
        # S_t = α_t S_{t−1} + β_t k_t v_tᵀ
        S = written(decayed(state, log_alpha), k, v, beta)
        # y_t = S_tᵀ q_t / √d
        return read(S, q / sqrt(self.size)).flatten(1), S

    def _gates(self, x: Tensor) -> tuple[Tensor | None, Tensor | None]:
        """Return log α and β of inputs ``[…, input]``, where None stands for an α or a β of 1."""
        if self.decay == "fixed":
            # α = 1 − 2^(−5−h)
            share = 2.0 ** (-5 - torch.arange(self.heads, device=x.device, dtype=torch.float64))
            return torch.log1p(-share).to(x.dtype), None
        if self.decay == "gated":
            # α_t = σ(W_2 W_1 x_t + b)^(1/16)
            return logsigmoid(linear(linear(x, self.W_1), self.W_2, self.b)) / ROOT, None
        if self.A_log is not None:
            # α_t = exp(−e^A Δ_t),  β_t = Δ_t = softplus(W_Δ x_t + b)
            return time_step_decay(self.A_log, linear(x, self.W_step, self.b))
        return None, None

    def forward(self, inputs: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor]:
        S = self.initial_state(len(inputs)) if state is None else state
        recurrence = fast_form("matrix_state", inputs, S, *self.parameters())
        if recurrence is None:
            return super().forward(inputs, S)
        W_q, W_kv = self.W.tensor_split([self.hidden_size])
        W = torch.cat([W_q / sqrt(self.size), W_kv])
        return recurrence(inputs, W, S, *self._gates(inputs))  # type: ignore[no-any-return]
