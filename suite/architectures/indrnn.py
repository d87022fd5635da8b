"""The independently recurrent net, in which each unit only remembers itself."""

from __future__ import annotations

from math import sqrt
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from suite import kernels
from suite.architectures._base import Cell, bias, weight


class IndRNN(Cell[Tensor]):
    """A recurrent net without a recurrent matrix: each unit sees its own last value alone::

        h_t = φ(W x_t + u ⊙ h_{t−1} + b),    y_t = h_t

    φ is ``nonlinearity``, either ReLU or tanh. The Jacobian ∂h_t/∂h_{t−1} is diag(φ') diag(u), so each unit keeps or
    loses its gradient by its own u. Units meet in W of the next layer, so the source stacks many.

    Each u starts uniform in (0, 2^{1/T}), where T is ``longest``. Over T steps a unit with a ReLU then multiplies what
    it keeps by at most u^T = 2, and still learns from what was T steps before where u is near 1. The source binds u to
    this range throughout the training, and this cell only at the start. T is a number of steps that a gradient should
    survive. The default of 100 is the lag of the founding lesson's question, and 2^{1/T} hardly depends on it: 1.035
    for 20, 1.007 for 100, and 1.0007 for 1000. W starts uniform in ±1/√input, as in ``torch.nn.Linear``, because no
    other sum enters a unit. b starts at zero.

    State: h, ``[batch, hidden_size]``.

    Source: Li et al. 2018.
    """

    family = "simple"
    without_weight_decay = ("u",)

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        nonlinearity: Literal["relu", "tanh"] = "relu",
        longest: int = 100,
    ) -> None:
        super().__init__(input_size, hidden_size)
        if nonlinearity not in ("relu", "tanh"):
            raise ValueError(f"nonlinearity must be 'relu' or 'tanh'; got {nonlinearity!r}")
        if longest < 1:
            raise ValueError(f"longest must be a number of steps that is at least 1; got {longest}")
        self.nonlinearity = nonlinearity
        self.phi = torch.relu if nonlinearity == "relu" else torch.tanh
        self.W = weight(hidden_size, input_size, 1 / sqrt(input_size))
        self.u = nn.Parameter(torch.empty(hidden_size).uniform_(0, 2 ** (1 / longest)))
        self.b = bias(1, hidden_size)

    def initial_state(self, batch_size: int) -> Tensor:
        return self.zeros(batch_size, self.hidden_size)

    def step(self, x: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        # h_t = φ(W x_t + u ⊙ h_{t−1} + b)
        h = self.phi(linear(x, self.W, self.b) + self.u * state)
        return h, h

    def forward(self, inputs: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor]:
        h = self.initial_state(len(inputs)) if state is None else state
        kernel = kernels.find("indrnn", inputs, h, self.W, self.u, self.b)
        if kernel is None:
            return super().forward(inputs, h)
        return kernel(inputs, h, self.W, self.u, self.b, self.nonlinearity)  # type: ignore[no-any-return]
