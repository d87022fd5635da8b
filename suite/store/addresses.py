"""The location of a store: a folder, and addresses of servers, whose passwords are never shown, logged or recorded."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from suite.errors import InputError, redacted, unknown


@dataclass(frozen=True)
class StoreLocation:
    """The location of a store, with which it can be opened in another process or on another machine."""

    folder: Path
    """The folder for checkpoints, and for everything that has no other place."""
    storage: str | None = field(default=None, repr=False)  # It may hold a password.
    """The database of the ledger and of Optuna. With None, they are files in the folder."""
    tracking: str | None = field(default=None, repr=False)
    """The server or database of MLflow. With None, it is a file in the folder."""

    @property
    def embedded(self) -> bool:
        """True if any part of the store is a file of this machine."""
        return self.storage is None or self.tracking is None or self.storage.startswith("sqlite")


def check_database_address(address: str) -> str:
    """Check the address of a database, and return it with the driver that memspan uses.

    Raises:
        InputError: if it is not the address of a database, or its driver is not installed.
    """
    try:
        url = make_url(address)
    except (ArgumentError, ValueError) as error:
        rule = "--storage must be the address of a database, such as postgresql://user@host/name"
        raise InputError(f"{rule}; got {redacted(address)!r}") from error
    if "@" in (url.host or ""):
        raise InputError(f"an '@' in a password must be written as '%40' in an address; got {redacted(address)!r}")
    backend = "postgresql" if url.drivername == "postgres" else url.get_backend_name()
    if backend not in ("postgresql", "sqlite"):
        raise unknown("kind of database in --storage:", backend, ["postgresql", "sqlite"])
    if backend == "sqlite":
        return url.render_as_string(hide_password=False)
    try:
        import psycopg  # noqa: F401
    except ImportError as error:
        raise InputError("PostgreSQL needs an extra: pip install 'memspan[postgresql]'") from error
    return url.set(drivername="postgresql+psycopg").render_as_string(hide_password=False)


def check_tracking_address(address: str) -> str:
    """Check the address of MLflow's server or database, and return it.

    Raises:
        InputError: if it is the address of neither.
    """
    scheme = address.split("://", 1)[0] if "://" in address else ""
    if scheme in ("http", "https"):
        return address
    if scheme.split("+")[0] in ("postgresql", "postgres", "sqlite"):
        return check_database_address(address)
    raise InputError(
        f"--tracking-uri must be a server (http://host:5000) or a database (postgresql://user@host/name); "
        f"got {redacted(address)!r}"
    )
