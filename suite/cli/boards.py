"""``memspan add`` and ``memspan merge``: written leaderboards that grow."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from suite.cli._app import app, console, infrequent_garbage_collection, print_written, stderr
from suite.cli._opening import check_before_runs, open_store
from suite.cli._options import (
    Address,
    Attempts,
    Devices,
    DryRun,
    EngineName,
    Gpus,
    NoCheck,
    Storage,
    StoreOption,
    TrackingUri,
    Workers,
)
from suite.cli._run_options import RunOptions, prepare_workers, report_missing
from suite.errors import InputError, many

if TYPE_CHECKING:
    from suite.experiment.experiment import Experiment
    from suite.results.record import Record

Board = Annotated[
    Path,
    typer.Argument(
        help="The folder of a written leaderboard, its manifest.json, or the name of one that comes with memspan."
    ),
]
NewRows = Annotated[
    list[str] | None,
    typer.Argument(
        help="Architectures from `memspan list`, or your own such as my_cell:MyCell. Default: the missing runs alone."
    ),
]
RowLabel = Annotated[
    str, typer.Option("--label", help="The label of the new row. Default: the name, such as leaky for my_cell:Leaky.")
]
RowOptions = Annotated[str, typer.Option(help="The keys of the new row's table, such as 'rate=0.5 depth=2'.")]
AllSeeds = Annotated[int | None, typer.Option(min=1, help="Evaluate all rows on this many seeds.")]
Larger = Annotated[str | None, typer.Option(help="An experiment of the same name with further rows, levels or seeds.")]
Trust = Annotated[
    bool, typer.Option("--trust", help="Import the cells and tasks from outside memspan that the leaderboard names.")
]
Quiet = Annotated[bool, typer.Option("--quiet", help="Print only the leaderboard.")]
Output = Annotated[Path, typer.Option(help="The folder of the new leaderboard.")]


@app.command()
@infrequent_garbage_collection()
def add(
    board: Board,
    architectures: NewRows = None,
    output: Output = ...,  # type: ignore[assignment]
    label: RowLabel = "",
    options: RowOptions = "",
    seeds: AllSeeds = None,
    experiment: Larger = None,
    trust: Trust = False,
    store: StoreOption = Path("mlruns"),
    workers: Workers = 0,
    devices: Devices = None,
    engine: EngineName = "local",
    address: Address = None,
    gpus: Gpus = None,
    attempts: Attempts = 3,
    storage: Storage = None,
    tracking_uri: TrackingUri = None,
    no_check: NoCheck = False,
    dry_run: DryRun = False,
    quiet: Quiet = False,
) -> int:
    """Add rows, seeds or task levels to a written leaderboard.

    The leaderboard can come from anywhere. Its recorded runs count as done, and only what is new is tuned and
    evaluated: by its experiment, on its data, with its budget. --output receives the joint leaderboard. Without a new
    row, a leaderboard that lacks runs gets them.

    You can interrupt the command at any moment, and the same command goes on with the runs that are missing.
    """
    names = architectures or []
    _check_question(names, options, label, seeds, experiment)
    prepare_workers(engine, workers, dry_run)
    from suite.leaderboards.extending import add_recorded_runs
    from suite.leaderboards.joining import check_output, joined, read_board
    from suite.results.record import record_of
    from suite.running import runner

    recorded = read_board(board)
    check_output(output)
    rows = {label or label_of(name): {**dict(_pairs(name, options)), "architecture": name} for name in names}
    selection = _selection(recorded, rows, seeds, experiment, trust)
    check_before_runs([selection], no_check)
    run_options = RunOptions(engine, workers, devices, address, gpus, attempts, quiet)
    opened_store = open_store(store, storage, tracking_uri, reads_only=dry_run)
    plan = runner.open_plan(selection, opened_store, curves=True)
    add_recorded_runs(plan, recorded)
    if dry_run:
        from suite.console.estimate import print_estimate

        run_options.show_sizes(plan)
        print_estimate(plan, run_options.worker_count, console)
        return 0
    given_up = run_options.run(plan, opened_store)
    if plan.done < plan.planned:
        return report_missing(plan, given_up, "the same command tries them again")
    _write(joined({str(board): recorded, "the new runs": record_of(plan, opened_store)}), output, quiet)
    return 0


def _check_question(names: list[str], options: str, label: str, seeds: int | None, experiment: str | None) -> None:
    """Check that the arguments of ``add`` ask for one thing."""
    if experiment is not None and (names or seeds is not None or options or label):
        raise InputError("--experiment has the new rows and seeds itself; give it or them, not both")
    if (options or label) and len(names) != 1:
        raise InputError(f"--options and --label belong to one new row; got {many(len(names), 'architecture')}")


def _selection(
    recorded: Record, rows: dict[str, dict[str, Any]], seeds: int | None, name: str | None, trust: bool
) -> Experiment:
    """Return the experiment whose runs are needed: with the new rows alone, or with all if these need further runs."""
    from suite.experiment.experiment import Experiment
    from suite.experiment.loading import load
    from suite.leaderboards.extending import check_contains, check_trust, with_rows

    if recorded.complete and not rows and seeds is None and name is None:
        raise InputError(
            "nothing is to be added, because the leaderboard lacks no run: name an architecture, or give --seeds or "
            "--experiment"
        )
    if name is not None:
        grown = load(name)  # Whoever names a file trusts it.
        check_contains(grown, recorded, repr(name))
        return grown
    tables = with_rows(recorded, rows, seeds)
    chosen = list(rows) if rows and seeds is None else list(tables["architectures"])
    if not trust:
        check_trust(tables, chosen, [row["architecture"] for row in rows.values()])
    tables["architectures"] = {label: tables["architectures"][label] for label in chosen}
    return Experiment.from_tables({key: table for key, table in tables.items() if key != "name"}, tables["name"])


def _pairs(name: str, options: str) -> Iterator[tuple[str, Any]]:
    from suite.options import option_of_text

    for pair in options.split():
        yield option_of_text(pair, name)


@app.command()
@infrequent_garbage_collection()
def merge(
    boards: Annotated[list[Path], typer.Argument(help="The folders of written leaderboards of one experiment.")],
    output: Output = ...,  # type: ignore[assignment]
    quiet: Quiet = False,
) -> None:
    """Merge written leaderboards of one experiment.

    Nothing is trained, and nothing that they name is imported. They must have the same data, budget and protocol.
    Runs that several of them have must have equal figures.
    """
    from suite.leaderboards.joining import joined, read_board

    if len(boards) < 2:
        raise InputError("a merge needs two leaderboards or more; got one")
    _write(joined({str(path): read_board(path) for path in boards}), output, quiet)


def label_of(name: str) -> str:
    """Return the label of a row from the name of its architecture: ``my_cell`` from ``package.module:MyCell``."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name.rpartition(":")[2]).lower()


def _write(record: Record, output: Path, quiet: bool) -> None:
    """Write a joint leaderboard, and print it."""
    from suite.leaderboards.files import write
    from suite.leaderboards.joining import check_output
    from suite.leaderboards.leaderboard import build_leaderboard
    from suite.leaderboards.text.render import show

    check_output(output, record)
    board = build_leaderboard(record)
    try:
        written = write(board, output)
    except OSError as error:
        raise InputError(f"{str(output)!r} cannot be written: {error.strerror}") from error
    show(board, console, legends=not quiet)
    if not record.complete:
        missing = record.planned - record.done
        text = f"{missing} of {many(record.planned, 'run')} of the joint experiment are missing"
        stderr.print(text, style="yellow", highlight=False, soft_wrap=True)
    if not quiet:
        print_written(written)
