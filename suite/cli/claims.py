"""``memspan claims``."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from suite.cli._app import app, console, errors
from suite.cli._opening import open_store
from suite.cli._options import Address, Attempts, Devices, EngineName, Gpus, Storage, StoreOption, TrackingUri, Workers
from suite.cli._running import RunOptions, counting, say_missing
from suite.errors import InputError

if TYPE_CHECKING:
    from suite.planning.plan import Plan


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
    from suite.planning.plan import studies

    for experiment in experiments.values():
        studies(experiment)  # whatever is wrong with any of them is said before a store is touched
    from suite.claims import report
    from suite.claims.testing import evaluate_claim, needs_runs
    from suite.running import runner

    hands = RunOptions(engine, workers, devices, address, gpus, attempts, quiet)
    opened = open_store(store, storage, tracking_uri)
    if dry_run:
        from suite.console.estimate import estimate

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
            incomplete |= say_missing(plan, hands.run(plan, opened))

        found.append(evaluate_claim(claim, budget, opened, run, _ticking))
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
    return counting("timing, the arms in turns", total)
