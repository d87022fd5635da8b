"""From what a command line says to an experiment, a store or a record."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from suite.errors import InputError

if TYPE_CHECKING:
    from suite.experiment.experiment import Experiment
    from suite.results.record import Record
    from suite.store.store import Store


def chosen_experiment(
    name: str, architectures: str, tasks: str, seeds: int | None, trials: int | None, steps: int | None
) -> Experiment:
    from suite.experiment.loading import load

    return load(name).select(
        architectures=architectures or None,
        tasks=tasks or None,
        seeds=seeds,
        trials=trials,
        steps=steps,
    )


def open_store(folder: Path, storage: str | None, tracking_uri: str | None) -> Store:
    from suite.store.retrying import seconds
    from suite.store.store import Store

    for variable in ("MEMSPAN_PATIENCE", "MEMSPAN_CHECKPOINT_SECONDS"):
        seconds(variable, 0)  # wrong ones are said now

    return Store(folder, storage, tracking_uri)


def open_existing(folder: Path, storage: str | None, tracking_uri: str | None, remedy: str) -> Store:
    from suite.store.store import exists

    if not storage and not exists(folder):
        raise InputError(f"no store in {str(folder)!r}; run `memspan run {remedy}` first, or give --store or --storage")
    return open_store(folder, storage, tracking_uri)


def record_at(name: str, opener: Callable[[], tuple[Experiment, Store]], curves: bool) -> tuple[Record, Store | None]:
    """The record of an experiment in a store, or the one in a written leaderboard (its folder or a file of it)."""
    from suite.experiment.loading import available
    from suite.leaderboards.proof.manifest import MANIFEST_FILE, RUNS_FILE, read_manifest
    from suite.results.record import Record

    path = Path(name)
    if name in available():  # a folder of that name is ./NAME
        path = Path()
    if path.suffix == ".json" or (path / MANIFEST_FILE).is_file():
        found = read_manifest(path)
        runs = found.path.parent / RUNS_FILE
        return (Record.read(runs) if runs.is_file() else found.record()), None
    if path.suffix == ".parquet":
        return Record.read(path), None
    chosen, store = opener()
    from suite.results.record import record_of
    from suite.running import runner

    return record_of(runner.open_plan(chosen, store, curves), store), store
