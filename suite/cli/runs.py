"""``memspan run`` and ``memspan status``."""

from __future__ import annotations

import inspect
import json
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from suite.cli._app import app, console, print_written, stderr
from suite.cli._opening import check_before_runs, load_selection, open_existing_store, open_store
from suite.cli._options import (
    Address,
    Architectures,
    AsJson,
    Attempts,
    Devices,
    DryRun,
    EngineName,
    Gpus,
    Name,
    NoCheck,
    Seeds,
    Steps,
    Storage,
    StoreOption,
    Tasks,
    TrackingUri,
    Trials,
    Workers,
)
from suite.cli._run_options import RunOptions, prepare_workers, report_missing
from suite.errors import StoreError, redacted

if TYPE_CHECKING:
    from suite.leaderboards.leaderboard import Leaderboard
    from suite.planning.plan import Plan
    from suite.store.store import Store


@app.command()
def run(
    context: typer.Context,
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
        bool, typer.Option("--keep-models", help="Keep the best model of each row, which takes one more run per row.")
    ] = False,
    no_check: NoCheck = False,
    dry_run: DryRun = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Print only the leaderboard.")] = False,
) -> int:
    """Execute the runs that an experiment lacks, then print its leaderboard.

    You can interrupt it at any moment, and the same command goes on with the runs that are missing. If you start the
    command several times, the processes share the runs, also on several machines with the same --storage and
    --tracking-uri.
    """
    prepare_workers(engine, workers, dry_run)
    selection = load_selection(experiment, architectures, tasks, seeds, trials, steps)
    check_before_runs([selection], no_check)
    from suite.experiment.loading import available
    from suite.leaderboards.leaderboard import build_leaderboard
    from suite.leaderboards.text.render import show
    from suite.results.record import record_of
    from suite.running import runner
    from suite.store.origin import check_origin

    options = RunOptions(engine, workers, devices, address, gpus, attempts, quiet)
    opened_store = open_store(store, storage, tracking_uri, reads_only=dry_run)
    check_origin(opened_store, experiment, available())
    plan = runner.open_plan(selection, opened_store, curves=True)
    if dry_run:
        _print_estimate(plan, options)
        return 0
    was_incomplete = plan.done < plan.planned
    given_up = options.run(plan, opened_store)
    board = build_leaderboard(record_of(plan, opened_store))
    show(board, console, legends=not quiet)
    if plan.done == plan.planned:
        _keep_leaderboard(board, opened_store, was_incomplete, quiet)
    if keep_models:
        options.keep_models(plan, opened_store)
    return report_missing(plan, given_up, f"see `{_status_command(context.params)}`")


def _print_estimate(plan: Plan, options: RunOptions) -> None:
    """Print the sizes of the models, what is missing, how long it takes, and what its seeds can show."""
    from suite.console.estimate import print_estimate
    from suite.statistics.power import power_between

    seeds = len(plan.experiment.evaluation.seed_list)
    power = power_between(len(plan.experiment.architectures), seeds)
    options.show_sizes(plan)
    print_estimate(plan, options.worker_count, console, power)


def _keep_leaderboard(board: Leaderboard, store: Store, is_new: bool, quiet: bool) -> None:
    """Write a complete leaderboard into the store and into MLflow, if it ``is_new`` or not there yet.

    One of other settings, as of an earlier form of the file, is kept beside it.
    """
    from suite.leaderboards.files import set_aside, write

    folder = store.folder / "leaderboards" / board.experiment
    try:
        earlier = set_aside(folder, board)
        if earlier is not None:
            stderr.print(f"the leaderboard of earlier settings is kept in {earlier}", soft_wrap=True, highlight=False)
        if not is_new and (folder / "manifest.json").exists():
            return
        written = write(board, folder)
    except OSError as error:
        raise StoreError(f"the leaderboard cannot be written to {str(folder)!r}: {error.strerror}") from error
    store.tracking.keep_report(board.experiment, "leaderboard", written)
    if not quiet:
        print_written(written)


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
    as_json: AsJson = False,
) -> int:
    """Show which runs of an experiment are done, running, failed or missing.

    This also works while the experiment runs. Give it the same options as `run`. The exit code is 0 if the experiment
    is complete, and 1 otherwise.
    """
    selection = load_selection(experiment, architectures, tasks, seeds, trials, steps)
    opened_store = open_existing_store(store, storage, tracking_uri, experiment)
    from suite.console.status import collect_status, print_status
    from suite.running import runner

    status_now = collect_status(runner.open_plan(selection, opened_store), opened_store, attempts)
    if as_json:
        print(json.dumps(status_now.as_data(), indent=2))
    else:
        print_status(status_now, console)
    return 0 if status_now.complete else 1


def _status_command(given: Mapping[str, Any]) -> str:
    """Return the command line of ``memspan status`` with those values given to ``memspan run`` that are no default."""
    defaults = {name: parameter.default for name, parameter in inspect.signature(status).parameters.items()}
    changed = {name: given[name] for name in defaults.keys() & given.keys() if given[name] != defaults[name]}
    words = ["memspan", "status", changed.pop("experiment")]
    for name in (name for name in defaults if name in changed):
        words += [f"--{name.replace('_', '-')}", redacted(str(changed[name]))]
    return shlex.join(words)
