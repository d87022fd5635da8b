"""Experiment: one TOML file, validated whole before anything starts, and the studies that it asks for."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from itertools import product
from pathlib import Path
from typing import Annotated, Any

from pydantic import ConfigDict, Field, ValidationError, field_validator, model_validator

from suite.errors import InputError, unknown
from suite.experiment.run_config import Count, Counts, Frozen, Natural, TaskConfig, Training
from suite.registry import architectures, tasks

EXPERIMENTS = Path(__file__).parents[2] / "experiments"
"""The experiments that come with memspan."""

UNION_MEMBER = r"(Range|constrained-\w+|(tuple|function-\w+)\[.*)$"
TUNABLE_TRAINING = ("learning_rate", "clip", "optimizer", "weight_decay")
TUNABLE_MODEL = ("depth", "hidden_size", "bidirectional", "delay")


class Range(Frozen):
    """A dimension of the search space between two numbers, both included; whole numbers when both are."""

    low: int | float
    high: int | float
    log: bool = False

    @model_validator(mode="after")
    def _ordered(self) -> Range:
        if not self.low < self.high:
            raise ValueError(f"low must be below high; got low = {self.low}, high = {self.high}")
        if self.log and self.low <= 0:
            raise ValueError(f"a logarithmic range must begin above 0; got low = {self.low}")
        return self


NonEmpty = Annotated[tuple[Count, ...], Field(strict=False, min_length=1)]
Choices = Annotated[tuple[Any, ...], Field(strict=False, min_length=1)]
Space = dict[str, Range | Choices]


FEWEST_TRIALS = 20
"""Of importances and of maps of the space: the best quarter is then five, as many as Optuna asks of PED-ANOVA."""
REPEATABLE_SAMPLERS = ("sobol", "random", "tpe", "gp")
REPEATABLE_PRUNERS = ("none", "median", "percentile")
"""Those that come with memspan: they depend on the seed and on finished generations alone."""


class Sweep(Frozen):
    """How the hyper-parameters of every (architecture, task level) are tuned: the same budget for all."""

    trials: Annotated[int, Field(ge=0)] = 0
    """Trials per study; 0 evaluates the defaults as they are. Trial 0 is always the untuned default."""
    seed: Annotated[int, Field(ge=0)] = 1000
    """The seed of every trial and of the sampler; not one of the evaluation's seeds."""
    sampler: str = "sobol"
    """``sobol`` (a scrambled Sobol design), ``random``, ``tpe``, ``gp``, or an Optuna ``package.module:Class``."""
    pruner: str = "none"
    """``none``, ``median``, ``percentile``, or an Optuna ``package.module:Class``."""
    generation: Count | None = None
    """Trials suggested at a time: suggestions and pruning know the generations before and nothing else. Default: all
    for ``sobol`` and ``random`` without a pruner, otherwise 4."""
    finalists: Count = 1
    """The best so many trials are run again on ``finalist_seeds`` further tuning seeds, and the best mean wins; 1: the
    best trial wins as it is."""
    finalist_seeds: Count = 2
    space: Space = Field(default={})

    @property
    def repeatable(self) -> bool:
        """Whether suggestions and pruning are known to depend on the seed and finished generations alone."""
        return self.sampler in REPEATABLE_SAMPLERS and self.pruner in REPEATABLE_PRUNERS

    @property
    def finalist_seed_list(self) -> tuple[int, ...]:
        """The tuning seeds of finalists: those after ``seed``; none where there is nothing to decide."""
        last = self.finalist_seeds if self.finalists > 1 else 0
        return tuple(range(self.seed + 1, self.seed + 1 + last))


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

    label: str
    task: TaskConfig
    training: Training


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
                label=" ".join([label, *(f"{key}={value}" for key, value in rung.items())]),
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


def make_task(name: str, options: Mapping[str, Any]) -> Any:
    """The task ``name`` with its options checked."""
    checked = tasks.options(name, options)
    try:
        return tasks.get(name)(**checked)
    except (ValueError, ImportError) as error:
        raise InputError(f"task {name!r}: {error}") from error


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


def parsed(schema: Any, data: Mapping[str, Any], where: str) -> Any:
    """``data`` as ``schema``; the first thing that is wrong is one ``InputError``."""
    try:
        return schema(**data)
    except ValidationError as error:
        first = max(error.errors(), key=lambda found: len(found["loc"]))  # of a union, the member that fits best
        # Pydantic names the members of a union in the path; the user has never seen them.
        path = [str(part) for part in first["loc"] if not re.match(UNION_MEMBER, str(part))]
        if first["type"] == "extra_forbidden":
            inner = _schema_at(schema, path[:-1])
            place = f"[{'.'.join(path[:-1])}]" if path[:-1] else "the file"
            raise unknown("key", path[-1], inner, of=f"{place} of {where}") from error
        message = first["msg"].removeprefix("Value error, ").replace("a valid tuple", "a list")
        message = message[0].lower() + message[1:]
        given = f"; got {first['input']!r}" if first["type"] not in ("missing", "value_error") else ""
        raise InputError(f"{where}: {'.'.join(path)}: {message}{given}") from error


def _schema_at(schema: Any, path: list[str]) -> Iterable[str]:
    """The keys that are accepted at ``path``."""
    for part in path:
        field = schema.model_fields.get(part)
        if field is None:  # a label or a name of the space: the table below it
            continue
        annotation = field.annotation
        arguments = getattr(annotation, "__args__", ())
        schema = arguments[-1] if arguments else annotation
        if not hasattr(schema, "model_fields"):
            schema = Range
    return list(schema.model_fields)


def parse(data: Mapping[str, Any], name: str) -> Experiment:
    """A validated experiment from the tables of a TOML file."""
    if not re.fullmatch(r"[A-Za-z0-9_][\w .+-]*", name):  # it names a folder of the store
        raise InputError(f"the name of an experiment is letters, digits, '_', '-' and '.'; got {name!r}")
    experiment = _validated(data, name)
    _check_space(experiment)
    return experiment


def _check_space(experiment: Experiment) -> None:
    """Every dimension of the space is one of some architecture, and not fixed wherever it is."""
    shared = {*TUNABLE_TRAINING, *TUNABLE_MODEL}
    options = {v.label: {*shared, *architectures.options(v.architecture, {})} for v in experiment.variants}
    for name in experiment.sweep.space:
        having = [variant for variant in experiment.variants if name in options[variant.label]]
        if not having:
            raise unknown("dimension", name, set().union(*options.values()), of="[sweep.space]")
        if all(name in variant.fixed for variant in having):
            raise InputError(
                f"dimension {name!r} of [sweep.space] is never searched: every architecture that has it fixes it "
                f"({', '.join(variant.label for variant in having)}); remove it there or here"
            )


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


def available() -> dict[str, Path]:
    """The experiments that come with memspan and those in ``experiments/`` of the working directory, by name."""
    folders = (EXPERIMENTS, Path.cwd() / "experiments")
    return {path.stem: path for folder in folders for path in sorted(folder.glob("*.toml"))}


def load(name_or_path: str | Path) -> Experiment:
    """The experiment of a name (``memspan list``) or of the path of a TOML file."""
    return parse(*read("experiment", str(name_or_path), available()))


def read(kind: str, name_or_path: str, known: Mapping[str, Path]) -> tuple[dict[str, Any], str]:
    """The tables of a TOML file, by one of the ``known`` names or by its path, and the name of what is in it."""
    path = known.get(name_or_path) or Path(name_or_path)
    if path.suffix != ".toml":
        raise unknown(kind, name_or_path, known, other="a path ending in .toml")
    try:
        return tomllib.loads(path.read_text(encoding="utf-8")), path.stem
    except OSError as error:
        raise InputError(f"cannot read {kind} {name_or_path!r}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path.name} is not valid TOML: {error}") from error
