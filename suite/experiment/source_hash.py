"""A fingerprint of a class that comments, docstrings, annotations and formatting leave as it is.

It covers the class, its base classes, and every helper that these use from their own package, as far as one leads to
the next. So mending a comment, or adding a helper that nobody uses, makes no finished run unknown, and a changed
equation does. Code of torch and of Python is left out, because the versions are recorded with each run.
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

import memspan
from suite.errors import InputError
from suite.experiment.run_config import Source
from suite.registry import architectures, tasks

OUTSIDE = ("torch", "abc", "builtins", "typing")
"""Packages whose classes are not part of a fingerprint, although they are base classes."""
INTERFACE = ("memspan", "suite")
"""Packages that define nothing themselves, and hand on what memspan exports."""
UNSEEN = ("annotation", "ctx", "kind", "returns", "type_comment")
"""Fields of a syntax tree that do not change what is calculated."""


def source_of(task: str, architecture: str) -> Source:
    """The fingerprints of a task and of an architecture, each given by its registered name.

    Raises:
        InputError: if one of them cannot be imported, or its source cannot be read.
    """
    return Source(task=source_hash(tasks.get(task)), architecture=source_hash(architectures.get(architecture)))


@lru_cache(maxsize=1024)
def source_hash(cls: type) -> str:
    """Sixteen hexadecimal digits that stand for the code of ``cls``; moving a helper to another file keeps them."""
    parts = sorted(f"{name.rpartition('.')[2]} {text}" for name, text in _definitions(cls))
    return _digest(parts)


def definitions_of(task: str, architecture: str) -> dict[str, str]:
    """A digest of each definition that `source_of` covers, by its full name, such as ``tasks._base.one_hot``."""
    texts: dict[str, list[str]] = {}
    for cls in (tasks.get(task), architectures.get(architecture)):
        for name, text in _definitions(cls):
            texts.setdefault(name, []).append(text)
    return {name: _digest(texts[name]) for name in sorted(texts)}


def _digest(parts: list[str]) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]


def _definitions(cls: type) -> Iterator[tuple[str, str]]:
    """The full name and the canonical text of each definition that makes up a class, and of what it imports."""
    bases = [base for base in cls.__mro__ if base.__module__.split(".")[0] not in OUTSIDE]
    own = {_home(base.__module__) for base in bases}
    waiting = [(base.__module__, name) for base in bases for name in (base.__qualname__.split(".")[0], "")]
    done = set(waiting)
    while waiting:
        module, name = waiting.pop()
        scope = _scope(module)
        if name in scope.imports.keys() - scope.bound.keys():  # a module hands on what it has imported
            handed_on = _imported(scope.imports[name], "", own)
            waiting += sorted(handed_on - done)
            done |= handed_on
        for statement in scope.bound.get(name, ()):
            canonical = _Canonical()
            yield f"{module}.{name}".rstrip("."), canonical.text(statement)
            for used, attribute in sorted(canonical.used):
                if used in scope.bound:
                    found = {(module, used)}
                elif used in scope.imports:
                    found = _imported(scope.imports[used], attribute, own)
                    if not found:
                        yield f"{module}.{used}", f"import {scope.imports[used]}"
                else:
                    continue  # of Python itself, or a variable of a function
                waiting += sorted(found - done)
                done |= found


def _imported(origin: str, attribute: str, own: set[str]) -> set[tuple[str, str]]:
    """The definitions, as module and name, behind an imported name; none for what belongs to another package."""
    if origin in INTERFACE and attribute in memspan.ORIGINS:
        module, names = memspan.ORIGINS[attribute], {attribute}
    elif origin in sys.modules:  # a module, of which one attribute is used, or who knows what
        module = origin
        names = {attribute} if attribute else set(_scope(origin).bound) if _home(origin) in own else set()
    else:
        module, _, name = origin.rpartition(".")
        names = {name}
    return {(module, name) for name in names} if module in sys.modules and _home(module) in own else set()


def _home(module: str) -> str:
    """What a module belongs to: its package, or for a single file the folder in which it lies beside its helpers."""
    parts = module.split(".")
    loaded = sys.modules.get(module)
    if len(parts) > 1 or hasattr(loaded, "__path__"):
        return ".".join(parts[:2]) if parts[0] == "suite" else parts[0]
    folder = Path(getattr(loaded, "__file__", None) or module).parent
    return module if "site-packages" in folder.parts else str(folder)


class _Scope:
    """What the names of a module stand for: the statements that bind them, or the origin of an import.

    Statements that bind no name and do something, such as ``torch.set_default_dtype(…)``, stand under the empty name.
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
    """The full name behind each name that an import brings."""
    if isinstance(statement, ast.ImportFrom):
        module = resolve_name("." * statement.level + (statement.module or ""), package)
        if statement.names[0].name == "*":
            return {name: _origin(module, name) for name in dir(sys.modules[module])}
        return {one.asname or one.name: _origin(module, one.name) for one in statement.names}
    named = {one.asname: one.name for one in statement.names if one.asname}
    return named | {top: top for one in statement.names if not one.asname for top in one.name.split(".")[:1]}


def _origin(module: str, name: str) -> str:
    """The full name of what ``from module import name`` brings, by the module that defines it if memspan exports it."""
    return f"{memspan.ORIGINS.get(name, module) if module in INTERFACE else module}.{name}"


def _bound_names(statement: ast.stmt) -> Iterator[str]:
    """The names that a statement of a module binds, also inside an ``if`` or a ``try``."""
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
            names = (one for one in ast.walk(node) if isinstance(one, ast.Name))
            yield from (name.id for name in names if isinstance(name.ctx, ast.Store))


def _is_text(node: Any) -> bool:
    """Whether a statement is a docstring, a string that documents an attribute, or nothing at all."""
    text = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
    return text or isinstance(node, ast.Pass)


class _Canonical:
    """The text of a syntax tree, the same on every version of Python, and the names that are used in it."""

    def __init__(self) -> None:
        self.used: set[tuple[str, str]] = set()
        """Names, each with the attribute that is taken of it, if one is."""

    def text(self, node: Any) -> str:
        if isinstance(node, list):
            return f"[{','.join(self.text(one) for one in node if not _is_text(one))}]"
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
    """The names of a module that is loaded.

    Raises:
        InputError: if its source cannot be read, as of a class that was typed into an interpreter.
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
