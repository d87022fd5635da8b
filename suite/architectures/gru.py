"""The gated recurrent unit, with the reset gate before or after the product, or without a reset gate."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn, sigmoid, tanh
from torch.nn.functional import linear, pad

from suite import kernels
from suite.architectures._base import Cell, Initialisation, bias, chrono_bias, input_weight, recurrent_weight


class GRU(Cell[Tensor]):
    """A cell with one state, which an update gate keeps or overwrites.

    Two forms are in use, and they differ in more than a sign. A third form shows what the reset gate is for.

    ``reset = "before"`` is Cho's form. It resets before the product, has no biases, and **z = 1 overwrites**::

        r_t = σ(W_r x_t + U_r h_{t−1})
        z_t = σ(W_z x_t + U_z h_{t−1})
        n_t = tanh(W_n x_t + U_n (r_t ⊙ h_{t−1}))
        h_t = (1 − z_t) ⊙ h_{t−1} + z_t ⊙ n_t

    ``reset = "after"`` is the form of cuDNN and PyTorch. It resets after the product, has biases, and **z = 1 keeps**::

        r_t = σ(W_r x_t + U_r h_{t−1} + b_r)
        z_t = σ(W_z x_t + U_z h_{t−1} + b_z)
        n_t = tanh(W_n x_t + b_n + r_t ⊙ (U_n h_{t−1} + b_h))
        h_t = (1 − z_t) ⊙ n_t + z_t ⊙ h_{t−1}

    ``reset = "none"`` is the form "before" with r_t = 1. Without the gate's parameters ⅔ remain at equal width::

        z_t = σ(W_z x_t + U_z h_{t−1})
        n_t = tanh(W_n x_t + U_n h_{t−1})
        h_t = (1 − z_t) ⊙ h_{t−1} + z_t ⊙ n_t

    This form runs through the kernel of "before" and takes the same time.

    ``gain`` multiplies the initial U. ``chrono`` = T_max draws the initial bias b_z of the update gate from
    log U(1, T_max − 1), and the default 0 is off. It needs the biases that only "after" has. T_max is knowledge about
    the task, so give it to every gated cell of a comparison, or state that you do not.

    State: h, ``[batch, hidden_size]``, which is also the output. The order of the gates in W, U and b is r, z, n, as in
    torch.nn, and b_h is a vector of its own.

    Sources: Cho et al. 2014 (arXiv v3) and the founding lesson (before); cuDNN and ``torch.nn.GRU`` (after); Tallec &
    Ollivier 2018 (chrono initialisation).
    """

    family = "gated"

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        reset: Literal["before", "after", "none"] = "before",
        chrono: int = 0,
        init: Initialisation = "uniform",
        gain: float = 1.0,
    ) -> None:
        super().__init__(input_size, hidden_size)
        if reset not in ("before", "after", "none"):
            raise ValueError(f"reset must be 'before', 'after' or 'none'; got {reset!r}")
        if chrono and reset != "after":
            raise ValueError(f"chrono needs the biases of reset = 'after'; got chrono = {chrono}, reset = {reset!r}")
        self.reset = reset
        blocks = 2 if reset == "none" else 3
        self.W = input_weight(blocks, hidden_size, input_size)
        self.U = recurrent_weight(blocks, hidden_size, init, gain)
        zeros = torch.zeros(hidden_size)
        b_z = chrono_bias(hidden_size, chrono) if chrono else zeros  # In "after" z keeps, like a forget gate.
        self.b = nn.Parameter(torch.cat([zeros, b_z, zeros])) if reset == "after" else None
        self.b_h = bias(1, hidden_size) if reset == "after" else None

    def initial_state(self, batch_size: int) -> Tensor:
        return self.zeros(batch_size, self.hidden_size)

    def step(self, x: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        h = state
        if self.reset == "none":
            U_z, U_n = self.U.chunk(2)
            z, n = linear(x, self.W).chunk(2, dim=-1)
            # z_t = σ(W_z x_t + U_z h_{t−1});  n_t = tanh(W_n x_t + U_n h_{t−1})
            z, n = sigmoid(z + linear(h, U_z)), tanh(n + linear(h, U_n))
            # h_t = (1 − z_t) ⊙ h_{t−1} + z_t ⊙ n_t
            h = (1 - z) * h + z * n
        elif self.reset == "before":
            r, z, n = linear(x, self.W).chunk(3, dim=-1)
            # r_t, z_t = σ(W x_t + U h_{t−1})
            U_r, U_z, U_n = self.U.chunk(3)
            r, z = sigmoid(r + linear(h, U_r)), sigmoid(z + linear(h, U_z))
            # n_t = tanh(W_n x_t + U_n (r_t ⊙ h_{t−1}))
            n = tanh(n + linear(r * h, U_n))
            # h_t = (1 − z_t) ⊙ h_{t−1} + z_t ⊙ n_t
            h = (1 - z) * h + z * n
        else:
            r, z, n = linear(x, self.W, self.b).chunk(3, dim=-1)
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
        biases = () if self.b is None or self.b_h is None else (self.b, self.b_h)  # Only "after" has them.
        name = "gru_after" if self.reset == "after" else "gru_before"
        kernel = kernels.find(name, inputs, h, self.W, self.U, *biases, cudnn=self.reset == "after")
        if kernel is None or (self.reset == "none" and not inputs.sum().isfinite()):  # A padded 0 · ∞ is NaN, not 0.
            return super().forward(inputs, h)
        W, U = self._with_reset_gate() if self.reset == "none" else (self.W, self.U)
        return kernel(inputs, h, W, U, *biases)  # type: ignore[no-any-return]

    def _with_reset_gate(self) -> tuple[Tensor, Tensor]:
        """Return W and U that make "before" compute "none": r_t = σ(0) = ½ throughout, and 2 U_n. Both are exact."""
        U_z, U_n = self.U.chunk(2)
        return pad(self.W, (0, 0, self.hidden_size, 0)), torch.cat([torch.zeros_like(U_z), U_z, 2 * U_n])
