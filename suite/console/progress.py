"""The progress of an experiment: bars with the remaining time on a terminal, and elsewhere a line for each run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from statistics import fmean
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from suite.engines import TaskResult
from suite.errors import many
from suite.planning.job import Job, Outcome
from suite.planning.plan import Plan
from suite.running.events import RunListener

if TYPE_CHECKING:
    from rich.progress import TaskID


class ProgressBars(RunListener):
    """A bar for all runs of a plan, and one for each run that is under way.

    Args:
        plan: the plan.
        console: the console on which the bars are shown.
        workers: returns the number of runs at a time.
        quiet: show problems only.
    """

    def __init__(self, plan: Plan, console: Console, workers: Callable[[], int], quiet: bool) -> None:
        self.plan = plan
        self.console = console
        self.quiet = quiet
        self.prints_lines = not quiet and not console.is_terminal
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
        self.last_waiting = (0, 0)

    def __enter__(self) -> ProgressBars:
        self.bars.start()
        self.all = self.bars.add_task("all runs (starting)", total=self.plan.planned, completed=self.count)
        return self

    def __exit__(self, *error: object) -> None:
        self.bars.stop()

    def on_step(self, job: Job, step: int) -> None:
        if job.key not in self.running:
            self.running[job.key] = self.bars.add_task(escape(job.title), total=job.config.training.steps)
        self.bars.update(self.running[job.key], completed=step, visible=True)

    def on_done(self, job: Job, outcome: Outcome) -> None:
        self.count += 1
        self.bars.update(self.all, description="all runs", completed=self.count)
        self._hide(job)
        if self.prints_lines:
            metrics = outcome.metrics
            self.seconds.append(metrics["wall_seconds"])
            remaining = fmean(self.seconds) * (self.plan.planned - self.count) / max(1, self.workers())
            title = f"{job.title}{self._again(job)}"
            state = "diverged" if metrics["diverged"] else f"validation skill {metrics['validation_skill']:.2f}"
            self._say(
                f"{self.count}/{self.plan.planned} {title}: {state}, {metrics['wall_seconds']:.1f} s; "
                f"about {duration(remaining)} left"
            )

    def _again(self, job: Job) -> str:
        """Name the seed of a finalist, whose trial is run on further tuning seeds."""
        is_first = job.role != "trial" or job.config.seed == self.plan.experiment.sweep.seed
        return "" if is_first else f" on seed {job.config.seed}"

    def on_failed(self, job: Job, result: TaskResult, given_up: bool) -> None:
        self._hide(job)
        after = "the run is given up" if given_up else "it will be tried again"
        self._say(f"{job.title}: {result.reason}; {after}", style="red")
        if result.trace and result.reason not in self.traces:  # Each error shows its traceback once.
            self.traces.add(result.reason)
            self._say(result.trace)

    def on_stopping(self) -> None:
        self._say("The runs under way keep checkpoints. Press Ctrl-C again to stop at once.")

    def on_waiting(self, ready: int, elsewhere: int) -> None:
        if (ready, elsewhere) == self.last_waiting:
            return
        self.last_waiting = (ready, elsewhere)
        if ready:
            self._say(f"{many(ready, 'run')} wait{'s' * (ready == 1)} for room on the cluster.")
        else:
            self._say(f"This command waits for {many(elsewhere, 'run')} of another command.")

    def on_trouble(self, text: str) -> None:
        self._say(text, style="red")

    def _hide(self, job: Job) -> None:
        if job.key in self.running:
            self.bars.update(self.running[job.key], visible=False)

    def _say(self, text: str, style: str | None = None) -> None:
        if not self.quiet or style:
            self.console.print(text, soft_wrap=True, highlight=False, markup=False, style=style)


class ModelBar(RunListener):
    """A bar for the models that are made."""

    def __init__(self, total: int, console: Console, quiet: bool = False) -> None:
        self.console = console
        self.bars = Progress(console=console, transient=True, disable=quiet or not console.is_terminal)
        self.bar = self.bars.add_task("models", total=total)

    def __enter__(self) -> ModelBar:
        self.bars.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.bars.stop()

    def on_done(self, job: Job, outcome: Outcome) -> None:
        self.bars.advance(self.bar)

    def on_trouble(self, text: str) -> None:
        self.console.print(text, style="red")


@contextmanager
def counting_bar(what: str, total: int, console: Console, quiet: bool = False) -> Iterator[Callable[[], None]]:
    """Show a bar with the remaining time, and give a function that advances it by one."""
    with Progress(console=console, transient=True, disable=quiet or not console.is_terminal) as bars:
        bar = bars.add_task(what, total=total)
        yield lambda: bars.advance(bar)


def duration(seconds: float) -> str:
    """Return a duration as text, such as ``40 s``, ``12 min`` or ``3.5 h``."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
