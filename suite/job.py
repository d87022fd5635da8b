"""A run to be done, and what is known of one that is finished."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from suite.config import RunConfig


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


@dataclass(frozen=True)
class Outcome:
    """What planning needs to know of a finished run."""

    metrics: Mapping[str, float]
    curves: tuple[tuple[int, Mapping[str, float]], ...] = ()
    """(step, metrics) at each validation; read where somebody asks for it."""

    @property
    def curve(self) -> tuple[tuple[int, float], ...]:
        """(step, validation skill)."""
        return tuple((step, metrics["validation/skill"]) for step, metrics in self.curves)
