"""The look before the runs: each cell and each task of an experiment is held to its contract once."""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from typing import Any

import numpy as np
import torch

from suite.architectures import Cell
from suite.contracts.cell_probe import CellProbe
from suite.contracts.cells import CELL_CHECKS
from suite.contracts.checking import CalledCodeError, Violation, violations
from suite.contracts.layers import LAYER_CHECKS
from suite.contracts.tasks import TASK_CHECKS, TaskProbe
from suite.engines.interruption import own_ctrl_c
from suite.engines.watch import saying_if_slow
from suite.errors import InputError
from suite.experiment.lengths import shortest_of
from suite.experiment.run_config import ModelConfig, RunConfig, canonical_json
from suite.numerics import numerics
from suite.registry import architectures, make_task

SLOW_SECONDS = 60.0
"""A look takes about a second. After so many seconds, somebody should know that it may hang."""


def check_contracts(configs: Iterable[RunConfig]) -> None:
    """Check the cells and the tasks of some runs. Nothing is trained, and the random generators stay as they were.

    Raises:
        InputError: if one breaks its contract. It names all violations.
    """
    found: dict[str, None] = {}
    for config in configs:
        task, model = config.task, config.model
        lengths = tuple(dict.fromkeys((task.longest, shortest_of(task.length), *task.test_lengths)))
        breaks = _task_violations(task.name, canonical_json(task.options), lengths, config.source.task)
        if not breaks:
            input_size = make_task(task.name, task.options).input_size
            cell = (model.architecture, canonical_json(model.options), input_size, model.hidden_size)
            breaks = _cell_violations(*cell, config.source.architecture)
        found |= dict.fromkeys(violation.message for violation in breaks)
    _refuse(found, "No run has been started. With --no-check (check=False in Python) they all are.")


def check_cells(models: Iterable[ModelConfig], input_size: int) -> None:
    """Check the cells of some models before they are measured.

    Raises:
        InputError: if one breaks its contract. It names all violations.
    """
    found: dict[str, None] = {}
    for model in models:
        breaks = cell_violations(model.architecture, model.options, input_size, model.hidden_size)
        found |= dict.fromkeys(violation.message for violation in breaks)
    _refuse(found, "Nothing has been measured. With --no-check (check=False in Python) everything is.")


def _refuse(messages: Iterable[str], consequence: str) -> None:
    lines = list(messages)
    if lines:
        raise InputError("\n".join([*lines, consequence]))


def cell_violations(
    architecture: str, options: Mapping[str, Any], input_size: int, hidden_size: int
) -> list[Violation]:
    """Return the rules of its contract that an architecture breaks."""
    cls = architectures.get(architecture)
    with on_foreign_ground(f"cell {architecture!r}"):
        try:
            probe = CellProbe(cls, lambda: cls(input_size, hidden_size, **options), input_size)
        except CalledCodeError as error:
            return [Violation("__init__", str(error))]
        return violations(CELL_CHECKS if issubclass(cls, Cell) else LAYER_CHECKS, probe)


def task_violations(name: str, options: Mapping[str, Any], lengths: tuple[int, ...]) -> list[Violation]:
    """Return the rules of its contract that a task breaks at some lengths."""
    with on_foreign_ground(f"task {name!r}"):
        return violations(TASK_CHECKS, TaskProbe(make_task(name, options), lengths))


# Several experiments of one command share cells and tasks. The last argument is the hash of their source.


@cache
def _cell_violations(
    architecture: str, options: str, input_size: int, hidden_size: int, source: str
) -> list[Violation]:
    return cell_violations(architecture, json.loads(options), input_size, hidden_size)


@cache
def _task_violations(name: str, options: str, lengths: tuple[int, ...], source: str) -> list[Violation]:
    return task_violations(name, json.loads(options), lengths)


@contextmanager
def on_foreign_ground(subject: str) -> Iterator[None]:
    """Call somebody's code, which may draw random numbers, raise KeyboardInterrupt or hang."""
    with own_ctrl_c(), saying_if_slow(f"the look at {subject}", SLOW_SECONDS), _untouched_generators(), numerics():
        yield


@contextmanager
def _untouched_generators() -> Iterator[None]:
    """Give the global generators of torch, NumPy and Python back as they were."""
    of_numpy, of_python = np.random.get_state(), random.getstate()  # noqa: NPY002
    try:
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(0)
            yield
    finally:
        np.random.set_state(of_numpy)  # noqa: NPY002
        random.setstate(of_python)
