"""A run to be done, and what is known of one that is finished."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, overload

from suite.experiment.run_config import RunConfig, canonical_json

MEASURED = ("_seconds", "peak_memory_mb", "sequences_per_second")
"""The ends of the names of metrics of time and memory: no two runs have the same."""


@dataclass(frozen=True)
class PrunerContext:
    """What the pruner of a trial may look at: itself and the finished earlier generations."""

    name: str
    study: str
    number: int
    earlier: tuple[tuple[tuple[int, float], ...], ...]
    """The (step, validation skill) curve of each earlier trial."""


@dataclass(frozen=True)
class Job:
    """A run to be done, and the part it plays in its study."""

    key: str
    config: RunConfig = field(repr=False)
    study: str
    variant: str
    level: str
    role: str
    """``trial`` or ``evaluation``."""
    number: int
    """Of the trial, or the seed of the evaluation."""
    params: Mapping[str, Any] = field(default_factory=dict, compare=False)
    """What was searched, by name."""
    pruner: PrunerContext | None = field(default=None, compare=False, repr=False)

    @property
    def title(self) -> str:
        """The run in a few words, such as ``gru on adding, trial 3``."""
        return f"{self.variant} on {self.level}, {self.place}"

    @property
    def place(self) -> str:
        """Its place in the study: ``trial 3`` or ``seed 7``."""
        return f"{'trial' if self.role == 'trial' else 'seed'} {self.number}"


Point = tuple[int, Mapping[str, float]]
"""(step, metrics)."""


class Curves(Sequence[Point]):
    """Points that are read from their canonical JSON when somebody asks: of ten thousand runs few are looked at."""

    def __init__(self, text: str) -> None:
        self.text = text

    @cached_property
    def points(self) -> tuple[Point, ...]:
        return tuple((step, metrics) for step, metrics in json.loads(self.text))

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
    """What planning needs to know of a finished run."""

    metrics: Mapping[str, float]
    curves: Sequence[Point] = ()
    """(step, metrics) at each validation, and where gradients were measured; read where somebody asks for it."""
    environment: str = ""
    """Stands for where it was measured, see ``suite.store.environment``; empty where nobody noted it."""

    @cached_property
    def curves_text(self) -> str:
        """The curves as canonical JSON."""
        return self.curves.text if isinstance(self.curves, Curves) else canonical_json(self.curves)

    @property
    def repeatable(self) -> dict[str, float]:
        """The metrics that the same configuration gives again; the others are of a clock, or of the process."""
        return {name: value for name, value in self.metrics.items() if not name.endswith(MEASURED)}

    @property
    def curve(self) -> tuple[tuple[int, float], ...]:
        """(step, validation skill)."""
        name = "validation/skill"
        return tuple((step, metrics[name]) for step, metrics in self.curves if name in metrics)
