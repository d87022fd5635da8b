"""A folder is a registry: ``name`` stands for the class in ``name.py``.

A user's own class has a name of the form ``package.module:Class``.
"""

from __future__ import annotations

import ast
import importlib
import importlib.util
import inspect
import os
import re
import sys
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import suppress
from copy import deepcopy
from functools import cached_property
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from suite.errors import InputError, did_you_mean, nearest, reason_of, summary_of, unknown
from suite.imports.search_path import hidden
from suite.options import check_option, not_an_option, option_types, same

if TYPE_CHECKING:
    from suite.architectures import Layer
    from tasks import Task

T = TypeVar("T")


class Registry(Generic[T]):
    """The classes of one folder by the names of their files. A class is imported when somebody asks for it.

    Args:
        kind: the word for one of them in messages, such as ``task``.
        package: the package whose folder holds the files.
        base: the name of their base class, which the package exports.
        bases: the words for the base classes from which one chooses in messages, such as ``Cell or Layer``.
    """

    def __init__(self, kind: str, package: str, base: str, bases: str = "") -> None:
        self.kind = kind
        self.package = package
        self.base = base
        self.bases = bases or base

    @cached_property
    def folder(self) -> Path:
        """The folder of the package."""
        spec = importlib.util.find_spec(self.package)
        assert spec is not None
        assert spec.origin is not None
        return Path(spec.origin).parent

    def names(self) -> list[str]:
        """Return the names of all files of the folder that do not begin with an underscore, in order."""
        files = os.listdir(self.folder)
        return sorted(file[:-3] for file in files if file.endswith(".py") and not file.startswith("_"))

    def summary(self, name: str) -> str:
        """Return the first line of a module's docstring, without importing the module."""
        return (ast.get_docstring(self._tree(name)) or "").split("\n")[0]

    def stated(self, name: str, attribute: str) -> str:
        """Return the text that the public class of a file gives to an attribute, without importing the module.

        It is empty where the class leaves the attribute to its base class.
        """
        classes = [part for part in self._tree(name).body if isinstance(part, ast.ClassDef)]
        for statement in (part for each in classes if not each.name.startswith("_") for part in each.body):
            match statement:
                case ast.Assign([ast.Name(id=target)], ast.Constant(str(text))) if target == attribute:
                    return text
        return ""

    def _tree(self, name: str) -> ast.Module:
        return ast.parse((self.folder / f"{name}.py").read_text(encoding="utf-8"))

    def check(self, name: str) -> None:
        """Check that a name stands for a file of the folder or has the form ``package.module:Class``.

        Raises:
            InputError: if it does neither.
        """
        if not is_class_name(name) and name not in self.names():
            other, likely = "package.module:Class", likely_class_name(name)
            raise unknown(self.kind, name, self.names(), other=other, likely=likely)

    def get(self, name: str) -> type[T]:
        """Return the class of this name.

        Raises:
            InputError: if there is no such class, or its module cannot be imported.
        """
        self.check(name)
        module_name, _, class_name = name.partition(":")
        if not class_name:
            module_name = f"{self.package}.{name}"
        module = import_user_module(self.kind, name) if class_name else _import(self.kind, name, module_name)
        base: type[T] = getattr(importlib.import_module(self.package), self.base)
        classes: dict[str, type[T]] = {
            key: value
            for key, value in vars(module).items()
            if inspect.isclass(value) and issubclass(value, base) and value.__module__ == module.__name__
        }
        if class_name:
            if class_name not in classes:
                check_hidden(self.kind, name)
                raise self._not_one(module, class_name, base, classes)
            return classes[class_name]
        public = [value for key, value in classes.items() if not key.startswith("_")]
        if len(public) != 1:
            listed = ", ".join(sorted(value.__name__ for value in public)) or "none"
            raise InputError(
                f"{self.folder.name}/{name}.py must hold one public subclass of {self.bases}; found: {listed}"
            )
        return public[0]

    def _not_one(self, module: ModuleType, class_name: str, base: type[T], classes: Collection[str]) -> InputError:
        """Return the error for a name that is none of the classes of a module."""
        if module.__name__ == "__main__" and not classes:
            return InputError(
                f"{self.kind} '__main__:{class_name}': the program that runs defines no {self.bases}; a class of a "
                "notebook or a script is known there alone, so run the experiment there, or put the class into a file"
            )
        if class_name not in vars(module):
            return unknown(f"{self.bases} in {module.__name__}", class_name, classes)
        value, name = vars(module)[class_name], f"{module.__name__}:{class_name}"
        if inspect.isclass(value) and issubclass(value, base):
            home = f"{value.__module__}:{value.__qualname__}"
            return InputError(f"{self.kind} {name!r}: {class_name} comes from another module; name it {home!r}")
        return InputError(f"{self.kind} {name!r}: {class_name} is not a subclass of {self.bases}")

    def options(self, name: str, given: Mapping[str, Any], settings: Iterable[str] = ()) -> dict[str, Any]:
        """Return all options of a class: those that are given, checked by name and type, and the defaults of the rest.

        Args:
            name: the name of the class.
            given: the values of some options.
            settings: what the table of the options accepts beside them, for the message about an unknown one.

        Raises:
            InputError: if the class has no such option, or the value of one is not of its type.
        """
        cls: Callable[..., Any] = self.get(name)
        accepted, owner = option_types(cls), f"{self.kind} {name!r}"
        values = {option: deepcopy(default) for option, (_, default) in accepted.items()}
        for option, value in given.items():
            if option not in accepted:
                raise not_an_option(cls, option, owner, settings)
            values[option] = check_option(cls, option, value, owner)
        return values

    def without_defaults(self, name: str, options: Mapping[str, Any]) -> dict[str, Any]:
        """Return those ``options`` of a class whose values differ from the default."""
        cls: Callable[..., Any] = self.get(name)
        defaults = {option: default for option, (_, default) in option_types(cls).items()}
        return {key: value for key, value in options.items() if key not in defaults or not same(value, defaults[key])}


def is_class_name(name: str) -> bool:
    """Tell whether a name has the form ``package.module:Class``."""
    module, _, class_name = name.partition(":")
    return all(part.isidentifier() for part in (*module.split("."), class_name))


def likely_class_name(name: str) -> str:
    """Return ``my_cell:Leaky`` for a class that is written as ``my_cell.py:Leaky``, ``my_cell.Leaky`` or ``my_cell``.

    The last form is meant where the working folder has such a file with a class. Otherwise the result is empty.
    """
    module = name.removesuffix(".py")
    if module.isidentifier():
        with suppress(OSError, SyntaxError, ValueError):
            nodes = ast.parse(Path(f"{module}.py").read_text(encoding="utf-8")).body
            return next((f"{module}:{node.name}" for node in reversed(nodes) if isinstance(node, ast.ClassDef)), "")
        return ""
    path, colon, class_name = name.rpartition(":")
    if not colon:
        path, _, class_name = name.rpartition(".")
    likely = f"{path.removesuffix('.py').removeprefix('./').replace('/', '.')}:{class_name}"
    return likely if likely != name and is_class_name(likely) and class_name[0].isupper() else ""


def import_user_module(kind: str, name: str) -> ModuleType:
    """Import the user's module to which a class ``package.module:Class`` belongs.

    Raises:
        InputError: if the module cannot be imported, or another module takes its name.
    """
    module = _import(kind, name, name.partition(":")[0])
    check_hidden(kind, name, exactly=True)
    return module


def check_hidden(kind: str, name: str, *, exactly: bool = False) -> None:
    """Check that the module imported for a class ``package.module:Class`` hides no module of the user.

    Args:
        kind: the kind of class, for the message.
        name: the name of the class.
        exactly: count only a file that would be this very module; otherwise the first part of the name decides.

    Raises:
        InputError: if it hides one.
    """
    reason = hidden(name.partition(":")[0], exactly=exactly)
    if reason:
        raise InputError(f"cannot import {kind} {name!r}: {reason}")


def _import(kind: str, name: str, module_name: str) -> ModuleType:
    try:
        return importlib.import_module(module_name)
    except ImportError as error:
        cause: BaseException = error
        reason = hidden(error.name or "") or _missing_name(error) or f"{error}{did_you_mean(_likely_file(name, error))}"
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # A module can raise anything while it is imported, also SystemExit.
        cause = error
        reason = summary_of(error)
    raise InputError(f"cannot import {kind} {name!r}: {reason}") from cause


def _missing_name(error: ImportError) -> str:
    """Return what ``from MODULE import NAME`` raises for a name that a module lacks, with the nearest that it has."""
    found = re.match(r"cannot import name '(\w+)' from '([\w.]+)'", str(error))
    if found is None or found[2] not in sys.modules:
        return ""
    return found[0] + did_you_mean(nearest(found[1], dir(sys.modules[found[2]])))


def _likely_file(name: str, error: ImportError) -> str:
    """Return the name of a class in the file that was probably meant, where the module of the class does not exist."""
    top = name.partition(":")[0].partition(".")[0]
    if likely := likely_class_name(name):
        return likely
    if ":" not in name or error.name != top:
        return ""
    with suppress(OSError):
        modules = [entry.removesuffix(".py") for entry in os.listdir() if entry.endswith(".py")]
        if module := nearest(top, modules):
            return name.replace(top, module, 1)
    return ""


architectures: Registry[Layer] = Registry("architecture", "suite.architectures", "Layer", "Cell or Layer")
tasks: Registry[Task] = Registry("task", "tasks", "Task")


def make_task(name: str, options: Mapping[str, Any]) -> Any:
    """Make the task of this name.

    Raises:
        InputError: if there is no such task, it refuses these options, or its sizes are no numbers.
    """
    cls, all_options = tasks.get(name), tasks.options(name, options)
    try:
        task = cls(**all_options)
        sizes = {size: getattr(task, size) for size in ("input_size", "output_size", "shortest", "longest")}
    except (Exception, SystemExit) as error:  # The code is the user's own, and may raise anything.
        reason = str(error) if isinstance(error, ImportError) else reason_of(error)
        raise InputError(f"task {name!r}: {reason}") from error
    for size, value in sizes.items():
        is_whole = isinstance(value, int) and not isinstance(value, bool) and value >= 1
        if not is_whole and not (size == "longest" and value is None):
            raise InputError(f"task {name!r}: {size} must be a whole number, at least 1; got {value!r}")
    return task
