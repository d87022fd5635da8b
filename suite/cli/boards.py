"""``memspan add`` and ``memspan merge``: written leaderboards that grow."""

from __future__ import annotations

import re
import tomllib
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
from suite.cli._run_options import RunOptions, report_missing
from suite.errors import InputError, many

if TYPE_CHECKING:
    from suite.results.record import Record

Output = Annotated[Path, typer.Option(help="The folder of the new leaderboard.")]


@app.command()
@infrequent_garbage_collection()
def add(
    board: Annotated[Path, typer.Argument(help="The folder of a written leaderboard, or its manifest.json.")],
    architectures: Annotated[
        list[str] | None,
        typer.Argument(help="New rows: architectures from `memspan list`, or your own such as my_cell:MyCell."),
    ] = None,
    output: Output = ...,  # type: ignore[assignment]
    label: Annotated[str, typer.Option(help="The label of the new row. Default: the name of the architecture.")] = "",
    option: Annotated[
        list[str] | None, typer.Option(help="A key of the new row's table, such as 'rate=0.5' or 'depth=2'.")
    ] = None,
    seeds: Annotated[int | None, typer.Option(min=1, help="Evaluate all rows on this many seeds.")] = None,
    experiment: Annotated[
        str | None, typer.Option(help="An experiment with more rows, levels or seeds than the leaderboard.")
    ] = None,
    trust: Annotated[
        bool,
        typer.Option("--trust", help="Import the cells and tasks from outside memspan that the leaderboard names."),
    ] = False,
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
    quiet: Annotated[bool, typer.Option("--quiet", help="Print only the leaderboard.")] = False,
) -> int:
    """Add rows, seeds or task levels to a written leaderboard.

    The leaderboard can come from anywhere. Its recorded runs count as done, and only what is new is tuned and
    evaluated: by its experiment, on its data, with its budget. --output receives the joint leaderboard.

    You can interrupt the command at any moment, and the same command goes on with the runs that are missing.
    """
    from suite.console.estimate import print_estimate
    from suite.experiment.experiment import Experiment
    from suite.experiment.loading import load
    from suite.leaderboards.extending import add_recorded_runs, check_contains, check_trust, with_rows
    from suite.leaderboards.joining import check_output, joined, read_board
    from suite.results.record import as_plain, record_of
    from suite.running import runner

    names = architectures or []
    if experiment is not None and (names or seeds is not None or option or label):
        raise InputError("--experiment has the new rows and seeds itself; give it or them, not both")
    if not names and seeds is None and experiment is None:
        raise InputError("nothing is to be added: name an architecture, or give --seeds or --experiment")
    if (option or label) and len(names) != 1:
        raise InputError(f"--option and --label belong to one new row; got {many(len(names), 'architecture')}")
    recorded = read_board(board)
    check_output(output)
    if experiment is not None:
        grown = load(experiment)
        check_contains(grown, recorded, repr(experiment))
        tables, chosen = as_plain(grown), list(grown.architectures)
    else:
        rows = {label or label_of(name): {**table_of(option or []), "architecture": name} for name in names}
        tables = with_rows(recorded, rows, seeds)
        chosen = list(rows) if seeds is None else list(tables["architectures"])
    if not trust:
        check_trust(tables, chosen, names)
    selection = Experiment.from_tables(
        {**{key: table for key, table in tables.items() if key != "name"},
         "architectures": {key: tables["architectures"][key] for key in chosen}},
        recorded.experiment.name,
    )  # fmt: skip
    check_before_runs([selection], no_check)
    options = RunOptions(engine, workers, devices, address, gpus, attempts, quiet)
    opened_store = open_store(store, storage, tracking_uri, reads_only=dry_run)
    plan = runner.open_plan(selection, opened_store, curves=True)
    add_recorded_runs(plan, recorded)
    if dry_run:
        options.show_sizes(plan)
        print_estimate(plan, options.worker_count, console)
        return 0
    given_up = options.run(plan, opened_store)
    if plan.done < plan.planned:
        return report_missing(plan, given_up, "the same command tries them again")
    _write(joined({str(board): recorded, "the new runs": record_of(plan, opened_store)}), output, quiet)
    return 0


@app.command()
@infrequent_garbage_collection()
def merge(
    boards: Annotated[list[Path], typer.Argument(help="The folders of written leaderboards of one experiment.")],
    output: Output = ...,  # type: ignore[assignment]
    quiet: Annotated[bool, typer.Option("--quiet", help="Print only the leaderboard.")] = False,
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


def table_of(options: list[str]) -> dict[str, Any]:
    """Return the table of ``key=value`` pairs, whose values are written as in TOML; text needs no quotes.

    Raises:
        InputError: if a pair has no ``=``, or a key comes twice.
    """
    table: dict[str, Any] = {}
    for text in options:
        key, sign, value = (part.strip() for part in text.partition("="))
        if not sign or not key or key in table:
            raise InputError(f"--option has the form key=value, and each key once; got {text!r}")
        try:
            table[key] = tomllib.loads(f"value = {value}")["value"]
        except tomllib.TOMLDecodeError:
            table[key] = value
    return table


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
