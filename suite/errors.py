"""Errors that say the rule, what was received, and what is accepted."""

from __future__ import annotations

import re
import sys
import traceback
from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from pydantic import ValidationError


class InputError(ValueError):
    """The user's input breaks a rule. The command line prints the message and exits with code 2."""


class StoreError(RuntimeError):
    """The store cannot be written or does not answer, even after several tries. No run is to blame for it."""


class DamagedError(StoreError):
    """A file of the store is damaged. Its message says what to move away, and what is made again."""


class StoppedError(RuntimeError):
    """A run was asked to stop. It has kept a checkpoint and ended."""


class Interruption(KeyboardInterrupt):
    """The command ends at once, after a second Ctrl-C for example. Only memspan raises it, and no cell or task."""


MOST_SHOWN = 200
"""The largest number of characters of a value that a message shows."""


def shortened(value: object) -> str:
    """Return a value as Python writes it, for a message: on one line, and without the middle of what is very long."""
    text = " ".join(repr(value).split("\n"))
    return text if len(text) <= MOST_SHOWN else f"{text[: MOST_SHOWN // 2]} … {text[-20:]}"


def unknown(
    kind: str, name: str, accepted: Iterable[str], *, of: str = "", other: str = "", likely: str = ""
) -> InputError:
    """Return the error for a name that is not among the accepted ones.

    Its message is ``unknown task 'coppy_memory'; available: … (did you mean 'copy_memory'?)``.

    Args:
        kind: the kind of thing that the name should stand for.
        name: the name that was received.
        accepted: the names that are accepted.
        of: the thing to which the name belongs, if that is not obvious.
        other: another form that is accepted, such as ``a path ending in .toml``.
        likely: the name that was probably meant; by default, it is the nearest of those that are accepted.
    """
    names = sorted(accepted)
    owner = f" of {of}" if of else ""
    more = f", or {other}" if other else ""
    hint = did_you_mean(likely or nearest(name, names))
    if len(names) > MOST_LISTED:
        names = get_close_matches(name[:MOST_SHOWN], names, n=len(names), cutoff=0)  # The nearest ones come first.
    listed = named(names, len(names) if len(names) <= MOST_LISTED else MOST_NAMED)
    return InputError(f"unknown {kind} {shortened(name)}{owner}; available: {listed or 'none'}{more}{hint}")


def nearest(name: str, names: Iterable[str]) -> str:
    """Return the one of some names that a name comes nearest to, or else the first that it begins; mostly empty."""
    ordered = sorted(names)
    begun = (other for other in ordered if len(name) > 1 and other.startswith(name))
    return next(iter(get_close_matches(name[:MOST_SHOWN], ordered, n=1)), "") or next(begun, "")


def did_you_mean(likely: str) -> str:
    """Return the end of a message about a name that was probably meant, and nothing without one."""
    return f" (did you mean {likely!r}?)" if likely else ""


MOST_NAMED = 6
"""The number of things that a message names if there may be very many."""
MOST_LISTED = 40
"""The largest number of names that a message lists whole."""


def named(things: Sequence[str], most: int = MOST_NAMED, separator: str = ", ") -> str:
    """Return the first of some things in words, and the number of the others: ``gru, lstm, and 29 more``."""
    more = len(things) - most
    return separator.join(things[:most]) + (f"{separator}and {more:,} more" if more > 0 else "")


def many(number: int, what: str) -> str:
    """Return a number of things in words, such as ``1 run`` and ``1,200 runs``."""
    return f"{number:,} {what}{'' if number == 1 else 's'}"


LONGEST_SUMMARY = 2000
"""The largest number of characters in the summary of an error."""


def summary_of(error: BaseException) -> str:
    """Return the type and the message of any error in one line, which every database can store."""
    text = f"{type(error).__name__}: {_message_of(error)}"[:LONGEST_SUMMARY].removesuffix(": ")
    return text.replace("\0", "\\0").encode("utf-8", "backslashreplace").decode()


def reason_of(error: BaseException) -> str:
    """Return what an error of somebody else's code says, in one line. Only a ``ValueError`` speaks for itself."""
    text = _message_of(error)
    return text if type(error) is ValueError and text else summary_of(error)


def line_of(error: BaseException, cls: type) -> str:
    """Say which line of the file of a class an error has passed; empty if it passed none."""
    file = file_of(cls)
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == file]
    return f" (line {lines[-1]} of {file.rpartition('/')[2]})" if lines else ""


def file_of(cls: type) -> str:
    """Return the file of the module of a class, and an empty text where it has none."""
    return getattr(sys.modules.get(cls.__module__), "__file__", None) or ""


def qualified_name(cls: type) -> str:
    """Return the name of a class in the form ``my_cell:Mine``."""
    return f"{cls.__module__}:{cls.__qualname__}"


def _message_of(error: BaseException) -> str:
    try:
        return " ".join(str(error).split())
    except Exception as second:
        return f"(its message cannot be shown: {type(second).__name__})"


class Problem(NamedTuple):
    """The first problem that pydantic reports of some data."""

    path: list[str]
    """The keys that lead to the problem, and pydantic's names for the members of unions on the way."""
    message: str
    """The rule, and what was received."""
    is_unknown_key: bool
    """True if the schema has no key of this name."""


def first_problem(error: ValidationError) -> Problem:
    """Return the first problem of a pydantic error; for a union, it is that of the member that fits best.

    A key that is missing comes last, because it is mostly one that stands there misspelt.
    """
    details = max(error.errors(), key=lambda details: (details["type"] != "missing", len(details["loc"])))
    path = [str(part) for part in details["loc"]]
    rule = details["msg"].removeprefix("Value error, ")
    rule = (rule[0].lower() + rule[1:]).replace("a valid tuple", "a list").replace("tuple", "a list")
    received = f"; got {shortened(details['input'])}" if details["type"] not in ("missing", "value_error") else ""
    if details["type"] == "missing" and isinstance(details["input"], Mapping):
        near = get_close_matches(path[-1], details["input"], n=1, cutoff=0.75)
        received = "".join(f"; got {key!r}{did_you_mean(path[-1])}" for key in near)
    return Problem(path, rule + received, details["type"] == "extra_forbidden")


def problem_text(error: ValidationError) -> str:
    """Return the place and the rule of the first problem of a pydantic error."""
    problem = first_problem(error)
    return ": ".join(filter(None, (".".join(problem.path), problem.message)))


HIDDEN = "***"
"""The text that stands for a password."""
_PASSWORD = re.compile(r"(?<=://)([^\s/:@]*):([^\n]*)@")
_KEYWORD = re.compile(r"(?i)(password\s*=\s*)('[^']*'|[^\s&]+)")


def redacted(text: str) -> str:
    """Return ``text`` with `HIDDEN` in place of each password that an address in it holds."""
    return _KEYWORD.sub(rf"\g<1>{HIDDEN}", _PASSWORD.sub(rf"\g<1>:{HIDDEN}@", text))
