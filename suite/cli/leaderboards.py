"""``memspan leaderboard``, ``memspan verify`` and ``memspan compare``."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from suite.cli._app import app, console, infrequent_garbage_collection, print_written, stderr
from suite.cli._opening import load_record, load_selection, open_existing_store
from suite.cli._options import (
    Architectures,
    AsJson,
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
from suite.cli._run_options import prepare_workers
from suite.errors import InputError, many, named

if TYPE_CHECKING:
    from suite.experiment.experiment import Experiment
    from suite.store.store import Store


@app.command()
@infrequent_garbage_collection()
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
    family: Annotated[
        str, typer.Option(help="Print the rows of these families alone, such as 'gated' or 'gated,attention'.")
    ] = "",
    as_json: AsJson = False,
    output: Annotated[
        Path | None, typer.Option(help="Write the page, tables, pictures, runs and manifest into this folder.")
    ] = None,
    frozen: Annotated[
        bool, typer.Option("--frozen", help="Write the same files into a folder of the store that never changes.")
    ] = False,
) -> int:
    """Print the leaderboard of the finished runs of an experiment.

    Give it the same options as `run`. Instead of an experiment, you can name a written leaderboard: its folder, its
    manifest.json or its runs.parquet. With --family, the rows keep the ranks that they have among all rows, and files
    have every row.
    """

    def open_both() -> tuple[Experiment, Store]:
        selection = load_selection(experiment, architectures, tasks, seeds, trials, steps)
        return selection, open_existing_store(store, storage, tracking_uri, experiment)

    from suite.experiment.names import chosen_families
    from suite.leaderboards.leaderboard import build_leaderboard
    from suite.leaderboards.text import render

    if family and as_json:
        raise InputError("--family selects rows of the printed tables, and JSON has all rows; give it or --json")
    if frozen and output is not None:
        raise InputError("--frozen writes into a folder of its own in the store; give it or --output, not both")
    record, opened_store = load_record(experiment, open_both, curves=output is not None or frozen)
    if opened_store is None and (architectures or tasks or (seeds, trials, steps) != (None, None, None)):
        raise InputError("a written leaderboard is printed as it is; --architectures and the like need an experiment")
    families = chosen_families(family, record.families.values()) if family else []
    board = build_leaderboard(record)
    if output is not None or frozen:
        from suite.leaderboards.files import freeze, write

        try:
            written = freeze(board, store / "frozen") if frozen else write(board, output or Path())
        except OSError as error:
            folder = str(store / "frozen") if frozen else str(output)
            raise InputError(f"{folder!r} cannot be written: {error.strerror}") from error
        print_written(written)
    if as_json:
        print(render.as_json(board), end="")
    else:
        render.show(board, console, families=families)
    return 0 if board.scopes else 1


@app.command()
def verify(
    manifest: Annotated[
        Path, typer.Argument(help="A written leaderboard: its folder, manifest.json, or published name.")
    ],
    rows: Annotated[
        str, typer.Option(help="The number of rows to train again, or their names: 'gru on adding,lstm on adding'.")
    ] = "1",
    everything: Annotated[bool, typer.Option("--all", help="Train every row again.")] = False,
    with_trials: Annotated[bool, typer.Option("--trials", help="Train the trials of these rows again, too.")] = False,
    trust: Annotated[
        bool, typer.Option("--trust", help="Import the cells and tasks from outside memspan that it names.")
    ] = False,
    workers: Workers = 0,
    devices: Devices = None,
) -> int:
    """Check a written leaderboard, and train some of its rows again.

    First, this checks everything that needs no training. Then it trains rows again. On an equal machine every metric
    must be the same, and elsewhere the skill must agree over the seeds. Nothing is recorded. The exit code is 0 if
    everything holds, and 1 otherwise.
    """
    from suite import engines
    from suite.console.progress import counting_bar
    from suite.leaderboards.proof.checks import check_manifest
    from suite.leaderboards.proof.manifest import read_manifest
    from suite.leaderboards.proof.retraining import retrain, runs_to_repeat
    from suite.leaderboards.proof.trust import choose_rows

    proof = read_manifest(manifest, trusted=trust)
    names = choose_rows(proof, rows, everything)
    size = many(len(proof.rows), "row")
    console.print(f"{proof.path}: {size}, {proof.digest}", highlight=False, soft_wrap=True)
    prepare_workers("local", workers, dry_run=False)
    checked = check_manifest(proof, names)
    for note in checked.notes:
        console.print(f"note: {note}", highlight=False, markup=False, style="yellow")
    _print_wrong(checked.wrong)
    if checked.wrong and not checked.suspects:
        return 1

    def print_note(text: str) -> None:
        stderr.print(text, style="yellow", highlight=False, markup=False, soft_wrap=True)

    runs = runs_to_repeat(proof, [] if checked.wrong else names, checked, with_trials)
    exact = sum(run.exact for run in runs)
    how = "bit for bit" if exact == len(runs) else f"{exact} bit for bit, the others by their skill over the seeds"
    again = many(len({run.row for run in runs}), "row")
    console.print(f"training {many(len(runs), 'run')} of {again} again: {how}", highlight=False)
    with counting_bar("runs", len(runs), stderr) as tick:
        # Only a CPU gives the same bits as a CPU.
        engine = engines.make(workers=workers, devices=devices or ("cpu" if exact else None))
        wrong_runs = retrain(runs, engine, lambda run, differs: tick(), print_note)
    _print_wrong(wrong_runs)
    if checked.wrong or wrong_runs:
        return 1
    agree = "was trained again, and agrees" if len(names) == 1 else "were trained again, and agree"
    how = "bit for bit" if exact == len(runs) else "in skill over the seeds"
    held = f"{len(names)} of {size} {agree} {how}: {named(names)}"
    console.print(held, highlight=False, style="green", soft_wrap=True)
    return 0


def _print_wrong(messages: Iterable[str]) -> None:
    for message in messages:
        console.print(f"wrong: {message}", highlight=False, markup=False, style="red", soft_wrap=True)


@app.command()
def compare(
    first: Annotated[str, typer.Argument(help="A written leaderboard (its folder or a file in it), or an experiment.")],
    second: Annotated[str, typer.Argument(help="Another leaderboard or experiment.")],
    store: StoreOption = Path("mlruns"),
    storage: Storage = None,
    tracking_uri: TrackingUri = None,
    as_json: AsJson = False,
) -> None:
    """Show the differences between two leaderboards.

    For example, you can compare a frozen leaderboard with the experiment as it is now.
    """
    from suite.experiment.loading import load
    from suite.leaderboards import changes

    def open_both(name: str) -> tuple[Experiment, Store]:
        return load(name), open_existing_store(store, storage, tracking_uri, name)

    before, after = (load_record(name, partial(open_both, name), curves=False)[0] for name in (first, second))
    difference = changes.compare_records(before, after, (repr(first), repr(second)))
    if as_json:
        print(changes.as_json(difference))
    else:
        changes.show(difference, console)


@app.command()
@infrequent_garbage_collection()
def index(
    folders: Annotated[list[Path], typer.Argument(help="Written leaderboards, or folders that hold some.")],
    output: Annotated[Path, typer.Option(help="The page to write.")] = Path("leaderboards.html"),
    title: Annotated[str, typer.Option(help="The title of the page.")] = "Leaderboards of sequence memory",
) -> None:
    """Write one page over several leaderboards: their titles, sizes, dates, digests and best rows.

    It links their own pages, so that a folder of leaderboards can be put on the web as it is. Nothing that they name is
    imported.
    """
    from suite.leaderboards.page.index_page import boards_in, write_index

    found = boards_in(folders)
    write_index(found, output, title)
    stderr.print(f"wrote {output} over {many(len(found), 'leaderboard')}", highlight=False, soft_wrap=True)
