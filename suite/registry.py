"""A folder is a registry: ``name`` is the class in ``name.py``; ``package.module:Class`` is somebody else's."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import inspect
import os
from collections.abc import Callable, Mapping
from functools import cache, cached_property
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError, create_model

from memspan._search_path import hidden
from suite.errors import InputError, unknown

if TYPE_CHECKING:
    from suite.architectures import Cell
    from tasks import Task

T = TypeVar("T")


class Registry(Generic[T]):
    """The classes of one folder, found by file name; nothing is imported before it is asked for."""

    def __init__(self, kind: str, package: str, base: str) -> None:
        self.kind = kind
        self.package = package
        self.base = base

    @cached_property
    def folder(self) -> Path:
        spec = importlib.util.find_spec(self.package)
        assert spec is not None
        assert spec.origin is not None
        return Path(spec.origin).parent

    def names(self) -> list[str]:
        """The public names: the files of the folder that do not begin with an underscore."""
        files = os.listdir(self.folder)
        return sorted(file[:-3] for file in files if file.endswith(".py") and not file.startswith("_"))

    def summary(self, name: str) -> str:
        """The first line of the module's docstring, read without importing it."""
        docstring = ast.get_docstring(ast.parse((self.folder / f"{name}.py").read_text(encoding="utf-8"))) or ""
        return docstring.split("\n")[0]

    def check(self, name: str) -> None:
        """Raise ``InputError`` unless ``name`` is a file of the folder or has the form ``package.module:Class``."""
        module, _, class_name = name.partition(":")
        elsewhere = all(part.isidentifier() for part in (*module.split("."), class_name))
        if not elsewhere and name not in self.names():
            raise unknown(self.kind, name, self.names(), other="package.module:Class")

    def get(self, name: str) -> type[T]:
        """The class called ``name``."""
        self.check(name)
        module_name, _, class_name = name.partition(":")
        if not class_name:
            module_name = f"{self.package}.{name}"
        module = import_own(self.kind, name) if class_name else _imported(self.kind, name, module_name)
        base: type[T] = getattr(importlib.import_module(self.package), self.base)
        found: dict[str, type[T]] = {
            key: value
            for key, value in vars(module).items()
            if inspect.isclass(value) and issubclass(value, base) and value.__module__ == module.__name__
        }
        if class_name:
            if class_name not in found:
                check_hidden(self.kind, name)
                raise unknown(f"{self.base} in {module_name}", class_name, found)
            return found[class_name]
        public = [value for key, value in found.items() if not key.startswith("_")]
        if len(public) != 1:
            listed = ", ".join(sorted(value.__name__ for value in public)) or "none"
            raise InputError(
                f"{self.folder.name}/{name}.py must hold one public subclass of {self.base}; found: {listed}"
            )
        return public[0]

    def options(self, name: str, given: Mapping[str, Any]) -> dict[str, Any]:
        """``given`` checked against the options of class ``name``, types included, with the defaults filled in.

        The options are the parameters of the constructor that have a default, annotated as usual in Python.
        """
        return _validated(self.get(name), f"{self.kind} {name!r}", given)

    def without_defaults(self, name: str, options: Mapping[str, Any]) -> dict[str, Any]:
        """The ``options`` of class ``name`` that do not stand at their default."""
        cls: Callable[..., Any] = self.get(name)
        defaults = _defaults(cls)
        return {key: value for key, value in options.items() if key not in defaults or value != defaults[key]}


def import_own(kind: str, name: str) -> ModuleType:
    """Import the module of ``package.module:Class``, which is a user's own.

    Raises:
        InputError: if importing the module raises anything, or if another module is found under its name.
    """
    module = _imported(kind, name, name.partition(":")[0])
    check_hidden(kind, name, exactly=True)
    return module


def check_hidden(kind: str, name: str, *, exactly: bool = False) -> None:
    """Raise ``InputError`` if a module of the user's is hidden by the one imported for ``package.module:Class``."""
    reason = hidden(name.partition(":")[0], exactly=exactly)
    if reason:
        raise InputError(f"cannot import {kind} {name!r}: {reason}")


def _imported(kind: str, name: str, module_name: str) -> ModuleType:
    try:
        return importlib.import_module(module_name)
    except ImportError as error:
        cause: BaseException = error
        reason = hidden(error.name or "") or str(error)
    except (Exception, SystemExit) as error:
        cause = error
        reason = f"{type(error).__name__}: {error}"
    raise InputError(f"cannot import {kind} {name!r}: {reason}") from cause


def option_types(cls: Callable[..., Any]) -> dict[str, tuple[Any, Any]]:
    """The options of a class, its constructor's parameters that have a default: name → (annotation, default)."""
    parameters = inspect.signature(cls, eval_str=True).parameters.values()
    return {p.name: (p.annotation, p.default) for p in parameters if p.default is not p.empty}


@cache
def _defaults(cls: Callable[..., Any]) -> dict[str, Any]:
    return {name: default for name, (_, default) in option_types(cls).items()}


@cache
def _schema(cls: Callable[..., Any]) -> type[BaseModel]:
    config = ConfigDict(strict=True, allow_inf_nan=False)
    schema: type[BaseModel] = create_model("Options", __config__=config, **option_types(cls))  # type: ignore[call-overload]
    return schema


def _validated(cls: Callable[..., Any], owner: str, given: Mapping[str, Any]) -> dict[str, Any]:
    schema = _schema(cls)
    for key in given:
        if key not in schema.model_fields:
            raise unknown("option", key, schema.model_fields, of=owner)
    try:
        filled: dict[str, Any] = schema(**given).model_dump()
        return filled
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise InputError(f"{where} of {owner}: {first['msg'].lower()}; got {first['input']!r}") from error


architectures: Registry[Cell[Any]] = Registry("architecture", "suite.architectures", "Cell")
tasks: Registry[Task] = Registry("task", "tasks", "Task")


def make_task(name: str, options: Mapping[str, Any]) -> Any:
    """The task ``name`` with its options checked."""
    checked = tasks.options(name, options)
    try:
        return tasks.get(name)(**checked)
    except (ValueError, ImportError) as error:
        raise InputError(f"task {name!r}: {error}") from error
