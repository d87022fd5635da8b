"""What is told to whoever watches an experiment."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from suite.engines import TaskResult
from suite.planning.job import Job, Outcome


@dataclass
class RunListener:
    """What somebody wants to know while an experiment is under way; each call returns at once."""

    step: Callable[[Job, int], None] = lambda job, step: None
    """A run has come so far; now and then, also from another thread."""
    done: Callable[[Job, Outcome], None] = lambda job, outcome: None
    """A run is finished, here or elsewhere."""
    failed: Callable[[Job, TaskResult, bool], None] = lambda job, end, last: None
    """A run has failed; ``last`` says that it is not tried again."""
    stopping: Callable[[], None] = lambda: None
    """After Ctrl-C: what is under way keeps checkpoints and ends."""
    waiting: Callable[[int, int], None] = lambda ready, elsewhere: None
    """Nothing is under way here: so many runs have no room, and others do so many."""
    trouble: Callable[[str], None] = lambda text: None
    """Something went wrong that does not touch any result."""
