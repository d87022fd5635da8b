"""The temporal convolutional network, whose layers look back in ever larger steps."""

from __future__ import annotations

from collections.abc import Callable
from math import sqrt

import torch
from torch import Tensor, nn, relu
from torch.linalg import vector_norm
from torch.nn.functional import conv2d, linear

from suite import kernels
from suite.architectures._base import Cell, bias, weight

Windows = tuple[Tensor, ...]
MOST_LEVELS = 16
"""Sixteen levels of kernel 2 reach 131,071 steps, and each further one would double the state."""


class TCN(Cell[Windows]):
    """A stack of causal convolutions, whose dilation doubles from level to level, so that few layers reach far back.

    Level n = 0 … ``levels`` − 1 takes the outputs x of the level below and computes, with the dilation d = 2^n and
    K = ``kernel``::

        a_t = relu(Σ_k W_k x_{t−kd} + b)        k = 0 … K − 1
        c_t = relu(Σ_k W'_k a_{t−kd} + b')
        y_t = relu(c_t + x_t)                   or relu(c_t + R x_t + r), where x and y differ in size
        W = g ⊙ v / ‖v‖                         for each output channel, and likewise W'

    All levels together are one cell, and the output of the last one is the output. It sees the last
    1 + 2 (kernel − 1)(2^levels − 1) inputs and nothing before them. With the defaults these are 253. They are 125 with
    5 levels, 509 with 7 and 1021 with 8. **A lag of so many steps or more cannot be learnt**, so choose the levels by
    the task. What was before the first step counts as zeros.

    Each v starts uniform in ±1/√(K · channels), and g starts at its norm, so that W starts as v. That is how torch.nn
    draws a convolution, and also how the code of the source begins, where the weight normalisation overwrites another
    draw. R starts uniform in ±1/√input, and biases start at zero. The source also has dropout, which a cell leaves to
    the model.

    State: the last inputs of each convolution, from the first to the last, ``[batch, (K − 1) · d, channels]`` each. The
    very first has ``input_size`` channels, and all others have ``hidden_size``.

    Sources: Bai, Kolter & Koltun 2018; Salimans & Kingma 2016 (weight normalisation).

    Raises:
        ValueError: if ``kernel`` is below 2, or ``levels`` is not from 1 to 16.
    """

    family = "convolution"

    def __init__(self, input_size: int, hidden_size: int, *, kernel: int = 3, levels: int = 6) -> None:
        super().__init__(input_size, hidden_size)
        if kernel < 2:
            raise ValueError(f"kernel must be at least 2, because 1 looks at no other step; got {kernel}")
        if not 1 <= levels <= MOST_LEVELS:
            raise ValueError(f"levels must be from 1 to {MOST_LEVELS}, because each doubles the reach; got {levels}")
        channels = [input_size, *[hidden_size] * (2 * levels - 1)]
        self.convolutions = nn.ModuleList(
            _Convolution(size, hidden_size, kernel, 2 ** (place // 2)) for place, size in enumerate(channels)
        )
        if input_size != hidden_size:
            self.R, self.r = weight(hidden_size, input_size, 1 / sqrt(input_size)), bias(1, hidden_size)

    def initial_state(self, batch_size: int) -> Windows:
        return tuple(self.zeros(batch_size, *convolution.window) for convolution in self._in_order())

    def step(self, x: Tensor, state: Windows) -> tuple[Tensor, Windows]:
        return self._run(_Convolution.step, x, state)

    def forward(self, inputs: Tensor, state: Windows | None = None) -> tuple[Tensor, Windows]:
        """Compute each convolution over the whole sequence, because nothing is recurrent."""
        windows = self.initial_state(len(inputs)) if state is None else state
        kernel = kernels.find("tcn", inputs, *windows, *self.parameters())
        if kernel is None:
            return self._run(_Convolution.forward, inputs, windows)
        convolutions = self._in_order()
        residual = () if self.input_size == self.hidden_size else (self.R, self.r)
        Ws, bs = [part.matrices() for part in convolutions], [part.b for part in convolutions]
        return kernel(inputs, windows, Ws, bs, residual)  # type: ignore[no-any-return]

    def _run(
        self, convolve: Callable[[_Convolution, Tensor, Tensor], tuple[Tensor, Tensor]], x: Tensor, state: Windows
    ) -> tuple[Tensor, Windows]:
        """Go through all levels with one step ``[batch, channels]``, or with a sequence ``[batch, time, channels]``."""
        convolutions, before, after = self._in_order(), iter(state), []
        for first, second in zip(convolutions[::2], convolutions[1::2], strict=True):
            # a_t = relu(Σ_k W_k x_{t−kd} + b);  c_t = relu(Σ_k W'_k a_{t−kd} + b')
            a, window_of_x = convolve(first, x, next(before))
            c, window_of_a = convolve(second, a, next(before))
            # y_t = relu(c_t + x_t)
            x = relu(c + (x if x.shape[-1] == c.shape[-1] else linear(x, self.R, self.r)))
            after += [window_of_x, window_of_a]
        return x, tuple(after)

    def _in_order(self) -> list[_Convolution]:
        return [part for part in self.convolutions if isinstance(part, _Convolution)]


class _Convolution(nn.Module):
    """A causal, dilated, weight-normalised convolution with its ReLU, and the window of inputs that it needs.

    The matrices of v are stored as ``[hidden, kernel, channels]``, with that of the oldest input first.
    """

    def __init__(self, channels: int, hidden_size: int, kernel: int, dilation: int) -> None:
        super().__init__()
        self.dilation = dilation
        self.window = ((kernel - 1) * dilation, channels)
        drawn = weight(hidden_size, kernel * channels, 1 / sqrt(kernel * channels))
        self.v = nn.Parameter(drawn.detach().view(hidden_size, kernel, channels))
        self.g = nn.Parameter(vector_norm(self.v.detach(), dim=(1, 2)))
        self.b = bias(1, hidden_size)

    def matrices(self) -> Tensor:
        """Return W, ``[hidden, kernel, channels]``."""
        # W = g ⊙ v / ‖v‖
        W: Tensor = (self.g / vector_norm(self.v, dim=(1, 2))).view(-1, 1, 1) * self.v
        return W

    def step(self, x: Tensor, window: Tensor) -> tuple[Tensor, Tensor]:
        """Take x_t ``[batch, channels]`` and the inputs before it, and return the output and the inputs up to it."""
        seen = torch.cat([window, x.unsqueeze(1)], dim=1)
        # relu(Σ_k W_k x_{t−kd} + b)
        return relu(linear(seen[:, :: self.dilation].flatten(1), self.matrices().flatten(1), self.b)), seen[:, 1:]

    def forward(self, inputs: Tensor, window: Tensor) -> tuple[Tensor, Tensor]:
        """Take all inputs ``[batch, time, channels]``, and return all outputs and the last window.

        The convolution has two dimensions, of which one is 1, because torch is then faster with the channels last.
        """
        seen = torch.cat([window, inputs], dim=1)
        image, kernel = seen.transpose(1, 2).unsqueeze(2), self.matrices().transpose(1, 2).unsqueeze(2)
        outputs = relu(conv2d(image, kernel, self.b, dilation=(1, self.dilation)))
        return outputs.squeeze(2).transpose(1, 2), seen[:, inputs.shape[1] :]
