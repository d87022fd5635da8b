"""The sLSTM of xLSTM, an LSTM whose input gate is exponential and whose state is normalised."""

from __future__ import annotations

from math import sqrt

import torch
from torch import Tensor, nn, sigmoid, tanh
from torch.nn.functional import linear, logsigmoid

from suite import kernels
from suite.architectures._base import Cell, input_weight, weight

SLOWEST, FASTEST = 6.0, 3.0
"""The first biases of the forget gate. They keep a memory for 1 + e⁶ = 404 steps and for 1 + e³ = 21 steps."""

State = tuple[Tensor, Tensor, Tensor, Tensor]


class SLSTM(Cell[State]):
    """An LSTM that can revise what it has stored, because its input gate has no upper bound::

        ĩ_t, f̃_t, z̃_t, õ_t = W x_t + U h_{t−1} + b          in each gate, U only mixes the units of one head
        m_t = max(log σ(f̃_t) + m_{t−1}, ĩ_t)                 and ĩ_t where n_{t−1} = 0, before the first step
        i_t = exp(ĩ_t − m_t)
        f_t = exp(log σ(f̃_t) + m_{t−1} − m_t)                and at most 1
        c_t = f_t ⊙ c_{t−1} + i_t ⊙ tanh(z̃_t)
        n_t = f_t ⊙ n_{t−1} + i_t
        h_t = y_t = σ(õ_t) ⊙ c_t / n_t

    n_t counts what c_t has added up, so c_t / n_t is a weighted mean of the candidates. A large ĩ_t outweighs all that
    came before. m_t scales c_t and n_t alike, so that no exponential overflows, and it cancels in their quotient. The
    source takes ĩ_t only if n_{t−1} = 0 in the whole batch. Here each unit of each sequence decides by itself.

    The units are cut into ``heads`` of equal size, and U is block-diagonal, ``[4 · hidden, hidden / heads]``. One head,
    the default, is a full matrix as in the LSTM, so that a comparison of the two changes the gates and nothing else.
    The source has 4. The layer of the source has more around the cell, which is not here: a convolution before the
    input and forget gates, and a group norm of the heads.

    b_f rises evenly from 3 to 6 over the units of a head, which the source calls "small_init" and also uses in the
    mLSTM. (Its default falls from 5 to −7, so that the units of its first block mostly forget at once.) The other
    biases start at zero. W and U are uniform in ±1/√hidden, as in our LSTM and as in the source with "standard".

    State: (h, c, n, m), each ``[batch, hidden_size]``. The order of the gates in W, U and b is i, f, z, o, as at the
    source, and within each gate the heads follow each other.

    Source: Beck et al. 2024, §2.2 and appendix A.2, and its code.

    Raises:
        ValueError: if the heads do not divide the hidden size.
    """

    family = "gated"

    def __init__(self, input_size: int, hidden_size: int, *, heads: int = 1) -> None:
        super().__init__(input_size, hidden_size)
        if heads < 1 or hidden_size % heads:
            raise ValueError(
                f"heads must divide hidden_size; got heads = {heads} and hidden_size = {hidden_size}: "
                f"choose a multiple of {max(heads, 1)}"
            )
        self.heads = heads
        self.W = input_weight(4, hidden_size, input_size)
        self.U = weight(4 * hidden_size, hidden_size // heads, 1 / sqrt(hidden_size))
        b_f = torch.linspace(FASTEST, SLOWEST, hidden_size // heads).repeat(heads)
        self.b = nn.Parameter(torch.cat([torch.zeros(hidden_size), b_f, torch.zeros(2 * hidden_size)]))

    def initial_state(self, batch_size: int) -> State:
        h, c, n, m = (self.zeros(batch_size, self.hidden_size) for _ in range(4))
        return h, c, n, m

    def step(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        h, c, n, m = state
        # ĩ_t, f̃_t, z̃_t, õ_t = W x_t + U h_{t−1} + b
        i, f, z, o = (linear(x, self.W, self.b) + self._mixed(h)).chunk(4, dim=-1)
        # m_t = max(log σ(f̃_t) + m_{t−1}, ĩ_t), and ĩ_t where n_{t−1} = 0
        kept = logsigmoid(f) + m
        m = torch.where(n == 0, i, torch.maximum(kept, i))
        # i_t = exp(ĩ_t − m_t);  f_t = exp(log σ(f̃_t) + m_{t−1} − m_t)
        i, f = torch.exp(i - m), torch.exp((kept - m).clamp(max=0))
        # c_t = f_t ⊙ c_{t−1} + i_t ⊙ tanh(z̃_t);  n_t = f_t ⊙ n_{t−1} + i_t
        c, n = f * c + i * tanh(z), f * n + i
        # h_t = σ(õ_t) ⊙ c_t / n_t
        h = sigmoid(o) * c / n
        return h, (h, c, n, m)

    def forward(self, inputs: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        state = self.initial_state(len(inputs)) if state is None else state
        kernel = kernels.find("slstm", inputs, *state, self.W, self.U, self.b)
        if kernel is None:
            return super().forward(inputs, state)
        return kernel(inputs, *state, self.W, self.U, self.b)  # type: ignore[no-any-return]

    def _mixed(self, h: Tensor) -> Tensor:
        """Return U h for all gates, ``[batch, 4 · hidden]``, head by head."""
        by_head, size = torch.unflatten(h, -1, (self.heads, -1)), self.hidden_size // self.heads
        return torch.einsum("bhk,ghjk->bghj", by_head, self.U.view(4, self.heads, size, size)).flatten(1)
