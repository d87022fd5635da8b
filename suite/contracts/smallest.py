"""The smallest input that shows a violation."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping, Sequence

from suite.contracts.checking import CalledCodeError, Check, Subject, outcome

Sizes = dict[str, int]
"""The sizes of an input by their names, such as ``{"time": 11, "batch": 1}``."""


def smallest(
    check: Check[Subject],
    make: Callable[[Sizes], Subject],
    message: str,
    sizes: Sizes,
    candidates: Mapping[str, Sequence[int]],
    deadline: float,
) -> Sizes:
    """Return the smallest sizes at which a check still finds the violation of a message.

    One size after the other is made as small as it can be, in the order of ``candidates``.

    Args:
        check: the check.
        make: makes a probe of some sizes. It may fail, and such sizes do not count.
        message: what the check has found.
        sizes: the sizes at which it has found it.
        candidates: other values of each size, the smallest first.
        deadline: the time of ``time.monotonic()`` at which the search ends with the smallest input that it has found.
    """
    found = dict(sizes)
    for name, values in candidates.items():
        for value in values:
            if value >= found[name] or time.monotonic() > deadline:
                break
            smaller = {**found, name: value}
            if _shows(check, make, message, smaller):
                found = smaller
                break
    return found


def _shows(check: Check[Subject], make: Callable[[Sizes], Subject], message: str, sizes: Sizes) -> bool:
    try:
        messages = outcome(check, make(sizes)).messages
    except CalledCodeError:
        return False
    return _form(message) in map(_form, messages)


def _form(message: str) -> str:
    """Return a message without its numbers, and without a hint that only fits some of them."""
    return re.sub(r"\d[\d.e+-]*", "#", message.partition(" (check ")[0])
