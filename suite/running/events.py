"""The events of an experiment that is under way."""

from __future__ import annotations

from suite.engines import TaskResult
from suite.planning.job import Job, Outcome


class RunListener:
    """A listener that ignores every event. A subclass overrides the methods that it needs. They must return at once."""

    def on_step(self, job: Job, step: int) -> None:
        """A run has reached an optimiser step. This is called now and then, also from other threads."""

    def on_done(self, job: Job, outcome: Outcome) -> None:
        """A run is finished, in this command or in another."""

    def on_failed(self, job: Job, result: TaskResult, given_up: bool) -> None:
        """A run has failed. It is tried again unless it is given up."""

    def on_stopping(self) -> None:
        """Ctrl-C was pressed. The runs under way keep checkpoints and end."""

    def on_waiting(self, ready: int, elsewhere: int) -> None:
        """No run is under way here. ``ready`` runs wait for room, and ``elsewhere`` runs are done by other commands."""

    def on_trouble(self, text: str) -> None:
        """Something has gone wrong that changes no result."""
