"""The names in files that people write. They become files and folders of a store, and none leads out of it.

A name has the same meaning on every system: it has no separator of folders, it is no device of Windows, and it is short
enough for every file system, also with the endings that memspan adds.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Annotated

from pydantic import AfterValidator

from suite.errors import shortened, unknown

LONGEST_NAME = 100
"""The largest number of bytes of a name."""
LONGEST_FILE_NAME = 255
OVERALL = "overall"
"""The name of the mean over all tasks, which no task can have."""
DEVICES = frozenset(["con", "prn", "aux", "nul", *(f"{port}{n}" for port in ("com", "lpt") for n in range(10))])
"""The devices of Windows, which no file can be called there, whatever its ending."""


def check_name(name: str) -> str:
    """Return the name of an experiment, a claim or a budget if it can be the name of a folder.

    Raises:
        ValueError: if it cannot.
    """
    if not re.fullmatch(r"\w[\w .+-]*(?<![ .])", name):
        raise ValueError(
            "a name has letters, digits, '_', '-', '+', '.' and spaces, begins with one of the first three, and does "
            f"not end in '.' or a space; got {shortened(name)}"
        )
    return _check_as_file(name)


def check_file_name(name: str) -> str:
    """Return the name of a file if it lies in the very folder in which it is looked for.

    Raises:
        ValueError: if it could lie elsewhere.
    """
    if not re.fullmatch(r"\w[\w .+-]*", name) or len(name.encode()) > LONGEST_FILE_NAME:
        raise ValueError(f"the name of a file has letters, digits, '_', '-' and '.' only; got {shortened(name)}")
    return name


def check_label(label: str) -> str:
    """Return the label of a row or of a task table if it can be part of the name of a file.

    Raises:
        ValueError: if it cannot.
    """
    if not label.replace("_", "").replace("-", "").isalnum():
        raise ValueError(f"a label has letters, digits, '_' and '-' only; got {shortened(label)}")
    return _check_as_file(label)


def check_task_label(label: str) -> str:
    """Return the label of a task table if it can be one.

    Raises:
        ValueError: if it cannot, or if it stands for the mean over all tasks.
    """
    if label.casefold() == OVERALL:
        raise ValueError(f"no task can be called {label!r}, which stands for the mean over all tasks; rename it")
    return check_label(label)


def check_family(family: str) -> str:
    """Return the family of an architecture if tables can show it.

    Raises:
        ValueError: if they cannot.
    """
    if not isinstance(family, str) or not re.fullmatch(r"\w[\w -]{0,29}", family):
        raise ValueError(
            f"a family is a word or two, of at most 30 letters, digits, '_', '-' and spaces; got {shortened(family)}"
        )
    return family


def chosen_families(text: str, known: Iterable[str]) -> list[str]:
    """Return the families that a text names, separated by commas.

    Raises:
        InputError: if there is none of such a name; it says which ones there are, and the nearest.
    """
    accepted = {family for family in known if family}
    families = [family.strip() for family in text.split(",")]
    for family in families:
        if family not in accepted:
            raise unknown("family", family, accepted)
    return families


def _check_as_file(name: str) -> str:
    if len(name.encode()) > LONGEST_NAME:
        raise ValueError(f"a name has at most {LONGEST_NAME} bytes; got {len(name.encode())}: {shortened(name)}")
    if name.casefold().split(".")[0].rstrip() in DEVICES:
        raise ValueError(f"{name!r} is a device of Windows, where no file can have this name; choose another one")
    return name


Name = Annotated[str, AfterValidator(check_name)]
Label = Annotated[str, AfterValidator(check_label)]
TaskLabel = Annotated[str, AfterValidator(check_task_label)]
Family = Annotated[str, AfterValidator(check_family)]
