"""The echo state network, a large random recurrent net of which only the decoder is trained."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import embedding_bag, linear

from suite import kernels
from suite.architectures._base import Cell, weight

DENSE_SIZE = 256
"""Up to this size a product with all elements of U is faster than one with its connections alone."""
EXACT_SIZE = 128
"""Up to this size the spectral radius is calculated from all eigenvalues, which takes 10 ms."""
POWERS = 600
"""Beyond, it is the growth rate of U^k v over the second half of so many steps. At 300 to 10,000 units this was within
0.2% of the largest eigenvalue, and takes 0.2 s at 10,000."""


class EchoState(Cell[Tensor]):
    """A reservoir: a random net that echoes its inputs, and is not trained at all::

        h_t = (1 − α) h_{t−1} + α tanh(W x_t + U h_{t−1}),    y_t = h_t

    α is ``leak``, and 1 keeps nothing but what passes through the tanh. W and U are frozen, so only the decoder of the
    model learns, together with the encoder and the mixers where the model has them. Each unit listens to
    ``connections`` units that are drawn at random, among which it may be itself, with weights that are uniform around
    zero. The same number at every size keeps a large reservoir cheap, and 10 is the number that Lukoševičius
    recommends. U is then scaled so that its largest eigenvalue has the absolute value ``radius``. Below 1 the net
    forgets what it started from, at least without inputs, and near 1 it forgets slowly. The default of 0.9 is on the
    safe side of that edge. W is uniform in ±``input_scale``, and smaller inputs leave the tanh more linear, which
    remembers longer.

    A size that is matched by parameters counts the trained ones. In a plain model these are the decoder's, so that the
    reservoir becomes large: 10,000 parameters and 10 outputs make 999 units, and with 1 output 9,999. The outputs of a
    pass take 4 bytes for each unit, step and sequence.

    State: h, ``[batch, hidden_size]``.

    Sources: Jaeger 2001; Jaeger et al. 2007 (leak); Lukoševičius 2012, §3.2 (how to draw a reservoir).

    Raises:
        ValueError: if an option is out of its range.
    """

    family = "reservoir"

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        radius: float = 0.9,
        leak: float = 1.0,
        input_scale: float = 1.0,
        connections: int = 10,
    ) -> None:
        super().__init__(input_size, hidden_size)
        if radius < 0 or input_scale < 0:
            raise ValueError(f"radius and input_scale must be at least 0; got {radius} and {input_scale}")
        if not 0 < leak <= 1:
            raise ValueError(f"leak must be above 0 and at most 1; got {leak}")
        if connections < 1:
            raise ValueError(f"connections must be at least 1 for each unit; got {connections}")
        self.leak = leak
        everyone = torch.arange(hidden_size).repeat(hidden_size, 1) if hidden_size <= connections else None
        sources = torch.randint(hidden_size, (hidden_size, connections)) if everyone is None else everyone
        self.W = weight(hidden_size, input_size, input_scale).requires_grad_(False)
        self.U = weight(hidden_size, sources.shape[1], 1.0).requires_grad_(False)
        self.register_buffer("sources", sources)
        if not self.U.is_meta:  # The size of a model is counted without its numbers.
            self.U.mul_(radius / spectral_radius(sources, self.U))

    def initial_state(self, batch_size: int) -> Tensor:
        return self.zeros(batch_size, self.hidden_size)

    def step(self, x: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        # (U h_{t−1})_i = Σ_k U_ik h_{t−1, source of k for i}
        recurrent = (state[:, self.get_buffer("sources")] * self.U).sum(dim=2)
        # h_t = (1 − α) h_{t−1} + α tanh(W x_t + U h_{t−1})
        h = (1 - self.leak) * state + self.leak * torch.tanh(linear(x, self.W) + recurrent)
        return h, h

    def forward(self, inputs: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Take the kernel of the plain RNN if the reservoir is small and does not leak.

        A large one is scanned with the units first, in which torch has a fused product for sparse rows.
        """
        state, sources = self.initial_state(len(inputs)) if state is None else state, self.get_buffer("sources")
        if self.hidden_size <= DENSE_SIZE and self.leak == 1:
            U, b = dense(sources, self.U), self.U.new_zeros(self.hidden_size)
            kernel = kernels.find("elman", inputs, state, self.W, U, b)
            if kernel is not None:
                return kernel(inputs, state, self.W, U, b, "tanh")  # type: ignore[no-any-return]
        h, outputs = state.T.contiguous(), []
        is_tracked = torch.is_grad_enabled() and (inputs.requires_grad or state.requires_grad)
        room = inputs.new_empty(0 if is_tracked else len(inputs), inputs.shape[1], self.hidden_size)
        for t, x in enumerate(inputs.unbind(1)):
            # h_t = (1 − α) h_{t−1} + α tanh(W x_t + U h_{t−1})
            a = torch.tanh(self.W @ x.T + embedding_bag(sources, h, per_sample_weights=self.U, mode="sum"))
            h = (1 - self.leak) * h + self.leak * a
            if is_tracked:
                outputs.append(h.T)
            else:  # Without a gradient, nothing but the outputs needs memory.
                room[:, t] = h.T
        return torch.stack(outputs, dim=1) if is_tracked else room, h.T


def dense(sources: Tensor, U: Tensor) -> Tensor:
    """Return the matrix ``[units, units]`` with the elements (i, sources_ik) = U_ik; those at one place are added."""
    return U.new_zeros(len(U), len(U)).scatter_add(1, sources, U)


def spectral_radius(sources: Tensor, U: Tensor) -> float:
    """Return the largest absolute value of an eigenvalue of the sparse matrix with the elements (i, sources_ik) = U_ik.

    Both arguments are ``[units, connections]``. Elements at one place are added.
    """
    U, size = U.detach().double(), len(U)
    if size <= EXACT_SIZE:
        return float(torch.linalg.eigvals(dense(sources, U)).abs().max())
    v = U.new_ones(size, 1)
    rates: list[Tensor] = []
    for _ in range(POWERS):
        v = embedding_bag(sources, v, per_sample_weights=U, mode="sum")
        norm = torch.linalg.vector_norm(v)
        v = v / norm
        rates.append(norm.log())
    return float(torch.stack(rates[POWERS // 2 :]).mean().exp())
