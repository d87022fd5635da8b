"""What the registries discover, as test parameters; and states of any structure, taken apart and put together."""

from __future__ import annotations

import inspect
import linecache
import re
import sys
from collections.abc import Callable, Iterable
from itertools import product
from types import ModuleType
from typing import Any, Literal, get_args, get_origin

import pytest
from torch import Tensor

from suite.engines import TaskResult
from suite.options import option_types
from suite.planning.job import Job, Outcome
from suite.registry import Registry
from suite.running.events import RunListener


def combinations(cls: Callable[..., Any]) -> list[dict[str, Any]]:
    """Every combination of the options of ``cls`` that are annotated as ``Literal``."""
    choices = {
        name: get_args(annotation)
        for name, (annotation, _) in option_types(cls).items()
        if get_origin(annotation) is Literal
    }
    return [dict(zip(choices, values, strict=True)) for values in product(*choices.values())]


def discovered(registry: Registry[Any], *, switches: bool = False) -> list[Any]:
    """A test parameter (name, options) for every class of the registry and every combination of its options.

    With ``switches``, each boolean option is on in as many more.
    """
    found = []
    for name in registry.names():
        choices = combinations(registry.get(name))
        on = [option for option, (kind, _) in option_types(registry.get(name)).items() if kind is bool and switches]
        found += [(name, options) for options in choices]
        found += [(name, {**options, option: True}) for option in on for options in choices]
    return [pytest.param(*case, id="-".join([case[0], *_words(case[1])])) for case in found]


def _words(options: dict[str, Any]) -> list[str]:
    return [option if value is True else str(value) for option, value in options.items()]


def lacking(cls: type, demands: dict[str, str]) -> list[str]:
    """What the docstring of a class lacks, of ``demands``: regular expressions by what they look for, in words."""
    text = inspect.cleandoc(vars(cls).get("__doc__") or "")
    missing = [what for what, pattern in demands.items() if not re.search(pattern, text, re.MULTILINE)]
    return [f"the docstring of {cls.__name__} lacks {what}" for what in missing]


def leaves(state: Any) -> list[Tensor]:
    """The tensors of a state, in order."""
    return [state] if isinstance(state, Tensor) else [leaf for part in state for leaf in leaves(part)]


def map_state(function: Callable[[Tensor], Tensor], state: Any) -> Any:
    """A state of the same structure, with ``function`` applied to every tensor."""
    if isinstance(state, Tensor):
        return function(state)
    parts = [map_state(function, part) for part in state]
    return type(state)(*parts) if hasattr(state, "_fields") else type(state)(parts)


def with_leaves(state: Any, tensors: Iterable[Tensor]) -> Any:
    """A state of the same structure, holding ``tensors`` instead."""
    iterator = iter(tensors)
    return map_state(lambda _: next(iterator), state)


class Notes(RunListener):
    """Keeps what a listener is told."""

    def __init__(self) -> None:
        self.steps: list[int] = []
        self.done: list[str] = []
        self.failures: list[tuple[str, bool]] = []
        self.troubles: list[str] = []

    def on_step(self, job: Job, step: int) -> None:
        self.steps.append(step)

    def on_done(self, job: Job, outcome: Outcome) -> None:
        self.done.append(job.key)

    def on_failed(self, job: Job, result: TaskResult, given_up: bool) -> None:
        self.failures.append((result.reason, given_up))

    def on_trouble(self, text: str) -> None:
        self.troubles.append(text)


class Notebook:
    """A module ``__main__`` whose cells are executed as a notebook or an interpreter does it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.module = ModuleType("__main__")
        monkeypatch.setitem(sys.modules, "__main__", self.module)
        self.files: list[str] = []

    def __enter__(self) -> Notebook:
        return self

    def __exit__(self, *error: object) -> None:
        for file in self.files:
            linecache.cache.pop(file, None)

    def run(self, cell: str) -> None:
        file = f"<cell {len(self.files)}>"
        self.files.append(file)
        linecache.cache[file] = len(cell), None, cell.splitlines(keepends=True), file
        exec(compile(cell, file, "exec"), vars(self.module))
