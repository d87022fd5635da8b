"""The long short-term memory, with or without each of its gates."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn, sigmoid, tanh
from torch.nn.functional import layer_norm as normed
from torch.nn.functional import linear

from suite import kernels
from suite.architectures._base import (
    FORGET_BIAS,
    Cell,
    Initialisation,
    bias,
    gate_biases,
    input_weight,
    recurrent_weight,
)

OPEN = 40.0
"""The bias of a gate that is always 1, because σ(40) is exactly 1 in single and in double precision."""


class LSTM(Cell[tuple[Tensor, Tensor]]):
    """A cell whose state is kept by a forget gate and written by an input gate, so that it can last::

        i_t = σ(W_i x_t + U_i h_{t−1} + b_i)          input gate
        f_t = σ(W_f x_t + U_f h_{t−1} + b_f)          forget gate
        g_t = tanh(W_g x_t + U_g h_{t−1} + b_g)       candidate
        o_t = σ(W_o x_t + U_o h_{t−1} + b_o)          output gate
        c_t = f_t ⊙ c_{t−1} + i_t ⊙ g_t
        h_t = o_t ⊙ tanh(c_t)
        y_t = h_t  (readout = "hidden")   or   c_t  (readout = "cell")

    ``without`` names a gate that is 1 throughout and has no parameters. ``"forget"`` is the LSTM of 1997, whose state
    only adds up: c_t = c_{t−1} + i_t ⊙ g_t. Greff et al. call ``"input"``, ``"forget"`` and ``"output"`` NIG, NFG and
    NOG. At equal width these forms have ¾ of the parameters. They take the same time, because the kernel computes the
    gate all the same.

    ``forget_bias`` is the initial b_f, and 1 keeps the gate mostly open at the start (Gers et al. 2000; Jozefowicz et
    al. 2015). ``chrono`` = T_max draws b_f from log U(1, T_max − 1) instead and sets b_i = −b_f, so only one of the two
    options can be set. The default 0 is off. T_max is knowledge about the task, so give it to every gated cell of a
    comparison, or state that you do not. ``gain`` multiplies the initial U. Each gate has one bias vector. torch.nn has
    two, of which only the sum counts.

    ``layer_norm`` normalises what enters the gates, all gates together, and the cell state on its way out::

        (i_t, f_t, g_t, o_t) = (σ, σ, tanh, σ)(LN(W x_t; γ_x) + LN(U h_{t−1}; γ_h) + b)
        h_t = o_t ⊙ tanh(LN(c_t; γ_c, b_c))

    LN subtracts the mean over the units and divides by the standard deviation, with ε = 1e-5 below the root as in
    torch.nn. The gains γ start at 1 and b_c at 0. The source has a bias in each norm and b besides, of which only the
    sum counts, so this form has b alone. It has no fused kernel.

    State: (h, c), each ``[batch, hidden_size]``. The order of the gates in W, U, b, γ_x and γ_h is i, f, g, o, as in
    torch.nn.

    Sources: Hochreiter & Schmidhuber 1997; Gers, Schmidhuber & Cummins 2000 (forget gate); Greff et al. 2015 (without a
    gate); Tallec & Ollivier 2018 (chrono initialisation); Ba, Kiros & Hinton 2016, §3.1 and appendix (layer norm).
    """

    family = "gated"

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        readout: Literal["hidden", "cell"] = "hidden",
        without: Literal["none", "input", "forget", "output"] = "none",
        forget_bias: float = FORGET_BIAS,
        chrono: int = 0,
        init: Initialisation = "uniform",
        gain: float = 1.0,
        layer_norm: bool = False,
    ) -> None:
        super().__init__(input_size, hidden_size)
        if readout not in ("hidden", "cell"):
            raise ValueError(f"readout must be 'hidden' or 'cell'; got {readout!r}")
        if without not in ("none", "input", "forget", "output"):
            raise ValueError(f"without must be 'none', 'input', 'forget' or 'output'; got {without!r}")
        if without == "forget" and (forget_bias, chrono) != (FORGET_BIAS, 0):
            raise ValueError(
                "without = 'forget' leaves no forget gate to initialise: forget_bias must stay at 1.0 and chrono at 0; "
                f"got {forget_bias} and {chrono}"
            )
        self.readout = readout
        self.gates = [gate for gate in "ifgo" if not without.startswith(gate)]
        self.W = input_weight(len(self.gates), hidden_size, input_size)
        self.U = recurrent_weight(len(self.gates), hidden_size, init, gain)
        b_i, b_f = gate_biases(hidden_size, forget_bias, chrono)
        initial = {"i": b_i, "f": b_f}
        self.b = nn.Parameter(torch.cat([initial.get(gate, torch.zeros(hidden_size)) for gate in self.gates]))
        self.layer_norm = layer_norm
        if layer_norm:
            self.gain_x, self.gain_h = nn.Parameter(torch.ones_like(self.b)), nn.Parameter(torch.ones_like(self.b))
            self.gain_c, self.b_c = nn.Parameter(torch.ones(hidden_size)), bias(1, hidden_size)
            self.without_weight_decay = ("gain_x", "gain_h", "gain_c")

    def initial_state(self, batch_size: int) -> tuple[Tensor, Tensor]:
        return self.zeros(batch_size, self.hidden_size), self.zeros(batch_size, self.hidden_size)

    def step(self, x: Tensor, state: tuple[Tensor, Tensor]) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        h, c = state
        # W x_t + U h_{t−1} + b for every gate that is present; an absent gate is 1
        a = self._by_gate(self._driven(x, h), dim=-1)
        i, f, o = (sigmoid(a[gate]) if gate in a else 1.0 for gate in "ifo")
        # c_t = f_t ⊙ c_{t−1} + i_t ⊙ g_t
        c = f * c + i * tanh(a["g"])
        # h_t = o_t ⊙ tanh(c_t)   or   o_t ⊙ tanh(LN(c_t))
        h = o * tanh(normed(c, c.shape[1:], self.gain_c, self.b_c) if self.layer_norm else c)
        return (h if self.readout == "hidden" else c), (h, c)

    def forward(
        self, inputs: Tensor, state: tuple[Tensor, Tensor] | None = None
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        h, c = self.initial_state(len(inputs)) if state is None else state
        if self.layer_norm:
            return super().forward(inputs, (h, c))
        kernel = kernels.find("lstm", inputs, h, c, self.W, self.U, self.b, cudnn=self.readout == "hidden")
        if kernel is None or (len(self.gates) < 4 and not inputs.sum().isfinite()):  # A padded 0 · ∞ is NaN, not 0.
            return super().forward(inputs, (h, c))
        W, U, b = self._padded(self.W, 0.0), self._padded(self.U, 0.0), self._padded(self.b, OPEN)
        return kernel(inputs, h, c, W, U, b, self.readout)  # type: ignore[no-any-return]

    def _driven(self, x: Tensor, h: Tensor) -> Tensor:
        """Return what enters the gates, ``[batch, gates·hidden]``."""
        if not self.layer_norm:
            return linear(x, self.W, self.b) + linear(h, self.U)
        # LN(W x_t; γ_x) + LN(U h_{t−1}; γ_h) + b
        size = self.b.shape
        return normed(linear(x, self.W), size, self.gain_x, self.b) + normed(linear(h, self.U), size, self.gain_h)

    def _by_gate(self, tensor: Tensor, dim: int = 0) -> dict[str, Tensor]:
        return dict(zip(self.gates, tensor.chunk(len(self.gates), dim), strict=True))

    def _padded(self, tensor: Tensor, fill: float) -> Tensor:
        """Pad W, U or b to the four gates that the kernel takes, with ``fill`` in the block of an absent gate."""
        if len(self.gates) == 4:
            return tensor
        blocks = self._by_gate(tensor)
        return torch.cat([blocks[gate] if gate in blocks else torch.full_like(blocks["g"], fill) for gate in "ifgo"])
