"""The long short-term memory, with a forget gate."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, sigmoid, tanh
from torch.nn.functional import linear

from suite import kernels
from suite.architectures._base import Cell, Initialisation, bias, input_weight, recurrent_weight


class LSTM(Cell[tuple[Tensor, Tensor]]):
    """A cell state that is kept by a forget gate and written by an input gate, so that it can last::

        i_t = σ(W_i x_t + U_i h_{t−1} + b_i)          input gate
        f_t = σ(W_f x_t + U_f h_{t−1} + b_f)          forget gate
        g_t = tanh(W_g x_t + U_g h_{t−1} + b_g)       candidate (the lesson's C')
        o_t = σ(W_o x_t + U_o h_{t−1} + b_o)          output gate
        c_t = f_t ⊙ c_{t−1} + i_t ⊙ g_t
        h_t = o_t ⊙ tanh(c_t)
        y_t = h_t  (readout = "hidden")   or   c_t  (readout = "cell")

    ``forget_bias`` is the initial b_f; 1 keeps the cell open at the start (Gers et al. 2000; Jozefowicz et al. 2015).
    There is one bias vector per gate (torch.nn has two, whose sum is what counts).

    State: (h, c), each ``[batch, hidden_size]``; the order of the gates in W, U and b is i, f, g, o, as torch.nn's.

    Sources: Hochreiter & Schmidhuber 1997; forget gate: Gers, Schmidhuber & Cummins 2000.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        forget_bias: float = 1.0,
        readout: Literal["hidden", "cell"] = "hidden",
        init: Initialisation = "uniform",
    ) -> None:
        super().__init__(input_size, hidden_size)
        if readout not in ("hidden", "cell"):
            raise ValueError(f"readout must be 'hidden' or 'cell'; got {readout!r}")
        self.readout = readout
        self.W = input_weight(4, hidden_size, input_size)
        self.U = recurrent_weight(4, hidden_size, init)
        self.b = bias(4, hidden_size)
        with torch.no_grad():
            self.b[hidden_size : 2 * hidden_size] = forget_bias

    def initial_state(self, batch_size: int) -> tuple[Tensor, Tensor]:
        return self.zeros(batch_size, self.hidden_size), self.zeros(batch_size, self.hidden_size)

    def step(self, x: Tensor, state: tuple[Tensor, Tensor]) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        h, c = state
        # W x_t + U h_{t−1} + b, for all four gates
        i, f, g, o = (linear(x, self.W, self.b) + linear(h, self.U)).chunk(4, dim=-1)
        # c_t = f_t ⊙ c_{t−1} + i_t ⊙ g_t
        c = sigmoid(f) * c + sigmoid(i) * tanh(g)
        # h_t = o_t ⊙ tanh(c_t)
        h = sigmoid(o) * tanh(c)
        return (h if self.readout == "hidden" else c), (h, c)

    def forward(
        self, inputs: Tensor, state: tuple[Tensor, Tensor] | None = None
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        h, c = self.initial_state(len(inputs)) if state is None else state
        kernel = kernels.find("lstm", inputs, h, c, self.W, self.U, self.b, cudnn=self.readout == "hidden")
        if kernel is None:
            return super().forward(inputs, (h, c))
        return kernel(inputs, h, c, self.W, self.U, self.b, self.readout)  # type: ignore[no-any-return]
