"""A client of MLflow that waits for a store that is away, and the tags for the origin of a record."""

from __future__ import annotations

import logging
import os
import platform
import sqlite3
import subprocess
from collections.abc import Callable
from contextlib import closing, suppress
from functools import cache, partial
from pathlib import Path
from typing import Any, TypeVar

import sqlalchemy as sa
from mlflow import MlflowClient, environment_variables
from mlflow.exceptions import MlflowException
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore
from mlflow.utils.credentials import get_default_host_creds
from mlflow.utils.rest_utils import http_request

from suite.errors import InputError, StoreError, redacted
from suite.store.addresses import embedded_address, shown
from suite.store.database import Database
from suite.store.process import Process
from suite.store.retrying import LONGEST_REASON, retried

logging.getLogger("mlflow").setLevel(logging.WARNING)  # It reports every table that it makes.
logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)  # It logs errors that are raised too.

T = TypeVar("T")

REMEDY = "memspan makes a new one; the ledger keeps every result, and MLflow's UI shows the runs from then on"


class RetryingClient:
    """An MLflow client whose calls wait for a store that is away for a moment.

    Args:
        address: the address of MLflow's server or database.
        reads_only: open a database for reading alone.

    Raises:
        DamagedError: if the database is damaged.
        InputError: if an environment variable of MLflow has a value that MLflow cannot read.
        StoreError: if the server or the database does not answer, or does not answer as MLflow does.
    """

    def __init__(self, address: str, *, reads_only: bool = False) -> None:
        _check_variables()
        self._database: Database | None = None
        self.is_empty = False
        """True if MLflow has not made its tables yet, which a reader does not do."""
        if not address.startswith("http"):
            # MLflow itself would try for minutes, and without a word, to open a database that is away or damaged.
            self._database = Database(sa.make_url(address), "MLflow's database", REMEDY, reads_only=reads_only)
            self.is_empty = not self._database.columns("experiments") and reads_only
            self._database.engine.dispose()
        if self.is_empty:
            return
        is_file = self._database is not None and self._database.file is not None
        opened = self._database.reading_address if self._database and is_file and reads_only else address
        try:
            self._client = self._retried(partial(MlflowClient, tracking_uri=opened))
            self._retried(partial(self._client.search_experiments, max_results=1))
        except (MlflowException, ValueError) as error:
            reason = redacted(str(error).strip().splitlines()[0][:LONGEST_REASON])
            raise StoreError(f"{shown(address)} does not answer as MLflow does ({reason})") from error

    def _retried(self, call: Callable[[], T]) -> T:
        return self._database.retried(call) if self._database else retried(call)

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._client, name)
        return lambda *arguments, **named: self._retried(partial(method, *arguments, **named))


def _check_variables() -> None:
    """Check that MLflow can read every environment variable of its own that is set.

    Raises:
        InputError: if it cannot read one.
    """
    for variable in vars(environment_variables).values():
        if isinstance(variable, environment_variables._EnvironmentVariable) and variable.name in os.environ:
            try:
                variable.get()  # type: ignore[no-untyped-call]
            except ValueError as error:
                raise InputError(f"the environment variable {variable.name} is one of MLflow: {error}") from error


def create_database(database: Path) -> None:
    """Create MLflow's database beside its place, and move it there when it is complete.

    MLflow makes its tables in many steps, and a process that is killed between them would leave half of the database.
    """
    unfinished = database.with_name(f"{database.name}.{os.getpid()}")
    # MLflow writes the place of artifacts into a statement of SQL as it is. Only as an address has it no quotes.
    artifacts = (database.parent / "artifacts").as_uri()
    SqlAlchemyStore(embedded_address(unfinished), artifacts).engine.dispose()  # type: ignore[no-untyped-call]
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
