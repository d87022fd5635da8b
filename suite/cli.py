"""The command line: thin, and quick to answer (heavy libraries are imported by the commands that need them)."""

from __future__ import annotations

import json
import os
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from suite.errors import InputError, StoreError

if TYPE_CHECKING:
    from suite.engines import Engine
    from suite.experiment import Experiment
    from suite.leaderboards.record import Record
    from suite.leaderboards.table import Leaderboard
    from suite.plan import Plan
    from suite.store import Store

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_show_locals=False,  # some hold passwords
    help="How far back can a sequence architecture remember, and how badly does it overfit?\n\n"
    "[bold]memspan run quick[/bold] trains every architecture on three tasks and prints a leaderboard; "
    "[bold]memspan list[/bold] shows what there is; [bold]memspan ui[/bold] opens the runs in MLflow.",
)
console = Console()
errors = Console(stderr=True)

Name = Annotated[str, typer.Argument(help="A name from `memspan list`, or the path of a TOML file.")]
StoreOption = Annotated[Path, typer.Option(help="Folder of the tracking store.")]
Architectures = Annotated[str, typer.Option(help="Only these rows, by label, separated by commas.")]
Tasks = Annotated[str, typer.Option(help="Only these task tables, by label, separated by commas.")]
Seeds = Annotated[int | None, typer.Option(min=1, help="Evaluate on this many seeds instead of the file's.")]
Trials = Annotated[int | None, typer.Option(min=0, help="Trials per study instead of the file's.")]
Steps = Annotated[int | None, typer.Option(min=1, help="Optimiser steps per run instead of the file's.")]
Workers = Annotated[
    int, typer.Option(min=0, help="Runs at a time, one thread each; 0 is one per GPU, or per core without GPUs.")
]
Devices = Annotated[
    str | None, typer.Option(help="GPUs of the workers, such as '0,2,3', or 'cpu'.", show_default="all GPUs")
]
EngineName = Annotated[str, typer.Option("--engine", help="Where runs execute: local, or ray.")]
Address = Annotated[
    str | None, typer.Option(help="Of a Ray cluster, such as 'host:6379'; without, one on this machine.")
]
Gpus = Annotated[float | None, typer.Option(min=0, help="GPUs of each run under Ray; also a fraction.")]
Attempts = Annotated[int, typer.Option(min=1, help="A run that failed so often is given up; more try it again.")]
Storage = Annotated[
    str | None,
    typer.Option(
        envvar="OPTUNA_STORAGE",
        help="PostgreSQL for the ledger and Optuna, postgresql://user@host/name, instead of files in the store.",
    ),
]
TrackingUri = Annotated[
    str | None,
    typer.Option(envvar="MLFLOW_TRACKING_URI", help="MLflow server, http://host:5000, instead of files in the store."),
]


@app.command("list")
def list_(
    name: Annotated[str, typer.Argument(help="An architecture, a task, an experiment or a claim; all of them.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Show the architectures, the tasks, the experiments and the claims; of one of them, what it is and its options."""
    if name:
        from suite.describe import describe

        print(json.dumps(describe(name), indent=2, ensure_ascii=False) if as_json else describe(name)["text"])
        return
    import tomllib

    from suite import experiment
    from suite.claims import claim
    from suite.registry import architectures, tasks

    def titles(paths: dict[str, Path], key: str) -> dict[str, str]:
        return {name: tomllib.loads(path.read_text(encoding="utf-8")).get(key, "") for name, path in paths.items()}

    found = {
        "architectures": {name: architectures.summary(name) for name in architectures.names()},
        "tasks": {name: tasks.summary(name) for name in tasks.names()},
        "experiments": titles(experiment.available(), "title"),
        "claims": titles(claim.available(), "statement"),
    }
    if as_json:
        print(json.dumps(found, indent=2, ensure_ascii=False))
        return
    for heading, names in found.items():
        table = Table(
            title=heading, box=None, title_justify="left", title_style="bold", show_header=False, padding=(0, 2)
        )
        for name, summary in names.items():
            table.add_row(name, summary)
        console.print(table)
        console.print()


def _experiment(
    name: str, architectures: str, tasks: str, seeds: int | None, trials: int | None, steps: int | None
) -> Experiment:
    from suite.experiment import load

    return load(name).select(
        architectures=architectures or None,
        tasks=tasks or None,
        seeds=seeds,
        trials=trials,
        steps=steps,
    )


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
    chosen = _experiment(experiment, architectures, tasks, seeds, trials, steps)
    from suite.plan import studies

    studies(chosen)  # whatever is wrong is said before a store is touched
    from suite import runner
    from suite.leaderboards.render import show
    from suite.leaderboards.table import leaderboard as table_of

    hands = _Hands(engine, workers, devices, address, gpus, attempts, quiet)
    opened = _open(store, storage, tracking_uri)
    plan = runner.open_plan(chosen, opened, curves=True)
    if dry_run:
        from suite.estimate import estimate

        estimate(plan, hands.count, console)
        return 0
    missing = plan.done < plan.planned
    failed = hands.run(plan, opened)
    board = table_of(runner.record_of(plan, opened))
    show(board, console)
    if missing and plan.done == plan.planned:
        from suite.leaderboards.writing import write

        _keep(board, write(board, opened.folder / "leaderboards" / board.experiment), opened, quiet)
    if keep_models:
        hands.keep_models(plan, opened)
    return _incomplete(plan, failed)


def _keep(board: Leaderboard, written: list[Path], store: Store, quiet: bool = False) -> None:
    """Keep what was written of a leaderboard in MLflow too, and say where it is."""
    store.tracking.keep_report(board.experiment, "leaderboard", written)
    if not quiet:
        errors.print(f"wrote {written[0]} and {len(written) - 1} files beside it", soft_wrap=True)


def _record(name: str, opener: Callable[[], tuple[Experiment, Store]], curves: bool) -> tuple[Record, Store | None]:
    """The record of an experiment in a store, or the one in a written leaderboard (its folder or a file of it)."""
    from suite.leaderboards import manifest
    from suite.leaderboards.record import Record

    path = Path(name)
    if path.suffix == ".json" or (path / manifest.NAME).is_file():
        found = manifest.read(path)
        runs = found.path.parent / manifest.RUNS
        return (Record.read(runs) if runs.is_file() else found.record()), None
    if path.suffix == ".parquet":
        return Record.read(path), None
    chosen, store = opener()
    from suite import runner

    return runner.record_of(runner.open_plan(chosen, store, curves), store), store


def _open(folder: Path, storage: str | None, tracking_uri: str | None) -> Store:
    from suite.patience import seconds
    from suite.store import Store

    for variable in ("MEMSPAN_PATIENCE", "MEMSPAN_CHECKPOINT_SECONDS"):
        seconds(variable, 0)  # wrong ones are said now

    return Store(folder, storage, tracking_uri)


def _open_existing(folder: Path, storage: str | None, tracking_uri: str | None, remedy: str) -> Store:
    from suite.store import exists

    if not storage and not exists(folder):
        raise InputError(f"no store in {str(folder)!r}; run `memspan run {remedy}` first, or give --store or --storage")
    return _open(folder, storage, tracking_uri)


@dataclass(frozen=True)
class _Hands:
    """Who does the runs, as the command line has it."""

    engine: str
    workers: int
    devices: str | None
    address: str | None
    gpus: float | None
    attempts: int
    quiet: bool

    @property
    def count(self) -> int:
        from suite.engines.devices import slots

        return self.workers or len(slots(0, self.devices))

    def made(self) -> Engine:
        from suite import engines

        return engines.make(
            self.engine, workers=self.workers, devices=self.devices, address=self.address, gpus=self.gpus
        )

    def keep_models(self, plan: Plan, store: Store) -> None:
        """Keep the best model of each finished row, and say where, and what of them is to be known."""
        from suite import models
        from suite.runner import Told

        total = sum(not row.there for row in models.rows(plan, store.folder))
        with _counting("models", total, self.quiet) as tick:
            told = Told(done=lambda job, outcome: tick(), trouble=lambda text: errors.print(text, style="red"))
            found = models.keep(plan, store, self.made(), told)
        for finding in found:
            if finding.note:
                text = f"model of {finding.row.job.variant} on {finding.row.job.level}: {finding.note}"
                errors.print(text, style="yellow", highlight=False, markup=False, soft_wrap=True)
        if found and not self.quiet:
            folder = store.folder / "models" / plan.experiment.name
            errors.print(f"{total} models made, {len(found)} in {folder}", soft_wrap=True, highlight=False)

    def run(self, plan: Plan, store: Store) -> dict[str, str]:
        """Do what a plan lacks, and show how it goes; the reasons of the runs that failed for good."""
        from suite import engines, runner
        from suite.progress import Bars

        with Bars(plan, errors, lambda: self.count, self.quiet) as bars:
            engine = self.made()
            if isinstance(engine, engines.Ray) and engine.nodes > 1 and store.place.embedded:
                raise InputError(
                    f"the {engine.nodes} machines of the Ray cluster cannot share files of this one: "
                    "give --storage and --tracking-uri"
                )
            return runner.run(plan, store, engine, bars.told, attempts=self.attempts)


def _incomplete(plan: Plan, failed: dict[str, str]) -> int:
    """Say what is missing; the exit code."""
    if plan.done == plan.planned:
        return 0
    why = f": {len(failed)} failed for good, and others wait for them" if failed else ""
    errors.print(
        f"memspan: {plan.planned - plan.done} of {plan.planned} runs are missing{why}; "
        f"see `memspan status {plan.experiment.name}`",
        style="red",
        soft_wrap=True,
        highlight=False,
    )
    return 1


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
    chosen = _experiment(experiment, architectures, tasks, seeds, trials, steps)
    opened = _open_existing(store, storage, tracking_uri, experiment)
    from suite import runner
    from suite.status import show
    from suite.status import status as status_of

    found = status_of(runner.open_plan(chosen, opened), opened.ledger, attempts)
    if as_json:
        print(json.dumps(found.as_data(), indent=2))
    else:
        show(found, console)
    return 0 if found.complete else 1


@app.command()
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
        chosen = _experiment(experiment, architectures, tasks, seeds, trials, steps)
        return chosen, _open_existing(store, storage, tracking_uri, experiment)

    from suite.leaderboards import render
    from suite.leaderboards.table import leaderboard as table_of

    record, opened = _record(experiment, opener, curves=output is not None or frozen)
    board = table_of(record)
    if output is not None or frozen:
        from suite.leaderboards.writing import freeze, write

        try:
            written = freeze(board, store / "frozen") if frozen else write(board, output or Path())
        except OSError as error:
            raise InputError(f"--output {str(output)!r} cannot be written: {error.strerror}") from error
        if opened is not None:
            _keep(board, written, opened, quiet=True)
        errors.print(f"wrote {written[0]} and {len(written) - 1} files beside it", soft_wrap=True)
    if as_json:
        print(render.as_json(board), end="")
    else:
        render.show(board, console)
    return 0 if board.scopes else 1


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
    from suite.leaderboards import manifest as manifests
    from suite.leaderboards.retraining import retrain, runs_again
    from suite.leaderboards.verify import check, chosen

    found = manifests.read(manifest)
    names = chosen(found, rows, everything)
    console.print(f"{found.path}: {len(found.rows)} rows, {found.digest}", highlight=False, soft_wrap=True)
    findings = check(found, names)
    for note in findings.notes:
        console.print(f"note: {note}", highlight=False, markup=False, style="yellow")
    for wrong in findings.wrong:
        console.print(f"wrong: {wrong}", highlight=False, markup=False, style="red", soft_wrap=True)
    if findings.wrong and not findings.suspects:
        return 1
    again = runs_again(found, [] if findings.wrong else names, findings, with_trials)
    exact = sum(run.exact for run in again)
    how = "bit for bit" if exact == len(again) else f"{exact} bit for bit, the others by their skill over the seeds"
    console.print(f"training {len(again)} runs of {len({run.row for run in again})} rows again: {how}", highlight=False)
    with _counting("runs", len(again)) as tick:
        wrong_runs = retrain(again, engines.make(workers=workers, devices=devices), lambda run, differs: tick())
    for wrong in wrong_runs:
        console.print(f"wrong: {wrong}", highlight=False, markup=False, style="red", soft_wrap=True)
    if findings.wrong or wrong_runs:
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
    from suite.experiment import load
    from suite.leaderboards import changes

    def opener(name: str) -> tuple[Experiment, Store]:
        return load(name), _open_existing(store, storage, tracking_uri, name)

    records = [_record(name, partial(opener, name), curves=False)[0] for name in (first, second)]
    found = changes.changes(*records)
    if as_json:
        print(changes.as_json(found))
    else:
        changes.show(found, console)


@app.command()
def ui(
    store: StoreOption = Path("mlruns"),
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port to listen on.")] = 5000,
    host: Annotated[
        str, typer.Option(help="Address to listen on; others than this machine get in without a password.")
    ] = "127.0.0.1",
) -> None:
    """Open the store in MLflow's own UI, on this machine only."""
    folder = store.resolve()
    if not (folder / "mlflow.db").exists():
        raise InputError(f"no store in {str(store)!r}; run `memspan run quick` first, or give --store")
    with socket.socket() as probe:
        if probe.connect_ex((host, port)) == 0:
            raise InputError(f"port {port} on {host} is in use; give another --port")
    environment = {**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    uri = f"sqlite:///{folder / 'mlflow.db'}"
    arguments = ["ui", "--backend-store-uri", uri, "--host", host, "--port", str(port), "--workers", "1"]
    console.print(f"MLflow starts on http://{host}:{port} in some ten seconds; Ctrl-C stops it.")
    os.execve(sys.executable, [sys.executable, "-m", "mlflow", *arguments], environment)


@app.command()
def doctor(store: StoreOption = Path("mlruns"), storage: Storage = None, tracking_uri: TrackingUri = None) -> int:
    """Check versions, devices, threads, kernels and whether the store answers."""
    from suite.doctor import checks

    table = Table(box=None, show_header=False, padding=(0, 2))
    healthy = True
    for name, text, good in checks(store, storage, tracking_uri):
        table.add_row(name, escape(text), style="" if good else "red")
        healthy = healthy and good
    console.print(table)
    return 0 if healthy else 1


@app.command()
def claims(
    names: Annotated[list[str] | None, typer.Argument(help="Names from `memspan list`, or TOML files; all.")] = None,
    budget: Annotated[
        str, typer.Option(help="small: an hour for all of them on two cores; full: to publish.")
    ] = "small",
    store: StoreOption = Path("mlruns"),
    workers: Workers = 0,
    devices: Devices = None,
    engine: EngineName = "local",
    address: Address = None,
    gpus: Gpus = None,
    attempts: Attempts = 3,
    storage: Storage = None,
    tracking_uri: TrackingUri = None,
    output: Annotated[
        Path | None, typer.Option(help="Folder of the report. Default: claims/BUDGET in the store.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would run and how long it takes.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Print the verdicts only.")] = False,
) -> int:
    """Put the lesson's claims, or your own, to the test: run what is missing, print and write the verdicts."""
    from suite.claims.claim import chosen

    wanted = chosen(names or [])
    experiments = {claim.name: claim.asks(budget) for claim in wanted}
    from suite.plan import studies

    for experiment in experiments.values():
        studies(experiment)  # whatever is wrong with any of them is said before a store is touched
    from suite import runner
    from suite.claims import report
    from suite.claims.testing import needs_runs, put_to_the_test

    hands = _Hands(engine, workers, devices, address, gpus, attempts, quiet)
    opened = _open(store, storage, tracking_uri)
    if dry_run:
        from suite.estimate import estimate

        for claim in wanted:
            if needs_runs(claim):
                console.print(f"claim {claim.name}", style="bold", highlight=False)
                estimate(runner.open_plan(experiments[claim.name], opened), hands.count, console)
        return 0
    found = []
    incomplete = 0
    for number, claim in enumerate(wanted, start=1):
        if not quiet:
            errors.print(f"claim {number} of {len(wanted)}: {claim.name}", highlight=False)

        def run(plan: Plan) -> None:
            nonlocal incomplete
            incomplete |= _incomplete(plan, hands.run(plan, opened))

        found.append(put_to_the_test(claim, budget, opened, run, _ticking))
    folder = output or opened.folder / "claims" / budget
    try:
        written = report.write(found, folder)
    except OSError as error:
        raise InputError(f"--output {str(folder)!r} cannot be written: {error.strerror}") from error
    for judged in found:
        mine = [path for path in written if path.stem == judged.claim.name]
        opened.tracking.keep_report(experiments[judged.claim.name].name, f"claim, budget {budget}", mine)
    report.show(found, console)
    errors.print(f"wrote {written[0]} and {len(written) - 1} files beside it", soft_wrap=True)
    return incomplete


def _ticking(total: int) -> AbstractContextManager[Callable[[], None]]:
    return _counting("timing, the arms in turns", total)


@contextmanager
def _counting(what: str, total: int, quiet: bool = False) -> Iterator[Callable[[], None]]:
    """A bar with the time left."""
    from rich.progress import Progress

    with Progress(console=errors, transient=True, disable=quiet or not errors.is_terminal) as bars:
        task = bars.add_task(what, total=total)
        yield lambda: bars.advance(task)


@app.command()
def gradients(
    architectures: Annotated[
        str, typer.Option(help="These, with options if wanted: 'rnn,rnn init=orthogonal,lstm depth=2'. Default: all.")
    ] = "",
    length: Annotated[int, typer.Option(help="Steps T of the sequences.")] = 100,
    hidden_size: Annotated[int, typer.Option(min=1, help="Of every architecture (equal width).")] = 64,
    parameters: Annotated[int | None, typer.Option(min=1, help="Of every architecture instead, to 5 %.")] = None,
    seeds: Annotated[int, typer.Option(min=1, help="Initialisations.")] = 5,
    output: Annotated[Path, typer.Option(help="Folder for gradients.png and gradients.svg.")] = Path("."),
    as_json: Annotated[bool, typer.Option("--json", help="For programs, with the curves.")] = False,
) -> None:
    """Draw how the gradient through time vanishes or explodes before training: the product of 100 Jacobians."""
    from suite import registry
    from suite.diagnostics.survey import survey
    from suite.diagnostics.survey_table import as_json as text_of
    from suite.diagnostics.survey_table import show
    from suite.plots.gradients import survey_figure
    from suite.plots.style import save

    labels = [label.strip() for label in architectures.split(",")] if architectures else registry.architectures.names()
    rows = survey(labels, length=length, hidden_size=hidden_size, parameters=parameters, seeds=seeds)
    try:
        written = save(survey_figure(rows), output / "gradients")
    except OSError as error:
        raise InputError(f"--output {str(output)!r} cannot be written: {error.strerror}") from error
    if as_json:
        print(text_of(rows))
    else:
        show(rows, console)
    for path in written:
        errors.print(f"wrote {path}")


@app.command()
def speed(
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
    overhead: Annotated[bool, typer.Option("--overhead", help="A whole run against a bare loop instead.")] = False,
    workers: Annotated[bool, typer.Option("--workers", help="Two workers against one instead.")] = False,
    scheduler: Annotated[
        bool, typer.Option("--scheduler", help="Handing out 100, 1,000 and 10,000 runs that do nothing instead.")
    ] = False,
    storage: Storage = None,
    tracking_uri: TrackingUri = None,
    repetitions: Annotated[int, typer.Option(min=3, help="Interleaved repetitions; medians are shown.")] = 5,
) -> None:
    """Time forward and backward of every architecture against torch's own cells, on one thread: ratios first.

    With an option, something else instead; --scheduler also on --storage and --tracking-uri.
    """
    if overhead:
        _overhead(repetitions, as_json)
        return
    if workers:
        _workers(repetitions, as_json)
        return
    if scheduler:
        _scheduler(storage, tracking_uri, as_json)
        return
    from suite.speed import speed_table

    rows = speed_table(repetitions=repetitions)
    if as_json:
        print(json.dumps(rows, indent=2))
        return
    for size in dict.fromkeys((row["time"], row["batch"], row["hidden"]) for row in rows):
        table = Table(title="T = {}, batch {}, hidden {}".format(*size), title_justify="left", title_style="bold")
        table.box, table.padding, table.pad_edge = SIMPLE_HEAD, (0, 1), False
        for name in ("cell", "÷ torch", "÷ our LSTM", "÷ floor", "÷ loop", "ms", "path"):
            table.add_column(name, justify="left" if name in ("cell", "path") else "right", no_wrap=True)
        for row in rows:
            if (row["time"], row["batch"], row["hidden"]) == size:
                ratios = (row[name] for name in ("to_torch", "to_lstm", "to_floor", "to_definition"))
                numbers = ["–" if ratio is None else f"{ratio:.2f}" for ratio in ratios]
                table.add_row(row["form"], *numbers, f"{row['ours_ms']:.2f}", row["path"])
        console.print(table)
    console.print(
        "Forward and backward on one thread, medians of interleaved repetitions; our time as a multiple of torch's own "
        "cell, of our LSTM, of the matrix products alone, and of the loop over the definition. Below 1 is faster.",
        style="dim",
    )


def _overhead(repetitions: int, as_json: bool) -> None:
    from suite.overhead import SHARES
    from suite.overhead import overhead as measure

    found = measure(repetitions=repetitions)
    if as_json:
        print(json.dumps(found, indent=2))
        return
    table = Table(box=None, show_header=False, padding=(0, 2))
    table.add_row("a whole run, as a multiple of a bare loop", f"{found['ratio']:.3f}")
    for name in SHARES:
        table.add_row(f"  {name}", f"{found[name]:.3f}")
    table.add_row("bare loop, whole run", f"{found['bare_seconds']:.2f} s, {found['whole_seconds']:.2f} s")
    console.print(table)


def _workers(repetitions: int, as_json: bool) -> None:
    from suite.scaling import workers

    found = workers(repetitions)
    if as_json:
        print(json.dumps(found, indent=2))
        return
    table = Table(box=None, show_header=False, padding=(0, 2))
    table.add_row("two workers, as a multiple of one", f"{found['ratio']:.2f}")
    table.add_row("runs per minute of one and of two", f"{found['one']:.1f}, {found['two']:.1f}")
    console.print(table)


def _scheduler(storage: str | None, tracking_uri: str | None, as_json: bool) -> None:
    from suite.scaling import SIZES, scheduler

    found = [scheduler(runs, storage, tracking_uri) for runs in SIZES]
    if as_json:
        print(json.dumps(found, indent=2))
        return
    table = Table(box=SIMPLE_HEAD, padding=(0, 1), pad_edge=False)
    for heading in ("runs", "ms per run", "in the second half", "s to plan when all are done"):
        table.add_column(heading, justify="right")
    for row in found:
        numbers = (row["milliseconds_per_run"], row["milliseconds_in_the_second_half"], row["planning_seconds"])
        table.add_row(f"{row['runs']:,.0f}", *(f"{number:.1f}" for number in numbers))
    console.print(table)


INTERRUPTED = 130
"""What typer returns after Ctrl-C."""


def _say_interrupted() -> NoReturn:
    errors.print(
        "memspan: interrupted; what is finished is kept, and the same command goes on from there", soft_wrap=True
    )
    sys.exit(1)


def main() -> None:
    """The entry point: bad input is one message and exit code 2, an interruption is exit code 1."""
    sys.path.insert(0, "")  # so that `package.module:Class` finds what lies in the working directory
    try:
        result: Any = app(standalone_mode=False)
    except InputError as error:
        errors.print(f"memspan: {error}", style="red", highlight=False, soft_wrap=True, markup=False)
        sys.exit(2)
    except StoreError as error:
        text = f"memspan: {error}; what is finished is kept, and the same command goes on from there"
        errors.print(text, style="red", highlight=False, soft_wrap=True, markup=False)
        sys.exit(1)
    except (KeyboardInterrupt, typer.Abort):
        _say_interrupted()
    except Exception as error:
        if hasattr(error, "exit_code") and hasattr(error, "show"):  # a usage error of the command line's own
            error.show()
            sys.exit(error.exit_code)
        raise
    if result == INTERRUPTED:
        _say_interrupted()
    sys.exit(result if isinstance(result, int) else 0)
