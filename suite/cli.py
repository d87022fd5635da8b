"""The command line: thin, and quick to answer (heavy libraries are imported by the commands that need them)."""

from __future__ import annotations

import json
import os
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from suite.errors import InputError

if TYPE_CHECKING:
    from rich.progress import TaskID

    from suite.experiment import Experiment
    from suite.job import Job, Outcome
    from suite.plan import Plan
    from suite.tracking import Store

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
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
Workers = Annotated[int, typer.Option(min=0, help="Runs at a time, one thread each; 0 is one per core.")]


@app.command("list")
def list_(as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False) -> None:
    """Show the architectures, the tasks, the experiments and the claims."""
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
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would run and how long it takes.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Print the leaderboard only.")] = False,
) -> None:
    """Run what is missing of an experiment, then print its leaderboard.

    Interrupt it at any moment and run it again: what is finished is not done twice.
    """
    chosen = _experiment(experiment, architectures, tasks, seeds, trials, steps)
    from suite.plan import studies

    studies(chosen)  # whatever is wrong is said before a store is touched
    from suite import runner
    from suite.leaderboards.render import show
    from suite.leaderboards.table import leaderboard as table_of
    from suite.tracking import Store

    opened = Store(store)
    plan = runner.open_plan(chosen, opened)
    if dry_run:
        _estimate(plan, workers or _cores())
        return
    _run(plan, opened, workers or _cores(), quiet)
    show(table_of(plan), console)


def _run(plan: Plan, store: Store, workers: int, quiet: bool) -> None:
    """Do what a plan lacks, and show how it goes."""
    from suite import runner

    with _Progress(plan, workers, quiet) as progress:
        runner.run(
            plan,
            store,
            workers=workers,
            on_done=progress.done,
            on_progress=progress.step,
            on_interrupt=progress.interrupted,
        )


@app.command()
def leaderboard(
    experiment: Name,
    store: StoreOption = Path("mlruns"),
    architectures: Architectures = "",
    tasks: Tasks = "",
    seeds: Seeds = None,
    trials: Trials = None,
    steps: Steps = None,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
    output: Annotated[Path | None, typer.Option(help="Write tables (Markdown, CSV, JSON) and pictures there.")] = None,
) -> None:
    """Print the leaderboard of what is recorded. Give the same options as to `run`."""
    chosen = _experiment(experiment, architectures, tasks, seeds, trials, steps)
    if not (store / "mlflow.db").exists():
        raise InputError(f"no store in {str(store)!r}; run `memspan run {experiment}` first, or give --store")
    from suite import runner
    from suite.leaderboards import render
    from suite.leaderboards.table import leaderboard as table_of
    from suite.tracking import Store

    opened = Store(store)
    board = table_of(runner.open_plan(chosen, opened))
    if output is not None:
        try:
            written = render.write(board, output)
        except OSError as error:
            raise InputError(f"--output {str(output)!r} cannot be written: {error.strerror}") from error
        opened.keep_report(chosen.name, "leaderboard", written)
        for path in written:
            errors.print(f"wrote {path}")
    if as_json:
        print(render.as_json(board), end="")
    else:
        render.show(board, console)


@app.command()
def ui(
    store: StoreOption = Path("mlruns"),
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port on 127.0.0.1.")] = 5000,
) -> None:
    """Open the store in MLflow's own UI, on this machine only."""
    folder = store.resolve()
    if not (folder / "mlflow.db").exists():
        raise InputError(f"no store in {str(store)!r}; run `memspan run quick` first, or give --store")
    with socket.socket() as probe:
        if probe.connect_ex(("127.0.0.1", port)) == 0:
            raise InputError(f"port {port} on 127.0.0.1 is in use; give another --port")
    environment = {**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    uri = f"sqlite:///{folder / 'mlflow.db'}"
    arguments = ["ui", "--backend-store-uri", uri, "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    console.print(f"MLflow starts on http://127.0.0.1:{port} in some ten seconds; Ctrl-C stops it.")
    os.execve(sys.executable, [sys.executable, "-m", "mlflow", *arguments], environment)


@app.command()
def doctor(store: StoreOption = Path("mlruns")) -> None:
    """Check versions, devices, threads, kernels and the store."""
    from importlib.metadata import version
    from importlib.util import find_spec

    import torch

    from suite import kernels
    from suite.registry import architectures
    from suite.tracking import PACKAGES, Store

    table = Table(box=None, show_header=False, padding=(0, 2))
    table.add_row("Python", sys.version.split()[0])
    for name in PACKAGES:
        table.add_row(name, version(name))
    missing = [name for name in ("sklearn", "statsmodels") if find_spec(name) is None]
    table.add_row(
        "extra data", "missing: pip install 'memspan[data]' for digits and sunspots" if missing else "installed"
    )
    gpus = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
    table.add_row("GPUs", ", ".join(gpus) or "none")
    table.add_row("cores", f"{_cores()}, of which one per worker")
    for name in architectures.names():
        cell = architectures.get(name)(4, 8)
        table.add_row(f"path of {name}", kernels.path(cell))
    try:
        table.add_row("store", f"{Store(store).folder}: can be written")
    except InputError as error:
        table.add_row("store", f"[red]{error}[/red]")
    console.print(table)


@app.command()
def claims(
    names: Annotated[list[str] | None, typer.Argument(help="Names from `memspan list`, or TOML files; all.")] = None,
    budget: Annotated[
        str, typer.Option(help="small: an hour for all of them on two cores; full: to publish.")
    ] = "small",
    store: StoreOption = Path("mlruns"),
    workers: Workers = 0,
    output: Annotated[
        Path | None, typer.Option(help="Folder of the report. Default: claims/BUDGET in the store.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would run and how long it takes.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Print the verdicts only.")] = False,
) -> None:
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
    from suite.tracking import Store

    opened = Store(store)
    if dry_run:
        for claim in wanted:
            if needs_runs(claim):
                console.print(f"claim {claim.name}", style="bold", highlight=False)
                _estimate(runner.open_plan(experiments[claim.name], opened), workers or _cores())
        return
    found = []
    for number, claim in enumerate(wanted, start=1):
        if not quiet:
            errors.print(f"claim {number} of {len(wanted)}: {claim.name}", highlight=False)

        def run(plan: Plan) -> None:
            _run(plan, opened, workers or _cores(), quiet)

        found.append(put_to_the_test(claim, budget, opened, run, _ticking))
    folder = output or opened.folder / "claims" / budget
    try:
        written = report.write(found, folder)
    except OSError as error:
        raise InputError(f"--output {str(folder)!r} cannot be written: {error.strerror}") from error
    for judged in found:
        mine = [path for path in written if path.stem == judged.claim.name]
        opened.keep_report(experiments[judged.claim.name].name, f"claim, budget {budget}", mine)
    report.show(found, console)
    errors.print(f"wrote {written[0]} and {len(written) - 1} files beside it", soft_wrap=True)


@contextmanager
def _ticking(total: int) -> Iterator[Callable[[], None]]:
    """A bar for what is timed."""
    from rich.progress import Progress

    with Progress(console=errors, transient=True, disable=not errors.is_terminal) as bars:
        task = bars.add_task("timing, the arms in turns", total=total)
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
    repetitions: Annotated[int, typer.Option(min=3, help="Interleaved repetitions; medians are shown.")] = 5,
) -> None:
    """Time forward and backward of every architecture against torch's own cells, on one thread: ratios first."""
    if overhead:
        _overhead(repetitions, as_json)
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


class _Progress:
    """A bar with the time left on a terminal; elsewhere a line per run."""

    def __init__(self, plan: Plan, workers: int, quiet: bool) -> None:
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        self.plan = plan
        self.quiet = quiet
        self.bars = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=errors,
            disable=quiet or not errors.is_terminal,
            speed_estimate_period=600,
        )
        self.workers = workers
        self.seconds: list[float] = []
        self.already = plan.done
        self.count = self.already

    def __enter__(self) -> _Progress:
        self.bars.start()
        self.all = self.bars.add_task("all runs (starting)", total=self.plan.planned, completed=self.already)
        self.running: dict[str, TaskID] = {}
        return self

    def __exit__(self, *error: object) -> None:
        self.bars.stop()

    def step(self, job: Job, step: int) -> None:
        """A bar for each current run; called from the engine's thread."""
        if job.key not in self.running:
            number = f"trial {job.number}" if job.role == "trial" else f"seed {job.number}"
            text = f"{job.variant} on {job.level}, {number}"
            self.running[job.key] = self.bars.add_task(text, total=job.config.training.steps)
        self.bars.update(self.running[job.key], completed=step)

    def interrupted(self) -> None:
        errors.print("finishing the runs under way; Ctrl-C again stops at once")

    def done(self, job: Job, outcome: Outcome) -> None:
        self.count += 1
        self.bars.update(self.all, description="all runs", completed=self.count)
        if job.key in self.running:
            self.bars.update(self.running[job.key], visible=False)
        if not self.quiet and not errors.is_terminal:
            self.seconds.append(outcome.metrics["wall_seconds"])
            left = fmean(self.seconds) * (self.plan.planned - self.count) / self.workers
            state = (
                "diverged"
                if outcome.metrics["diverged"]
                else f"validation skill {outcome.metrics['validation_skill']:.2f}"
            )
            errors.print(
                f"{self.count}/{self.plan.planned} {job.study} {job.role} {job.number}: {state}, "
                f"{outcome.metrics['wall_seconds']:.1f} s; about {_duration(left)} left",
                soft_wrap=True,
                highlight=False,
            )


def _estimate(plan: Plan, workers: int) -> None:
    """Print the missing runs of each study, and the time they take by a few measured steps of each."""
    from suite.plan import known
    from suite.training import train

    table = Table(box=None, padding=(0, 2))
    for heading in ("study", "runs missing", "hidden size", "seconds per run"):
        table.add_column(heading, justify="left" if heading == "study" else "right")
    total = 0.0
    for study in plan.studies:
        done = sum(key in plan.finished for key in known(study, plan.finished))
        config = study.config(study.defaults, study.sweep.seed)
        few = config.training.model_copy(update={"steps": 20, "validation_size": 8, "test_size": 8})
        task = config.task.model_copy(update={"test_lengths": ()})
        train(config.model_copy(update={"training": few, "task": task}))  # compiles
        measured = train(config.model_copy(update={"training": few, "task": task}))
        seconds = measured.metrics["training_seconds"] / 20 * config.training.steps
        total += seconds * (plan.experiment.runs_per_study - done)
        table.add_row(
            study.name, str(plan.experiment.runs_per_study - done), str(config.model.hidden_size), f"{seconds:.1f}"
        )
    console.print(table)
    console.print(
        f"{plan.planned - plan.done} of {plan.planned} runs are missing: at most about {total / workers / 60:.1f} "
        f"minutes with {workers} worker{'s' * (workers > 1)}, less where runs stop early because they solved the task."
    )


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"


def _cores() -> int:
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not Linux
        return os.cpu_count() or 1


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
