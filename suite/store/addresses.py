"""The location of a store: a folder, and addresses of servers, whose passwords are never shown, logged or recorded.

SQLAlchemy parses, builds and shows every address, so that no character of a folder or of a password is mistaken for a
mark of the address.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit
from urllib.request import url2pathname

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from suite.errors import HIDDEN, InputError, redacted, unknown

PASSWORD_RULE = "the only '@' of an address stands before the host; in a password, write '@' as '%40' and '/' as '%2F'"
OPTIONS_RULE = "behind the '?' of an address stand options such as connect_timeout=10; in a path, write '?' as '%3F'"
DATABASES = ("postgresql", "sqlite")
SERVERS = ("http", "https")


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


def embedded_address(file: Path, **options: str) -> str:
    """Return the address of an embedded database, whatever characters its path has."""
    # The name of the driver keeps MLflow from cutting a path out of the address, which it would get wrong.
    url = URL.create("sqlite+pysqlite", database=file.absolute().as_uri(), query={"uri": "true", **options})
    return url.render_as_string()


def embedded_file(url: URL) -> Path | None:
    """Return the file of an embedded database; None if the address is that of a server."""
    if url.get_backend_name() != "sqlite":
        return None
    name = url.database or ""
    return Path(url2pathname(urlsplit(name).path)) if name.startswith("file:") else Path(name)


def check_database_address(address: str, given_as: str = "--storage") -> str:
    """Check the address of a database, and return it with the driver that memspan uses.

    Args:
        address: the address.
        given_as: the option or the environment variable that holds it, for messages.

    Raises:
        InputError: if it is not the address of a database, or its driver is not installed.
    """
    rule = f"{given_as} must be the address of a database, such as postgresql://user@host/name"
    url = _checked(address, rule)
    backend = "postgresql" if url.drivername == "postgres" else url.get_backend_name()
    if backend not in DATABASES:
        raise unknown(f"kind of database in {given_as}:", backend, DATABASES)
    url = url.set(drivername="postgresql+psycopg" if backend == "postgresql" else "sqlite+pysqlite")
    if backend == "sqlite" and url.database in (None, "", ":memory:"):
        raise InputError(f"{given_as} must name the file of a database: sqlite:////home/me/runs.db; got {address!r}")
    if backend == "sqlite":
        file = embedded_file(url)
        assert file is not None
        url = url.set(database=file.absolute().as_uri()).update_query_dict({"uri": "true"})
    try:
        _, options = url.get_dialect()().create_connect_args(url)
        if backend == "postgresql":
            _check_postgresql_options(options)
    except (ArgumentError, ValueError) as error:
        reason = redacted(str(error)).splitlines()[0]
        raise InputError(f"{rule}; got {shown(address)!r}: {reason}") from error
    return url.render_as_string(hide_password=False)


def _check_postgresql_options(options: Mapping[str, Any]) -> None:
    """Raise ``ValueError`` if the driver does not know one of these options."""
    try:
        from psycopg import Error
        from psycopg.conninfo import make_conninfo
    except ImportError as error:
        raise InputError("PostgreSQL needs an extra: pip install 'memspan[postgresql]'") from error
    try:
        make_conninfo(**options)
    except Error as error:
        raise ValueError(str(error).strip()) from error


def check_tracking_address(address: str, given_as: str = "--tracking-uri") -> str:
    """Check the address of MLflow's server or database, and return it.

    Args:
        address: the address.
        given_as: the option or the environment variable that holds it, for messages.

    Raises:
        InputError: if it is the address of neither.
    """
    rule = f"{given_as} must be a server (http://host:5000) or a database (postgresql://user@host/name)"
    url = _checked(address, rule)
    if url.drivername in SERVERS and url.host:
        return url.render_as_string(hide_password=False)
    if url.drivername in SERVERS or url.get_backend_name() not in (*DATABASES, "postgres"):
        raise InputError(f"{rule}; got {shown(address)!r}")
    return check_database_address(address, given_as)


def shown(address: str) -> str:
    """Return an address as it may be shown: with `HIDDEN` in place of a password, and of whatever may be one."""
    try:
        url = _parse(address)
    except ValueError:
        scheme, separator, rest = address.partition("://")
        if separator and scheme.isalnum():
            return f"{scheme}://{HIDDEN if re.search('[@=:]', rest) else rest}"
        return HIDDEN if re.search("[@=:]", address) else address
    passwords = {name: HIDDEN for name in url.query if "password" in name.lower()}
    return url.update_query_dict(passwords).render_as_string().replace(quote(HIDDEN), HIDDEN)


def _checked(address: str, rule: str) -> URL:
    """Return the parts of an address, or raise `InputError` with the rule."""
    try:
        return _parse(address)
    except ValueError as error:
        raise InputError(f"{rule}; got {shown(address)!r}{': ' * bool(str(error))}{error}") from error


def _parse(address: str) -> URL:
    """Return the parts of an address.

    Raises:
        ValueError: if it has none, or a character of its password or path would be taken for a mark of the address. The
            message says so, and shows nothing of the address.
    """
    try:
        url = make_url(address)
    except (ArgumentError, ValueError) as error:
        raise ValueError("") from error
    has_host = url.get_backend_name() != "sqlite"
    if has_host and address.count("@") > (url.username is not None):
        raise ValueError(PASSWORD_RULE)
    _, mark, options = address.rpartition("@")[2].partition("?")
    if mark and not all("=" in option for option in options.split("&")):
        raise ValueError(OPTIONS_RULE)
    if url.port is not None and not 0 < url.port < 65536:
        raise ValueError("a port is a number from 1 to 65535")
    return url
