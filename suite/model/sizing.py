"""The size of a model, and the hidden size that gives a number of parameters."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import cache
from typing import TypeVar

import numpy as np
import torch
from torch import nn

from suite.errors import InputError, reason_of
from suite.model.sequence_model import SequenceModel
from suite.model.states import leaves, number_count

T = TypeVar("T")

LARGEST_HIDDEN_SIZE = 1 << 16
"""The search for a hidden size ends here."""
SMALL_HIDDEN_SIZE = 256
"""Up to this size, a model is built faster on the CPU than on the meta device."""


def parameter_count(model: nn.Module) -> int:
    """Return the number of trainable parameters of a model. A complex one counts as two."""
    return sum(number_count(parameter) for parameter in model.parameters() if parameter.requires_grad)


def state_size(model: SequenceModel) -> int:
    """Return how many numbers a model carries from step to step for one sequence, counted in ``initial_state(1)``.

    A complex number counts as two.
    """
    return sum(number_count(leaf) for leaf in leaves(model.initial_state(1)))


def inspected(inspect: Callable[[], T], hidden_size: int) -> T:
    """Call a function that builds a model of this size and inspects it without running it, and do it cheaply.

    A large model is built without storage, on PyTorch's meta device. Small ones are built on the CPU, where that is ten
    times faster. The random generators stay as they were. A constructor that works with numbers, by NumPy or by
    ``.item()``, fails without storage, and its model is then built with it.

    Raises:
        InputError: if the model cannot be built. It says what the constructor raised.
    """
    with torch.random.fork_rng(devices=[]):
        if hidden_size > SMALL_HIDDEN_SIZE:
            # What fails here may be anything, and a real mistake shows again below.
            with suppress(Exception, SystemExit), torch.device("meta"):
                return inspect()
        try:
            return inspect()
        except InputError:
            raise
        except (Exception, SystemExit) as error:
            raise InputError(reason_of(error)) from error


def match_hidden_size(budget: int, make_model: Callable[[int], nn.Module], tolerance: float = 0.05) -> int:
    """Return the hidden size whose model comes closest to a number of parameters.

    Args:
        budget: the number of parameters.
        make_model: builds a model of a hidden size, whose parameters are counted (see `inspected`).
        tolerance: the share of the budget by which the number may differ.

    Raises:
        InputError: if even the closest number differs by more, or a model cannot be built.
    """

    @cache
    def count(hidden_size: int) -> int:
        try:
            return inspected(lambda: parameter_count(make_model(hidden_size)), hidden_size)
        except InputError as error:
            raise InputError(
                f"hidden_size {hidden_size}: {error}; a size for a number of parameters is searched among all sizes"
            ) from error

    above = _smallest_with(budget, count)
    candidates = {size: count(size) for size in (max(1, above - 1), above)}
    best = min(candidates, key=lambda size: abs(candidates[size] - budget))
    if abs(candidates[best] - budget) > tolerance * budget:
        nearest = " or ".join(f"{count} (hidden_size {size})" for size, count in candidates.items())
        raise InputError(
            f"no hidden_size gives {budget} parameters to within {tolerance:.0%}; the nearest are {nearest}"
        )
    return best


def _smallest_with(budget: int, count: Callable[[int], int]) -> int:
    """Return the smallest hidden size with at least this many parameters, or the largest size of all.

    Some models take seconds to build, so few are: the number of parameters is guessed to be a square of the size, which
    it mostly is, and only where the guesses fail the sizes are doubled and halved.
    """
    known = {size: count(size) for size in (1, 2, 4)}
    guesses = 4
    while True:
        low = max((size for size in known if known[size] < budget), default=0)
        high = min((size for size in known if known[size] >= budget), default=2 * LARGEST_HIDDEN_SIZE)
        if high - low <= 1 or low == LARGEST_HIDDEN_SIZE:
            return min(high, LARGEST_HIDDEN_SIZE)
        if guesses:
            guesses -= 1
            size = _guess(budget, sorted(known.items())[-3:])
        else:
            size = (low + high) // 2 if high in known else 2 * low
        size = min(max(size, low + 1), high - 1, LARGEST_HIDDEN_SIZE)
        known[size] = count(size)


def _guess(budget: int, points: Sequence[tuple[int, int]]) -> int:
    """Return the size at which the parabola through three points (size, number) reaches a number."""
    sizes, numbers = zip(*points, strict=True)
    c, b, a = map(float, np.polynomial.polynomial.polyfit(sizes, numbers, 2))
    if a > 1e-6:
        size = (-b + math.sqrt(max(0.0, b * b - 4 * a * (c - budget)))) / (2 * a)
    else:
        size = (budget - c) / max(b, 1e-6)
    return math.ceil(min(max(size - 1e-6, 1.0), float(LARGEST_HIDDEN_SIZE)))
