"""The long expressive memory, whose two states have learnt time steps."""

from __future__ import annotations

from math import sqrt

import torch
from torch import Tensor, nn, sigmoid, tanh
from torch.nn.functional import linear

from suite import kernels
from suite.architectures._base import Cell, input_weight, recurrent_weight


class LEM(Cell[tuple[Tensor, Tensor]]):
    """Two coupled states that follow a differential equation, with a time step of its own for each unit and moment::

        Δ_t = Δt σ(W_1 y_{t−1} + V_1 x_t + b_1)
        Δ̄_t = Δt σ(W_2 y_{t−1} + V_2 x_t + b_2)
        z_t = (1 − Δ_t) ⊙ z_{t−1} + Δ_t ⊙ tanh(W_z y_{t−1} + V_z x_t + b_z)
        y_t = (1 − Δ̄_t) ⊙ y_{t−1} + Δ̄_t ⊙ tanh(W_y z_t + V_y x_t + b_y)

    The new z_t enters y_t. The gradient through T steps is bounded, and does not vanish as long as the time steps are
    small. The option ``dt`` is Δt, the longest step of all. At 1, the default, the time steps are the gates of an LSTM.
    The source tunes it, and takes 0.0242 for the adding problem: then a state keeps what it holds for 1/Δt = 41 steps
    or more, so a small Δt is knowledge about the task.

    All parameters start uniform in ±1/√hidden, as at the source.

    State: (y, z), each ``[batch, hidden_size]``. The order of the blocks in V, W and b is 1, 2, z, y.

    Source: Rusch, Mishra, Erichson & Mahoney 2022, eq. 2, and its code.

    Raises:
        ValueError: if ``dt`` is not positive.
    """

    family = "gated"

    def __init__(self, input_size: int, hidden_size: int, *, dt: float = 1.0) -> None:
        super().__init__(input_size, hidden_size)
        if not dt > 0:
            raise ValueError(f"dt must be a time step above 0; got {dt}")
        self.dt = dt
        self.V = input_weight(4, hidden_size, input_size)
        self.W = recurrent_weight(4, hidden_size, "uniform")
        self.b = nn.Parameter(torch.empty(4 * hidden_size).uniform_(-1 / sqrt(hidden_size), 1 / sqrt(hidden_size)))

    def initial_state(self, batch_size: int) -> tuple[Tensor, Tensor]:
        return self.zeros(batch_size, self.hidden_size), self.zeros(batch_size, self.hidden_size)

    def step(self, x: Tensor, state: tuple[Tensor, Tensor]) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        y, z = state
        W_12z, W_y = torch.split(self.W, [3 * self.hidden_size, self.hidden_size])
        one, two, to_z, to_y = linear(x, self.V, self.b).chunk(4, dim=-1)
        from_one, from_two, from_y = linear(y, W_12z).chunk(3, dim=-1)
        # Δ_t = Δt σ(W_1 y_{t−1} + V_1 x_t + b_1);  Δ̄_t = Δt σ(W_2 y_{t−1} + V_2 x_t + b_2)
        step_z, step_y = self.dt * sigmoid(one + from_one), self.dt * sigmoid(two + from_two)
        # z_t = (1 − Δ_t) ⊙ z_{t−1} + Δ_t ⊙ tanh(W_z y_{t−1} + V_z x_t + b_z)
        z = (1 - step_z) * z + step_z * tanh(to_z + from_y)
        # y_t = (1 − Δ̄_t) ⊙ y_{t−1} + Δ̄_t ⊙ tanh(W_y z_t + V_y x_t + b_y)
        y = (1 - step_y) * y + step_y * tanh(to_y + linear(z, W_y))
        return y, (y, z)

    def forward(
        self, inputs: Tensor, state: tuple[Tensor, Tensor] | None = None
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        y, z = self.initial_state(len(inputs)) if state is None else state
        kernel = kernels.find("lem", inputs, y, z, self.V, self.W, self.b)
        if kernel is None:
            return super().forward(inputs, (y, z))
        return kernel(inputs, y, z, self.V, self.W, self.b, self.dt)  # type: ignore[no-any-return]
