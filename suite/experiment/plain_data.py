"""The TOML and JSON files of other people, read as plain values.

A file is either plain, that is texts, numbers, lists and tables of a reasonable size, or refused with one message.
Whoever reads it further need not fear what no schema thinks of: numbers that no library can hold, texts that change a
terminal, or lists a thousand deep.
"""

from __future__ import annotations

import json
import math
import re
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from suite.errors import InputError, shortened
from suite.experiment.bounds import LARGEST_NUMBER

LARGEST_TOML = 2**20
"""The largest size of a TOML file in bytes."""
LARGEST_JSON = 2**26
"""The largest size of a JSON file in bytes; a leaderboard of fifty thousand runs fits."""
DEEPEST = 20
"""The largest number of lists and tables inside each other."""
_UNPRINTABLE = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")
"""Control characters other than tabs and ends of lines, and halves of characters, which no file can hold."""


def read_toml(path: Path, what: str) -> dict[str, Any]:
    """Return the tables of a TOML file.

    Args:
        path: the file.
        what: the words for it in messages, such as ``experiment 'quick'``.

    Raises:
        InputError: if it cannot be read, is no valid TOML, or holds anything but plain values.
    """
    tables: dict[str, Any] = _read(path, what, "TOML", LARGEST_TOML, tomllib.loads)
    return tables


def read_json(path: Path, what: str) -> Any:
    """Return the value of a JSON file; otherwise like `read_toml`."""
    return _read(path, what, "JSON", LARGEST_JSON, json.loads)


def parse_json(text: str, what: str) -> Any:
    """Return the value of a JSON text; otherwise like `read_json`."""
    return _parse(text, what, "JSON", json.loads)


def _read(path: Path, what: str, language: str, largest: int, parse: Callable[[str], Any]) -> Any:
    try:
        if path.exists() and not path.is_file():
            raise InputError(f"cannot read {what}: it is not a file")
        with path.open("rb") as file:
            content = file.read(largest + 1)
    except OSError as error:
        raise InputError(f"cannot read {what}: {error.strerror}") from error
    except ValueError as error:  # The path holds a null character.
        raise InputError(f"cannot read {what}: {error}") from error
    if len(content) > largest:
        raise InputError(f"{path} is too large: {what} has at most {largest // 2**20} MiB")
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not valid {language}: {error}") from error
    return _parse(text, str(path), language, parse)


def _parse(text: str, what: str, language: str, parse: Callable[[str], Any]) -> Any:
    try:
        value = parse(text)
    except ValueError as error:
        raise InputError(f"{what} is not valid {language}: {error}") from error
    except RecursionError as error:
        raise InputError(f"{what} has more than {DEEPEST} lists or tables inside each other") from error
    check_plain(value, what)
    return value


def check_plain(value: Any, what: str, path: tuple[str | int, ...] = ()) -> None:
    """Check that a value is made of texts, numbers, lists and tables of a reasonable size, and of nothing else.

    Args:
        value: the value.
        what: what it is part of, for messages.
        path: the keys and places that lead to it.

    Raises:
        InputError: if it is not; it names the place.
    """
    if problem := _problem(value, len(path)):
        raise InputError(f"{what}: {place(path)}{': ' if path else ''}{problem}")
    if isinstance(value, dict):
        for key, part in value.items():
            check_plain(key, what, path)
            check_plain(part, what, (*path, key))
    elif isinstance(value, list | tuple):
        for i, part in enumerate(value):
            check_plain(part, what, (*path, i))


def place(path: tuple[str | int, ...]) -> str:
    """Return a path of keys and places for a message, such as ``rows.3.study``."""
    texts = (str(part) if str(part).isprintable() else repr(part) for part in path)
    return ".".join(text if len(text) < 100 else f"{text[:100]} …" for text in texts)


def _problem(value: Any, depth: int) -> str:
    """Return the rule that a value breaks, and what was received; empty if it breaks none."""
    if value is None or isinstance(value, bool):
        return ""
    if isinstance(value, float):
        return "a number must be one; got nan" if math.isnan(value) else ""
    if isinstance(value, int):
        beyond = abs(value) > LARGEST_NUMBER
        return f"a whole number lies between −2⁵³ and 2⁵³; got one of {value.bit_length()} bits" if beyond else ""
    if isinstance(value, str):
        beyond = _UNPRINTABLE.search(value) is not None
        return f"a text has no control characters; got {shortened(value)}" if beyond else ""
    if isinstance(value, dict | list | tuple):
        return f"at most {DEEPEST} lists and tables can stand inside each other" if depth >= DEEPEST else ""
    return f"a value is a text, a number, true or false, a list or a table; got {value}"
