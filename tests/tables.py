"""The tables of MLflow, which it makes once for each process of the tests. Their stores have copies of them."""

from __future__ import annotations

import os
import shutil
import sqlite3
from contextlib import closing, suppress
from functools import partial
from pathlib import Path

from suite.store import mlflow_tracking
from suite.store.mlflow_client import create_database

MADE = "MEMSPAN_TESTS_TABLES"
"""The environment variable with the place of MLflow's database that is copied."""


def copy_tables() -> None:
    """Let every store that this process makes from now on have a copy of MLflow's tables, if there are any."""
    mlflow_tracking.create_database = partial(_copy, Path(os.environ[MADE]))


def _copy(made: Path, database: Path) -> None:
    if not made.exists():
        create_database(made)
    unfinished = database.with_name(f"{database.name}.{os.getpid()}")
    shutil.copyfile(made, unfinished)
    with closing(sqlite3.connect(unfinished)) as connection, connection:
        before, after = ((path.parent / "artifacts").as_uri() for path in (made, database))
        change = "UPDATE experiments SET artifact_location = replace(artifact_location, ?, ?)"
        connection.execute(change, (before, after))
    with suppress(FileExistsError):  # Another process was first.
        os.link(unfinished, database)
    unfinished.unlink()
