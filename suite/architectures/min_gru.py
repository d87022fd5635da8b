"""The minimal gated recurrent unit, whose gate and candidate see the input alone."""

from __future__ import annotations

from math import sqrt

import torch
from torch import Tensor, sigmoid
from torch.nn.functional import linear

from suite import kernels
from suite.architectures._base import Cell, bias, weight


def positive(u: Tensor) -> Tensor:
    """Return g(u), which is u + ½ where u ≥ 0, and σ(u) elsewhere.

    It takes the place of tanh. The paper's parallel form works with logarithms of the states, so no state may be 0.

    Source: Feng et al. 2024, appendix B.
    """
    return torch.where(u >= 0, u + 0.5, sigmoid(u))


class MinGRU(Cell[Tensor]):
    """A GRU whose gate and candidate do not see the state, so that the recurrence is linear::

        z_t = σ(W_z x_t + b_z)
        h̃_t = g(W_h x_t + b_h),    g(u) = u + ½ for u ≥ 0,  σ(u) for u < 0
        h_t = y_t = (1 − z_t) ⊙ h_{t−1} + z_t ⊙ h̃_t

    The elements of W are uniform in ±1/√input_size, as in torch's linear maps, because nothing but the input is added
    up. The biases start at 0, so that every gate is half open.

    From a state that is not negative, all states are positive, because g is. The paper's parallel form needs that,
    since it adds up logarithms. Neither `step` nor the forms here need it, and so a given state may have any value.

    State: h, ``[batch, hidden_size]``, which is also the output. It starts at 0. The order of the gates in W and b is
    z, h.

    Source: Feng et al. 2024, Were RNNs all we needed? (section 3.1, and appendix B for g).
    """

    family = "linear"

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__(input_size, hidden_size)
        self.W = weight(2 * hidden_size, input_size, 1 / sqrt(input_size))
        self.b = bias(2, hidden_size)

    def initial_state(self, batch_size: int) -> Tensor:
        return self.zeros(batch_size, self.hidden_size)

    def step(self, x: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        keep, write = self._gated(x)
        # h_t = (1 − z_t) ⊙ h_{t−1} + z_t ⊙ h̃_t
        h = keep * state + write
        return h, h

    def _gated(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return 1 − z_t and z_t ⊙ h̃_t for the inputs of a step, or of all steps."""
        z, u = linear(x, self.W, self.b).chunk(2, dim=-1)
        # z_t = σ(W_z x_t + b_z);  h̃_t = g(W_h x_t + b_h)
        z = sigmoid(z)
        return 1 - z, z * positive(u)

    def forward(self, inputs: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor]:
        h = self.initial_state(len(inputs)) if state is None else state
        kernel = kernels.find("minimal", inputs, h, self.W, self.b)
        if kernel is not None:
            return kernel(inputs, h, self.W, self.b)  # type: ignore[no-any-return]
        if kernels.parallel(inputs):
            outputs = kernels.diagonal_recurrence(*self._gated(inputs), h)
            return outputs, outputs[:, -1]
        return super().forward(inputs, h)
