"""The LSTM whose gates see the cell state."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn, sigmoid, tanh
from torch.nn.functional import linear

from suite import kernels
from suite.architectures._base import FORGET_BIAS, Cell, Initialisation, gate_biases, input_weight, recurrent_weight


class PeepholeLSTM(Cell[tuple[Tensor, Tensor]]):
    """An LSTM whose gates also see the cell state, in one of two forms.

    In the form ``peephole = "full"`` all three gates see c_{t−1}, through full matrices::

        i_t = σ(W_i x_t + U_i h_{t−1} + P_i c_{t−1} + b_i)
        f_t = σ(W_f x_t + U_f h_{t−1} + P_f c_{t−1} + b_f)
        o_t = σ(W_o x_t + U_o h_{t−1} + P_o c_{t−1} + b_o)

    ``peephole = "diagonal"`` is the original. It has one weight per unit, and the output gate sees the *new* c_t::

        i_t = σ(W_i x_t + U_i h_{t−1} + p_i ⊙ c_{t−1} + b_i)
        f_t = σ(W_f x_t + U_f h_{t−1} + p_f ⊙ c_{t−1} + b_f)
        o_t = σ(W_o x_t + U_o h_{t−1} + p_o ⊙ c_t     + b_o)

    Both forms share these equations::

        g_t = tanh(W_g x_t + U_g h_{t−1} + b_g)
        c_t = f_t ⊙ c_{t−1} + i_t ⊙ g_t
        h_t = y_t = o_t ⊙ tanh(c_t)

    ``forget_bias`` and ``chrono`` are those of the LSTM. ``gain`` multiplies the initial U and also a full P.

    The full form has 7 h² recurrent weights where the LSTM has 4 h², so compare the two at equal parameters.

    State: (h, c), each ``[batch, hidden_size]``. The order of the gates is i, f, g, o in W, U and b, and i, f, o in P.

    Sources: the founding lesson (full); Gers & Schmidhuber 2000, Gers, Schraudolph & Schmidhuber 2002 (diagonal).
    """

    family = "gated"

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        peephole: Literal["full", "diagonal"] = "full",
        forget_bias: float = FORGET_BIAS,
        chrono: int = 0,
        init: Initialisation = "uniform",
        gain: float = 1.0,
    ) -> None:
        super().__init__(input_size, hidden_size)
        if peephole not in ("full", "diagonal"):
            raise ValueError(f"peephole must be 'full' or 'diagonal'; got {peephole!r}")
        self.peephole = peephole
        self.W = input_weight(4, hidden_size, input_size)
        self.U = recurrent_weight(4, hidden_size, init, gain)
        if peephole == "full":
            self.P = recurrent_weight(3, hidden_size, init, gain)
        else:  # A zero P starts as a plain LSTM, which learns to look at its state.
            self.P = nn.Parameter(torch.zeros(3, hidden_size))
        b_i, b_f = gate_biases(hidden_size, forget_bias, chrono)
        self.b = nn.Parameter(torch.cat([b_i, b_f, torch.zeros(2 * hidden_size)]))

    def initial_state(self, batch_size: int) -> tuple[Tensor, Tensor]:
        return self.zeros(batch_size, self.hidden_size), self.zeros(batch_size, self.hidden_size)

    def step(self, x: Tensor, state: tuple[Tensor, Tensor]) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        h, c = state
        # W x_t + U h_{t−1} + b for all four gates
        i, f, g, o = (linear(x, self.W, self.b) + linear(h, self.U)).chunk(4, dim=-1)
        if self.peephole == "full":
            # … + P c_{t−1} for the three gates i, f and o
            peep_i, peep_f, peep_o = linear(c, self.P).chunk(3, dim=-1)
            # c_t = f_t ⊙ c_{t−1} + i_t ⊙ g_t
            c = sigmoid(f + peep_f) * c + sigmoid(i + peep_i) * tanh(g)
            # h_t = o_t ⊙ tanh(c_t), where o_t has seen c_{t−1}
            h = sigmoid(o + peep_o) * tanh(c)
        else:
            p_i, p_f, p_o = self.P
            # c_t = f_t ⊙ c_{t−1} + i_t ⊙ g_t
            c = sigmoid(f + p_f * c) * c + sigmoid(i + p_i * c) * tanh(g)
            # h_t = o_t ⊙ tanh(c_t), where o_t sees c_t
            h = sigmoid(o + p_o * c) * tanh(c)
        return h, (h, c)

    def forward(
        self, inputs: Tensor, state: tuple[Tensor, Tensor] | None = None
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        h, c = self.initial_state(len(inputs)) if state is None else state
        kernel = kernels.find(f"peephole_{self.peephole}", inputs, h, c, self.W, self.U, self.P, self.b)
        if kernel is None:
            return super().forward(inputs, (h, c))
        return kernel(inputs, h, c, self.W, self.U, self.P, self.b)  # type: ignore[no-any-return]
