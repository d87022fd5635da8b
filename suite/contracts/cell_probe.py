"""A layer or a cell under test, with a few random inputs and the ways to call it."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from suite.architectures import Cell, Layer
from suite.contracts.checking import CalledCodeError, NotApplicableError, Probe, calling
from suite.errors import qualified_name
from suite.model.states import as_real, in_double, is_differentiable, leaves

TIME = 6
"""The number of steps, unless a probe is given another one."""
CHECK_BATCH_FIRST = " (check batch_first)"
STEPS_BEFORE = 3
"""The number of steps that lead to a state which is not the initial one."""
TOLERANCE = {torch.float32: 1e-3, torch.float64: 1e-8}
"""The largest difference between two ways of one calculation, as a share of the largest number."""


class CellProbe(Probe):
    """A layer or a cell under test, and a few random inputs. The state of a layer without a step is ``()``.

    Args:
        cls: its class.
        make: makes one, with other weights at each call.
        input_size: the number of features per step.
        dtype: the type of its parameters.
        time: the number of steps.
        batch: the number of sequences; by default, no other axis has this size, so that none passes for another.

    Raises:
        CalledCodeError: if none can be made.
    """

    def __init__(
        self,
        cls: type,
        make: Callable[[], Layer],
        input_size: int,
        dtype: torch.dtype = torch.float32,
        time: int = TIME,
        batch: int = 0,
    ) -> None:
        self.cls = cls
        self.name = qualified_name(cls)
        self.dtype = dtype
        self._make = make
        self.cell = self.new_cell()
        with self.calling("output_size"):
            self.output_size = self.cell.output_size
        sizes = {input_size, self.output_size, time}
        self.time, self.batch = time, batch or next(size for size in (3, 5, 7, 9) if size not in sizes)
        generator = torch.Generator().manual_seed(0)
        shape = (self.batch, STEPS_BEFORE + 2 * time, input_size)
        inputs = torch.randn(shape, dtype=dtype, generator=generator)
        self.inputs_before, self.inputs, self.other_inputs = torch.split(inputs, [STEPS_BEFORE, time, time], dim=1)

    @property
    def cuts(self) -> list[int]:
        """The steps at which a sequence is cut in two."""
        return sorted({cut for cut in (1, self.time - 2, self.time - 1) if 0 < cut < self.time})[:2]

    def new_cell(self) -> Layer:
        """Make another one in evaluation mode."""
        with self.calling("__init__"):
            return self._make().eval()

    def initial_state(self, batch: int) -> Any:
        """Return the initial state, in the type of the parameters."""
        if not isinstance(self.cell, Cell):
            return ()
        with self.calling("initial_state"):
            state = self.cell.initial_state(batch)
            leaves(state)
            return in_double(state) if self.dtype == torch.float64 else state

    def step(self, x: Tensor, state: Any) -> Any:
        """Return whatever one step gives."""
        assert isinstance(self.cell, Cell)
        with self.calling("step"):
            return self.cell.step(x, state)

    def forward(self, inputs: Tensor, state: Any, layer: Layer | None = None, seed: int = 0) -> tuple[Tensor, Any]:
        """Return the outputs and the last state. All calls draw the same random numbers, unless the seed differs."""
        called = layer or self.cell
        try:
            with self.calling("forward"), torch.random.fork_rng(devices=[]):
                torch.default_generator.manual_seed(seed)
                if isinstance(called, Cell):
                    return called(inputs, state)  # type: ignore[no-any-return]
                return called(inputs), ()
        except CalledCodeError as error:
            # torch names two sizes that do not fit, and here they are those of the batch and of the time.
            numbers = set(map(int, re.findall(r"\d+", str(error.__cause__))))
            hint = CHECK_BATCH_FIRST if {self.batch, inputs.shape[1]} <= numbers else ""
            raise CalledCodeError(f"{error}{hint}") from error.__cause__

    def scan(self, inputs: Tensor, state: Any) -> tuple[Tensor, Any]:
        """Return the outputs and the last state by the definition."""
        assert isinstance(self.cell, Cell)
        with self.calling("step"), torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(0)
            return Cell.forward(self.cell, inputs, state)

    def reached_state(self) -> Any:
        """Return the state after a few steps."""
        if not isinstance(self.cell, Cell):
            return ()
        with torch.no_grad():
            return self.scan(self.inputs_before, self.initial_state(self.batch))[1]

    @cached_property
    def draws_numbers(self) -> bool:
        """True if the cell draws random numbers in evaluation mode, so that no two calls can be compared."""
        state = self.reached_state()
        agree = self.agree(self.forward(self.inputs, state), self.forward(self.inputs, state, seed=1))
        self.figure = ""
        return not agree

    def check_repeatable(self) -> None:
        """Check that two calls can be compared.

        Raises:
            NotApplicableError: if they cannot.
        """
        if self.draws_numbers:
            raise NotApplicableError("it draws random numbers in evaluation mode")

    def agree(self, one: Any, other: Any, within: float | None = None) -> bool:
        """Tell whether two results are the same but for rounding, and keep the largest difference as the figure.

        The difference is at most ``within`` times the largest number, which is by default what another order of
        calculation may change.
        """
        tolerance = TOLERANCE[self.dtype] if within is None else within
        pairs = list(zip(leaves(one), leaves(other), strict=False))
        if not self.figure:  # This is the first comparison of a check.
            self._largest, self._differ = 0.0, False
        for pair in pairs:
            if not self._close(*pair, tolerance):
                self.figure, self._differ = self.figure if self._differ else self._difference(*pair, tolerance), True
                return False
        if not self._differ:
            self._largest = max([self._largest, *(_relative(*pair) for pair in pairs if is_differentiable(pair[0]))])
            self.figure = f"differ by at most {self._largest:.0e}" if self._largest else "the same to the last bit"
        return True

    def _close(self, one: Tensor, other: Tensor, tolerance: float) -> bool:
        if not is_differentiable(one):
            return torch.equal(one, other)
        one, other = as_real(one.detach()), as_real(other.detach())
        return torch.allclose(one, other, rtol=0, atol=tolerance * _scale(one, other))

    def _difference(self, one: Tensor, other: Tensor, tolerance: float) -> str:
        """Say by how much two tensors differ, and from which step on if they have an axis of time."""
        if one.shape != other.shape or not is_differentiable(one):
            return "differ"
        text = f"differ by {_relative(one, other):.1g} of the largest number"
        steps = range(one.shape[1]) if one.dim() == 3 and one.shape[1] > 1 else range(0)
        first = next((step for step in steps if not self._close(one[:, step], other[:, step], tolerance)), None)
        return text if first is None else f"{text}, first at step {first + 1} of {one.shape[1]}"

    def calling(self, member: str) -> AbstractContextManager[None]:
        """Return a context in which an error of the cell names this member of it."""
        return calling(f"{self.name}.{member}", self.cls)


def _scale(one: Tensor, other: Tensor) -> float:
    return max(1e-3, *(tensor.abs().max().item() for tensor in (one, other) if tensor.numel()), 0.0)


def _relative(one: Tensor, other: Tensor) -> float:
    """Return the largest difference of two tensors as a share of the largest number."""
    if not one.numel():
        return 0.0
    one, other = as_real(one.detach()), as_real(other.detach())
    return (one - other).abs().max().item() / _scale(one, other)
