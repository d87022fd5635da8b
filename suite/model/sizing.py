"""The size of a model, and the hidden size that gives a number of parameters or of numbers in the state."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import cache
from traceback import walk_tb
from typing import Any, NamedTuple, TypeVar

import numpy as np
import torch
from torch import nn

from suite.architectures import Cell, Layer
from suite.errors import InputError, file_of, line_of, qualified_name, reason_of
from suite.model.sequence_model import SequenceModel
from suite.model.states import grows, is_differentiable, leaves, number_count

T = TypeVar("T")

LARGEST_HIDDEN_SIZE = 1 << 16
"""The search for a hidden size ends here."""
LARGEST_STEP = 64
"""Some architectures can only be built in multiples of a size, as of twice the number of heads. It is at most this."""
SMALL_HIDDEN_SIZE = 256
"""Up to this size, a model is built faster on the CPU than on the meta device."""


def parameter_count(model: nn.Module) -> int:
    """Return the number of trainable parameters of a model. A complex one counts as two."""
    return sum(number_count(parameter) for parameter in model.parameters() if parameter.requires_grad)


def frozen_count(model: nn.Module) -> int:
    """Return how many numbers a model keeps that no training changes by a gradient.

    These are its frozen parameters, such as the random weights of an echo state network, and the numbers in its
    buffers. Buffers of whole numbers, such as a counter, and those that are not saved do not count.
    """
    kept = {id(tensor): tensor for tensor in model.state_dict(keep_vars=True).values()}
    frozen = (tensor for tensor in kept.values() if not tensor.requires_grad and is_differentiable(tensor))
    return sum(map(number_count, frozen))


class StateSize(NamedTuple):
    """The size of the state of a model, which may grow with the steps."""

    numbers: int
    """How many numbers the model carries after the last step of a sequence. A complex number counts as two."""
    growth: int
    """How many of them the last step added. It is 0 for a state of constant size."""


class ModelSizes(NamedTuple):
    """The sizes of a model."""

    hidden_size: int
    parameters: int
    frozen: int
    state: StateSize | None
    """The size of its state after a training sequence; None for layers without a step."""


def state_size(model: SequenceModel, length: int) -> StateSize | None:
    """Return the size of the state of a model after a sequence of some length, or None for layers without a step.

    A state of constant size is counted in the initial state. One that grows is counted by reading such a sequence.
    """
    if not all(isinstance(layer, Cell) for layer in model.cells):
        return None
    initial = model.initial_state(1)
    if not grows(initial):
        return StateSize(_counted(initial), 0)
    before = _counted(_last_state(model, length - 1)) if length > 1 else 0
    after = _counted(_last_state(model, length))
    return StateSize(after, after - before)


def _counted(state: Any) -> int:
    return sum(map(number_count, leaves(state)))


def _last_state(model: SequenceModel, length: int) -> Any:
    """Return the state of a model after a sequence of zeros. The model and the generators stay as they were."""
    like = next((parameter for parameter in model.parameters() if not parameter.is_complex()), torch.empty(0))
    is_training = model.training
    try:
        with torch.no_grad(), torch.random.fork_rng(devices=[]):
            return model.eval()(like.new_zeros(1, length, model.input_size))[1]
    finally:
        model.train(is_training)


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
            raise InputError(_reason(error)) from error


def _reason(error: BaseException) -> str:
    """Return what the code of a layer raised, with the class and the line unless the message speaks for itself."""
    reason = reason_of(error)
    for frame, _ in walk_tb(error.__traceback__) if type(error) is not ValueError else ():
        layer, code = frame.f_locals.get("self"), frame.f_code
        if isinstance(layer, Layer) and code.co_filename == file_of(type(layer)):
            return f"{qualified_name(type(layer))}.{code.co_name} raised {reason}{line_of(error, type(layer))}"
    return reason


class Budget(NamedTuple):
    """What a model may have of a measure of its size."""

    measure: str
    """``"parameters"`` or ``"state"``."""
    value: int
    length: int = 1
    """The number of steps after which a state that grows is counted."""

    @property
    def unit(self) -> str:
        """What is counted, in the plural."""
        return "parameters" if self.measure == "parameters" else "numbers in the state"

    def of(self, model: SequenceModel) -> int:
        """Return what a model has of the measure.

        Raises:
            InputError: if it has a state whose size is not stated.
        """
        if self.measure == "parameters":
            return parameter_count(model)
        size = state_size(model, self.length)
        if size is None:
            raise InputError("the size of its state is not stated, because a layer of it has no step")
        return size.numbers


def match_hidden_size(budget: Budget, make_model: Callable[[int], SequenceModel], tolerance: float = 0.05) -> int:
    """Return the hidden size whose model comes closest to a budget.

    Some architectures can only be built in certain sizes, as attention whose heads must divide the size. The search
    then goes through the multiples of the smallest one.

    Args:
        budget: the number of parameters, or of numbers in the state.
        make_model: builds a model of a hidden size, whose numbers are counted (see `inspected`).
        tolerance: the share of the budget by which the number may differ.

    Raises:
        InputError: if even the closest number differs by more, or a model cannot be built.
    """

    @cache
    def count(hidden_size: int) -> int:
        try:
            return inspected(lambda: budget.of(make_model(hidden_size)), hidden_size)
        except InputError as error:
            among = f"; a size for a number of {budget.unit} is searched among all sizes"
            is_refusal = isinstance(error.__cause__, ValueError)
            raise InputError(f"hidden_size {hidden_size}: {error}{among if is_refusal else ''}") from error

    first, step = _buildable_sizes(count)

    def size_of(place: int) -> int:
        return first + step * (place - 1)

    is_constant = len({count(size_of(place)) for place in (1, 2, 4)}) == 1
    if is_constant:
        sizes = [first]
    else:
        above = _smallest_with(budget.value, lambda place: count(size_of(place)))
        sizes = sorted({size_of(max(1, above - 1)), size_of(above)})
    best = min(sizes, key=lambda size: abs(count(size) - budget.value))
    if abs(count(best) - budget.value) > tolerance * budget.value:
        nearest = " or ".join(f"{count(size):,} (hidden_size {size})" for size in sizes)
        found = f"the nearest {'are' if len(sizes) > 1 else 'is'} {nearest}"
        found = f"every hidden_size gives {count(first):,}" if is_constant else found
        raise InputError(f"no hidden_size gives {budget.value:,} {budget.unit} to within {tolerance:.0%}; {found}")
    return best


def _buildable_sizes(count: Callable[[int], int]) -> tuple[int, int]:
    """Return the smallest size at which a model can be built, and the step to the next one.

    The step is 1, or the difference to the next size that can be built, which is at most twice the smallest.

    Raises:
        InputError: the error of size 1, if no small size can be built.
    """
    refusals: list[InputError] = []
    for first in range(1, LARGEST_STEP + 1):
        refusal = _refusal(count, first)
        if refusal is None:
            return first, next((step for step in range(1, first) if _refusal(count, first + step) is None), first)
        refusals.append(refusal)
    raise refusals[0]


def _refusal(count: Callable[[int], int], size: int) -> InputError | None:
    """Return the error of a constructor that refuses a size, and None if it builds a model.

    Raises:
        InputError: if the constructor does not refuse the size, but fails.
    """
    try:
        count(size)
    except InputError as error:
        if error.__cause__ is not None and isinstance(error.__cause__.__cause__, ValueError):
            return error
        raise
    return None


def _smallest_with(budget: int, count: Callable[[int], int]) -> int:
    """Return the smallest hidden size with at least this number, or the largest size of all.

    Some models take seconds to build, so few are: the number is guessed to be a square of the size, which
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
