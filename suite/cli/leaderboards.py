"""``memspan leaderboard``, ``memspan verify`` and ``memspan compare``."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from suite.cli._app import app, console, errors, rare_collections
from suite.cli._opening import chosen_experiment, open_existing, record_at
from suite.cli._options import (
    Architectures,
    Devices,
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
from suite.errors import InputError

if TYPE_CHECKING:
    from suite.experiment.experiment import Experiment
    from suite.leaderboards.leaderboard import Leaderboard
    from suite.store.store import Store


@app.command()
@rare_collections()
def leaderboard(
    experiment: Name,
    store: StoreOption = Path("mlruns"),
    architectures: Architectures = "",
    tasks: Tasks = "",
    seeds: Seeds = None,
    trials: Trials = None,
    steps: Steps = None,
    storage: Storage = None,
    tracking_uri: TrackingUri = None,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
    output: Annotated[
        Path | None, typer.Option(help="Write the page, tables, pictures, runs and manifest there.")
    ] = None,
    frozen: Annotated[
        bool, typer.Option("--frozen", help="Write them into a folder in the store that is never written again.")
    ] = False,
) -> int:
    """Print the leaderboard of what is recorded. Give the same options as to `run`.

    Instead of an experiment it takes a written leaderboard: its folder, manifest.json or runs.parquet.
    """

    def opener() -> tuple[Experiment, Store]:
        chosen = chosen_experiment(experiment, architectures, tasks, seeds, trials, steps)
        return chosen, open_existing(store, storage, tracking_uri, experiment)

    from suite.leaderboards.leaderboard import build_leaderboard
    from suite.leaderboards.text import render

    if frozen and output is not None:
        raise InputError("--frozen has a folder of its own in the store; give it or --output, not both")
    record, opened = record_at(experiment, opener, curves=output is not None or frozen)
    if opened is None and (architectures or tasks or (seeds, trials, steps) != (None, None, None)):
        raise InputError(
            "a written leaderboard is shown as it is; --architectures and the like belong to an experiment"
        )
    board = build_leaderboard(record)
    if output is not None or frozen:
        from suite.leaderboards.files import freeze, write

        try:
            written = freeze(board, store / "frozen") if frozen else write(board, output or Path())
        except OSError as error:
            where = str(store / "frozen") if frozen else str(output)
            raise InputError(f"{where!r} cannot be written: {error.strerror}") from error
        if opened is not None:
            keep(board, written, opened, quiet=True)
        errors.print(f"wrote {written[0]} and {len(written) - 1} files beside it", soft_wrap=True)
    if as_json:
        print(render.as_json(board), end="")
    else:
        render.show(board, console)
    return 0 if board.scopes else 1


def keep(board: Leaderboard, written: list[Path], store: Store, quiet: bool = False) -> None:
    """Keep what was written of a leaderboard in MLflow too, and say where it is."""
    store.tracking.keep_report(board.experiment, "leaderboard", written)
    if not quiet:
        errors.print(f"wrote {written[0]} and {len(written) - 1} files beside it", soft_wrap=True)


@app.command()
def verify(
    manifest: Annotated[Path, typer.Argument(help="manifest.json of a written leaderboard, or its folder.")],
    rows: Annotated[
        str, typer.Option(help="How many rows to train again, or which: 'gru on adding,lstm on adding'.")
    ] = "1",
    everything: Annotated[bool, typer.Option("--all", help="Train every row again.")] = False,
    with_trials: Annotated[bool, typer.Option("--trials", help="Train the trials of the rows again, too.")] = False,
    workers: Workers = 0,
    devices: Devices = None,
) -> int:
    """Prove a leaderboard: check its manifest, then train rows again and compare every figure.

    The exit code is 0 if everything holds, and 1 otherwise. Nothing is recorded.
    """
    from suite import engines
    from suite.console.progress import counting_bar
    from suite.leaderboards.proof.checks import check_manifest, choose_rows
    from suite.leaderboards.proof.manifest import read_manifest
    from suite.leaderboards.proof.retraining import retrain, runs_to_repeat

    proof = read_manifest(manifest)
    names = choose_rows(proof, rows, everything)
    console.print(f"{proof.path}: {len(proof.rows)} rows, {proof.digest}", highlight=False, soft_wrap=True)
    checked = check_manifest(proof, names)
    for note in checked.notes:
        console.print(f"note: {note}", highlight=False, markup=False, style="yellow")
    for wrong in checked.wrong:
        console.print(f"wrong: {wrong}", highlight=False, markup=False, style="red", soft_wrap=True)
    if checked.wrong and not checked.suspects:
        return 1
    runs = runs_to_repeat(proof, [] if checked.wrong else names, checked, with_trials)
    exact = sum(run.exact for run in runs)
    how = "bit for bit" if exact == len(runs) else f"{exact} bit for bit, the others by their skill over the seeds"
    console.print(f"training {len(runs)} runs of {len({run.row for run in runs})} rows again: {how}", highlight=False)
    with counting_bar("runs", len(runs), errors) as tick:
        # What was measured on a CPU must come out the same on a CPU.
        engine = engines.make(workers=workers, devices=devices or ("cpu" if exact else None))
        wrong_runs = retrain(runs, engine, lambda run, differs: tick())
    for wrong in wrong_runs:
        console.print(f"wrong: {wrong}", highlight=False, markup=False, style="red", soft_wrap=True)
    if checked.wrong or wrong_runs:
        return 1
    console.print(f"all of it holds: {', '.join(names)}", highlight=False, style="green", soft_wrap=True)
    return 0


@app.command()
def compare(
    first: Annotated[str, typer.Argument(help="A written leaderboard (its folder or a file of it), or an experiment.")],
    second: Annotated[str, typer.Argument(help="Another.")],
    store: StoreOption = Path("mlruns"),
    storage: Storage = None,
    tracking_uri: TrackingUri = None,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Show what changed between two leaderboards, such as a frozen one and the experiment as it stands now."""
    from suite.experiment.loading import load
    from suite.leaderboards import changes

    def opener(name: str) -> tuple[Experiment, Store]:
        return load(name), open_existing(store, storage, tracking_uri, name)

    records = [record_at(name, partial(opener, name), curves=False)[0] for name in (first, second)]
    difference = changes.compare_records(*records)
    if as_json:
        print(changes.as_json(difference))
    else:
        changes.show(difference, console)
