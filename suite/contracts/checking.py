"""How a contract is checked: a check is a function that yields one message for each violation it finds."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple, TypeVar

from torch import Tensor

from suite.errors import Interruption, line_of, reason_of

Subject = TypeVar("Subject")
Check = Callable[[Subject], Iterator[str]]
"""A check. Its docstring is the rule, and each message names the place, what was received, and what is accepted."""


class Violation(NamedTuple):
    """A rule that somebody's code breaks."""

    check: str
    """The name of the check."""
    message: str


class CalledCodeError(Exception):
    """The code that is checked has raised an error, and the message says where and which."""


def violations(stages: Sequence[Sequence[Check[Subject]]], subject: Subject) -> list[Violation]:
    """Return the violations of the first stage that finds any. Each stage rests on what the stages before it check."""
    for checks in stages:
        found = [Violation(check.__name__, message) for check in checks for message in _messages(check, subject)]
        if found:
            return list({violation.message: violation for violation in reversed(found)}.values())[::-1]
    return []


def _messages(check: Check[Subject], subject: Subject) -> Iterator[str]:
    try:
        yield from check(subject)
    except CalledCodeError as error:
        yield str(error)


@contextmanager
def calling(place: str, cls: type) -> Iterator[None]:
    """Turn whatever the code of a class raises in this context into a `CalledCodeError`.

    Args:
        place: what is called, for the message.
        cls: the class, whose file is searched for the line that raised the error.
    """
    try:
        yield
    except (CalledCodeError, Interruption):
        raise
    except BaseException as error:  # Somebody's code may raise SystemExit or KeyboardInterrupt, too.
        raise CalledCodeError(f"{place} raised {reason_of(error)}{line_of(error, cls)}") from error


def described(value: Any) -> str:
    """Return the shape and the type of a tensor, or the type of anything else."""
    if not isinstance(value, Tensor):
        return f"the type {type(value).__name__}"
    return f"{list(value.shape)} {str(value.dtype).removeprefix('torch.')}"
