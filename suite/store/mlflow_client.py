"""A client of MLflow that waits for a store that is away, and the tags for the origin of a record."""

from __future__ import annotations

import logging
import os
import platform
import sqlite3
import subprocess
from contextlib import closing, suppress
from functools import cache, partial
from pathlib import Path
from typing import Any

from mlflow import MlflowClient
from mlflow.utils.credentials import get_default_host_creds
from mlflow.utils.rest_utils import http_request

from suite.store.process import Process
from suite.store.retrying import retried

logging.getLogger("mlflow").setLevel(logging.WARNING)  # It reports every table that it makes.
logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)  # It logs errors that are raised too.


class RetryingClient:
    """An MLflow client whose calls wait for a store that is away for a moment."""

    def __init__(self, uri: str) -> None:
        self._client = retried(MlflowClient, tracking_uri=uri)

    def __getattr__(self, name: str) -> Any:
        return partial(retried, getattr(self._client, name))


def create_database(database: Path) -> None:
    """Create MLflow's database beside its place, and move it there when it is complete.

    MLflow makes its tables in many steps, and a process that is killed between them would leave half of the database.
    """
    unfinished = database.with_name(f"{database.name}.{os.getpid()}")
    MlflowClient(tracking_uri=f"sqlite:///{unfinished}").search_experiments(max_results=1)
    with closing(sqlite3.connect(unfinished)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")  # Readers need not wait for a writer.
    with suppress(FileExistsError):  # Another process was first, and its database is as good.
        os.link(unfinished, database)
    unfinished.unlink()


def server_version(uri: str) -> str:
    """Ask a tracking server for its version."""
    credentials = get_default_host_creds(uri)  # type: ignore[no-untyped-call]

    def ask() -> str:
        answer: Any = http_request(credentials, "/version", "GET", timeout=10)  # type: ignore[no-untyped-call]
        return str(answer.text)

    return retried(ask)


def process_tags() -> dict[str, str]:
    """Return the tags of this process, by which a later one can tell whether it still works on a record."""
    process = Process.current()
    return {"host": platform.node(), "machine": process.machine, "pid": str(process.pid)}


def process_of(tags: dict[str, str]) -> Process:
    """Return the process whose `process_tags` these are."""
    return Process(tags.get("machine", ""), int(tags.get("pid", "0")))


@cache
def origin_tags() -> dict[str, str]:
    """Return tags with the commit of the code and its local changes. There are none outside of a git checkout."""
    folder = Path(__file__).parent

    def git(*arguments: str) -> str:
        return subprocess.run(
            ["git", "-C", str(folder), *arguments], capture_output=True, text=True, check=True, timeout=10
        ).stdout.strip()

    try:
        return {"git_commit": git("rev-parse", "HEAD"), "git_dirty": str(bool(git("status", "--porcelain", "-uno")))}
    except (OSError, subprocess.SubprocessError):
        return {}
