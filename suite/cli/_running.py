"""Who does the runs, and how it is shown."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from suite.cli._app import errors
from suite.errors import InputError

if TYPE_CHECKING:
    from suite.engines import Engine
    from suite.planning.plan import Plan
    from suite.store.store import Store


@dataclass(frozen=True)
class RunOptions:
    """Who does the runs, as the command line has it."""

    engine: str
    workers: int
    devices: str | None
    address: str | None
    gpus: float | None
    attempts: int
    quiet: bool

    @property
    def count(self) -> int:
        from suite.engines.devices import slots

        return self.workers or len(slots(0, self.devices))

    def made(self) -> Engine:
        from suite import engines

        return engines.make(
            self.engine, workers=self.workers, devices=self.devices, address=self.address, gpus=self.gpus
        )

    def keep_models(self, plan: Plan, store: Store) -> None:
        """Keep the best model of each finished row, and say where, and what of them is to be known."""
        from suite.running import best_models as models
        from suite.running.events import RunListener

        total = sum(not row.there for row in models.rows(plan, store.folder))
        with counting("models", total, self.quiet) as tick:
            told = RunListener(done=lambda job, outcome: tick(), trouble=lambda text: errors.print(text, style="red"))
            found = models.keep(plan, store, self.made(), told)
        for finding in found:
            if finding.note:
                text = f"model of {finding.row.job.variant} on {finding.row.job.level}: {finding.note}"
                errors.print(text, style="yellow", highlight=False, markup=False, soft_wrap=True)
        if found and not self.quiet:
            folder = store.folder / "models" / plan.experiment.name
            errors.print(f"{total} models made, {len(found)} in {folder}", soft_wrap=True, highlight=False)

    def run(self, plan: Plan, store: Store) -> dict[str, str]:
        """Do what a plan lacks, and show how it goes; the reasons of the runs that failed for good."""
        from suite import engines
        from suite.console.progress import ProgressBars
        from suite.running import runner

        with ProgressBars(plan, errors, lambda: self.count, self.quiet) as bars:
            engine = self.made()
            if isinstance(engine, engines.Ray) and engine.nodes > 1 and store.place.embedded:
                raise InputError(
                    f"the {engine.nodes} machines of the Ray cluster cannot share files of this one: "
                    "give --storage and --tracking-uri"
                )
            return runner.run(plan, store, engine, bars.told, attempts=self.attempts)


@contextmanager
def counting(what: str, total: int, quiet: bool = False) -> Iterator[Callable[[], None]]:
    """A bar with the time left."""
    from rich.progress import Progress

    with Progress(console=errors, transient=True, disable=quiet or not errors.is_terminal) as bars:
        task = bars.add_task(what, total=total)
        yield lambda: bars.advance(task)


def say_missing(plan: Plan, failed: dict[str, str]) -> int:
    """Say what is missing; the exit code."""
    if plan.done == plan.planned:
        return 0
    why = f": {len(failed)} failed for good, and others wait for them" if failed else ""
    errors.print(
        f"memspan: {plan.planned - plan.done} of {plan.planned} runs are missing{why}; "
        f"see `memspan status {plan.experiment.name}`",
        style="red",
        soft_wrap=True,
        highlight=False,
    )
    return 1
