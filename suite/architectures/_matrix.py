"""What the cells share whose state is a matrix in each head."""

from __future__ import annotations

from collections.abc import Callable
from math import log
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from suite import kernels
from suite.kernels import _parallel_matrix

SHORTEST, LONGEST = 1e-3, 0.1
"""The range of the first time steps Δ of Mamba-2. With A = 1 they remember 1000 to 10 steps."""
LARGEST_A = 16.0
"""The first A of a head is uniform in 1 … 16, as in Mamba-2."""


def head_size(hidden_size: int, heads: int) -> int:
    """Return the size of the vectors of a head.

    Raises:
        ValueError: if the heads do not divide the hidden size.
    """
    if heads < 1 or hidden_size % heads:
        raise ValueError(
            f"heads must divide hidden_size; got heads = {heads} and hidden_size = {hidden_size}: "
            f"choose a multiple of {max(heads, 1)}"
        )
    return hidden_size // heads


def by_head(tensor: Tensor, heads: int) -> Tensor:
    """Cut ``[…, heads·d]`` into ``[…, heads, d]``."""
    return torch.unflatten(tensor, -1, (heads, -1))


def decayed(S: Tensor, log_alpha: Tensor | None) -> Tensor:
    """Return αS for matrices ``[batch, heads, d_k, d_v]``, where None stands for an α of 1.

    ``log_alpha`` is ``[heads]``, ``[batch, heads]``, or ``[batch, heads·d_k]`` with a decay for each row of S.
    """
    return S if log_alpha is None else by_head(log_alpha.exp(), S.shape[1]).unsqueeze(-1) * S


def written(S: Tensor, k: Tensor, v: Tensor, beta: Tensor | None) -> Tensor:
    """Return S + β k vᵀ for vectors ``[batch, heads, d]`` and β ``[batch, heads]``, where None stands for 1."""
    return S + k.unsqueeze(-1) * (v if beta is None else beta.unsqueeze(-1) * v).unsqueeze(-2)


def read(S: Tensor, q: Tensor) -> Tensor:
    """Return Sᵀq in each head, ``[batch, heads, d_v]``."""
    return (q.unsqueeze(-2) @ S).squeeze(-2)


def time_steps(heads: int) -> tuple[nn.Parameter, nn.Parameter]:
    """Draw the logarithm of A and the bias b of the time steps of Mamba-2, ``[heads]`` each.

    A head keeps e^{−A Δ} of its state at a step, where Δ = softplus(… + b). A is uniform in 1 … 16, and the first Δ is
    between 0.001 and 0.1 with a uniform logarithm, so that the heads begin with memories of one to a thousand steps.

    Source: the code of Dao & Gu 2024.
    """
    A = torch.empty(heads).uniform_(1, LARGEST_A)
    step = torch.empty(heads).uniform_(log(SHORTEST), log(LONGEST)).exp()
    return nn.Parameter(A.log()), nn.Parameter(step + torch.log(-torch.expm1(-step)))  # softplus⁻¹ of the step


def time_step_decay(log_A: Tensor, raw: Tensor) -> tuple[Tensor, Tensor]:
    """Return log α = −A Δ and Δ = softplus(raw), for ``raw`` ``[…, heads]``."""
    step = softplus(raw)
    return -log_A.exp() * step, step


def fast_form(name: str, inputs: Tensor, *others: Tensor) -> Callable[..., Any] | None:
    """Return the kernel of this name or the parallel form, or None if the definition has to run."""
    kernel = kernels.find(name, inputs, *others)
    if kernel is None and kernels.parallel(inputs):
        return getattr(_parallel_matrix, name)  # type: ignore[no-any-return]
    return kernel
