"""``memspan list``, ``memspan gradients``, ``memspan ui`` and ``memspan doctor``."""

from __future__ import annotations

import json
import os
import socket
import sys
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.markup import escape
from rich.table import Table

from suite.cli._app import app, console, stderr
from suite.cli._options import AsJson, Storage, StoreOption, TrackingUri
from suite.errors import InputError


@app.command("list")
def list_(
    name: Annotated[
        str,
        typer.Argument(
            help="What to describe: an architecture, a task, an experiment, a claim, a label of one of these, a column "
            "of the tables, or `columns` for all of them. Default: list all."
        ),
    ] = "",
    place: Annotated[
        str,
        typer.Argument(
            metavar="[EXPERIMENT]",
            help="The experiment or the claim that has the label, or its TOML file. Default: any.",
        ),
    ] = "",
    family: Annotated[
        str, typer.Option(help="List the architectures of these families alone, such as 'gated' or 'gated,attention'.")
    ] = "",
    as_json: AsJson = False,
) -> None:
    """List the architectures, tasks, experiments and claims, or describe one of them.

    The description of an architecture or a task has its options. That of an experiment or a claim is its file. A label
    of an experiment is described by its architecture or its task, and by what its table sets.
    """
    if name and family:
        raise InputError(f"give the name of what to describe, or --family; got {name!r} and --family {family!r}")
    if name:
        from suite.console.describe import describe

        description = describe(name, place)
        if as_json:
            print(json.dumps(description, indent=2, ensure_ascii=False))
        elif description["kind"] not in ("experiment", "claim"):
            console.print(description["text"], markup=False, highlight=False)
        else:
            print(description["text"])
        return
    from suite.console.listing import everything, of_family, show

    entries = of_family(family) if family else everything()
    if as_json:
        print(json.dumps(entries, indent=2, ensure_ascii=False))
    else:
        show(entries, console)


@app.command()
def gradients(
    experiment: Annotated[
        str, typer.Argument(help="An experiment or its TOML file, whose rows are measured with its sizes.")
    ] = "",
    architectures: Annotated[
        str,
        typer.Option(
            help="Architectures with options, such as 'rnn,rnn init=orthogonal,lstm depth=2', or labels of the "
            "experiment. Default: all."
        ),
    ] = "",
    length: Annotated[int, typer.Option(help="The number of steps T of the sequences.")] = 100,
    hidden_size: Annotated[
        int | None, typer.Option(min=1, help="The hidden size of all. Default: that of the experiment, or 64.")
    ] = None,
    parameters: Annotated[int | None, typer.Option(min=1, help="Their number of parameters instead, to 5 %.")] = None,
    seeds: Annotated[int, typer.Option(min=1, help="The number of initialisations.")] = 5,
    through: Annotated[
        Literal["state", "input"] | None,
        typer.Option(help="Measure only the gradient through the state, or only that from output to input."),
    ] = None,
    output: Annotated[Path, typer.Option(help="The folder for gradients.png and gradients.svg.")] = Path("."),
    no_check: Annotated[
        bool, typer.Option("--no-check", help="Measure without a look at whether the cells keep their contract.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for programs, with the curves.")] = False,
) -> None:
    """Draw how the gradient through time vanishes or explodes before any training.

    For each architecture, this shows the norm of the product of Jacobians over --length steps, and how much an input
    still moves the output so many steps later, each with the memory that follows.
    """
    from suite import registry
    from suite.console.gradient_table import as_json as text_of
    from suite.console.gradient_table import show
    from suite.diagnostics.gradient_survey import Arm, survey
    from suite.experiment.loading import load
    from suite.plots.gradients import survey_figure
    from suite.plots.style import save

    if experiment:
        arms = Arm.from_experiment(load(experiment).select(architectures=architectures or None))
    else:
        labels = architectures.split(",") if architectures else registry.architectures.names()
        arms = [Arm.from_label(label.strip()) for label in labels]
    size: dict[str, int | None] = {"hidden_size": hidden_size, "parameters": parameters}
    rows = survey(arms, length=length, seeds=seeds, through=through, check=not no_check, **size)
    try:
        written = save(survey_figure(rows), output / "gradients")
    except OSError as error:
        raise InputError(f"--output {str(output)!r} cannot be written: {error.strerror}") from error
    if as_json:
        print(text_of(rows))
    else:
        show(rows, console)
    for path in written:
        stderr.print(f"wrote {path}")


@app.command()
def ui(
    store: StoreOption = Path("mlruns"),
    port: Annotated[int, typer.Option(min=1, max=65535, help="The port.")] = 5000,
    host: Annotated[
        str,
        typer.Option(help="The address. With any other address, the runs are open to the network without a password."),
    ] = "127.0.0.1",
) -> None:
    """Open the runs of a store in MLflow's own user interface."""
    folder = store.resolve()
    if not (folder / "mlflow.db").exists():
        raise InputError(f"no store in {str(store)!r}; run `memspan run quick` first, or give --store")
    with socket.socket() as probe:
        if probe.connect_ex((host, port)) == 0:
            raise InputError(f"port {port} on {host} is in use; give another --port")
    environment = {**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    from suite.store.addresses import embedded_address

    uri = embedded_address(folder / "mlflow.db")
    arguments = ["ui", "--backend-store-uri", uri, "--host", host, "--port", str(port), "--workers", "1"]
    console.print(f"MLflow starts on http://{host}:{port} in some ten seconds. Press Ctrl-C to stop it.")
    os.chdir(folder)  # MLflow searches the folder in which it starts before all others.
    os.execve(sys.executable, [sys.executable, "-m", "mlflow", *arguments], environment)


@app.command()
def doctor(store: StoreOption = Path("mlruns"), storage: Storage = None, tracking_uri: TrackingUri = None) -> int:
    """Check the versions, the devices, the kernels and the store.

    The exit code is 0 if all is as it should be, and 1 otherwise.
    """
    from suite.console.doctor import run_checks, verdict

    table = Table(box=None, show_header=False, padding=(0, 2))
    checks = list(run_checks(store, storage, tracking_uri))
    for name, text, good in checks:
        table.add_row(name, escape(text), style="" if good else "red")
    healthy = all(good for *_, good in checks)
    console.print(table)
    console.print(verdict(checks), highlight=False, style="green" if healthy else "red", soft_wrap=True)
    return 0 if healthy else 1
