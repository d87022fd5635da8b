"""The real-gated linear recurrent unit, whose gates see the input alone."""

from __future__ import annotations

from math import sqrt

import torch
from torch import Tensor, nn, sigmoid
from torch.nn.functional import linear, softplus

from suite import kernels
from suite.architectures._base import Cell, weight

SPEED = 8.0
"""The constant c of the paper: an open gate lets the state decay by a⁸ in a step."""
SHORTEST, LONGEST = 0.9, 0.999
"""The bounds of a = σ(−Λ) at the start."""
LARGEST_SLOPE = 1000.0
"""The bound of the slope of the square root, as at the source."""


class RGLRU(Cell[tuple[Tensor, Tensor]]):
    """A linear recurrence whose decay is a learnt constant to the power of a gate::

        u_t = x_t, or W x_t where the input is not as wide as the layer
        r_t = σ(W_r u_t + b_r)                        recurrence gate
        i_t = σ(W_i u_t + b_i)                        input gate
        log a_t = −8 softplus(Λ) ⊙ r_t
        h_t = y_t = a_t ⊙ h_{t−1} + √(1 − a_t²) ⊙ i_t ⊙ u_t

    W_r and W_i are block-diagonal. Each of the ``heads`` blocks sees the units of its own block alone.

    √(1 − a²) keeps the variance of a state that white noise drives, however slowly the state decays. In the first step
    of a sequence there is nothing to keep, and the factor is 1, as at the source. The state says whether a step was
    taken. Where a is near 1, the slope of the root has no bound, and the gradient takes at most 1000 of it (its source:
    against NaN in half precision). The constant 8 is the paper's c, which lets an open gate forget fast.

    a = σ(−Λ) starts in [0.9, 0.999], with a² uniform, so that units with short and with long memory are there. The
    elements of W_r and W_i are normal with variance 1/(hidden_size/heads), as at the source, and the biases start at 0.
    Those of W are uniform in ±1/√input_size, as in torch's linear maps. Weight decay does not touch Λ. The source puts
    the layer into a block with a convolution and a second branch, and gives its blocks 256 units, which is more than
    most layers have here; therefore ``heads`` is 1. There is no output matrix, because the residual block's projection,
    or the decoder, is one.

    State: (h, started). h is ``[batch, hidden_size]``, and started is ``[batch, 1]``, 0 before the first step and 1
    after it.

    Source: De et al. 2024, Griffin (section 2.4 and appendix A); google-deepmind/recurrentgemma.

    Raises:
        ValueError: if the heads do not divide the hidden size.
    """

    family = "linear"
    without_weight_decay = ("Lambda",)

    def __init__(self, input_size: int, hidden_size: int, *, heads: int = 1) -> None:
        super().__init__(input_size, hidden_size)
        if heads < 1 or hidden_size % heads:
            raise ValueError(
                f"heads must divide hidden_size; got heads = {heads} and hidden_size = {hidden_size}: "
                f"choose a multiple of {max(heads, 1)}"
            )
        self.W = None if input_size == hidden_size else weight(hidden_size, input_size, 1 / sqrt(input_size))
        width = hidden_size // heads
        self.G = nn.Parameter(torch.randn(2, heads, width, width) / sqrt(width))  # W_r, W_i
        self.b = nn.Parameter(torch.zeros(2, hidden_size))
        # σ(−Λ) = a, so Λ = log(1/a − 1), and a² is uniform
        a = torch.empty(hidden_size).uniform_(SHORTEST**2, LONGEST**2).sqrt()
        self.Lambda = nn.Parameter(torch.log(1 / a - 1))

    def initial_state(self, batch_size: int) -> tuple[Tensor, Tensor]:
        return self.zeros(batch_size, self.hidden_size), self.zeros(batch_size, 1)

    def step(self, x: Tensor, state: tuple[Tensor, Tensor]) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        h, started = state
        a, driven = self._gated(x, started)
        # h_t = a_t ⊙ h_{t−1} + √(1 − a_t²) ⊙ i_t ⊙ u_t
        h = a * h + driven
        return h, (h, torch.ones_like(started))

    def _gated(self, x: Tensor, started: Tensor) -> tuple[Tensor, Tensor]:
        """Return a_t and √(1 − a_t²) ⊙ i_t ⊙ u_t for the inputs of a step, or of all steps."""
        u = x if self.W is None else linear(x, self.W)
        # r_t = σ(W_r u_t + b_r);  i_t = σ(W_i u_t + b_i)
        by_head = torch.unflatten(u, -1, (self.G.shape[1], -1))
        products = torch.einsum("...hk,ghjk->...ghj", by_head, self.G).flatten(-2)
        r, i = sigmoid(products + self.b).unbind(-2)
        # log a_t = −8 softplus(Λ) ⊙ r_t
        log_a = -SPEED * softplus(self.Lambda) * r
        root = bounded_root(-torch.expm1(2 * log_a))
        return torch.exp(log_a), torch.where(started > 0, root, 1) * i * u

    def forward(
        self, inputs: Tensor, state: tuple[Tensor, Tensor] | None = None
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        h, started = self.initial_state(len(inputs)) if state is None else state
        weights = (self.G, self.b, self.Lambda)
        kernel = kernels.find("rg_lru", inputs, h, started, *weights, *(() if self.W is None else (self.W,)))
        if kernel is not None:
            outputs, h = kernel(inputs, h, started, *weights, self.W)
            return outputs, (h, torch.ones_like(started))
        if kernels.parallel(inputs):
            later = torch.ones_like(inputs[:, 1:, :1])
            outputs = kernels.diagonal_recurrence(*self._gated(inputs, torch.cat([started.unsqueeze(1), later], 1)), h)
            return outputs, (outputs[:, -1], torch.ones_like(started))
        return super().forward(inputs, (h, started))


def bounded_root(q: Tensor) -> Tensor:
    """Return √q, with a slope that is 1/(2 √q) and at most 1000."""
    least = 1 / (2 * LARGEST_SLOPE) ** 2
    steep = q.detach().sqrt() + LARGEST_SLOPE * (q - q.detach())
    return torch.where(q > least, q.clamp(min=least).sqrt(), steep)
