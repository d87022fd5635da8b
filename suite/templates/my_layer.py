"""A causal convolution, to be made into a layer of your own."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from memspan import Layer


class MyLayer(Layer):
    """A convolution over the last k steps, in which no output depends on a later input::

        y_t = tanh(W_0 x_t + W_1 x_{t−1} + … + W_{k−1} x_{t−k+1} + b)

    State: not stated, because a layer has no step.

    Source: Bai, Kolter & Koltun 2018.
    """

    family = "convolution"  # Tables and pages group architectures by this word.

    def __init__(self, input_size: int, hidden_size: int, *, kernel: int = 8) -> None:
        super().__init__(input_size, hidden_size)
        # Every keyword argument with a default is an option that an experiment can set or search.
        if kernel < 1:
            raise ValueError(f"kernel must be at least 1 step; got {kernel}")
        self.kernel = kernel
        self.W = nn.Conv1d(input_size, hidden_size, kernel)

    def forward(self, inputs: Tensor) -> Tensor:
        # Zeros before the first step keep later inputs out of every output.
        padded = pad(inputs.transpose(1, 2), (self.kernel - 1, 0))
        # y_t = tanh(W_0 x_t + W_1 x_{t−1} + … + W_{k−1} x_{t−k+1} + b)
        return torch.tanh(self.W(padded)).transpose(1, 2)
