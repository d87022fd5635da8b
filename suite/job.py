"""A run to be done, and what is known of one that is finished."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from suite.config import RunConfig, canonical_json

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


@dataclass(frozen=True)
class Outcome:
    """What planning needs to know of a finished run."""

    metrics: Mapping[str, float]
    curves: tuple[tuple[int, Mapping[str, float]], ...] = ()
    """(step, metrics) at each validation, and where gradients were measured; read where somebody asks for it."""
    environment: str = ""
    """Stands for where it was measured, see ``suite.environment``; empty where nobody noted it."""

    @classmethod
    def read(cls, metrics: Mapping[str, float], curves: str, environment: str) -> Outcome:
        """With ``curves`` as `curves_text` has given them, which is then what it was."""
        found = cls(metrics, tuple((step, point) for step, point in json.loads(curves)), environment)
        found.__dict__["curves_text"] = curves
        return found

    @cached_property
    def curves_text(self) -> str:
        """The curves as canonical JSON."""
        return canonical_json(self.curves)

    @property
    def repeatable(self) -> dict[str, float]:
        """The metrics that the same configuration gives again; the others are of a clock, or of the process."""
        return {name: value for name, value in self.metrics.items() if not name.endswith(MEASURED)}

    @property
    def curve(self) -> tuple[tuple[int, float], ...]:
        """(step, validation skill)."""
        name = "validation/skill"
        return tuple((step, metrics[name]) for step, metrics in self.curves if name in metrics)
