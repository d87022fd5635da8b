"""``memspan speed``."""

from __future__ import annotations

import json
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from suite.cli._app import app, console
from suite.cli._options import AsJson, Storage, TrackingUri


@app.command()
def speed(
    as_json: AsJson = False,
    peers: Annotated[
        bool,
        typer.Option("--peers", help="Compare with what a user would install instead, too (the group `oracles`)."),
    ] = False,
    overhead: Annotated[
        bool, typer.Option("--overhead", help="Compare a whole run with a bare training loop instead.")
    ] = False,
    workers: Annotated[bool, typer.Option("--workers", help="Compare two workers with one instead.")] = False,
    scheduler: Annotated[
        bool, typer.Option("--scheduler", help="Time the scheduling of 100, 1,000 and 10,000 empty runs instead.")
    ] = False,
    storage: Storage = None,
    tracking_uri: TrackingUri = None,
    repetitions: Annotated[
        int | None,
        typer.Option(
            min=3, help="The number of repetitions. Default: 21 for the cells, and 5 for the other measurements."
        ),
    ] = None,
) -> None:
    """Compare the speed of every architecture with that of our LSTM, and of torch's own cells.

    This times the forward and the backward pass on one thread. The first tables compare the simple and the gated cells
    at equal hidden sizes, and the last one compares all architectures at equal numbers of parameters. --overhead,
    --workers and --scheduler measure something else instead. Only --scheduler takes --storage and --tracking-uri.
    """
    if overhead:
        _overhead(repetitions or 5, as_json)
        return
    if workers:
        _workers(repetitions or 5, as_json)
        return
    if scheduler:
        _scheduler(storage, tracking_uri, as_json)
        return
    _cells(repetitions or 21, peers, as_json)


def _cells(repetitions: int, peers: bool, as_json: bool) -> None:
    from suite.leaderboards.text.table_styles import terminal_table
    from suite.timing.cell_speed import speed_table
    from suite.timing.equal_parameters import BATCH, INPUT_SIZE, PARAMETERS, TIME, equal_parameters_table

    with Progress(console=Console(stderr=True), transient=True) as bars:
        bar = bars.add_task("", total=None)

        def on_form(form: str, place: int, forms: int) -> None:
            bars.update(bar, description=form, completed=place, total=forms)

        equal = equal_parameters_table(repetitions, peers, on_form)
        bars.reset(bar, description="at equal hidden sizes", total=None)
        rows = speed_table(repetitions=repetitions)
    if as_json:
        print(json.dumps({"equal_sizes": rows, "equal_parameters": equal}, indent=2))
        return
    for size in dict.fromkeys((row["time"], row["batch"], row["hidden"]) for row in rows):
        table = terminal_table("T = {}, batch {}, hidden {}".format(*size), space=2)
        for name in ("cell", "÷ torch", "÷ our LSTM", "÷ floor", "÷ loop", "ms", "path"):
            table.add_column(name, justify="left" if name in ("cell", "path") else "right", no_wrap=True)
        for row in rows:
            if (row["time"], row["batch"], row["hidden"]) == size:
                ratios = (row[name] for name in ("to_torch", "to_lstm", "to_floor", "to_definition"))
                table.add_row(row["form"], *map(_ratio, ratios), f"{row['ours_ms']:.2f}", row["path"])
        console.print(table)
    title = f"T = {TIME}, batch {BATCH}, {INPUT_SIZE} inputs, about {PARAMETERS:,} parameters"
    table = terminal_table(title, space=2)
    names = ["cell", "h", "÷ LSTM", "block", "ms", *(["÷ peer", "peer"] if peers else ["path"])]
    for name in names:
        table.add_column(name, justify="left" if name in ("cell", "peer", "path") else "right", no_wrap=True)
    for row in sorted(equal, key=lambda row: row["to_lstm"]):
        beside = [_ratio(row["to_peer"]), row["peer"] or "–"] if peers else [row["path"] or "–"]
        ours = _ratio(row["to_lstm"]), _ratio(row["block_to_lstm"])
        numbers = [str(row["hidden"]), *ours, f"{row['ours_ms']:.1f}", *beside]
        table.add_row(row["form"], *numbers)
    console.print(table)
    console.print(
        "These are medians of interleaved repetitions of the forward and the backward pass on one thread. The ratios "
        "divide our time by that of torch's own cell, of our LSTM, of the matrix products alone (the floor), and of "
        "the loop over the definition. A ratio below 1 means that we are faster."
        " h is the hidden size, and under “block”, whole models with a residual block are compared."
        + (" A peer is what a user would install instead, at the same hidden size." if peers else ""),
        style="dim",
    )


def _ratio(ratio: float | None) -> str:
    return "–" if ratio is None else f"{ratio:.2f}" if ratio >= 0.1 else f"{ratio:.3f}"


def _overhead(repetitions: int, as_json: bool) -> None:
    from suite.timing.run_overhead import SHARES, measure_overhead

    rows = measure_overhead(repetitions=repetitions)
    if as_json:
        print(json.dumps(rows, indent=2))
        return
    for row in rows:
        table = Table(box=None, show_header=False, padding=(0, 2))
        table.add_row(f"a whole run with {row['optimizer']}, as a multiple of a bare loop", f"{row['ratio']:.3f}")
        for name in SHARES:
            table.add_row(f"  {name}", f"{row[name]:.3f}")
        table.add_row("bare loop, whole run", f"{row['bare_seconds']:.2f} s, {row['whole_seconds']:.2f} s")
        console.print(table)


def _workers(repetitions: int, as_json: bool) -> None:
    from suite.timing.scheduling import measure_workers

    speeds = measure_workers(repetitions)
    if as_json:
        print(json.dumps(speeds, indent=2))
        return
    table = Table(box=None, show_header=False, padding=(0, 2))
    table.add_row("two workers, as a multiple of one", f"{speeds['ratio']:.2f}")
    table.add_row("runs per minute of one and of two", f"{speeds['one']:.1f}, {speeds['two']:.1f}")
    console.print(table)


def _scheduler(storage: str | None, tracking_uri: str | None, as_json: bool) -> None:
    from suite.leaderboards.text.table_styles import terminal_table
    from suite.timing.scheduling import SIZES, measure_scheduler

    rows = [measure_scheduler(runs, storage, tracking_uri) for runs in SIZES]
    if as_json:
        print(json.dumps(rows, indent=2))
        return
    table = terminal_table(space=2)
    for heading in ("runs", "ms per run", "in the second half", "s to plan when all are done"):
        table.add_column(heading, justify="right")
    for row in rows:
        numbers = (row["milliseconds_per_run"], row["milliseconds_in_the_second_half"], row["planning_seconds"])
        table.add_row(f"{row['runs']:,.0f}", *(f"{number:.1f}" for number in numbers))
    console.print(table)
