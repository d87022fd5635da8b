"""The gated recurrent unit, with the reset gate before or after the product."""

from __future__ import annotations

from typing import Literal

from torch import Tensor, sigmoid, tanh
from torch.nn.functional import linear

from suite import kernels
from suite.architectures._base import Cell, Initialisation, bias, input_weight, recurrent_weight


class GRU(Cell[Tensor]):
    """One state, which an update gate keeps or overwrites. Two forms are in use, and they differ in more than a sign.

    ``reset = "before"``, Cho's and the lesson's: reset before the product, no biases, **z = 1 overwrites**::

        r_t = σ(W_r x_t + U_r h_{t−1})
        z_t = σ(W_z x_t + U_z h_{t−1})
        n_t = tanh(W_n x_t + U_n (r_t ⊙ h_{t−1}))
        h_t = (1 − z_t) ⊙ h_{t−1} + z_t ⊙ n_t

    ``reset = "after"``, cuDNN's and PyTorch's: reset after the product, with biases, **z = 1 keeps**::

        r_t = σ(W_r x_t + U_r h_{t−1} + b_r)
        z_t = σ(W_z x_t + U_z h_{t−1} + b_z)
        n_t = tanh(W_n x_t + b_n + r_t ⊙ (U_n h_{t−1} + b_h))
        h_t = (1 − z_t) ⊙ n_t + z_t ⊙ h_{t−1}

    State: h, ``[batch, hidden_size]``, which is also the output. The order of the gates in W, U and b is r, z, n, as
    torch.nn's; b_h is a vector of its own.

    Sources: Cho et al. 2014 (arXiv v3) and the founding lesson (before); cuDNN, ``torch.nn.GRU`` (after).
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        reset: Literal["before", "after"] = "before",
        init: Initialisation = "uniform",
    ) -> None:
        super().__init__(input_size, hidden_size)
        if reset not in ("before", "after"):
            raise ValueError(f"reset must be 'before' or 'after'; got {reset!r}")
        self.reset = reset
        self.W = input_weight(3, hidden_size, input_size)
        self.U = recurrent_weight(3, hidden_size, init)
        self.b = bias(3, hidden_size) if reset == "after" else None
        self.b_h = bias(1, hidden_size) if reset == "after" else None

    def initial_state(self, batch_size: int) -> Tensor:
        return self.zeros(batch_size, self.hidden_size)

    def step(self, x: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        h = state
        r, z, n = linear(x, self.W, self.b).chunk(3, dim=-1)
        if self.reset == "before":
            # r_t, z_t = σ(W x_t + U h_{t−1})
            U_r, U_z, U_n = self.U.chunk(3)
            r, z = sigmoid(r + linear(h, U_r)), sigmoid(z + linear(h, U_z))
            # n_t = tanh(W_n x_t + U_n (r_t ⊙ h_{t−1}))
            n = tanh(n + linear(r * h, U_n))
            # h_t = (1 − z_t) ⊙ h_{t−1} + z_t ⊙ n_t
            h = (1 - z) * h + z * n
        else:
            # r_t, z_t = σ(W x_t + U h_{t−1} + b)
            u_r, u_z, u_n = linear(h, self.U).chunk(3, dim=-1)
            r, z = sigmoid(r + u_r), sigmoid(z + u_z)
            # n_t = tanh(W_n x_t + b_n + r_t ⊙ (U_n h_{t−1} + b_h))
            n = tanh(n + r * (u_n + self.b_h))  # type: ignore[operator]
            # h_t = (1 − z_t) ⊙ n_t + z_t ⊙ h_{t−1}
            h = (1 - z) * n + z * h
        return h, h

    def forward(self, inputs: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor]:
        h = self.initial_state(len(inputs)) if state is None else state
        biases = () if self.b is None or self.b_h is None else (self.b, self.b_h)  # "before" has none
        kernel = kernels.find(f"gru_{self.reset}", inputs, h, self.W, self.U, *biases, cudnn=self.reset == "after")
        if kernel is None:
            return super().forward(inputs, h)
        return kernel(inputs, h, self.W, self.U, *biases)  # type: ignore[no-any-return]
