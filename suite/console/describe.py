"""Descriptions of architectures, tasks, experiments and claims, for people who choose one."""

from __future__ import annotations

import inspect
import re
import types
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from suite.claims import claim
from suite.errors import InputError, unknown
from suite.experiment import loading
from suite.registry import Registry, architectures, option_types, tasks


def describe(name: str) -> dict[str, Any]:
    """Describe the architecture, the task, the experiment or the claim of this name.

    Returns:
        ``kind``, ``name`` and ``text``. An architecture or a task also has ``options`` with their types and defaults.
        The text of an experiment or a claim is its file.

    Raises:
        InputError: if nothing has this name.
    """
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
    classes = [class_name for registry in registries.values() for class_name in registry.names()]
    raise unknown("name", name, [*classes, *files["experiment"], *files["claim"]])


def _describe_class(kind: str, name: str, registry: Registry[Any]) -> dict[str, Any]:
    cls = registry.get(name)
    options = {
        option: {"type": type_text(annotation), "default": default}
        for option, (annotation, default) in option_types(cls).items()
    }
    paragraphs = [f"{kind.capitalize()} {name}", plain_text(inspect.cleandoc(cls.__doc__ or ""))]
    if options:
        cells = [(option, repr(fact["default"]), fact["type"]) for option, fact in options.items()]
        rows = [("option", "default", "type"), *cells]
        widths = [max(len(row[column]) for row in rows) for column in range(2)]
        lines = [f"    {option:<{widths[0]}}  {default:<{widths[1]}}  {kind}" for option, default, kind in rows]
        paragraphs += ["Its options are keys of its table in an experiment:", "\n".join(lines)]
    else:
        paragraphs.append("It has no options.")
    return {"kind": kind, "name": name, "text": "\n\n".join(paragraphs), "options": options}


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
