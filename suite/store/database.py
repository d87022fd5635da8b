"""A database of the store, which is opened for writing or for reading alone.

Whoever only looks writes nothing, neither into an embedded database nor beside it, and needs no right to write.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import NullPool

from suite.errors import DamagedError
from suite.store.addresses import embedded_address, embedded_file
from suite.store.retrying import retried

T = TypeVar("T")

LOCK_SECONDS = 60
"""The seconds for which a connection waits for others that write to an embedded database."""
POSTGRESQL_OPTIONS: dict[str, Any] = {
    "connect_timeout": 10,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,
}
"""The options of a connection to PostgreSQL, by which a machine that is gone holds no row after half a minute."""
SESSION = "-c idle_in_transaction_session_timeout=30s -c lock_timeout=30s"
READING_SESSION = f"{SESSION} -c default_transaction_read_only=on"


class Database:
    """A database, by SQLAlchemy's engine, with the words for it if it is damaged.

    Args:
        url: SQLAlchemy's address of the database.
        name: the name of the database in messages.
        remedy: what memspan does when a damaged file has been moved away.
        reads_only: open it for reading alone.
    """

    def __init__(self, url: sa.URL, name: str, remedy: str, *, reads_only: bool = False) -> None:
        self.name = name
        self.remedy = remedy
        self.reads_only = reads_only
        self.file = embedded_file(url)
        """The file of an embedded database."""
        if self.file is not None and self.file.exists() and not self.file.is_file():
            raise self.damaged("it is not a file")
        if self.file is None:
            options = {**POSTGRESQL_OPTIONS, "options": READING_SESSION if reads_only else SESSION}
            self.engine = sa.create_engine(url, pool_pre_ping=True, connect_args=options)
        elif reads_only:
            self.engine = sa.create_engine("sqlite://", creator=self._connect_for_reading, poolclass=NullPool)
        else:
            self.engine = sa.create_engine(url, connect_args={"timeout": LOCK_SECONDS})
            sa.event.listen(self.engine, "connect", _prepare_for_writers)

    def retried(self, call: Callable[[], T]) -> T:
        """Return ``call()``, see `retried`. An error says if this database is damaged."""
        try:
            return retried(self._read_unchanged, call) if self.reads_only and self.file else retried(call)
        except DamagedError as error:
            raise self.damaged(str(error)) from error
        except UnicodeDecodeError as error:  # The text of a damaged file, in its schema for instance.
            raise self.damaged("it holds text that is not UTF-8") from error

    def damaged(self, reason: str) -> DamagedError:
        """Return the error which says that this database is damaged."""
        if self.file is None:
            return DamagedError(f"{self.name} is damaged ({reason})")
        return DamagedError(f"{self.name} {str(self.file)!r} is damaged ({reason}): move it away, and {self.remedy}")

    def fetch(self, query: Any) -> list[Any]:
        """Return all rows of a query. It is repeated while the database is away."""

        def read() -> list[Any]:
            with self.engine.begin() as connection:
                return list(connection.execute(query))

        return self.retried(read)

    def columns(self, table: str) -> set[str]:
        """Return the names of the columns of a table; none if the database or the table is not there."""
        if self.file is not None and not self.file.exists():
            return set()

        def read() -> set[str]:
            inspector = sa.inspect(self.engine)
            return {column["name"] for column in inspector.get_columns(table)} if inspector.has_table(table) else set()

        return self.retried(read)

    def _connect_for_reading(self) -> Any:
        """Connect to an embedded database without writing into its folder.

        Even a reader makes files there, unless it says that nobody writes. So it says this as long as it is true.
        """
        arguments, options = self.engine.dialect.create_connect_args(sa.make_url(self.reading_address))
        return self.engine.dialect.connect(*arguments, **options)

    @property
    def reading_address(self) -> str:
        """The address of an embedded database, with the mode in which it can be read now."""
        assert self.file is not None
        mode = {"mode": "ro"} if self._has_writers() else {"immutable": "1"}
        return embedded_address(self.file, timeout=str(LOCK_SECONDS), **mode)

    def _read_unchanged(self, call: Callable[[], T]) -> T:
        """Return ``call()``, called again if somebody has begun to write meanwhile, which it would not have noticed."""
        while True:
            is_locked, before = self._has_writers(), self._stamp()
            try:
                answer = call()
            except SQLAlchemyError:
                if is_locked or self._stamp() == before:
                    raise
            else:
                if is_locked or self._stamp() == before:
                    return answer

    def _has_writers(self) -> bool:
        """Tell whether anything stands in the log of the database, which its last writer deletes in the end."""
        return any(size > 0 for _, size in self._stamp()[1:])

    def _stamp(self) -> list[tuple[int, int]]:
        """Return the time of the last change and the size of the database, and of its log if there is one."""
        assert self.file is not None
        stamp = []
        for file in (self.file, self.file.with_name(f"{self.file.name}-wal")):
            with suppress(FileNotFoundError):
                state = file.stat()
                stamp.append((state.st_mtime_ns, state.st_size))
        return stamp


def _prepare_for_writers(connection: Any, record: object) -> None:
    """Prepare a new connection to an embedded database for many writers."""
    connection.execute("PRAGMA journal_mode=WAL")  # Readers need not wait for a writer.
    connection.execute("PRAGMA synchronous=FULL")
