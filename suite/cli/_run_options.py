"""The execution of runs by a command, and the display of their progress."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from suite.cli._app import stderr
from suite.errors import InputError, many

if TYPE_CHECKING:
    from suite.engines import Engine
    from suite.planning.plan import Plan
    from suite.store.store import Store


@dataclass(frozen=True)
class RunOptions:
    """The options of the command line for the execution of runs."""

    engine: str
    workers: int
    devices: str | None
    address: str | None
    gpus: float | None
    attempts: int
    quiet: bool

    @property
    def worker_count(self) -> int:
        """The number of runs at a time."""
        from suite.engines.devices import slots

        return self.workers or len(slots(0, self.devices))

    def make_engine(self) -> Engine:
        """Make the engine that executes the runs."""
        from suite import engines

        return engines.make(
            self.engine, workers=self.workers, devices=self.devices, address=self.address, gpus=self.gpus
        )

    def show_sizes(self, plan: Plan) -> None:
        """Show the sizes of the models that were solved for, unless the command is quiet."""
        if not self.quiet:
            from suite.console.sizes import show_sizes

            show_sizes(plan, stderr)

    def run(self, plan: Plan, store: Store) -> dict[str, str]:
        """Execute the missing runs of a plan, and show the progress.

        Returns:
            The reason of each run that was given up, by key.
        """
        from suite import engines
        from suite.console.progress import ProgressBars
        from suite.running import runner

        if plan.done < plan.planned:
            self.show_sizes(plan)
        with ProgressBars(plan, stderr, lambda: self.worker_count, self.quiet) as bars:
            engine = self.make_engine()
            if isinstance(engine, engines.Ray) and engine.nodes > 1 and store.location.embedded:
                raise InputError(
                    f"the {engine.nodes} machines of the Ray cluster cannot share files of this one: "
                    "give --storage and --tracking-uri"
                )
            return runner.run(plan, store, engine, bars, attempts=self.attempts)

    def keep_models(self, plan: Plan, store: Store) -> None:
        """Keep the best model of each finished row, and print their folder and any remarks."""
        from suite.console.progress import ModelBar
        from suite.running.best_models import best_models, keep_models

        missing = sum(not model.is_made for model in best_models(plan, store.folder))
        with ModelBar(missing, stderr, self.quiet) as bar:
            results = keep_models(plan, store, self.make_engine(), bar)
        for result in results:
            if result.note:
                text = f"model of {result.model.study.title}: {result.note}"
                stderr.print(text, style="yellow", highlight=False, markup=False, soft_wrap=True)
        if results and not self.quiet:
            folder = store.folder / "models" / plan.experiment.name
            made = f"{many(missing, 'model')} {'was' if missing == 1 else 'were'} made"
            text = f"{made}. There {'is' if len(results) == 1 else 'are'} {many(len(results), 'model')} in {folder}."
            stderr.print(text, soft_wrap=True, highlight=False)


def report_missing(plan: Plan, given_up: dict[str, str], advice: str) -> int:
    """Print how many runs of a plan are missing, and return the exit code.

    Args:
        plan: the plan.
        given_up: the reason of each run that was given up, by key.
        advice: what to do now, as the end of the sentence.
    """
    missing = plan.planned - plan.done
    if not missing:
        return 0
    waiting = missing - len(given_up)
    why = f": {len(given_up)} {'was' if len(given_up) == 1 else 'were'} given up" if given_up else ""
    why += f", and {waiting} wait{'s' * (waiting == 1)} for them" if given_up and waiting else ""
    stderr.print(
        f"memspan: {missing} of {many(plan.planned, 'run')} {'is' if missing == 1 else 'are'} missing{why}; {advice}",
        style="red",
        soft_wrap=True,
        highlight=False,
    )
    return 1


def prepare_workers(engine: str, workers: int, dry_run: bool) -> None:
    """Let the workers that a command will need import their libraries while the command imports its own."""
    if not dry_run:
        from suite import engines

        engines.prepare(engine, workers)
