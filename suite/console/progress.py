"""What is shown while an experiment is under way: bars with the time left on a terminal, elsewhere a line per run."""

from __future__ import annotations

from collections.abc import Callable
from statistics import fmean
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from suite.engines import TaskResult
from suite.planning.job import Job, Outcome
from suite.planning.plan import Plan
from suite.running.events import RunListener

if TYPE_CHECKING:
    from rich.progress import TaskID


class ProgressBars:
    """One bar for all runs and one for each that is under way.

    Args:
        workers: tells how many runs are done at a time.
    """

    def __init__(self, plan: Plan, console: Console, workers: Callable[[], int], quiet: bool) -> None:
        self.plan = plan
        self.console = console
        self.quiet = quiet
        self.lines = not quiet and not console.is_terminal
        self.bars = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=console,
            disable=quiet or not console.is_terminal,
            speed_estimate_period=600,
        )
        self.workers = workers
        self.seconds: list[float] = []
        self.count = plan.done
        self.running: dict[str, TaskID] = {}
        self.traces: set[str] = set()
        self.waited = (0, 0)

    def __enter__(self) -> ProgressBars:
        self.bars.start()
        self.all = self.bars.add_task("all runs (starting)", total=self.plan.planned, completed=self.count)
        return self

    def __exit__(self, *error: object) -> None:
        self.bars.stop()

    @property
    def told(self) -> RunListener:
        return RunListener(self.step, self.done, self.failed, self.stopping, self.waiting, self.trouble)

    def step(self, job: Job, step: int) -> None:
        """How far a run has come; called from a thread of the engine."""
        if job.key not in self.running:
            self.running[job.key] = self.bars.add_task(escape(_name(job)), total=job.config.training.steps)
        self.bars.update(self.running[job.key], completed=step, visible=True)

    def stopping(self) -> None:
        self._say("keeping checkpoints of the runs under way; Ctrl-C again stops at once")

    def waiting(self, ready: int, elsewhere: int) -> None:
        count = ready or elsewhere
        if (ready, elsewhere) != self.waited:
            self.waited = (ready, elsewhere)
            runs = f"{count} run{'s' * (count > 1)}"
            self._say(f"{runs} wait for room in the cluster" if ready else f"waiting for {runs} that others do")

    def trouble(self, text: str) -> None:
        self._say(text, style="red")

    def failed(self, job: Job, end: TaskResult, last: bool) -> None:
        self._hide(job)
        after = "given up" if last else "will be tried again"
        self._say(f"{job.study}, {_name(job)}: {end.reason}; {after}", style="red")
        if end.trace and end.reason not in self.traces:  # of each error once
            self.traces.add(end.reason)
            self._say(end.trace)

    def done(self, job: Job, outcome: Outcome) -> None:
        self.count += 1
        self.bars.update(self.all, description="all runs", completed=self.count)
        self._hide(job)
        if self.lines:
            metrics = outcome.metrics
            self.seconds.append(metrics["wall_seconds"])
            left = fmean(self.seconds) * (self.plan.planned - self.count) / max(1, self.workers())
            state = "diverged" if metrics["diverged"] else f"validation skill {metrics['validation_skill']:.2f}"
            self._say(
                f"{self.count}/{self.plan.planned} {job.study} {job.role} {job.number}: {state}, "
                f"{metrics['wall_seconds']:.1f} s; about {duration(left)} left"
            )

    def _hide(self, job: Job) -> None:
        if job.key in self.running:
            self.bars.update(self.running[job.key], visible=False)

    def _say(self, text: str, style: str | None = None) -> None:
        if not self.quiet or style:
            self.console.print(text, soft_wrap=True, highlight=False, markup=False, style=style)


def _name(job: Job) -> str:
    number = f"trial {job.number}" if job.role == "trial" else f"seed {job.number}"
    return f"{job.variant} on {job.level}, {number}"


def duration(seconds: float) -> str:
    """``40 s``, ``12 min``, ``3.5 h``."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
