"""Where an experiment stands: done, running, failed and missing, also while it runs elsewhere."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from suite.console.progress import duration
from suite.planning.plan import Plan, known, places
from suite.results.record import earlier_text, record_of
from suite.store.ledger import UnfinishedRun
from suite.store.ledger_tables import RUNNING
from suite.store.store import Store

NAMES = ("done", "running", "failed", "missing")


@dataclass(frozen=True)
class Status:
    """How many runs of an experiment are in which state."""

    experiment: str
    planned: int
    studies: dict[str, dict[str, int]]
    """By study, by `NAMES`; what is missing includes what waits for another try, or cannot be named yet."""
    running: list[UnfinishedRun]
    failed: list[UnfinishedRun]
    earlier: int = 0
    """Finished runs that an earlier memspan recorded, and that do not count."""

    @property
    def totals(self) -> dict[str, int]:
        return {name: sum(counts[name] for counts in self.studies.values()) for name in NAMES}

    @property
    def complete(self) -> bool:
        return self.totals["done"] == self.planned

    def as_data(self) -> dict[str, Any]:
        return {**asdict(self), "totals": self.totals, "complete": self.complete}


def collect_status(plan: Plan, store: Store, attempts: int = 3) -> Status:
    """The state of every run of a plan; ``attempts`` as they were given to ``run``."""
    entries = {entry.key: entry for entry in store.ledger.unfinished(plan.experiment.name)}
    running: list[UnfinishedRun] = []
    failed: list[UnfinishedRun] = []
    studies = {}
    for study in plan.studies:
        here = known(study, plan.finished)
        begun = [entries[key] for key in here if key in entries and key not in plan.finished]
        mine = [entry for entry in begun if entry.state == RUNNING]
        lost = [entry for entry in begun if entry.state != RUNNING and entry.failures >= attempts]
        done = sum(job.key in plan.finished for job in places(study, plan.finished))
        rest = plan.experiment.runs_per_study - done - len(mine) - len(lost)
        studies[study.name] = dict(zip(NAMES, (done, len(mine), len(lost), rest), strict=True))
        running += mine
        failed += lost
    return Status(plan.experiment.name, plan.planned, studies, running, failed, record_of(plan, store).earlier)


def show(found: Status, console: Console) -> None:
    """A line per study, what is running with the age of its heartbeat, and what has failed with its reason."""
    table = Table(box=SIMPLE_HEAD, padding=(0, 1), pad_edge=False)
    table.add_column("study", overflow="fold")
    for name in NAMES:
        table.add_column(name, justify="right")
    for study, counts in found.studies.items():
        table.add_row(study.removeprefix(f"{found.experiment}/"), *(str(counts[name] or "·") for name in NAMES))
    table.add_section()
    table.add_row("all", *(str(found.totals[name]) for name in NAMES), style="bold")
    console.print(table)
    if found.earlier and not found.complete:
        console.print(earlier_text(found.earlier), style="yellow", highlight=False)
    for entry in found.running:
        place, pid, _ = entry.owner.rsplit(":", 2)
        console.print(
            f"running  {entry.study} {entry.role} {entry.number}: for {duration(entry.seconds)} by process {pid} of "
            f"{place.split('/')[0]}, heartbeat {entry.age:.0f} s ago",
            highlight=False,
            markup=False,
        )
    for entry in found.failed:
        console.print(
            f"failed   {entry.study} {entry.role} {entry.number}: {entry.failures} times, {entry.error}",
            highlight=False,
            markup=False,
            style="red",
        )
