"""The mLSTM of xLSTM, a memory in a matrix with exponential gates."""

from __future__ import annotations

from math import sqrt

import torch
from torch import Tensor, nn, sigmoid
from torch.nn.functional import linear, logsigmoid

from suite.architectures._base import Cell, bias, weight
from suite.architectures._matrix import by_head, fast_form, head_size, read

EPSILON = 1e-6
"""It is added to the divisor, as in the source."""
FORGET_BIAS = (3.0, 6.0)
"""The first biases of the forget gates of the heads lie evenly between these."""
INPUT_BIAS = 0.1
"""The standard deviation of the first biases of the input gates."""

State = tuple[Tensor, Tensor, Tensor]


class MLSTM(Cell[State]):
    """An LSTM whose cell state is a matrix, which stores each value under a key, and whose input gate has no bound::

        q_t = W_q x_t,    k_t = W_k x_t / √d,    v_t = W_v x_t
        ĩ_t = w_i · x_t + b_i,    f̃_t = w_f · x_t + b_f           a number per head
        m_t = max(log σ(f̃_t) + m_{t−1}, ĩ_t)
        f_t = exp(log σ(f̃_t) + m_{t−1} − m_t),    i_t = exp(ĩ_t − m_t)
        C_t = f_t C_{t−1} + i_t k_t v_tᵀ
        n_t = f_t n_{t−1} + i_t k_t
        h_t = C_tᵀ q_t / (max(|n_t · q_t|, e^{−m_t}) + 1e-6)      the heads side by side
        y_t = σ(W_o x_t + b_o) ⊙ h_t

    The vectors are cut into ``heads`` parts of d = hidden / heads numbers, and each head has a matrix C, a normaliser n
    and a stabiliser m of its own. C and n are kept divided by e^m, so that no gate overflows, and m cancels out in h
    but for the 1e-6. Keys and values have the same size, and four heads are those of the source, so C has hidden² / 4
    numbers.

    The equations are those of the paper, with the output gate. What the block of the source has around them is left
    out: the convolution before q and k, their block-diagonal matrices, the norm of h and the skip connection. The gates
    read x, where that block lets them read q, k and v. There is no output matrix. The matrix P of the residual block is
    the one of the source, and in the plain block the decoder mixes the heads.

    The initial values are those of the source where it has them. The weights of the two gates are 0, so that a gate
    begins with its bias. b_f lies evenly between 3 and 6 from the first to the last head, which are memories of 21 to
    404 steps, and b_i has a standard deviation of 0.1. No weight decay pulls at b_f and b_i. The other matrices are
    uniform in ±1/√input, as in ``torch.nn.Linear``, and b_o is 0.

    State: (C, n, m), ``[batch, heads, d, d]``, ``[batch, heads, d]`` and ``[batch, heads]``. A row of C belongs to a
    number of the key. All three are zeros before the first step.

    Source: Beck et al. 2024, §2.3 and appendix A, and its code.

    Raises:
        ValueError: if the heads do not divide the hidden size.
    """

    family = "matrix state"
    without_weight_decay = ("b_if",)

    def __init__(self, input_size: int, hidden_size: int, *, heads: int = 4) -> None:
        super().__init__(input_size, hidden_size)
        self.heads, self.size = heads, head_size(hidden_size, heads)
        self.W = weight(3 * hidden_size, input_size, 1 / sqrt(input_size))
        self.W_if = nn.Parameter(torch.zeros(2 * heads, input_size))
        self.b_if = nn.Parameter(torch.cat([INPUT_BIAS * torch.randn(heads), torch.linspace(*FORGET_BIAS, heads)]))
        self.W_o, self.b_o = weight(hidden_size, input_size, 1 / sqrt(input_size)), bias(1, hidden_size)

    def initial_state(self, batch_size: int) -> State:
        C = self.zeros(batch_size, self.heads, self.size, self.size)
        return C, self.zeros(batch_size, self.heads, self.size), self.zeros(batch_size, self.heads)

    def step(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        C, n, m_before = state
        # q_t = W_q x_t,  k_t = W_k x_t / √d,  v_t = W_v x_t
        q, k, v = (by_head(part, self.heads) for part in linear(x, self.W).chunk(3, dim=-1))
        k = k / sqrt(self.size)
        # ĩ_t = w_i · x_t + b_i,  f̃_t = w_f · x_t + b_f
        i, f = linear(x, self.W_if, self.b_if).chunk(2, dim=-1)
        # m_t = max(log σ(f̃_t) + m_{t−1}, ĩ_t)
        kept = logsigmoid(f) + m_before
        m = torch.maximum(kept, i)
        # f_t = exp(log σ(f̃_t) + m_{t−1} − m_t),  i_t = exp(ĩ_t − m_t)
        f, i = torch.exp(kept - m).unsqueeze(2), torch.exp(i - m).unsqueeze(2)
        # C_t = f_t C_{t−1} + i_t k_t v_tᵀ
        C = f.unsqueeze(3) * C + k.unsqueeze(3) * (i * v).unsqueeze(2)
        # n_t = f_t n_{t−1} + i_t k_t
        n = f * n + i * k
        # h_t = C_tᵀ q_t / (max(|n_t · q_t|, e^{−m_t}) + 1e-6)
        divisor = torch.maximum((n * q).sum(dim=2).abs(), torch.exp(-m)) + EPSILON
        h = read(C, q) / divisor.unsqueeze(2)
        # y_t = σ(W_o x_t + b_o) ⊙ h_t
        return sigmoid(linear(x, self.W_o, self.b_o)) * h.flatten(1), (C, n, m)

    def forward(self, inputs: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        state = self.initial_state(len(inputs)) if state is None else state
        recurrence = fast_form("mlstm", inputs, *state, *self.parameters())
        if recurrence is None:
            return super().forward(inputs, state)
        i, f = linear(inputs, self.W_if, self.b_if).chunk(2, dim=-1)
        h, state = recurrence(inputs, self.W, i, f, *state)
        return sigmoid(linear(inputs, self.W_o, self.b_o)) * h, state
