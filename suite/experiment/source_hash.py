"""The fingerprint of a class: a hash of its code without comments, docstrings, annotations and formatting.

It covers the class, its base classes, and every helper of their own packages that they use directly or indirectly. A
changed equation makes finished runs unknown; a mended comment, or a new helper that nobody uses, does not. The code of
torch and of Python is left out, because their versions are recorded with each run.
"""

from __future__ import annotations

import ast
import hashlib
import inspect
import re
import sys
from collections.abc import Iterator
from functools import lru_cache
from importlib.util import resolve_name
from pathlib import Path
from typing import Any

from suite.errors import InputError
from suite.experiment.run_config import Source
from suite.imports.exports import ORIGINS
from suite.registry import architectures, tasks

OUTSIDE = ("torch", "abc", "builtins", "typing")
"""Packages whose classes are not part of a fingerprint, even as base classes."""
INTERFACE = ("memspan", "suite")
"""Packages that define nothing themselves. They re-export the names in `ORIGINS`."""
UNSEEN = ("annotation", "ctx", "kind", "returns", "type_comment")
"""Fields of a syntax tree that do not change any result."""


def source_of(task: str, architecture: str) -> Source:
    """Return the fingerprints of a task and of an architecture, by their registered names.

    Raises:
        InputError: if one of them cannot be imported, or its source cannot be read.
    """
    return Source(task=source_hash(tasks.get(task)), architecture=source_hash(architectures.get(architecture)))


@lru_cache(maxsize=1024)
def source_hash(cls: type) -> str:
    """Return sixteen hexadecimal digits that stand for the code of a class, whatever file its helpers are in."""
    parts = sorted(f"{name.rpartition('.')[2]} {text}" for name, text in _definitions(cls))
    return _digest(parts)


def definitions_of(task: str, architecture: str) -> dict[str, str]:
    """Return a digest of each definition that `source_of` covers, by its full name such as ``tasks._base.one_hot``."""
    texts: dict[str, list[str]] = {}
    for cls in (tasks.get(task), architectures.get(architecture)):
        for name, text in _definitions(cls):
            texts.setdefault(name, []).append(text)
    return {name: _digest(texts[name]) for name in sorted(texts)}


def _digest(parts: list[str]) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]


def _definitions(cls: type) -> Iterator[tuple[str, str]]:
    """Yield the full name and the canonical text of each definition that a fingerprint covers."""
    bases = [base for base in cls.__mro__ if base.__module__.split(".")[0] not in OUTSIDE]
    own = {_home(base.__module__) for base in bases}
    waiting = [(base.__module__, name) for base in bases for name in (_outermost(base), "")]
    done = set(waiting)
    while waiting:
        module, name = waiting.pop()
        scope = _scope(module)
        if name in scope.imports.keys() - scope.bound.keys():  # The module re-exports a name that it imports.
            origins = _definitions_behind(scope.imports[name], "", own)
            waiting += sorted(origins - done)
            done |= origins
        for statement in scope.bound.get(name, ()):
            canonical = _Canonical()
            yield f"{module}.{name}".rstrip("."), canonical.text(statement)
            for used, attribute in sorted(canonical.used):
                if used in scope.bound:
                    helpers = {(module, used)}
                elif used in scope.imports:
                    helpers = _definitions_behind(scope.imports[used], attribute, own)
                    if not helpers:
                        yield f"{module}.{used}", f"import {scope.imports[used]}"
                else:
                    continue  # The name is built into Python, or is a variable of a function.
                waiting += sorted(helpers - done)
                done |= helpers


def _outermost(cls: type) -> str:
    """Return the name in a module under which a class is defined.

    Raises:
        InputError: if the file of the module has no such definition, or only one for scripts.
    """
    name = cls.__qualname__.split(".")[0]
    if name not in _scope(cls.__module__).bound:
        raise InputError(
            f"the definition of {name} is not found in the source of module {cls.__module__!r}, and a run is known by "
            "its source: define it there at the outermost level, not below a condition on __name__"
        )
    return name


def _definitions_behind(origin: str, attribute: str, own: set[str]) -> set[tuple[str, str]]:
    """Return the definitions behind an imported name, as (module, name) each.

    Args:
        origin: the full name of what is imported.
        attribute: the attribute that is used of it, if there is one.
        own: the packages of the class. The definitions of others do not count.
    """
    if origin in INTERFACE and attribute in ORIGINS:
        module, names = ORIGINS[attribute], {attribute}
    elif origin in sys.modules:  # A module without an attribute may be used as a whole.
        module = origin
        names = {attribute} if attribute else set(_scope(origin).bound) if _home(origin) in own else set()
    else:
        module, _, name = origin.rpartition(".")
        names = {name}
    return {(module, name) for name in names} if module in sys.modules and _home(module) in own else set()


def _home(module: str) -> str:
    """Return the package to which a module belongs; for a single file, the folder that it shares with its helpers."""
    parts = module.split(".")
    loaded = sys.modules.get(module)
    if len(parts) > 1 or hasattr(loaded, "__path__"):
        return ".".join(parts[:2]) if parts[0] == "suite" else parts[0]
    folder = Path(getattr(loaded, "__file__", None) or module).parent
    if folder.name == "notebook" and module.startswith("notebook_"):  # Its helpers lie where the notebook is.
        folder = Path.cwd()
    return module if "site-packages" in folder.parts else str(folder)


class _Scope:
    """The names of a module, each with the statements that bind it or with the origin of its import.

    Statements that bind no name but have an effect, such as ``torch.set_default_dtype(…)``, stand under the empty name.
    """

    def __init__(self, text: str, package: str) -> None:
        self.bound: dict[str, list[ast.stmt]] = {}
        self.imports: dict[str, str] = {}
        for statement in ast.parse(text).body:
            if isinstance(statement, ast.Import | ast.ImportFrom):
                self.imports |= _origins(statement, package)
            elif isinstance(statement, ast.If) and re.search("TYPE_CHECKING|__name__", ast.unparse(statement.test)):
                continue
            elif not _is_text(statement):
                for name in set(_bound_names(statement)) or {""}:
                    self.bound.setdefault(name, []).append(statement)


def _origins(statement: ast.Import | ast.ImportFrom, package: str) -> dict[str, str]:
    """Return the full name behind each name that an import statement binds."""
    if isinstance(statement, ast.ImportFrom):
        module = resolve_name("." * statement.level + (statement.module or ""), package)
        if statement.names[0].name == "*":
            return {name: _origin(module, name) for name in dir(sys.modules[module])}
        return {alias.asname or alias.name: _origin(module, alias.name) for alias in statement.names}
    renamed = {alias.asname: alias.name for alias in statement.names if alias.asname}
    return renamed | {top: top for alias in statement.names if not alias.asname for top in alias.name.split(".")[:1]}


def _origin(module: str, name: str) -> str:
    """Return the full name behind ``from module import name``; for a name that memspan exports, where it is defined."""
    return f"{ORIGINS.get(name, module) if module in INTERFACE else module}.{name}"


def _bound_names(statement: ast.stmt) -> Iterator[str]:
    """Yield the names that a statement of a module binds, also inside an ``if`` or a ``try``."""
    if isinstance(statement, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
        yield statement.name
        return
    for node in ast.iter_child_nodes(statement):
        if isinstance(node, ast.stmt):
            yield from _bound_names(node)
        elif isinstance(node, ast.ExceptHandler):
            for inner in node.body:
                yield from _bound_names(inner)
        else:
            names = (part for part in ast.walk(node) if isinstance(part, ast.Name))
            yield from (name.id for name in names if isinstance(name.ctx, ast.Store))


def _is_text(node: Any) -> bool:
    """Tell whether a statement is a docstring, a string that documents an attribute, or ``pass``."""
    text = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
    return text or isinstance(node, ast.Pass)


class _Canonical:
    """The text of a syntax tree, which is the same on every version of Python, and the names that the tree uses."""

    def __init__(self) -> None:
        self.used: set[tuple[str, str]] = set()
        """The names, each with the attribute that is used of it or with an empty text."""

    def text(self, node: Any) -> str:
        if isinstance(node, list):
            return f"[{','.join(self.text(part) for part in node if not _is_text(part))}]"
        if not isinstance(node, ast.AST):
            return repr(node)
        if isinstance(node, ast.Name):
            self.used.add((node.id, ""))
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            self.used.add((node.value.id, node.attr))
            return f"{node.value.id}.{node.attr}"
        fields = ((name, getattr(node, name, None)) for name in sorted(node._fields) if name not in UNSEEN)
        parts = (f"{name}={self.text(value)}" for name, value in fields if value is not None and value != [])
        return f"{type(node).__name__}({','.join(parts)})"


def _scope(module: str) -> _Scope:
    """Return the names of a module that is loaded.

    Raises:
        InputError: if its source cannot be read, for example because it was typed into an interpreter.
    """
    try:
        loaded = sys.modules[module]
        return _parsed(inspect.getsource(loaded), loaded.__package__ or "")
    except (KeyError, OSError, TypeError, SyntaxError) as error:
        raise InputError(
            f"the source of module {module!r} cannot be read, and a run is known by its source: "
            "put the class into a file"
        ) from error


@lru_cache(maxsize=256)
def _parsed(text: str, package: str) -> _Scope:
    return _Scope(text, package)
