"""Which errors are worth waiting for: told by their type and code, and not by a word in their text."""

from __future__ import annotations

import errno
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import INTERNAL_ERROR, RESOURCE_DOES_NOT_EXIST, TEMPORARILY_UNAVAILABLE
from requests import exceptions as requests_errors
from sqlalchemy.exc import IntegrityError, InterfaceError, OperationalError

from suite.errors import StoreError
from suite.store.retrying import Trouble, retried, trouble


class DriverError(Exception):
    """An error of a driver of PostgreSQL: it has a code, except where no connection was made."""

    def __init__(self, text: str = "", sqlstate: str | None = None) -> None:
        super().__init__(text)
        self.sqlstate = sqlstate


DriverError.__name__ = "OperationalError"


def wrapped(original: BaseException) -> OperationalError:
    return OperationalError("select 1", {}, original)


def of_sqlite(program: str, path: Path | str) -> sqlite3.Error:
    with pytest.raises(sqlite3.Error) as error:
        sqlite3.connect(path, timeout=0, uri=isinstance(path, str)).execute(program)
    return error.value


def full_disk() -> sqlite3.OperationalError:
    error = sqlite3.OperationalError("database or disk is full")
    error.sqlite_errorcode = sqlite3.SQLITE_FULL
    return error


def raised_from(cause: BaseException, error: BaseException) -> BaseException:
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (wrapped(DriverError("terminating connection", "57P01")), Trouble.AWAY),
        (wrapped(DriverError("deadlock detected", "40P01")), Trouble.AWAY),
        (wrapped(DriverError("connection failed: Connection refused")), Trouble.AWAY),
        (InterfaceError("select 1", {}, DriverError("the connection is closed")), Trouble.AWAY),
        (wrapped(DriverError("could not extend file", "53100")), Trouble.FULL),
        (wrapped(DriverError("read-only transaction", "25006")), Trouble.READ_ONLY),
        (wrapped(DriverError("connection failed: password authentication failed for user 'me'")), Trouble.UNUSABLE),
        (wrapped(DriverError("no such database", "3D000")), Trouble.UNUSABLE),
        (IntegrityError("insert", {}, DriverError("a connection of that name exists", "23505")), None),
        (requests_errors.ConnectionError("refused"), Trouble.AWAY),
        (raised_from(requests_errors.Timeout("10 s"), MlflowException("failed")), Trouble.AWAY),
        (MlflowException("the database restarts", TEMPORARILY_UNAVAILABLE), Trouble.AWAY),
        (raised_from(wrapped(full_disk()), MlflowException("x", TEMPORARILY_UNAVAILABLE)), Trouble.FULL),
        (MlflowException("(sqlite3.OperationalError) database or disk is full", TEMPORARILY_UNAVAILABLE), Trouble.FULL),
        (MlflowException("API request failed with error code 502 != 200", INTERNAL_ERROR), Trouble.AWAY),
        (MlflowException("Run with id=a502b503c504d not found", RESOURCE_DOES_NOT_EXIST), None),
        (OSError(errno.ENOSPC, "No space left on device"), Trouble.FULL),
        (OSError(errno.EROFS, "Read-only file system"), Trouble.READ_ONLY),
        (MlflowException("attempt to write a readonly database", TEMPORARILY_UNAVAILABLE), Trouble.READ_ONLY),
        (MlflowException("database disk image is malformed", TEMPORARILY_UNAVAILABLE), Trouble.DAMAGED),
        (ConnectionResetError("reset"), Trouble.AWAY),
        (FileNotFoundError(errno.ENOENT, "no connection.toml"), None),
        (ValueError("lost its connection: timed out, temporarily"), None),
    ],
    ids=str,
)
def test_the_type_of_an_error_says_whether_to_wait(error: BaseException, kind: Trouble | None) -> None:
    assert trouble(error) is kind


def test_an_embedded_database_is_asked_for_its_code(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("create table t (a)")
    holder.execute("begin exclusive")
    assert trouble(wrapped(of_sqlite("insert into t values (1)", path))) is Trouble.AWAY
    holder.execute("rollback")
    assert trouble(wrapped(of_sqlite("select * from missing", path))) is Trouble.UNUSABLE
    assert trouble(of_sqlite("select 1", tmp_path / "no" / "such.db")) is Trouble.UNUSABLE
    readonly = f"file:{path}?mode=ro"
    assert trouble(of_sqlite("insert into t values (1)", readonly)) is Trouble.READ_ONLY
    path.write_bytes(b"this is not a database, whatever its name says" * 50)
    assert trouble(wrapped(of_sqlite("select * from t", path))) is Trouble.DAMAGED


def test_an_error_that_the_caller_handles_already_is_not_the_stores() -> None:
    def fails() -> None:
        raise ValueError("a mistake of its own")

    started = time.monotonic()
    try:
        raise ConnectionResetError("of a run, and not of the store")
    except ConnectionResetError:
        with pytest.raises(ValueError, match="a mistake of its own"):
            retried(fails)
    assert time.monotonic() - started < 1


def failing(times: int, tries: list[int]) -> Callable[[], str]:
    def call() -> str:
        tries.append(1)
        if len(tries) <= times:
            raise ConnectionResetError("reset by postgresql://me:hush@host/db")
        return "answer"

    return call


def test_a_store_that_comes_back_is_asked_again() -> None:
    tries: list[int] = []
    assert retried(failing(3, tries)) == "answer"
    assert len(tries) == 4


def test_a_store_that_stays_away_is_one_error_without_its_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEMSPAN_PATIENCE", "0.2")
    with pytest.raises(StoreError, match=r"the store did not answer for 0 seconds.*me:\*\*\*@host"):
        retried(failing(1000, []))
