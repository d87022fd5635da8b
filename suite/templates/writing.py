"""A new file of one's own: a template under another name, which must hide nothing and replace nothing."""

from __future__ import annotations

import importlib.util
import keyword
import os
import re
import sys
from pathlib import Path
from typing import NamedTuple

from suite.claims import claim
from suite.errors import InputError, did_you_mean, shortened, unknown
from suite.experiment import loading
from suite.experiment.names import check_name

TEMPLATES = Path(__file__).parent


class Template(NamedTuple):
    """A kind of file that can be written."""

    file: str
    """The name of the template, whose stem is the name that is replaced."""
    next_steps: tuple[tuple[str, str], ...]
    """The commands with which one goes on, each with a remark. NAME and CLASS stand for the names in the new file."""


CHECK = ("memspan check NAME:CLASS", "Does it keep its contract?")
GRADIENTS = ("memspan gradients --architectures NAME:CLASS,lstm", "How far back do its gradients reach?")
EXPERIMENT = ("memspan new experiment my_experiment", "Name it there, and then:")
RUN = ("memspan run my_experiment.toml", "")
COST = "What would run, and how long does it take?"

TEMPLATES_OF = {
    "cell": Template("my_cell.py", (CHECK, GRADIENTS, EXPERIMENT, RUN)),
    "layer": Template("my_layer.py", (CHECK, GRADIENTS, EXPERIMENT, RUN)),
    "task": Template("my_task.py", (CHECK, EXPERIMENT, RUN)),
    "experiment": Template(
        "my_experiment.toml", (("memspan run NAME.toml --dry-run", COST), ("memspan run NAME.toml", ""))
    ),
    "claim": Template(
        "my_claim.toml",
        (("memspan claims NAME.toml --budget small --dry-run", COST), ("memspan claims NAME.toml --budget small", "")),
    ),
}
"""The templates by kind."""


def write(kind: str, name: str, folder: Path) -> tuple[Path, list[str]]:
    """Write a complete file of this kind, to be edited.

    Args:
        kind: ``cell``, ``layer``, ``task``, ``experiment`` or ``claim``.
        name: the name of the file without its ending. A module ``my_cell`` has a class ``MyCell``.
        folder: the folder in which it is written.

    Returns:
        The path of the file, and the commands with which one goes on.

    Raises:
        InputError: if there is no such kind, the name cannot be one or hides something, or the file is there already.
    """
    if kind not in TEMPLATES_OF:
        raise unknown("kind of file", kind, TEMPLATES_OF)
    template = TEMPLATES / TEMPLATES_OF[kind].file
    text = template.read_text(encoding="utf-8")
    if template.suffix == ".py":
        _check_module_name(kind, name)
        text = _renamed(kind, name, text, template.stem)
    else:
        _check_file_name(kind, name)
    path = folder / f"{name}{template.suffix}"
    _write_new(path, text)
    return path, _lines(TEMPLATES_OF[kind].next_steps, name)


def class_of(name: str) -> str:
    """Return the name of the class in a module, such as ``MyCell`` for ``my_cell``."""
    return "".join(part[:1].upper() + part[1:] for part in name.split("_"))


def _lines(steps: tuple[tuple[str, str], ...], name: str) -> list[str]:
    """Return commands with their remarks below each other."""
    commands = [command.replace("NAME", name).replace("CLASS", class_of(name)) for command, _ in steps]
    width = max(map(len, commands))
    remarks = [f"    # {remark}" if remark else "" for _, remark in steps]
    return [f"{command:<{width}}{remark}".rstrip() for command, remark in zip(commands, remarks, strict=True)]


def _renamed(kind: str, name: str, text: str, old: str) -> str:
    """Return the text of a template with the name of its class replaced.

    Raises:
        InputError: if the file needs the new name for something else.
    """
    new_class, old_class = class_of(name), class_of(old)
    if new_class != old_class and re.search(rf"\b{new_class}\b", text):
        raise InputError(
            f"the class of a {kind} has a name of its own; got {name!r}, whose class would be {new_class!r}, which the "
            f"file needs for something else{did_you_mean(f'my_{name}')}"
        )
    return re.sub(rf"\b{old_class}\b", new_class, text)


def _check_module_name(kind: str, name: str) -> None:
    if not name.isidentifier() or keyword.iskeyword(name) or name.startswith("_"):
        likely = re.sub(r"\W+", "_", name.removesuffix(".py")).strip("_").lower()
        usable = likely if likely.isidentifier() and not keyword.iskeyword(likely) else ""
        raise InputError(
            f"the name of a {kind} is that of a Python module: letters, digits and '_', and a letter first; got "
            f"{shortened(name)}{did_you_mean(usable)}"
        )
    owner = _owner(name)
    if owner:
        raise InputError(
            f"the name of a {kind} hides no other module; got {name!r}, which is {owner}{did_you_mean(f'my_{name}')}"
        )


def _owner(name: str) -> str:
    """Say what a module of this name is already, if it is not a file of the working folder; empty if it is nothing."""
    if name in sys.stdlib_module_names:
        return "a module of Python"
    if name in ("memspan", "suite", "tasks", "experiments"):
        return "a package of memspan"
    found = importlib.util.find_spec(name)
    # A folder without __init__.py has no origin, and gives way to a file of the same name.
    if found is None or found.origin is None or os.path.realpath(found.origin) == os.path.realpath(f"{name}.py"):
        return ""
    place = Path(found.origin)
    return f"found in {place.parents[1] if place.stem == '__init__' else place.parent}"


def _check_file_name(kind: str, name: str) -> None:
    try:
        check_name(name)
    except ValueError as error:
        raise InputError(f"{kind} {shortened(name)}: {error}") from error
    if name.endswith(".toml"):
        raise InputError(
            f"the name of a file is given without its ending; got {name!r}{did_you_mean(name.removesuffix('.toml'))}"
        )
    taken = {**dict.fromkeys(claim.available(), "a claim"), **dict.fromkeys(loading.available(), "an experiment")}
    if name in taken:
        raise InputError(
            f"the name of a new {kind} is no other's; got {name!r}, which is {taken[name]} of `memspan list`"
            f"{did_you_mean(f'my_{name}')}"
        )


def _write_new(path: Path, text: str) -> None:
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError as error:
        raise InputError(
            f"a new file replaces none; got {path.name!r}, which is there already; give another name, or remove it"
        ) from error
    except OSError as error:
        raise InputError(f"{str(path)!r} cannot be written: {error.strerror}") from error
