"""The minimal long short-term memory, whose gates and candidate see the input alone."""

from __future__ import annotations

from math import sqrt

from torch import Tensor, sigmoid
from torch.nn.functional import linear, logsigmoid

from suite import kernels
from suite.architectures._base import Cell, bias, weight
from suite.architectures.min_gru import positive


class MinLSTM(Cell[Tensor]):
    """An LSTM without feedback and output gate, whose two gates are scaled to add up to 1::

        f_t = σ(W_f x_t + b_f)
        i_t = σ(W_i x_t + b_i)
        h̃_t = g(W_h x_t + b_h),    g(u) = u + ½ for u ≥ 0,  σ(u) for u < 0
        f′_t = f_t / (f_t + i_t) = σ(log f_t − log i_t),    i′_t = i_t / (f_t + i_t) = σ(log i_t − log f_t)
        h_t = y_t = f′_t ⊙ h_{t−1} + i′_t ⊙ h̃_t

    The second form of f′ and i′ is computed, because the first one is 0 / 0 where both gates are closed.

    The elements of W are uniform in ±1/√input_size, as in torch's linear maps, because nothing but the input is added
    up. The biases start at 0, so that f′ and i′ start near ½.

    State: h, ``[batch, hidden_size]``, which is also the output. It starts at 0, and a given one may have any
    value (see `MinGRU`). The order of the gates in W and b is f, i, h.

    Source: Feng et al. 2024, Were RNNs all we needed? (section 3.2, and appendix B for g).
    """

    family = "linear"

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__(input_size, hidden_size)
        self.W = weight(3 * hidden_size, input_size, 1 / sqrt(input_size))
        self.b = bias(3, hidden_size)

    def initial_state(self, batch_size: int) -> Tensor:
        return self.zeros(batch_size, self.hidden_size)

    def step(self, x: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        keep, write = self._gated(x)
        # h_t = f′_t ⊙ h_{t−1} + i′_t ⊙ h̃_t
        h = keep * state + write
        return h, h

    def _gated(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return f′_t and i′_t ⊙ h̃_t for the inputs of a step, or of all steps."""
        f, i, u = linear(x, self.W, self.b).chunk(3, dim=-1)
        # f′_t = σ(log f_t − log i_t);  i′_t = σ(log i_t − log f_t);  h̃_t = g(W_h x_t + b_h)
        odds = logsigmoid(f) - logsigmoid(i)
        return sigmoid(odds), sigmoid(-odds) * positive(u)

    def forward(self, inputs: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor]:
        h = self.initial_state(len(inputs)) if state is None else state
        kernel = kernels.find("minimal", inputs, h, self.W, self.b)
        if kernel is not None:
            return kernel(inputs, h, self.W, self.b)  # type: ignore[no-any-return]
        if kernels.parallel(inputs):
            outputs = kernels.diagonal_recurrence(*self._gated(inputs), h)
            return outputs, outputs[:, -1]
        return super().forward(inputs, h)
