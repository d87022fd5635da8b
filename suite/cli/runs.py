"""``memspan run`` and ``memspan status``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from suite.cli._app import app, console
from suite.cli._opening import chosen_experiment, open_existing, open_store
from suite.cli._options import (
    Address,
    Architectures,
    Attempts,
    Devices,
    EngineName,
    Gpus,
    Name,
    Seeds,
    Steps,
    Storage,
    StoreOption,
    Tasks,
    TrackingUri,
    Trials,
    Workers,
)
from suite.cli._running import RunOptions, report_missing
from suite.cli.leaderboards import keep
from suite.errors import StoreError


@app.command()
def run(
    experiment: Name,
    store: StoreOption = Path("mlruns"),
    architectures: Architectures = "",
    tasks: Tasks = "",
    seeds: Seeds = None,
    trials: Trials = None,
    steps: Steps = None,
    workers: Workers = 0,
    devices: Devices = None,
    engine: EngineName = "local",
    address: Address = None,
    gpus: Gpus = None,
    attempts: Attempts = 3,
    storage: Storage = None,
    tracking_uri: TrackingUri = None,
    keep_models: Annotated[
        bool, typer.Option("--keep-models", help="Keep the best model of each row: one more run for each.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would run and how long it takes.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Print the leaderboard only.")] = False,
) -> int:
    """Run what is missing of an experiment, then print its leaderboard.

    Interrupt it at any moment and run it again: what is finished is not done twice. Several of the same command at
    once, also on several machines with the same --storage and --tracking-uri, share the work.
    """
    chosen = chosen_experiment(experiment, architectures, tasks, seeds, trials, steps)
    from suite.planning.plan import studies

    studies(chosen)  # whatever is wrong is said before a store is touched
    from suite.leaderboards.leaderboard import build_leaderboard
    from suite.leaderboards.text.render import show
    from suite.results.record import record_of
    from suite.running import runner

    options = RunOptions(engine, workers, devices, address, gpus, attempts, quiet)
    opened = open_store(store, storage, tracking_uri)
    plan = runner.open_plan(chosen, opened, curves=True)
    if dry_run:
        from suite.console.estimate import print_estimate

        print_estimate(plan, options.count, console)
        return 0
    missing = plan.done < plan.planned
    given_up = options.run(plan, opened)
    board = build_leaderboard(record_of(plan, opened))
    show(board, console)
    folder = opened.folder / "leaderboards" / board.experiment
    if plan.done == plan.planned and (missing or not (folder / "manifest.json").exists()):
        from suite.leaderboards.files import write

        try:
            keep(board, write(board, folder), opened, quiet)
        except OSError as error:
            raise StoreError(f"the leaderboard cannot be written to {str(folder)!r}: {error.strerror}") from error
    if keep_models:
        options.keep_models(plan, opened)
    return report_missing(plan, given_up)


@app.command()
def status(
    experiment: Name,
    store: StoreOption = Path("mlruns"),
    architectures: Architectures = "",
    tasks: Tasks = "",
    seeds: Seeds = None,
    trials: Trials = None,
    steps: Steps = None,
    attempts: Attempts = 3,
    storage: Storage = None,
    tracking_uri: TrackingUri = None,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> int:
    """Show what of an experiment is done, running, failed and missing, also while it runs. Options as for `run`.

    The exit code is 0 when it is complete and 1 otherwise.
    """
    chosen = chosen_experiment(experiment, architectures, tasks, seeds, trials, steps)
    opened = open_existing(store, storage, tracking_uri, experiment)
    from suite.console.status import collect_status, print_status
    from suite.running import runner

    status_now = collect_status(runner.open_plan(chosen, opened), opened, attempts)
    if as_json:
        print(json.dumps(status_now.as_data(), indent=2))
    else:
        print_status(status_now, console)
    return 0 if status_now.complete else 1
