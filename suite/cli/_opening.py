"""The experiment, the store or the record that the options of a command name."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from suite.cli._app import stderr
from suite.errors import InputError

if TYPE_CHECKING:
    from suite.experiment.experiment import Experiment
    from suite.results.record import Record
    from suite.store.store import Store


def load_selection(
    name: str, architectures: str, tasks: str, seeds: int | None, trials: int | None, steps: int | None
) -> Experiment:
    """Load an experiment, with the rows, columns and budget that the command line selects."""
    from suite.experiment.loading import load

    return load(name).select(
        architectures=architectures or None,
        tasks=tasks or None,
        seeds=seeds,
        trials=trials,
        steps=steps,
    )


def check_before_runs(experiments: Iterable[Experiment], no_check: bool) -> None:
    """Check the runs of experiments, so that any mistake is reported before a store is made.

    Args:
        experiments: the experiments.
        no_check: leave out the look at whether cells and tasks keep their contracts.

    Raises:
        InputError: if one breaks a rule.
    """
    from suite.planning.plan import studies

    checked = [study for experiment in experiments for study in studies(experiment)]
    if not no_check:
        from suite.contracts.look import check_contracts

        check_contracts(study.default_config for study in checked)


def open_store(folder: Path, storage: str | None, tracking_uri: str | None, *, reads_only: bool = False) -> Store:
    """Open a store, which is made if it does not exist; if it ``reads_only``, nothing is made or written.

    Raises:
        InputError: if the store cannot be opened, or an environment variable for waiting times is wrong.
    """
    from suite.store.retrying import seconds
    from suite.store.store import Store

    for variable in ("MEMSPAN_PATIENCE", "MEMSPAN_CHECKPOINT_SECONDS"):
        seconds(variable, 0)
    return Store(folder, storage, tracking_uri, reads_only=reads_only)


def open_existing_store(folder: Path, storage: str | None, tracking_uri: str | None, experiment: str) -> Store:
    """Open a store that exists already, for reading alone.

    Raises:
        InputError: if it does not exist, with the advice to run the experiment, and the folder of its published
            leaderboard, if it has one.
    """
    from suite.store.store import exists

    if not storage and not exists(folder):
        from suite.leaderboards.proof.manifest import published

        board = published().get(experiment)
        other = f"; its published leaderboard is in {str(board)!r}" if board else ""
        raise InputError(
            f"no store in {str(folder)!r}; run `memspan run {experiment}` first, or give --store or --storage{other}"
        )
    return open_store(folder, storage, tracking_uri, reads_only=True)


def load_record(
    name: str, open_both: Callable[[], tuple[Experiment, Store]], curves: bool
) -> tuple[Record, Store | None]:
    """Load the record of a leaderboard.

    Args:
        name: an experiment, or a written leaderboard: its folder, its manifest or its file of runs.
        open_both: opens the experiment and its store. It is not called for a written leaderboard.
        curves: whether the learning curves are needed.

    Returns:
        The record, and the store from which it comes; None for a written leaderboard.
    """
    from suite.experiment.loading import available
    from suite.leaderboards.proof.manifest import RUNS_FILE, read_manifest
    from suite.results.record import Record

    path, is_experiment = Path(name), name in available()  # A folder of that name can be given as ./NAME.
    if not is_experiment and (path.suffix == ".json" or path.is_dir()):
        manifest = read_manifest(path)
        if (changed := next(manifest.changes(), None)) is not None:
            text = f"{str(manifest.path)!r} was changed after it was written: {changed[2]}; `memspan verify` says more"
            stderr.print(text, style="yellow", highlight=False, markup=False, soft_wrap=True)
        runs = manifest.path.parent / RUNS_FILE
        return (Record.read(runs) if runs.is_file() else manifest.record), None
    if not is_experiment and path.suffix == ".parquet":
        return Record.read(path), None
    experiment, store = open_both()
    from suite.results.record import record_of
    from suite.running import runner

    return record_of(runner.open_plan(experiment, store, curves), store), store
