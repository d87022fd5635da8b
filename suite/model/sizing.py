"""The size of a model, and the hidden size that gives a number of parameters."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from suite.errors import InputError
from suite.model.sequence_model import SequenceModel

LARGEST_HIDDEN_SIZE = 1 << 16
"""The search for a hidden size ends here."""
SMALL_HIDDEN_SIZE = 256
"""Up to this size, a model is built faster on the CPU than on the meta device."""


def parameter_count(model: nn.Module) -> int:
    """Return the number of trainable parameters of a model."""
    return sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)


def state_size(model: SequenceModel) -> int:
    """Return how many numbers a model carries from step to step for one sequence, counted in ``initial_state(1)``."""
    return _numel(model.initial_state(1))


def _numel(state: Any) -> int:
    return state.numel() if isinstance(state, Tensor) else sum(_numel(leaf) for leaf in state)


@contextmanager
def cheap_construction(hidden_size: int) -> Iterator[None]:
    """Make it cheap to build a model of this size that is inspected and never run.

    In this context, large models are built without storage, on PyTorch's meta device. Small ones are built on the CPU,
    where that is ten times faster. The random generators stay as they were.
    """
    with ExitStack() as stack:
        stack.enter_context(torch.random.fork_rng(devices=[]))
        if hidden_size > SMALL_HIDDEN_SIZE:
            stack.enter_context(torch.device("meta"))
        yield


def match_hidden_size(budget: int, make_model: Callable[[int], nn.Module], tolerance: float = 0.05) -> int:
    """Return the hidden size whose model comes closest to a number of parameters.

    Args:
        budget: the number of parameters.
        make_model: builds a model of a hidden size, whose parameters are counted (see `cheap_construction`).
        tolerance: the share of the budget by which the number may differ.

    Raises:
        InputError: if even the closest number differs by more.
    """

    def count(hidden_size: int) -> int:
        with cheap_construction(hidden_size):
            return parameter_count(make_model(hidden_size))

    enough = 1
    while enough < LARGEST_HIDDEN_SIZE and count(enough) < budget:
        enough *= 2
    sizes = range(enough // 2 + 1, enough)  # The smallest size with enough parameters is one of these, or the next.
    above = enough // 2 + 1 + bisect_left(sizes, budget, key=count)
    candidates = {size: count(size) for size in (max(1, above - 1), above)}
    best = min(candidates, key=lambda size: abs(candidates[size] - budget))
    if abs(candidates[best] - budget) > tolerance * budget:
        nearest = " or ".join(f"{count} (hidden_size {size})" for size, count in candidates.items())
        raise InputError(
            f"no hidden_size gives {budget} parameters to within {tolerance:.0%}; the nearest are {nearest}"
        )
    return best
