"""A run that is to be done, and the outcome of one that is finished."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, overload

from pydantic import TypeAdapter, ValidationError

from suite.errors import InputError, first_problem
from suite.experiment.run_config import RunConfig, canonical_json

MEASURED = ("_seconds", "peak_memory_mb", "sequences_per_second")
"""Endings of the names of metrics of time and memory, which differ each time that a run is repeated."""
_AT_PLACE = re.compile(r"score_at_(lag|position)_(\d+)")


@dataclass(frozen=True)
class PrunerContext:
    """Everything that the pruner of a trial may depend on."""

    name: str
    """The name of the pruner."""
    study: str
    number: int
    """The number of the trial."""
    earlier: tuple[tuple[tuple[int, float], ...], ...]
    """The curve (step, validation skill) of each trial of the earlier generations."""


@dataclass(frozen=True)
class Job:
    """A run that is to be done, and its part in its study."""

    key: str
    config: RunConfig = field(repr=False)
    study: str
    variant: str
    level: str
    role: str
    """``trial`` or ``evaluation``."""
    number: int
    """The number of the trial, or the seed of the evaluation."""
    params: Mapping[str, Any] = field(default_factory=dict, compare=False)
    """The searched hyper-parameters by name."""
    pruner: PrunerContext | None = field(default=None, compare=False, repr=False)

    @property
    def title(self) -> str:
        """The run in a few words, such as ``gru on adding, trial 3``."""
        return f"{self.variant} on {self.level}, {self.place}"

    @property
    def place(self) -> str:
        """The place of the run in its study, such as ``trial 3`` or ``seed 7``."""
        return f"{'trial' if self.role == 'trial' else 'seed'} {self.number}"


Point = tuple[int, Mapping[str, float]]
"""A point of a learning curve: a step, and the metrics that were measured at it."""


_POINTS: TypeAdapter[tuple[Point, ...]] = TypeAdapter(tuple[tuple[int, dict[str, float]], ...])


class Curves(Sequence[Point]):
    """Points that are parsed from their canonical JSON on first use, because few of many runs are ever looked at."""

    def __init__(self, text: str) -> None:
        self.text = text

    @cached_property
    def points(self) -> tuple[Point, ...]:
        """The points.

        Raises:
            InputError: if the text is something else.
        """
        try:
            return _POINTS.validate_json(self.text)
        except ValidationError as error:
            raise InputError(
                f"a learning curve is a list of steps with their metrics; {first_problem(error).message}"
            ) from error

    @overload
    def __getitem__(self, index: int) -> Point: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Point]: ...
    def __getitem__(self, index: int | slice) -> Point | Sequence[Point]:
        return self.points[index]

    def __len__(self) -> int:
        return len(self.points)

    def __iter__(self) -> Iterator[Point]:
        return iter(self.points)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and self.points == tuple(other)

    __hash__ = None  # type: ignore[assignment]


@dataclass(frozen=True)
class Outcome:
    """The outcome of a finished run."""

    metrics: Mapping[str, float]
    curves: Sequence[Point] = ()
    """The points at each validation, and those at which gradients were measured. They may be left out."""
    environment: str = ""
    """The digest of the environment of the run, see ``suite.store.environment``; empty if it is unknown."""

    @cached_property
    def curves_text(self) -> str:
        """The curves as canonical JSON."""
        return self.curves.text if isinstance(self.curves, Curves) else canonical_json(self.curves)

    @property
    def repeatable(self) -> dict[str, float]:
        """The metrics that the same configuration gives again: all but those of time and memory."""
        return {name: value for name, value in self.metrics.items() if not name.endswith(MEASURED)}

    @property
    def by_lag(self) -> list[Point]:
        """The scores at each lag, or position, as points of a curve: (lag, {"test/score_by_lag": score})."""
        found = ((_AT_PLACE.fullmatch(name), score) for name, score in self.metrics.items())
        return [(int(match[2]), {f"test/score_by_{match[1]}": score}) for match, score in found if match]

    @property
    def curve(self) -> tuple[tuple[int, float], ...]:
        """The curve (step, validation skill)."""
        name = "validation/skill"
        return tuple((step, metrics[name]) for step, metrics in self.curves if name in metrics)
