"""``memspan claims``."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from suite.cli._app import app, console, print_written, stderr
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
    from suite.claims.claim import Claim
    from suite.claims.verdict import ClaimVerdict
    from suite.planning.plan import Plan
    from suite.store.store import Store


@app.command()
def claims(
    names: Annotated[
        list[str] | None,
        typer.Argument(help="Names of claims from `memspan list`, or TOML files. Default: those of a set."),
    ] = None,
    set_: Annotated[
        str | None,
        typer.Option(
            "--set",
            help="The set of claims: lesson, field, or one of your own. Default: lesson.",
        ),
    ] = None,
    budget: Annotated[
        str, typer.Option(help="small takes an hour for the lesson's claims on two cores. full is for publications.")
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
        Path | None,
        typer.Option(help="The folder of the report. Default: claims/[SET/]BUDGET in the store."),
    ] = None,
    no_check: NoCheck = False,
    dry_run: DryRun = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Print only the verdicts.")] = False,
) -> int:
    """Test the claims of the lesson, of the field, or your own, and print the verdicts.

    This executes the runs that are missing, and writes a report. The exit code is 0 if no run is missing at the end,
    and 1 otherwise.
    """
    prepare_workers(engine, workers, dry_run)
    from suite.claims.claim import available, load_all, load_set
    from suite.claims.evaluation import check_states
    from suite.store.origin import check_origin

    if names and set_ is not None:
        raise InputError(f"give the names of claims, or --set; got {', '.join(names)} and --set {set_}")
    selected = load_all(names) if names else load_set(set_ or "lesson")
    check_before_runs([claim.experiment_with(budget) for claim in selected], no_check)
    for claim in selected:
        check_states(claim)
    options = RunOptions(engine, workers, devices, address, gpus, attempts, quiet)
    opened = open_store(store, storage, tracking_uri, reads_only=dry_run)
    for name in names or []:
        check_origin(opened, name, available())
    if dry_run:
        _print_estimates(selected, budget, opened, options)
        return 0
    verdicts, exit_code = _evaluate(selected, budget, opened, options)
    folder = opened.folder / "claims" / ("" if names else set_ or "lesson") / budget
    _write(verdicts, budget, opened, output or folder, quiet)
    return exit_code


def _print_estimates(selected: list[Claim], budget: str, store: Store, options: RunOptions) -> None:
    from suite.claims.evaluation import needs_runs
    from suite.claims.verdict import power_of
    from suite.console.estimate import print_estimate
    from suite.console.progress import duration
    from suite.running import runner

    totals: list[tuple[int, float]] = []
    for claim in selected:
        if needs_runs(claim):
            console.print(f"claim {claim.name}", style="bold", highlight=False)
            plan = runner.open_plan(claim.experiment_with(budget), store)
            options.show_sizes(plan)
            power = power_of(claim, claim.budget[budget].seeds)
            totals.append(print_estimate(plan, options.worker_count, console, power))
    if len(totals) > 1:
        runs, seconds = map(sum, zip(*totals, strict=True))
        console.print(f"all {len(totals)} claims", style="bold", highlight=False)
        console.print(
            f"{many(runs, 'run')} {'is' if runs == 1 else 'are'} missing, less those that claims share. With "
            f"{many(options.worker_count, 'worker')}, they take about {duration(seconds)}.",
            highlight=False,
        )


def _evaluate(selected: list[Claim], budget: str, store: Store, options: RunOptions) -> tuple[list[ClaimVerdict], int]:
    """Return the verdict on each claim, and the exit code, which is 1 if runs are missing."""
    from suite.claims.evaluation import evaluate_claim
    from suite.console.progress import counting_bar

    verdicts = []
    exit_code = 0

    def run(plan: Plan) -> None:
        nonlocal exit_code
        exit_code |= report_missing(plan, options.run(plan, store), "a larger --attempts tries them again")

    def timing_bar(total: int) -> AbstractContextManager[Callable[[], None]]:
        return counting_bar("timing both arms in turns", total, stderr, options.quiet)

    for number, claim in enumerate(selected, start=1):
        if not options.quiet:
            stderr.print(f"claim {number} of {len(selected)}: {claim.name}", highlight=False)
        verdicts.append(evaluate_claim(claim, budget, store, run, timing_bar))
    return verdicts, exit_code


def _write(verdicts: list[ClaimVerdict], budget: str, store: Store, folder: Path, quiet: bool) -> None:
    from suite.claims import report

    try:
        written = report.write_report(verdicts, folder)
    except OSError as error:
        raise InputError(f"--output {str(folder)!r} cannot be written: {error.strerror}") from error
    for verdict in verdicts:
        pictures = [path for path in written if path.stem == verdict.claim.name]
        experiment = verdict.claim.experiment_with(budget).name
        store.tracking.keep_report(experiment, f"claim, budget {budget}", pictures)
    report.print_verdicts(verdicts, console, legend=not quiet)
    if not quiet:
        print_written(written)
