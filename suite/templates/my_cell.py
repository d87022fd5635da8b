"""A leaky integrator, to be made into a cell of your own."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import linear

from memspan import Cell, bias, input_weight, recurrent_weight


class MyCell(Cell[Tensor]):
    """A recurrent net whose state leaks at a fixed rate::

        h_t = (1 − α) h_{t−1} + α tanh(W x_t + U h_{t−1} + b),    y_t = h_t

    State: h, ``[batch, hidden_size]``.

    Source: Jaeger et al. 2007.
    """

    family = "simple"  # Tables and pages group architectures by this word.

    def __init__(self, input_size: int, hidden_size: int, *, rate: float = 0.1) -> None:
        super().__init__(input_size, hidden_size)
        # Every keyword argument with a default is an option that an experiment can set or search.
        if not 0 < rate <= 1:
            raise ValueError(f"rate must be above 0 and at most 1; got {rate}")
        self.rate = rate
        # The first argument is the number of gates; a GRU has 3 and an LSTM has 4.
        self.W = input_weight(1, hidden_size, input_size)
        self.U = recurrent_weight(1, hidden_size, "orthogonal")
        self.b = bias(1, hidden_size)

    def initial_state(self, batch_size: int) -> Tensor:
        # A state of several tensors is a tuple of them, and each tensor is [batch, …].
        return self.zeros(batch_size, self.hidden_size)

    def step(self, x: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        # h_t = (1 − α) h_{t−1} + α tanh(W x_t + U h_{t−1} + b)
        h = (1 - self.rate) * state + self.rate * torch.tanh(linear(x, self.W, self.b) + linear(state, self.U))
        return h, h
