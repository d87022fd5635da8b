"""How a contract is checked: a check is a function that yields one message for each violation it finds."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple, TypeVar

from torch import Tensor

from suite.errors import Interruption, line_of, reason_of


class Probe:
    """Something under test. A check may leave a figure with it, such as the largest difference that it found."""

    figure: str = ""


Subject = TypeVar("Subject", bound=Probe)
Check = Callable[[Subject], Iterator[str]]
"""A check. Its docstring is the rule, and each message names the place, what was received, and what is accepted."""


class Violation(NamedTuple):
    """A rule that somebody's code breaks."""

    check: str
    """The name of the check."""
    message: str


class Outcome(NamedTuple):
    """What a check has found."""

    check: str
    """The name of the check."""
    messages: tuple[str, ...]
    """One for each violation; none if the rule is kept."""
    figure: str
    """What was measured on the way; empty if nothing was."""
    reason: str
    """Why the rule does not apply; empty if it does."""


class CalledCodeError(Exception):
    """The code that is checked has raised an error, and the message says where and which."""


class NotApplicableError(Exception):
    """A rule does not apply to what is checked, and the message says why."""


def outcomes(stages: Sequence[Sequence[Check[Subject]]], subject: Subject) -> Iterator[Outcome]:
    """Yield what each check finds, up to the end of the first stage with a violation.

    Each stage rests on what the stages before it check, so the later ones have nothing to say then.
    """
    for checks in stages:
        found = [outcome(check, subject) for check in checks]
        yield from found
        if any(each.messages for each in found):
            return


def outcome(check: Check[Subject], subject: Subject) -> Outcome:
    """Return what one check finds."""
    subject.figure = ""
    messages: list[str] = []
    reason = ""
    try:
        messages += check(subject)
    except CalledCodeError as error:
        messages.append(str(error))
    except NotApplicableError as error:
        reason = str(error)
    return Outcome(check.__name__, tuple(messages), subject.figure, reason)


def violations(stages: Sequence[Sequence[Check[Subject]]], subject: Subject) -> list[Violation]:
    """Return the violations of the first stage that finds any, each message once."""
    found = [Violation(each.check, message) for each in outcomes(stages, subject) for message in each.messages]
    return list({violation.message: violation for violation in reversed(found)}.values())[::-1]


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


def described(value: object) -> str:
    """Return the shape and the type of a tensor, or the type of anything else."""
    if not isinstance(value, Tensor):
        return f"the type {type(value).__name__}"
    return f"{list(value.shape)} {str(value.dtype).removeprefix('torch.')}"
