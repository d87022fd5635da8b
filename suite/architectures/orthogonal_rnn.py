"""The recurrent net whose recurrent matrix is orthogonal, and stays so while it is trained."""

from __future__ import annotations

from math import pi
from typing import Literal

import torch
from torch import Tensor, nn, relu
from torch.linalg import matrix_exp
from torch.nn.functional import linear

from suite import kernels
from suite.architectures._base import Cell

BIAS = 0.01
"""The biases of modReLU start uniform in ±0.01, as in the code of the source: close to the identity, and not equal."""


class OrthogonalRNN(Cell[Tensor]):
    """A plain recurrent net with an orthogonal U, so that a product of Jacobians neither vanishes nor explodes by U::

        U = exp(A − Aᵀ)
        a_t = W x_t + U h_{t−1}
        h_t = sgn(a_t) ⊙ relu(|a_t| + b),    y_t = h_t

    The exponential of a skew-symmetric matrix is orthogonal, so any A gives an orthogonal U, and plain gradient descent
    stays among them. The function in the last line is modReLU. Its slope is 1 or 0, so the norm of ∂h_t/∂h_{t−1} is
    at most 1. A is strictly upper triangular, and its h(h − 1)/2 numbers are the parameter, because only A − Aᵀ counts.

    U starts as rotations of pairs of units. The angles are uniform in ±π with ``init = "henaff"``. With
    ``init = "cayley"`` they are −tan(τ/2) with τ uniform in (0, π/2), so they are between −1 and 0 and the pairs turn
    slowly. The source uses the first for copying and the second for images. W is normal with the variance 2/input
    (He et al. 2015), as in the source.

    ``forward`` calculates the exponential once for a whole batch, and ``step`` calculates it each time.

    State: h, ``[batch, hidden_size]``.

    Sources: Lezcano-Casado & Martínez-Rubio 2019 (U); Arjovsky, Shah & Bengio 2016 (modReLU); Henaff, Szlam & LeCun
    2016 and Helfrich, Willmott & Ye 2018 (initial angles).
    """

    family = "simple"
    without_weight_decay = ("A",)

    def __init__(self, input_size: int, hidden_size: int, *, init: Literal["henaff", "cayley"] = "henaff") -> None:
        super().__init__(input_size, hidden_size)
        if init not in ("henaff", "cayley"):
            raise ValueError(f"init must be 'henaff' or 'cayley'; got {init!r}")
        pairs = torch.empty(hidden_size // 2)
        angles = pairs.uniform_(-pi, pi) if init == "henaff" else -pairs.uniform_(0, pi / 2).div(2).tan()
        row = torch.arange(0, hidden_size - 1, 2)
        A = torch.zeros(hidden_size * (hidden_size - 1) // 2)  # Row by row, and row i begins with its element i + 1.
        A[row * (hidden_size - 1) - row * (row - 1) // 2] = angles
        self.A = nn.Parameter(A)
        self.W = nn.Parameter(nn.init.kaiming_normal_(torch.empty(hidden_size, input_size)))
        self.b = nn.Parameter(torch.empty(hidden_size).uniform_(-BIAS, BIAS))

    def initial_state(self, batch_size: int) -> Tensor:
        return self.zeros(batch_size, self.hidden_size)

    def step(self, x: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        return self._step(x, state, self.orthogonal())

    def forward(self, inputs: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor]:
        h, U = self.initial_state(len(inputs)) if state is None else state, self.orthogonal()
        kernel = kernels.find("elman", inputs, h, self.W, U, self.b)
        if kernel is not None:
            return kernel(inputs, h, self.W, U, self.b, "modrelu")  # type: ignore[no-any-return]
        outputs = []
        for x in inputs.unbind(1):
            output, h = self._step(x, h, U)
            outputs.append(output)
        return torch.stack(outputs, dim=1), h

    def orthogonal(self) -> Tensor:
        """Return U, ``[hidden, hidden]``."""
        above = torch.triu_indices(self.hidden_size, self.hidden_size, 1, device=self.A.device)
        A = self.A.new_zeros(self.hidden_size, self.hidden_size).index_put(above.unbind(), self.A)
        # U = exp(A − Aᵀ)
        U: Tensor = matrix_exp(A - A.T)
        return U

    def _step(self, x: Tensor, h: Tensor, U: Tensor) -> tuple[Tensor, Tensor]:
        # a_t = W x_t + U h_{t−1}
        a = linear(x, self.W) + linear(h, U)
        # h_t = sgn(a_t) ⊙ relu(|a_t| + b)
        h = a.sign() * relu(a.abs() + self.b)
        return h, h
