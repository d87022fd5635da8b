"""The gated recurrent unit, with the reset gate before or after the product, or without a reset gate."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn, sigmoid, tanh
from torch.nn.functional import layer_norm as normed
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

    ``layer_norm`` normalises every product, the two gates together and the candidate by itself::

        (r_t, z_t) = σ(LN(W_rz x_t; γ_x) + LN(U_rz h_{t−1}; γ_h) + b_rz)
        n_t = tanh(LN(W_n x_t; γ'_x) + b_n + r_t ⊙ (LN(U_n h_{t−1}; γ'_h) + b_h))      reset = "after", as the source
        n_t = tanh(LN(W_n x_t; γ'_x) + b_n + LN(U_n (r_t ⊙ h_{t−1}); γ'_h))            reset = "before" or "none"

    LN and the gains are those of the LSTM. Biases that only count in a sum are one here too, and all forms have b. It
    has no fused kernel.

    State: h, ``[batch, hidden_size]``, which is also the output. The order of the gates in W, U, b and the gains is
    r, z, n, as in torch.nn, and b_h is a vector of its own.

    Sources: Cho et al. 2014 (arXiv v3) and the founding lesson (before); cuDNN and ``torch.nn.GRU`` (after); Tallec &
    Ollivier 2018 (chrono initialisation); Ba, Kiros & Hinton 2016, §3.1 and appendix (layer norm).
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
        layer_norm: bool = False,
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
        self.layer_norm = layer_norm
        if layer_norm:
            self.gain_x, self.gain_h = (nn.Parameter(torch.ones(blocks * hidden_size)) for _ in range(2))
            self.b = bias(blocks, hidden_size) if self.b is None else self.b
            self.without_weight_decay = ("gain_x", "gain_h")

    def initial_state(self, batch_size: int) -> Tensor:
        return self.zeros(batch_size, self.hidden_size)

    def step(self, x: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        h = state
        if self.layer_norm:
            h = self._normed_step(x, h)
        elif self.reset == "none":
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

    def _normed_step(self, x: Tensor, h: Tensor) -> Tensor:
        """Return h_t of the form with layer norm."""
        assert self.b is not None
        W_x, size = linear(x, self.W), self.hidden_size
        (U, U_n), (b, b_n) = self.U.tensor_split([-size]), self.b.tensor_split([-size])
        (gain_x, gain_xn), (gain_h, gain_hn) = (gain.tensor_split([-size]) for gain in (self.gain_x, self.gain_h))
        # r_t, z_t = σ(LN(W_rz x_t) + LN(U_rz h_{t−1}) + b_rz)
        gates = sigmoid(normed(W_x[:, :-size], b.shape, gain_x, b) + normed(linear(h, U), b.shape, gain_h))
        r, z = (1.0, gates) if self.reset == "none" else gates.chunk(2, dim=-1)
        n = normed(W_x[:, -size:], b_n.shape, gain_xn, b_n)
        if self.reset == "after":
            # n_t = tanh(LN(W_n x_t) + b_n + r_t ⊙ (LN(U_n h_{t−1}) + b_h))
            n = tanh(n + r * normed(linear(h, U_n), b_n.shape, gain_hn, self.b_h))
            # h_t = (1 − z_t) ⊙ n_t + z_t ⊙ h_{t−1}
            return (1 - z) * n + z * h
        # n_t = tanh(LN(W_n x_t) + b_n + LN(U_n (r_t ⊙ h_{t−1})))
        n = tanh(n + normed(linear(r * h, U_n), b_n.shape, gain_hn))
        # h_t = (1 − z_t) ⊙ h_{t−1} + z_t ⊙ n_t
        return (1 - z) * h + z * n

    def forward(self, inputs: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor]:
        h = self.initial_state(len(inputs)) if state is None else state
        if self.layer_norm:
            return super().forward(inputs, h)
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
