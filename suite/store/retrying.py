"""Waiting for a store that is away for a moment: a database that restarts, a server, a network, a lock."""

from __future__ import annotations

import math
import os
import re
import sys
import time
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from suite.errors import InputError, StoreError, redacted

P = ParamSpec("P")
T = TypeVar("T")

LONGEST_PAUSE = 5.0
"""Seconds between two tries, at most."""

UNWRITABLE = (
    "disk is full",
    "no space left",
    "disk quota",
    "errno 28",
    "file too large",
    "could not extend file",
    "disk i/o error",
    "readonly database",
)
MISTAKEN = (
    "password authentication failed",
    "no password supplied",
    "does not exist",
    "no such table",
    "unable to open database file",
    "failed to resolve host",
    "name or service not known",
)
"""What waiting does not help against."""
AWAY = (
    "operationalerror",
    "database is locked",
    "connection",  # refused, reset, aborted, closed
    "max retries exceeded",
    "timed out",
    "starting up",
    "shutting down",
    "terminating",
    "temporarily",
)
GATEWAY = re.compile(r"\b(error|status|code)\b\D{0,20}\b50[234]\b")


def seconds(variable: str, default: float) -> float:
    """The seconds that an environment variable says.

    Raises:
        InputError: if it says something else.
    """
    text = os.environ.get(variable, str(default))
    try:
        found = float(text)
    except ValueError:
        found = math.nan
    if not found >= 0:
        raise InputError(f"{variable} must be a number of seconds, 0 or more; got {text!r}")
    return found


def patience() -> float:
    """Seconds for which a store may be away (``MEMSPAN_PATIENCE``): ten minutes."""
    return seconds("MEMSPAN_PATIENCE", 600.0)


def retried(call: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> T:
    """``call(*arguments, **named)``, again and again while the store is away.

    What is called must be harmless when done twice: an answer that was lost on its way back is asked for again.

    Raises:
        StoreError: when it cannot be written, as on a full disk, or the store stayed away for `patience` seconds.
    """
    started, pause, said = time.monotonic(), 0.1, False
    while True:
        try:
            return call(*arguments, **named)
        except Exception as error:
            text = f"{type(error).__name__}: {error}".lower()
            reason = redacted(str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__)
            if any(sign in text for sign in UNWRITABLE):
                raise StoreError(f"the store cannot be written, its disk may be full ({reason})") from error
            if any(sign in text for sign in MISTAKEN) and "operationalerror" in text:
                raise StoreError(f"the store cannot be used ({reason})") from error
            if not any(sign in text for sign in AWAY) and not GATEWAY.search(text):
                raise
            waited = time.monotonic() - started
            if waited > patience():
                raise StoreError(f"the store did not answer for {waited:.0f} seconds ({reason})") from error
            if waited > 2 and not said:
                said = True
                print(f"memspan: the store does not answer, trying again ({reason})", file=sys.stderr)
        time.sleep(pause)
        pause = min(2 * pause, LONGEST_PAUSE)
