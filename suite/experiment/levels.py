"""The levels of an experiment: its tasks, each at one difficulty."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import product
from typing import Any

from suite.errors import InputError, unknown
from suite.experiment.run_config import Frozen, TaskConfig, Training
from suite.experiment.tables import TaskTable
from suite.experiment.validation import check_distinct, errors_at, validate
from suite.registry import make_task, tasks


class Level(Frozen):
    """A task at one difficulty: a column of the leaderboard."""

    table: str
    """The label of the task table to which it belongs."""
    rungs: dict[str, Any]
    """The values that distinguish it from the other levels of its table; empty if the table has no list."""
    task: TaskConfig
    training: Training

    @property
    def label(self) -> str:
        """Its name in tables, such as ``sequence_memory lag=8``."""
        return " ".join([self.table, *(f"{key}={value}" for key, value in self.rungs.items())])


def make_levels(label: str, table: TaskTable, training: Training) -> Iterator[Level]:
    """Yield the level of a task table, or one level per combination of values if the table has lists.

    Args:
        label: the label of the table.
        table: the table.
        training: the settings of ``[training]``, which the table may change.

    Raises:
        InputError: if a value of the table breaks a rule of its task.
    """
    name, where = table.task or label, f"[tasks.{label}]"
    settings = {"length": table.length, "train_size": table.train_size, **(table.model_extra or {})}
    ladders = {key: list(value) for key, value in settings.items() if isinstance(value, list | tuple)}
    for key, values in ladders.items():
        check_distinct(values, f"{where}: {key}")
    own_training = _merge_training(training, table.training, f"{where} training")
    for combination in product(*ladders.values()):
        rungs = dict(zip(ladders, combination, strict=True))
        task = _make_task_config(name, {**settings, **rungs}, table.test_lengths, where)
        yield Level(table=label, rungs=rungs, task=task, training=own_training)


def _make_task_config(name: str, settings: Mapping[str, Any], test_lengths: tuple[int, ...], where: str) -> TaskConfig:
    options = dict(settings)
    length, train_size = options.pop("length"), options.pop("train_size")
    with errors_at(where):
        task = make_task(name, options)
    for key, steps in [("length", length), *(("test_lengths", test_length) for test_length in test_lengths)]:
        if steps < task.shortest:
            raise InputError(f"{where}: {key} must be at least {task.shortest} for {name}; got {steps}")
        if task.longest is not None and steps > task.longest:
            raise InputError(f"{where}: {key} must be at most {task.longest} for {name}; got {steps}")
    available = task.available(length)
    if available is not None and (train_size or 0) > available:
        raise InputError(
            f"{where}: train_size must be at most {available}, which is all that {name} has to train on; "
            f"got {train_size}"
        )
    return TaskConfig(
        name=name,
        options=tasks.options(name, options),
        length=length,
        train_size=train_size,
        test_lengths=test_lengths,
    )


def _merge_training(shared: Training, changes: Mapping[str, Any], where: str) -> Training:
    for key in changes:
        if key not in Training.model_fields:
            raise unknown("key", key, Training.model_fields, of=where)
    merged: Training = validate(Training, {**shared.model_dump(), **changes}, where)
    return merged
