"""The plain recurrent net of Elman."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from suite import kernels
from suite.architectures._base import Cell, bias, input_weight, recurrent_weight


class RNN(Cell[Tensor]):
    """A plain recurrent net, whose state is a squashed mixture of the input and the state before::

        h_t = φ(W x_t + U h_{t−1} + b),    y_t = h_t

    φ is ``nonlinearity``, either tanh or ReLU. ``init`` chooses the initial U, which is uniform (in ±1/√h, as in
    ``torch.nn.RNN``), orthogonal, or the identity, and ``gain`` multiplies it. ``nonlinearity = "relu"`` with
    ``init = "identity"`` is the IRNN, which needs gradient clipping. With an orthogonal U the norm of the Jacobian
    ∂h_t/∂h_{t−1} = diag(φ') U is at most ``gain``, because φ' ≤ 1, and that of a product of τ Jacobians at most gain^τ.

    State: h, ``[batch, hidden_size]``.

    Sources: Elman 1990; Le, Jaitly & Hinton 2015 (IRNN, U = I, b = 0).
    """

    family = "simple"

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        nonlinearity: Literal["tanh", "relu"] = "tanh",
        init: Literal["uniform", "orthogonal", "identity"] = "uniform",
        gain: float = 1.0,
    ) -> None:
        super().__init__(input_size, hidden_size)
        if nonlinearity not in ("tanh", "relu"):
            raise ValueError(f"nonlinearity must be 'tanh' or 'relu'; got {nonlinearity!r}")
        self.nonlinearity = nonlinearity
        self.phi = torch.tanh if nonlinearity == "tanh" else torch.relu
        self.W = input_weight(1, hidden_size, input_size)
        if init == "identity":
            self.U = nn.Parameter(gain * torch.eye(hidden_size))
        else:
            self.U = recurrent_weight(1, hidden_size, init, gain)
        self.b = bias(1, hidden_size)

    def initial_state(self, batch_size: int) -> Tensor:
        return self.zeros(batch_size, self.hidden_size)

    def step(self, x: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        # h_t = φ(W x_t + U h_{t−1} + b)
        h = self.phi(linear(x, self.W, self.b) + linear(state, self.U))
        return h, h

    def forward(self, inputs: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor]:
        h = self.initial_state(len(inputs)) if state is None else state
        kernel = kernels.find("elman", inputs, h, self.W, self.U, self.b, cudnn=True)
        if kernel is None:
            return super().forward(inputs, h)
        return kernel(inputs, h, self.W, self.U, self.b, self.nonlinearity)  # type: ignore[no-any-return]
