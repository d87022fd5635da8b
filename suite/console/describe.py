"""What an architecture, a task, an experiment or a claim is, for people who choose one."""

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
    """Describe what has this name.

    Returns:
        ``kind``, ``name`` and ``text``; of an architecture or a task also ``options`` with their types and defaults.

    Raises:
        InputError: if nothing has this name.
    """
    registries: dict[str, Registry[Any]] = {"architecture": architectures, "task": tasks}
    for kind, registry in registries.items():
        if name in registry.names():
            return _describe_class(kind, name, registry)
    if ":" in name:  # somebody else's class, of either kind
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
    lines = [plain_text(inspect.cleandoc(cls.__doc__ or ""))]
    if options:
        width = max(map(len, options))
        lines += ["", "Options, as keys of its table in an experiment (type, default):", ""]
        lines += [f"    {o:<{width}}  {options[o]['type']}, {options[o]['default']!r}" for o in options]
    else:
        lines += ["", "It has no options."]
    return {"kind": kind, "name": name, "text": "\n".join(lines), "options": options}


def plain_text(docstring: str) -> str:
    """Return a docstring without the marks of reStructuredText, which nobody wants to read on a terminal."""
    text = re.sub(r"::$", ":", docstring, flags=re.MULTILINE)
    text = re.sub(r"``([^`]+)``", r"\1", text)
    text = re.sub(r"`([^`]+)`", r"\1", text)
    return re.sub(r"\*\*([^*]+)\*\*", r"\1", text)


def type_text(annotation: Any) -> str:
    """Write an annotation as one reads it: the choices of a ``Literal``, the name of a type."""
    origin = get_origin(annotation)
    if origin is Literal:
        return " | ".join(repr(choice) for choice in get_args(annotation))
    if origin in (types.UnionType,):
        return " | ".join(type_text(part) for part in get_args(annotation))
    return "None" if annotation is type(None) else getattr(annotation, "__name__", str(annotation))
