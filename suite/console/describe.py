"""What an architecture, a task, an experiment or a claim is, for people who choose one."""

from __future__ import annotations

import inspect
import types
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from suite.claims import claim
from suite.errors import InputError, unknown
from suite.experiment import loading
from suite.registry import Registry, architectures, option_types, tasks


def describe(name: str) -> dict[str, Any]:
    """``kind``, ``name``, ``text`` and, of an architecture or a task, ``options`` with their types and defaults.

    Raises:
        InputError: if nothing is called so.
    """
    registries: dict[str, Registry[Any]] = {"architecture": architectures, "task": tasks}
    for kind, registry in registries.items():
        if name in registry.names():
            return _class(kind, name, registry)
    if ":" in name:  # somebody else's class, of either kind
        with suppress(InputError):
            return _class("architecture", name, architectures)
        return _class("task", name, tasks)
    files: dict[str, dict[str, Path]] = {"experiment": loading.available(), "claim": claim.available()}
    for kind, paths in files.items():
        if name in paths:
            return {"kind": kind, "name": name, "text": paths[name].read_text(encoding="utf-8").rstrip()}
    every = [
        *(one for registry in registries.values() for one in registry.names()),
        *files["experiment"],
        *files["claim"],
    ]
    raise unknown("name", name, every)


def _class(kind: str, name: str, registry: Registry[Any]) -> dict[str, Any]:
    cls = registry.get(name)
    options = {
        option: {"type": type_text(annotation), "default": default}
        for option, (annotation, default) in option_types(cls).items()
    }
    lines = [inspect.cleandoc(cls.__doc__ or "")]
    if options:
        width = max(map(len, options))
        lines += ["", "Options, as keys of its table in an experiment (type, default):", ""]
        lines += [f"    {o:<{width}}  {options[o]['type']}, {options[o]['default']!r}" for o in options]
    else:
        lines += ["", "It has no options."]
    return {"kind": kind, "name": name, "text": "\n".join(lines), "options": options}


def type_text(annotation: Any) -> str:
    """An annotation as one reads it: the choices of a ``Literal``, the name of a type."""
    origin = get_origin(annotation)
    if origin is Literal:
        return " | ".join(repr(choice) for choice in get_args(annotation))
    if origin in (types.UnionType,):
        return " | ".join(type_text(part) for part in get_args(annotation))
    return "None" if annotation is type(None) else getattr(annotation, "__name__", str(annotation))
