"""Experiment: one TOML file, validated whole before anything starts, and the studies that it asks for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from itertools import product
from typing import Annotated, Any

from pydantic import ConfigDict, Field, field_validator

from suite.errors import InputError, unknown
from suite.experiment.run_config import Count, Counts, Frozen, Natural, TaskConfig, Training
from suite.experiment.search_space import TUNABLE_TRAINING, NonEmpty, Sweep
from suite.experiment.validation import parsed
from suite.registry import architectures, make_task, tasks


class Evaluation(Frozen):
    """The seeds on which the best configuration of each study is trained again, from 0 if a number is given."""

    seeds: Count | Annotated[tuple[Annotated[int, Field(ge=0)], ...], Field(strict=False, min_length=1)] = 5

    @property
    def seed_list(self) -> tuple[int, ...]:
        return tuple(range(self.seeds)) if isinstance(self.seeds, int) else self.seeds


class Size(Frozen):
    """How large the models are: at equal width (``hidden_size``) or at equal ``parameters``, solved for to 5 %."""

    hidden_size: Count | None = None
    parameters: Count | None = None
    depth: Count = 1
    bidirectional: bool = False
    delay: Natural = 0


class TaskTable(Frozen):
    """``[tasks.LABEL]``; every further key is an option of the task. A list makes one level of each value."""

    model_config = ConfigDict(extra="allow", frozen=True, strict=True)

    task: str | None = None
    length: Count | NonEmpty
    train_size: Count | NonEmpty | None = None
    test_lengths: Counts = ()
    training: dict[str, Any] = Field(default={})


class ArchitectureTable(Frozen):
    """``[architectures.LABEL]``; every further key is an option of the architecture, fixed and not searched.

    ``training`` fixes some of ``TUNABLE_TRAINING`` for this row.
    """

    model_config = ConfigDict(extra="allow", frozen=True, strict=True)

    architecture: str | None = None
    hidden_size: Count | None = None
    parameters: Count | None = None
    depth: Count | None = None
    bidirectional: bool | None = None
    delay: Natural | None = None
    training: dict[str, Any] = Field(default={})


class Level(Frozen):
    """A task at one difficulty: a column of the leaderboard."""

    table: str
    """The label of the task table that it comes from."""
    rungs: dict[str, Any]
    """The values that tell it from the other levels of its table; empty where the table has no list."""
    task: TaskConfig
    training: Training

    @property
    def label(self) -> str:
        """Its name in tables, such as ``sequence_memory lag=8``."""
        return " ".join([self.table, *(f"{key}={value}" for key, value in self.rungs.items())])


class Variant(Frozen):
    """An architecture with some of its options fixed: a row of the leaderboard."""

    label: str
    architecture: str
    fixed: dict[str, Any]
    """Options of the architecture and of the model (depth, direction, delay) that are fixed for this row."""
    size: Size


class Experiment(Frozen):
    """What is asked: which architectures, on which task levels, tuned how, evaluated on which seeds."""

    name: str
    title: str = ""
    description: str = ""
    tasks: dict[str, TaskTable] = Field(min_length=1)
    architectures: dict[str, ArchitectureTable] = Field(min_length=1)
    model: Size = Size()
    training: Training = Training()
    sweep: Sweep = Sweep()
    evaluation: Evaluation = Evaluation()

    @field_validator("tasks", "architectures", mode="before")
    @classmethod
    def _labels(cls, tables: Any) -> Any:
        for label in tables if isinstance(tables, Mapping) else ():
            if not label.replace("_", "").replace("-", "").isalnum():
                raise ValueError(f"a label has letters, digits, '_' and '-' only; got {label!r}")
        return tables

    @cached_property
    def levels(self) -> list[Level]:
        """The task levels: one per table, or one per combination where a table has lists."""
        return [level for label, table in self.tasks.items() for level in self._levels_of(label, table)]

    def _levels_of(self, label: str, table: TaskTable) -> Iterable[Level]:
        name = table.task or label
        where = f"[tasks.{label}]"
        laddered = {"length": table.length, "train_size": table.train_size, **(table.model_extra or {})}
        rungs = {key: list(value) for key, value in laddered.items() if isinstance(value, list | tuple)}
        for key, rung_values in rungs.items():
            _check_distinct(rung_values, f"{where}: {key}")
        training = _merge(self.training, table.training, f"{where} training")
        for values in product(*rungs.values()):
            rung = dict(zip(rungs, values, strict=True))
            options = {**laddered, **rung}
            length, train_size = options.pop("length"), options.pop("train_size")
            task = _within(where, make_task, name, options)
            for key, shown in [("length", length), *(("test_lengths", tested) for tested in table.test_lengths)]:
                if shown < task.shortest:
                    raise InputError(f"{where}: {key} must be at least {task.shortest} for {name}; got {shown}")
                if task.longest is not None and shown > task.longest:
                    raise InputError(f"{where}: {key} must be at most {task.longest} for {name}; got {shown}")
            available = task.available(length)
            if available is not None and (train_size or 0) > available:
                raise InputError(
                    f"{where}: train_size must be at most {available}, which is all that {name} has to train on; "
                    f"got {train_size}"
                )
            yield Level(
                table=label,
                rungs=rung,
                task=TaskConfig(
                    name=name,
                    options=tasks.options(name, options),
                    length=length,
                    train_size=train_size,
                    test_lengths=table.test_lengths,
                ),
                training=training,
            )

    @cached_property
    def variants(self) -> list[Variant]:
        """The architectures with what their tables fix."""
        return [self._variant(label, table) for label, table in self.architectures.items()]

    def _variant(self, label: str, table: ArchitectureTable) -> Variant:
        name = table.architecture or label
        where = f"[architectures.{label}]"
        options = dict(table.model_extra or {})
        _within(where, architectures.options, name, options)
        own = table.model_dump(include=set(Size.model_fields), exclude_none=True)
        shared = self.model.model_dump(exclude={"parameters", "hidden_size"} if _sized(own) else set())
        size = Size(**{**shared, **own})
        searched = "hidden_size" in self.sweep.space
        if (size.hidden_size is None) == (size.parameters is None) and not (searched and size.parameters is None):
            raise InputError(
                f"{where}: give the size once, as hidden_size (equal width) or as parameters (equal parameters), "
                f"here or in [model]; got {_sized(size.model_dump()) or 'neither'}"
            )
        for key in table.training:
            if key not in TUNABLE_TRAINING:
                raise unknown("key", key, TUNABLE_TRAINING, of=f"{where} training")
        fixed = {**options, **{key: value for key, value in own.items() if key != "parameters"}, **table.training}
        return Variant(label=label, architecture=name, fixed=fixed, size=size)

    @property
    def runs_per_study(self) -> int:
        """Trials, further runs of finalists, and evaluations."""
        again = self.sweep.finalists * len(self.sweep.finalist_seed_list)
        return self.sweep.trials + again + len(self.evaluation.seed_list)

    def select(
        self,
        *,
        architectures: str | Iterable[str] | None = None,
        tasks: str | Iterable[str] | None = None,
        seeds: int | None = None,
        trials: int | None = None,
        steps: int | None = None,
    ) -> Experiment:
        """This experiment with fewer rows or columns, by label (a string may list several), or with another budget."""
        data = self.model_dump()
        for key, wanted in (("architectures", architectures), ("tasks", tasks)):
            if wanted is not None:
                chosen = [w.strip() for w in wanted.split(",")] if isinstance(wanted, str) else list(wanted)
                for label in chosen:
                    if label not in data[key]:
                        raise unknown(key.removesuffix("s"), label, data[key], of=f"experiment {self.name!r}")
                data[key] = {label: table for label, table in data[key].items() if label in chosen}
        if seeds is not None:
            data["evaluation"]["seeds"] = seeds
        if trials is not None:
            data["sweep"]["trials"] = trials
        if steps is not None:
            data["training"]["steps"] = steps
            for table in data["tasks"].values():
                table["training"].pop("steps", None)
        return _validated(data, self.name)


def _check_distinct(values: Sequence[Any], what: str) -> None:
    if not values or len(set(map(repr, values))) < len(values):
        raise InputError(f"{what}: a list must have values, each once; got {list(values)}")


def _sized(values: Mapping[str, Any]) -> str:
    """The keys of ``values`` that give a size, as text."""
    return " and ".join(key for key in ("hidden_size", "parameters") if values.get(key) is not None)


def _within(where: str, function: Any, *arguments: Any) -> Any:
    """Call ``function`` and say ``where`` in the file its complaint belongs."""
    try:
        return function(*arguments)
    except InputError as error:
        raise InputError(f"{where}: {error}") from error


def _merge(shared: Training, own: Mapping[str, Any], where: str) -> Training:
    for key in own:
        if key not in Training.model_fields:
            raise unknown("key", key, Training.model_fields, of=where)
    merged: Training = parsed(Training, {**shared.model_dump(), **own}, where)
    return merged


def _validated(data: Mapping[str, Any], name: str) -> Experiment:
    experiment: Experiment = parsed(Experiment, {**data, "name": name}, f"experiment {name!r}")
    for label, task in experiment.tasks.items():
        _within(f"[tasks.{label}]", tasks.check, task.task or label)
    for label, table in experiment.architectures.items():
        _within(f"[architectures.{label}]", architectures.check, table.architecture or label)
    seeds = experiment.evaluation.seed_list
    _check_distinct(seeds, "evaluation.seeds")
    shared = {experiment.sweep.seed, *experiment.sweep.finalist_seed_list} & set(seeds)
    if experiment.sweep.trials and shared:
        raise InputError(
            f"experiment {name!r}: sweep.seed must not be a seed of the evaluation, or the tuned seed is tested; "
            f"got {min(shared)}, which is one of {list(seeds)}"
        )
    if experiment.sweep.finalists > max(1, experiment.sweep.trials):
        raise InputError(
            f"experiment {name!r}: sweep.finalists must not exceed sweep.trials = {experiment.sweep.trials}; "
            f"got {experiment.sweep.finalists}"
        )
    if experiment.sweep.trials > 1 and not experiment.sweep.space:
        raise InputError(
            f"experiment {name!r}: [sweep.space] is empty, so {experiment.sweep.trials} trials would be the same; "
            "give a space or set trials = 0"
        )
    return experiment
