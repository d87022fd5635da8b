"""The status of an experiment: its runs that are done, running, failed and missing, also while it runs elsewhere."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from itertools import groupby
from typing import Any

from rich.console import Console
from rich.markup import escape

from suite.console.progress import duration
from suite.leaderboards.text.table_styles import terminal_table
from suite.planning.plan import Plan
from suite.results.early_ends import diverged_text
from suite.results.record import earlier_text, record_of
from suite.store.ledger import UnfinishedRun
from suite.store.ledger_tables import RUNNING
from suite.store.store import Store

STATES = ("done", "running", "failed", "missing")


@dataclass(frozen=True)
class StudyStatus:
    """The numbers of runs of a study in each state."""

    study: str
    task: str
    architecture: str
    done: int
    running: int
    failed: int
    missing: int
    """The number of runs that nobody has begun, that wait for another try, or that are not known yet."""
    diverged: int = 0
    """The number of runs that are done and have diverged."""


@dataclass(frozen=True)
class Status:
    """The numbers of runs of an experiment in each state."""

    experiment: str
    planned: int
    studies: list[StudyStatus]
    running: list[UnfinishedRun]
    failed: list[UnfinishedRun]
    earlier: int = 0
    """The number of finished runs that an earlier memspan recorded, and that do not count."""

    @property
    def totals(self) -> dict[str, int]:
        """The number of runs in each state."""
        return {state: sum(getattr(study, state) for study in self.studies) for state in STATES}

    @property
    def complete(self) -> bool:
        """True if every run is done."""
        return self.totals["done"] == self.planned

    def as_data(self) -> dict[str, Any]:
        """Return plain values for programs, with the counts of each study under its name."""
        counts = (*STATES, "diverged")
        studies = {study.study: {count: getattr(study, count) for count in counts} for study in self.studies}
        return {**asdict(self), "studies": studies, "totals": self.totals, "complete": self.complete}


def collect_status(plan: Plan, store: Store, attempts: int = 3) -> Status:
    """Collect the state of every run of a plan.

    Args:
        plan: the plan.
        store: the store in which its runs are recorded.
        attempts: the number of failures after which a run is given up.
    """
    unfinished = {run.key: run for run in store.ledger.unfinished(plan.experiment.name)}
    studies: list[StudyStatus] = []
    running: list[UnfinishedRun] = []
    failed: list[UnfinishedRun] = []
    for study in plan.studies:
        progress = plan.progress(study)
        begun = [unfinished[key] for key in progress.missing if key in unfinished]
        under_way = [run for run in begun if run.state == RUNNING]
        given_up = [run for run in begun if run.state != RUNNING and run.failures >= attempts]
        counts = progress.done, len(under_way), len(given_up)
        missing = study.planned - sum(counts)
        diverged = sum(outcome.metrics.get("diverged", 0) > 0 for _, outcome in progress.outcomes(progress.jobs))
        names = study.name, study.level.label, study.variant.label
        studies.append(StudyStatus(*names, *counts, missing, diverged))
        running += under_way
        failed += given_up
    earlier = record_of(plan, store).earlier
    return Status(plan.experiment.name, plan.planned, studies, running, failed, earlier)


def print_status(status: Status, console: Console) -> None:
    """Print the counts of each study, the last heartbeat of each run under way, and the reason of each failure."""
    table = terminal_table()
    table.add_column("", no_wrap=True)
    for state in STATES:
        table.add_column(state, justify="right")
    for task, studies in groupby(status.studies, key=lambda study: study.task):
        table.add_row(f"[bold]{escape(task)}[/bold]")
        for study in studies:
            counts = (str(getattr(study, state) or "·") for state in STATES)
            table.add_row(f"  {escape(study.architecture)}", *counts)
    table.add_section()
    table.add_row("all", *(str(status.totals[state]) for state in STATES), style="bold")
    console.print(table)
    if status.earlier and not status.complete:
        console.print(earlier_text(status.earlier), style="yellow", highlight=False)
    for study in status.studies:
        if study.diverged:
            diverged = diverged_text(study.diverged, study.done)
            console.print(f"{study.study}: {diverged}", style="yellow", highlight=False, markup=False)
    for run in status.running:
        console.print(
            f"running  {run.study} {run.role} {run.number}: for {duration(run.seconds)} by {run.process}, "
            f"last heartbeat {run.heartbeat_age:.0f} s ago{'; ' * bool(run.error)}{run.error}",
            highlight=False,
            markup=False,
        )
    for run in status.failed:
        console.print(
            f"failed   {run.study} {run.role} {run.number}: {run.error}",
            highlight=False,
            markup=False,
            style="red",
        )
