"""What happens while an experiment is under way, for whoever watches."""

from __future__ import annotations

from suite.engines import TaskResult
from suite.planning.job import Job, Outcome


class RunListener:
    """Is told what happens to runs. A subclass overrides what it wants to know; each call returns at once."""

    def on_step(self, job: Job, step: int) -> None:
        """A run has done so many optimiser steps. This is called now and then, also from another thread."""

    def on_done(self, job: Job, outcome: Outcome) -> None:
        """A run is finished, here or elsewhere."""

    def on_failed(self, job: Job, result: TaskResult, given_up: bool) -> None:
        """A run has failed, and is tried again unless it is given up."""

    def on_stopping(self) -> None:
        """Ctrl-C was pressed: the runs under way keep checkpoints and end."""

    def on_waiting(self, ready: int, elsewhere: int) -> None:
        """Nothing is under way here: ``ready`` runs have no room, and others do ``elsewhere`` runs."""

    def on_trouble(self, text: str) -> None:
        """Something went wrong that does not touch any result."""
