"""The LSTM with a single gate for writing and keeping."""

from __future__ import annotations

import torch
from torch import Tensor, nn, sigmoid, tanh
from torch.nn.functional import linear

from suite import kernels
from suite.architectures._base import FORGET_BIAS, Cell, Initialisation, gate_biases, input_weight, recurrent_weight


class CoupledLSTM(Cell[tuple[Tensor, Tensor]]):
    """An LSTM that forgets exactly as much as it writes, because f = 1 − i (CIFG)::

        i_t = σ(W_i x_t + U_i h_{t−1} + b_i)
        g_t = tanh(W_g x_t + U_g h_{t−1} + b_g)
        o_t = σ(W_o x_t + U_o h_{t−1} + b_o)
        c_t = (1 − i_t) ⊙ c_{t−1} + i_t ⊙ g_t
        h_t = y_t = o_t ⊙ tanh(c_t)

    It is not a GRU, because a GRU has no output gate, carries one state, and resets this state before the candidate.

    ``forget_bias`` and ``chrono`` mean the same as in the LSTM. Since 1 − σ(x) = σ(−x), b_i starts at the negative of
    the value that they give to b_f. ``gain`` multiplies the initial U.

    State: (h, c), each ``[batch, hidden_size]``. The order of the gates in W, U and b is i, g, o.

    Sources: Greff et al. 2015 (CIFG); Tallec & Ollivier 2018 (chrono initialisation).
    """

    family = "gated"

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        forget_bias: float = FORGET_BIAS,
        chrono: int = 0,
        init: Initialisation = "uniform",
        gain: float = 1.0,
    ) -> None:
        super().__init__(input_size, hidden_size)
        self.W = input_weight(3, hidden_size, input_size)
        self.U = recurrent_weight(3, hidden_size, init, gain)
        _, b_f = gate_biases(hidden_size, forget_bias, chrono)
        self.b = nn.Parameter(torch.cat([-b_f, torch.zeros(2 * hidden_size)]))

    def initial_state(self, batch_size: int) -> tuple[Tensor, Tensor]:
        return self.zeros(batch_size, self.hidden_size), self.zeros(batch_size, self.hidden_size)

    def step(self, x: Tensor, state: tuple[Tensor, Tensor]) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        h, c = state
        # W x_t + U h_{t−1} + b for all three gates
        i, g, o = (linear(x, self.W, self.b) + linear(h, self.U)).chunk(3, dim=-1)
        # c_t = (1 − i_t) ⊙ c_{t−1} + i_t ⊙ g_t
        i = sigmoid(i)
        c = (1 - i) * c + i * tanh(g)
        # h_t = o_t ⊙ tanh(c_t)
        h = sigmoid(o) * tanh(c)
        return h, (h, c)

    def forward(
        self, inputs: Tensor, state: tuple[Tensor, Tensor] | None = None
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        h, c = self.initial_state(len(inputs)) if state is None else state
        kernel = kernels.find("coupled", inputs, h, c, self.W, self.U, self.b)
        if kernel is None:
            return super().forward(inputs, (h, c))
        return kernel(inputs, h, c, self.W, self.U, self.b)  # type: ignore[no-any-return]
