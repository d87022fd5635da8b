"""Errors that say the rule, what was received, and what is accepted."""

from __future__ import annotations

import re
from collections.abc import Iterable
from difflib import get_close_matches


class InputError(ValueError):
    """Something given by the user breaks a rule. The command line prints the message and exits with code 2."""


def unknown(kind: str, name: str, accepted: Iterable[str], *, of: str = "", other: str = "") -> InputError:
    """``unknown task 'coppy_memory'; available: … (did you mean 'copy_memory'?)``"""
    names = sorted(accepted)
    nearest = get_close_matches(name, names, n=1)
    hint = f" (did you mean {nearest[0]!r}?)" if nearest else ""
    owner = f" of {of}" if of else ""
    more = f", or {other}" if other else ""
    return InputError(f"unknown {kind} {name!r}{owner}; available: {', '.join(names) or 'none'}{more}{hint}")


class StoreError(RuntimeError):
    """The store cannot be written or does not answer, also after trying for a while. No run is to blame for it."""


class StoppedError(RuntimeError):
    """A run was asked to stop and did, after keeping a checkpoint."""


HIDDEN = "***"


_PASSWORD = re.compile(r"(?<=://)([^\s/:@]*):([^\n]*)@")


_KEYWORD = re.compile(r"(?i)(password\s*=\s*)('[^']*'|[^\s&]+)")


def redacted(text: str) -> str:
    """``text`` with the password of each address in it replaced by ``***``."""
    return _KEYWORD.sub(rf"\g<1>{HIDDEN}", _PASSWORD.sub(rf"\g<1>:{HIDDEN}@", text))
