"""Outputs, states and all gradients of a cell and of an oracle with the same weights."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from tests.helpers import leaves


def results(cell: nn.Module, run: Callable[..., Any], inputs: Tensor, state: Sequence[Tensor]) -> list[Tensor]:
    """Return the outputs, the last states, and the gradients of inputs, first states and parameters of ``cell``.

    ``run`` takes the inputs and the state, which is one tensor or a tuple, and uses the parameters of the cell.
    """
    inputs = inputs.detach().clone().requires_grad_()
    state = [leaf.detach().clone().requires_grad_() for leaf in state]
    outputs, last = run(inputs, state[0] if len(state) == 1 else tuple(state))
    parts = [outputs, *leaves(last)]
    generator = torch.Generator().manual_seed(1)
    total = torch.stack([(p * torch.randn(p.shape, dtype=p.dtype, generator=generator)).sum() for p in parts]).sum()
    return [*parts, *torch.autograd.grad(total, [inputs, *state, *cell.parameters()], materialize_grads=True)]


def largest_differences(ours: list[Tensor], theirs: list[Tensor]) -> list[float]:
    """Return the largest difference in each pair, as a share of the largest number if that is above 1."""
    pairs = [(one, other) for one, other in zip(ours, theirs, strict=True) if one.numel()]
    return [((one - other).abs().max() / other.abs().max().clamp(min=1)).item() for one, other in pairs]


def assert_same(ours: list[Tensor], theirs: list[Tensor], tolerance: float = 1e-5) -> None:
    """Check that no difference is larger than the tolerance."""
    for index, difference in enumerate(largest_differences(ours, theirs)):
        assert difference <= tolerance, f"part {index}: {difference:.1e}"
