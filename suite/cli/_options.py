"""The options that several commands have."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

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
