"""The options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def _given_as(context: typer.Context, parameter: typer.CallbackParam) -> str:
    """Return the name by which the value of an option was given: that of the option or of an environment variable."""
    source = context.get_parameter_source(parameter.name or "")
    is_variable = source is not None and source.name == "ENVIRONMENT"
    return f"the environment variable {parameter.envvar}" if is_variable else parameter.opts[0]


def _checked_storage(context: typer.Context, parameter: typer.CallbackParam, value: str | None) -> str | None:
    if value is None:
        return None
    from suite.store.addresses import check_database_address

    return check_database_address(value, _given_as(context, parameter))


def _checked_tracking_uri(context: typer.Context, parameter: typer.CallbackParam, value: str | None) -> str | None:
    if value is None:
        return None
    from suite.store.addresses import check_tracking_address

    return check_tracking_address(value, _given_as(context, parameter))


Name = Annotated[str, typer.Argument(help="The name of an experiment from `memspan list`, or the path of a TOML file.")]
StoreOption = Annotated[Path, typer.Option(help="The folder of the store.")]
Architectures = Annotated[str, typer.Option(help="Select rows by their labels, separated by commas.")]
Tasks = Annotated[str, typer.Option(help="Select task tables by their labels, separated by commas.")]
Seeds = Annotated[int | None, typer.Option(min=1, help="Evaluate on this many seeds.")]
Trials = Annotated[int | None, typer.Option(min=0, help="Run this many trials per study.")]
Steps = Annotated[int | None, typer.Option(min=1, help="Train for this many optimiser steps.")]
Workers = Annotated[
    int,
    typer.Option(min=0, help="Execute this many runs at a time. 0 means one per GPU, or one per core without GPUs."),
]
Devices = Annotated[
    str | None, typer.Option(help="The GPUs of the workers, such as '0,2,3', or 'cpu'.", show_default="all GPUs")
]
EngineName = Annotated[str, typer.Option("--engine", help="The engine that executes the runs: local or ray.")]
Address = Annotated[
    str | None,
    typer.Option(
        help="The address of a Ray cluster, such as 'host:6379'. Default: RAY_ADDRESS, or one on this machine."
    ),
]
Gpus = Annotated[float | None, typer.Option(min=0, help="The GPUs of each run under Ray. It can be a fraction.")]
Attempts = Annotated[
    int,
    typer.Option(min=1, help="Give up a run after this many failures. A larger number lets it be tried again."),
]
Storage = Annotated[
    str | None,
    typer.Option(
        envvar="OPTUNA_STORAGE",
        callback=_checked_storage,
        help="A database instead of files for the ledger and Optuna: postgresql://user@host/name.",
    ),
]
TrackingUri = Annotated[
    str | None,
    typer.Option(
        envvar="MLFLOW_TRACKING_URI",
        callback=_checked_tracking_uri,
        help="An MLflow server instead of files: http://host:5000.",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only print the missing runs and the time that they take.")]
NoCheck = Annotated[
    bool,
    typer.Option("--no-check", help="Start the runs without a look at whether cells and tasks keep their contracts."),
]
