"""How large a model is, and which hidden size gives a wanted number of parameters."""

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


SMALL_HIDDEN_SIZE = 256


def parameter_count(model: nn.Module) -> int:
    """Trainable numbers of a model."""
    return sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)


def state_size(model: SequenceModel) -> int:
    """Numbers carried from step to step for one sequence, counted in ``initial_state(1)``."""
    return _numel(model.initial_state(1))


def _numel(state: Any) -> int:
    return state.numel() if isinstance(state, Tensor) else sum(_numel(leaf) for leaf in state)


@contextmanager
def only_looked_at(hidden_size: int) -> Iterator[None]:
    """In which a model of this size is built cheaply, to be looked at and not used.

    Large ones are built without storage, on PyTorch's meta device, where building a small one takes ten times as long
    as on the CPU. No generator is touched.
    """
    with ExitStack() as stack:
        stack.enter_context(torch.random.fork_rng(devices=[]))
        if hidden_size > SMALL_HIDDEN_SIZE:
            stack.enter_context(torch.device("meta"))
        yield


def match_hidden_size(budget: int, model_of: Callable[[int], nn.Module], tolerance: float = 0.05) -> int:
    """The hidden size whose model comes closest to ``budget`` parameters.

    ``model_of(hidden_size)`` is only counted, see `only_looked_at`.

    Raises:
        InputError: if even the closest is more than ``tolerance`` away.
    """

    def count(hidden_size: int) -> int:
        with only_looked_at(hidden_size):
            return parameter_count(model_of(hidden_size))

    enough = 1
    while enough < LARGEST_HIDDEN_SIZE and count(enough) < budget:
        enough *= 2
    sizes = range(enough // 2 + 1, enough)  # the smallest with enough parameters is one of these, or the next
    above = enough // 2 + 1 + bisect_left(sizes, budget, key=count)
    candidates = {size: count(size) for size in (max(1, above - 1), above)}
    best = min(candidates, key=lambda size: abs(candidates[size] - budget))
    if abs(candidates[best] - budget) > tolerance * budget:
        nearest = " or ".join(f"{count} (hidden_size {size})" for size, count in candidates.items())
        raise InputError(
            f"no hidden_size gives {budget} parameters to within {tolerance:.0%}; the nearest are {nearest}"
        )
    return best
