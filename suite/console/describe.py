"""Descriptions of architectures, tasks, experiments and claims, for people who choose one."""

from __future__ import annotations

import inspect
import re
import types
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from suite.architectures import Layer
from suite.claims import claim
from suite.errors import InputError, unknown
from suite.experiment import loading
from suite.experiment.experiment import Experiment
from suite.experiment.tables import ArchitectureTable, TaskTable, settings_text
from suite.leaderboards import columns
from suite.options import option_types
from suite.registry import Registry, architectures, tasks

Description = dict[str, Any]
"""``kind``, ``name`` and ``text``, and the ``options`` of a class with their types and defaults."""


def describe(name: str, place: str = "") -> Description:
    """Describe whatever has this name.

    That is an architecture, a task, an experiment, a claim, a column of a table, the word ``columns`` for all of them,
    or a label of an experiment. The text of an experiment or a claim is its file.

    Args:
        name: the name.
        place: an experiment or a claim, whose label the name then is.

    Raises:
        InputError: if nothing has this name.
    """
    if place:
        return _describe_label(name, place)
    registries: dict[str, Registry[Any]] = {"architecture": architectures, "task": tasks}
    for kind, registry in registries.items():
        if name in registry.names():
            return _describe_class(kind, name, registry)
    if ":" in name:  # This is a user's own class, of either kind.
        with suppress(InputError):
            return _describe_class("architecture", name, architectures)
        return _describe_class("task", name, tasks)
    files: dict[str, dict[str, Path]] = {"experiment": loading.available(), "claim": claim.available()}
    for kind, paths in files.items():
        if name in paths:
            return {"kind": kind, "name": name, "text": paths[name].read_text(encoding="utf-8").rstrip()}
    words = columns.explained()
    if name == "columns" or name in words:
        shown = words if name == "columns" else {name: words[name]}
        return {
            "kind": "column",
            "name": name,
            "text": "\n\n".join(f"{label}: {text}" for label, text in shown.items()),
        }
    if places := list(_places_of(name, [place for paths in files.values() for place in paths])):
        return _describe_label(name, *places)
    classes = [class_name for registry in registries.values() for class_name in registry.names()]
    accepted = [*classes, *files["experiment"], *files["claim"], "columns"]
    raise unknown("name", name, accepted, other="a label followed by its experiment")


def _describe_label(label: str, *places: str) -> Description:
    """Describe a label of one or more experiments or claims. This imports nothing that their files name."""
    texts = []
    for place in places:
        labels = _labels(place)
        if label not in labels:
            raise unknown("label", label, labels, of=f"experiment {place!r}")
        texts.append(labels[label])
    lines = [f"{label} in {place}: {text}" for place, text in zip(places, texts, strict=True)]
    names = dict.fromkeys(text.split()[0] for text in texts)
    seen = f"See `memspan list {'`, `memspan list '.join(names)}` for what it is and for its other options."
    return {"kind": "label", "name": label, "text": "\n".join([*lines, "", seen])}


def _places_of(label: str, places: Iterable[str]) -> Iterator[str]:
    """Yield those experiments and claims that have a label. A file that is wrong has none."""
    for place in places:
        with suppress(InputError):
            if label in _labels(place):
                yield place


def _labels(place: str) -> dict[str, str]:
    """Return the labels of an experiment or a claim, each with its class and the settings of its table."""
    experiments, claims = loading.available(), claim.available()
    kind = "claim" if place in claims and place not in experiments else "experiment"
    tables, name = loading.read(kind, place, claims if kind == "claim" else experiments)
    inside = tables.get("experiment", tables)  # That of a claim is a table, or the name of an experiment.
    if isinstance(inside, str):
        return _labels(inside)
    experiment = Experiment.from_tables(inside, name)
    tables_of: tuple[Mapping[str, ArchitectureTable | TaskTable], ...] = (experiment.architectures, experiment.tasks)
    return {label: settings_text(label, table) for tables in tables_of for label, table in tables.items()}


def _describe_class(kind: str, name: str, registry: Registry[Any]) -> Description:
    cls: Callable[..., Any] = registry.get(name)
    options = {
        option: {"type": type_text(annotation), "default": default}
        for option, (annotation, default) in option_types(cls).items()
    }
    paragraphs = [f"{kind.capitalize()} {name}", plain_text(inspect.cleandoc(cls.__doc__ or ""))]
    family = {"family": cls.family} if isinstance(cls, type) and issubclass(cls, Layer) else {}
    paragraphs += [f"Its family: {each}." for each in family.values()]
    if options:
        cells = [(option, repr(fact["default"]), fact["type"]) for option, fact in options.items()]
        rows = [("option", "default", "type"), *cells]
        widths = [max(len(row[column]) for row in rows) for column in range(2)]
        lines = [f"    {option:<{widths[0]}}  {default:<{widths[1]}}  {kind}" for option, default, kind in rows]
        paragraphs += ["Its options are keys of its table in an experiment:", "\n".join(lines)]
    else:
        paragraphs.append("It has no options.")
    return {"kind": kind, "name": name, **family, "text": "\n\n".join(paragraphs), "options": options}


def plain_text(docstring: str) -> str:
    """Return a docstring without the marks of reStructuredText, with each paragraph of prose in one line.

    Code keeps a pair of single backticks, because an option at the start of a sentence could be taken for a word.
    """
    text = re.sub(r"::$", ":", docstring, flags=re.MULTILINE).replace("``", "`")
    text = re.sub(r"(?<![\w*])(\*{1,2})(?=\w)([^*\n]+)(?<=\w)\1(?![\w*])", r"\2", text)
    return re.sub(r"(?<=\S)\n(?=\S)", " ", text)


def type_text(annotation: Any) -> str:
    """Return an annotation in words, such as the choices of a ``Literal`` or the name of a type."""
    origin = get_origin(annotation)
    if origin is Literal:
        return " | ".join(repr(choice) for choice in get_args(annotation))
    if origin is types.UnionType:
        return " | ".join(type_text(part) for part in get_args(annotation))
    return "None" if annotation is type(None) else getattr(annotation, "__name__", str(annotation))
