"""Calls to a store that is away for a moment, because of a database that restarts, a server, a network or a lock.

The type and the code of an error, and of the errors that led to it, tell what went wrong. Where an error has no code,
as when a connection to PostgreSQL fails, its words decide.
"""

from __future__ import annotations

import errno
import math
import os
import re
import sqlite3
import sys
from collections.abc import Callable, Iterator
from enum import Enum
from typing import ParamSpec, TypeVar

from sqlalchemy.exc import DBAPIError
from tenacity import RetryCallState, Retrying, retry_if_exception, stop_after_delay, wait_exponential

from suite.errors import DamagedError, InputError, StoreError, many, redacted

P = ParamSpec("P")
T = TypeVar("T")

FIRST_PAUSE, LONGEST_PAUSE = 0.1, 5.0
"""The seconds between two tries: the first pause, and the longest."""
SILENT_SECONDS = 2.0
"""A message explains any wait that is longer."""
LONGEST_REASON = 300
"""The largest number of characters of another library's message that is shown."""


class Trouble(Enum):
    """A reason why a store does not answer."""

    AWAY = "did not answer"
    """It may come back, so the call is worth another try."""
    FULL = "cannot be written, its disk may be full"
    READ_ONLY = "may only be read"
    UNUSABLE = "cannot be used"
    DAMAGED = "is damaged"


SYSTEM = {
    **dict.fromkeys((errno.ENOSPC, errno.EDQUOT, errno.EFBIG), Trouble.FULL),
    errno.EROFS: Trouble.READ_ONLY,
}
"""Codes of the operating system."""
SQLITE = {
    **dict.fromkeys((sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_PROTOCOL), Trouble.AWAY),
    **dict.fromkeys((sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR), Trouble.FULL),
    **dict.fromkeys((sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM), Trouble.READ_ONLY),
    **dict.fromkeys((sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_ERROR), Trouble.UNUSABLE),
    **dict.fromkeys((sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB), Trouble.DAMAGED),
}
"""Primary result codes, see https://www.sqlite.org/rescode.html."""
POSTGRESQL = {
    **dict.fromkeys(("08", "40", "55", "57"), Trouble.AWAY),  # connection, rollback, lock, shutdown
    "25": Trouble.AWAY,  # a transaction that was idle for too long
    "53": Trouble.AWAY,  # too many connections, or too little memory
    "53100": Trouble.FULL,
    "25006": Trouble.READ_ONLY,
    **dict.fromkeys(("28", "3D", "42501", "42P01"), Trouble.UNUSABLE),  # password, database, right, table
}
"""Codes and classes of codes, see https://www.postgresql.org/docs/current/errcodes-appendix.html."""
REFUSED = re.compile(
    "password authentication failed|no password supplied|does not exist|failed to resolve host|"
    "name or service not known|no pg_hba.conf entry",
    re.IGNORECASE,
)
"""The words of a PostgreSQL server, or of the resolver, when it makes no sense to connect again."""
SERVER = {
    Trouble.FULL: re.compile("disk is full|could not extend file|no space left", re.IGNORECASE),
    Trouble.READ_ONLY: re.compile("readonly database|read-only transaction", re.IGNORECASE),
    Trouble.DAMAGED: re.compile("disk image is malformed|file is not a database", re.IGNORECASE),
}
"""The words of the database of an MLflow server that cannot go on, which the server quotes."""
GATEWAY = re.compile(r"\b(error|status|code)\b\D{0,20}\b50[234]\b")
"""The words of MLflow when a proxy answers in place of its server. Such an error has no code of its own."""


def seconds(variable: str, default: float) -> float:
    """Return the seconds in an environment variable.

    Raises:
        InputError: if it holds anything but a number of seconds.
    """
    text = os.environ.get(variable, str(default))
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not value >= 0:
        raise InputError(f"{variable} must be a number of seconds, 0 or more; got {text!r}")
    return value


def patience() -> float:
    """Return the seconds for which a store may be away (``MEMSPAN_PATIENCE``), by default ten minutes."""
    return seconds("MEMSPAN_PATIENCE", 600.0)


def retried(call: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> T:
    """Return ``call(*arguments, **named)``, called again and again while the store is away.

    The call must be harmless if it is repeated, because an answer may be lost on its way back.

    Raises:
        DamagedError: when a file of the store is damaged. The caller adds which one, see `Database.retried`.
        StoreError: when the store cannot be written or used, or stayed away for `patience` seconds.
    """
    announced = False
    handled = sys.exception()  # The error that the caller is handling already is not that of the store.

    def announce(state: RetryCallState) -> None:
        nonlocal announced
        if not announced and (state.seconds_since_start or 0) > SILENT_SECONDS and state.outcome is not None:
            announced = True
            reason = _reason(state.outcome.exception())
            print(f"memspan: the store does not answer, trying again ({reason})", file=sys.stderr)

    tries = Retrying(
        retry=retry_if_exception(lambda error: trouble(error, handled) is Trouble.AWAY),
        wait=wait_exponential(multiplier=FIRST_PAUSE, max=LONGEST_PAUSE),
        stop=stop_after_delay(patience()),
        before_sleep=announce,
        reraise=True,
    )
    try:
        return tries(call, *arguments, **named)
    except Exception as error:
        kind = trouble(error, handled)
        if kind is None:
            raise
        if kind is Trouble.DAMAGED:
            raise DamagedError(_reason(error)) from error
        waited = f" for {many(round(patience()), 'second')}" if kind is Trouble.AWAY else ""
        raise StoreError(f"the store {kind.value}{waited} ({_reason(error)})") from error


def trouble(error: BaseException, handled: BaseException | None = None) -> Trouble | None:
    """Tell what keeps the store from answering; None if the store is not to blame.

    Args:
        error: what was raised. The errors that led to it are looked at too.
        handled: an earlier error, in whose handling this one was raised; it is not looked at.
    """
    causes = list(_causes(error, handled))
    for cause in causes:
        if isinstance(cause, DBAPIError):
            return _of_database(cause)
        if isinstance(cause, sqlite3.Error):
            return _of_sqlite(cause)
        if type(cause).__module__.startswith(("requests.", "urllib3.")) and isinstance(cause, Exception):
            return Trouble.UNUSABLE if REFUSED.search(str(cause)) else Trouble.AWAY
        if isinstance(cause, OSError) and cause.errno in SYSTEM:
            return SYSTEM[cause.errno]
        if isinstance(cause, ConnectionError | TimeoutError):
            return Trouble.AWAY
    # Only now, for MLflow wraps every error of its own database into one that says "temporarily unavailable".
    return _of_mlflow(causes[0])


def _of_mlflow(error: BaseException) -> Trouble | None:
    """Tell what keeps MLflow's server from answering, by the code that it gives and the reason that it quotes."""
    code = getattr(error, "error_code", None)
    if code in ("TEMPORARILY_UNAVAILABLE", "DEADLINE_EXCEEDED"):
        return next((kind for kind, words in SERVER.items() if words.search(str(error))), Trouble.AWAY)
    return Trouble.AWAY if code and GATEWAY.search(str(error)) else None


def _of_sqlite(error: sqlite3.Error) -> Trouble | None:
    code = getattr(error, "sqlite_errorcode", None)
    if code is None:
        return Trouble.DAMAGED if str(error).startswith("Could not decode") else None
    return SQLITE.get(code & 0xFF)


def _of_database(error: DBAPIError) -> Trouble | None:
    original = error.orig
    if isinstance(original, sqlite3.Error):
        return _of_sqlite(original)
    code = getattr(original, "sqlstate", None)
    if code:
        return POSTGRESQL.get(code, POSTGRESQL.get(code[:2]))
    if type(original).__name__ not in ("OperationalError", "InterfaceError") and not error.connection_invalidated:
        return None
    return Trouble.UNUSABLE if REFUSED.search(str(original)) else Trouble.AWAY


def _causes(error: BaseException, handled: BaseException | None) -> Iterator[BaseException]:
    """Yield an error and those that led to it."""
    cause: BaseException | None = error
    while cause is not None and cause is not handled:
        yield cause
        cause = cause.__cause__ or (None if cause.__suppress_context__ else cause.__context__)


def _reason(error: BaseException | None) -> str:
    """Return the first line of the message of an error, without passwords."""
    lines = str(error.orig if isinstance(error, DBAPIError) else error).strip().splitlines()
    return redacted(lines[0][:LONGEST_REASON] if lines else type(error).__name__)
