"""The progress of an experiment in a notebook: one line with a bar below the cell, which is written again and again."""

from __future__ import annotations

import sys
import threading
import time
from statistics import fmean
from typing import Any

from markupsafe import Markup

from suite.console.progress import duration
from suite.engines import TaskResult
from suite.errors import many
from suite.planning.job import Job, Outcome
from suite.planning.plan import Plan
from suite.running.events import RunListener

PAUSE_SECONDS = 0.5
"""The shortest time between two forms of the line, except for the last one."""


def notebook_display() -> Any:
    """Return the function with which a notebook shows something; None outside of a notebook.

    IPython in a terminal cannot write a line again, so it counts as outside.
    """
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    if getattr(shell, "kernel", None) is None:
        return None
    from IPython.display import display  # type: ignore[import-not-found, unused-ignore]

    return display


class NotebookLine(RunListener):
    """One line below a cell that says how many runs are done, how long the others take, and which one is under way.

    Problems are written to the error stream, which a notebook shows too.

    Args:
        plan: the plan.
        workers: the number of runs at a time.
        display: the function of IPython with which a notebook shows something.
    """

    def __init__(self, plan: Plan, workers: int, display: Any) -> None:
        self.planned = plan.planned
        self.count = plan.done
        self.workers = workers
        self.seconds: list[float] = []
        self.now = "starting"
        self.shown_at = time.monotonic()
        self.lock = threading.Lock()  # Steps are also told by other threads.
        self.line = display(self._content(), raw=True, display_id=True)

    def on_step(self, job: Job, step: int) -> None:
        self.now = f"{job.title}, step {step:,} of {job.config.training.steps:,}"
        self._show()

    def on_done(self, job: Job, outcome: Outcome) -> None:
        self.count += 1
        self.seconds.append(outcome.metrics["wall_seconds"])
        self._show(self.count == self.planned)

    def on_failed(self, job: Job, result: TaskResult, given_up: bool) -> None:
        self.on_trouble(f"{job.title}: {result.reason}")

    def on_stopping(self) -> None:
        self.on_trouble("The runs under way keep checkpoints. Interrupt the kernel again to stop at once.")

    def on_waiting(self, ready: int, elsewhere: int) -> None:
        self.now = f"waiting for {many(ready or elsewhere, 'run')}{'' if ready else ' of another command'}"
        self._show()

    def on_trouble(self, text: str) -> None:
        print(text, file=sys.stderr)

    def _show(self, at_once: bool = False) -> None:
        with self.lock:
            if at_once or time.monotonic() - self.shown_at > PAUSE_SECONDS:
                self.shown_at = time.monotonic()
                self.line.update(self._content(), raw=True)

    def _content(self) -> dict[str, str]:
        """Return the line as text, and with a bar as HTML."""
        done = f"{self.count:,} of {many(self.planned, 'run')} done"
        left = fmean(self.seconds) * (self.planned - self.count) / self.workers if self.seconds else 0.0
        remaining = f"about {duration(left)} left" if left else ""
        text = "; ".join(filter(None, (done, remaining, self.now if self.count < self.planned else "")))
        bar = Markup('<progress value="{}" max="{}"></progress> {}').format(self.count, self.planned, text)
        return {"text/plain": text, "text/html": str(bar)}
