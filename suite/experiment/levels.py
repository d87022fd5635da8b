"""The levels of an experiment: its tasks, each at one difficulty."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from suite.errors import InputError, shortened, unknown
from suite.experiment.bounds import LARGEST_BATCH, LARGEST_WIDTH
from suite.experiment.lengths import LengthRange, longest_of, shortest_of
from suite.experiment.run_config import Frozen, TaskConfig, Training
from suite.experiment.tables import TaskTable
from suite.experiment.validation import check_distinct, check_free, errors_at, validate
from suite.registry import make_task, tasks
from tasks import DataSet, Task

LONGEST_LABEL = 200
"""The largest number of characters of the label of a level."""


class Level(Frozen):
    """A task at one difficulty: a column of the leaderboard."""

    table: str
    """The label of the task table to which it belongs."""
    rungs: dict[str, Any]
    """The values that distinguish it from the other levels of its table; empty if the table has no list."""
    task: TaskConfig
    training: Training

    delays: dict[int, int] | None = None
    """The delay at each length, where it is read from a file because the task is not imported."""

    @property
    def label(self) -> str:
        """Its name in tables, such as ``sequence_memory lag=8``."""
        return self.label_of(self.table, self.rungs)

    @staticmethod
    def label_of(table: str, rungs: Mapping[str, Any]) -> str:
        """Return the label of a level of a task table."""
        return " ".join([table, *(f"{key}={value}" for key, value in rungs.items())])

    def delay(self, length: int) -> int | None:
        """Return the delay at a length; None if it is 0, unknown, or that of a data set.

        Nobody knows how much of the past of a data set matters.
        """
        if self.delays is not None:
            return self.delays.get(length) or None
        if issubclass(tasks.get(self.task.name), DataSet):
            return None
        delay: int = make_task(self.task.name, self.task.options).delay(length)
        return delay or None


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
    for key, values in table.ladders.items():
        check_distinct(values, f"{where}: {key}")
    own_training = merge_training(training, table.training, f"{where} training")
    for rungs in table.rungs:
        task = _make_task_config(name, {**table.settings, **rungs}, table.test_lengths, own_training, where)
        level = Level(table=label, rungs=rungs, task=task, training=own_training)
        if len(level.label) > LONGEST_LABEL:
            raise InputError(
                f"{where}: the values of a level are its label, which has at most {LONGEST_LABEL} "
                f"characters; got {shortened(level.label)}"
            )
        yield level


def _make_task_config(
    name: str, settings: Mapping[str, Any], test_lengths: tuple[int, ...], training: Training, where: str
) -> TaskConfig:
    options = dict(settings)
    length, train_size = options.pop("length"), options.pop("train_size")
    with errors_at(where):
        all_options = tasks.options(name, options, TaskTable.model_fields)
        task = make_task(name, options)
    check_free(all_options, {*TaskTable.model_fields, *TaskConfig.model_fields}, where)
    _check_lengths(name, task, length, test_lengths, where)
    if isinstance(length, LengthRange) and (train_size is not None or isinstance(task, DataSet)):
        what = "a data set" if isinstance(task, DataSet) else "train_size"
        raise InputError(
            f"{where}: lengths from a range are for tasks whose batches are always new; got length = {length} "
            f"with {what}, which takes one number, or a list of numbers"
        )
    available = task.available(longest_of(length))
    if available is not None and (train_size or 0) > available:
        raise InputError(
            f"{where}: train_size must be at most {available}, which is all that {name} has to train on; "
            f"got {train_size}"
        )
    config = TaskConfig(
        name=name,
        options=all_options,
        length=length,
        train_size=train_size,
        test_lengths=test_lengths,
    )
    _check_batches(task, config, training, where)
    return config


def _check_lengths(name: str, task: Task, length: int | LengthRange, test_lengths: tuple[int, ...], where: str) -> None:
    """Check that a task has these lengths, and that those of the test lie beyond those of the training."""
    ends = dict.fromkeys((shortest_of(length), longest_of(length)))
    for key, steps in [*(("length", end) for end in ends), *(("test_lengths", beyond) for beyond in test_lengths)]:
        if steps < task.shortest:
            raise InputError(f"{where}: {key} must be at least {task.shortest} for {name}; got {steps}")
        if task.longest is not None and steps > task.longest:
            raise InputError(f"{where}: {key} must be at most {task.longest} for {name}; got {steps}")
    for test_length in test_lengths:
        if test_length <= longest_of(length):
            raise InputError(
                f"{where}: test_lengths must be longer than the training length, which is {length}; got {test_length}"
            )


def _check_batches(task: Task, config: TaskConfig, training: Training, where: str) -> None:
    """Check that no batch of a task is too large to be drawn."""
    for side, width in (("inputs", task.input_size), ("outputs", task.output_size)):
        if width > LARGEST_WIDTH:
            raise InputError(f"{where}: the {side} of a task have at most {LARGEST_WIDTH:,} features; got {width:,}")
    drawn = {
        "training.batch_size": training.batch_size * config.longest,
        "training.validation_size": training.validation_size * config.longest,
        "training.test_size": training.test_size * max((config.longest, *config.test_lengths)),
        "train_size": (config.train_size or 0) * config.longest,
    }
    for key, steps in drawn.items():
        numbers = steps * (task.input_size + task.output_size)
        if numbers > LARGEST_BATCH:
            raise InputError(
                f"{where}: all sequences that are drawn at a time have at most {LARGEST_BATCH:,} inputs and outputs; "
                f"got {numbers:,}, for {key} × length is {steps:,}"
            )


def merge_training(shared: Training, changes: Mapping[str, Any], where: str) -> Training:
    """Return the shared settings of a training with the changes of one task table."""
    for key in changes:
        if key not in Training.model_fields:
            raise unknown("key", key, Training.model_fields, of=where)
    merged: Training = validate(Training, {**shared.model_dump(), **changes}, where)
    return merged
