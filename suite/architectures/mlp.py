"""The fully-connected net on a window of inputs, which is a baseline without recurrence."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from suite.architectures._base import Cell


class MLP(Cell[Tensor]):
    """A fully-connected net that sees the last ``window`` inputs and nothing before them.

    The inputs before the first step are zeros. With v_t = [x_{t−W+1}, …, x_t] and W = ``window``::

        a_t = tanh(A v_t + a)
        y_t = tanh(B a_t + b)

    State: the window, ``[batch, window, input_size]``.

    Source: the net of the founding lesson is ``Linear(10, h) – tanh – Linear(h, h) – tanh – Linear(h, out)``, and so
    W = 10 is the default. Its third linear map is the decoder of the model.
    """

    family = "window"

    def __init__(self, input_size: int, hidden_size: int, *, window: int = 10) -> None:
        super().__init__(input_size, hidden_size)
        if window < 1:
            raise ValueError(f"window must be at least 1; got {window}")
        self.window = window
        self.first = nn.Linear(window * input_size, hidden_size)
        self.second = nn.Linear(hidden_size, hidden_size)

    def initial_state(self, batch_size: int) -> Tensor:
        return self.zeros(batch_size, self.window, self.input_size)

    def step(self, x: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        # v_t = [x_{t−W+1}, …, x_t]
        v = torch.cat([state[:, 1:], x.unsqueeze(1)], dim=1)
        # a_t = tanh(A v_t + a);  y_t = tanh(B a_t + b)
        a = torch.tanh(self.first(v.flatten(1)))
        return torch.tanh(self.second(a)), v

    def forward(self, inputs: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Compute all windows at once, because nothing is recurrent."""
        before = self.initial_state(len(inputs)) if state is None else state
        padded = torch.cat([before, inputs], dim=1)  # [batch, window + time, input]
        windows = padded[:, 1:].unfold(1, self.window, 1)  # [batch, time, input, window]
        a = torch.tanh(self.first(windows.transpose(2, 3).flatten(2)))
        return torch.tanh(self.second(a)), padded[:, -self.window :]
