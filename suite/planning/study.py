"""A study: one variant on one task level, with its search space and the configuration of each of its runs."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import cached_property, lru_cache
from itertools import combinations, product
from typing import Any

import torch

from suite.data import Data
from suite.errors import InputError, reason_of
from suite.experiment.bounds import LARGEST_MODEL
from suite.experiment.experiment import Experiment
from suite.experiment.levels import Level
from suite.experiment.names import check_family
from suite.experiment.run_config import (
    OF_RESIDUAL_BLOCKS,
    ModelConfig,
    RunConfig,
    Shape,
    Source,
    Training,
    canonical_json,
    digest,
)
from suite.experiment.search_space import TUNABLE_MODEL, TUNABLE_TRAINING, Range
from suite.experiment.source_hash import source_of
from suite.experiment.tables import Size
from suite.experiment.validation import errors_at, validate
from suite.experiment.variants import Variant
from suite.model.sequence_model import build_model, model_of
from suite.model.sizing import (
    Budget,
    ModelSizes,
    frozen_count,
    inspected,
    match_hidden_size,
    parameter_count,
    state_size,
)
from suite.model.states import grows
from suite.model.weight_decay import by_weight_decay
from suite.registry import architectures, make_task
from tasks import Task


class Study:
    """A variant of an architecture on a task level of an experiment."""

    def __init__(self, experiment: Experiment, variant: Variant, level: Level) -> None:
        self.experiment = experiment
        self.variant = variant
        self.level = level
        self.name = self.name_of(experiment, variant, level)
        self.title = f"{variant.label} on {level.label}"
        self.sweep = experiment.sweep.without_trials if variant.untuned else experiment.sweep
        self.design: list[dict[str, Any]] = []
        """The points of the Sobol design that have been drawn so far."""
        # Planning needs each configuration again after every run.
        self._bases: dict[str, RunConfig] = {}
        self._configs: dict[tuple[str, int], RunConfig] = {}

    @staticmethod
    def name_of(experiment: Experiment, variant: Variant, level: Level) -> str:
        """Return the name of the study of a variant on a level."""
        return f"{experiment.name}/{level.label}/{variant.label}"

    @cached_property
    def space(self) -> dict[str, Range | tuple[Any, ...]]:
        """Those dimensions of the search space that this architecture has and this variant does not fix."""
        options = architectures.options(self.variant.architecture, {})
        names = {*TUNABLE_TRAINING, *options} - self.variant.fixed.keys() | self.variant.searchable_in_model(self.sweep)
        return {name: dimension for name, dimension in self.sweep.space.items() if name in names}

    @cached_property
    def defaults(self) -> dict[str, Any]:
        """The untuned value of each dimension of the space."""
        size = self.variant.size
        return {name: self._default(name, size.model_dump()) for name in self.space}

    def _default(self, name: str, size: Mapping[str, Any]) -> Any:
        if name in TUNABLE_TRAINING:
            return getattr(self.level.training, name)
        if name in TUNABLE_MODEL and size[name] is not None:
            return size[name]
        if name in TUNABLE_MODEL:
            dimension = self.space[name]
            return dimension.low if isinstance(dimension, Range) else dimension[0]
        return architectures.options(self.variant.architecture, {})[name]

    @property
    def planned(self) -> int:
        """The number of its runs."""
        return self.sweep.runs + len(self.experiment.evaluation.seed_list)

    @property
    def classes(self) -> tuple[str, str]:
        """The registered names of its task and of its architecture."""
        return self.level.task.name, self.variant.architecture

    @cached_property
    def family(self) -> str:
        """The family of its architecture, by which leaderboards group."""
        name = self.variant.architecture
        family = architectures.get(name).family
        try:
            return check_family(family)
        except ValueError as error:
            raise InputError(f"architecture {name!r}: {error}") from error

    @cached_property
    def source(self) -> Source:
        """The fingerprints of the task and of the architecture."""
        return source_of(*self.classes)

    @cached_property
    def version(self) -> str:
        """A digest of everything that decides which configuration is evaluated: sweep, settings and sources."""
        parts = (self.level, self.variant, self.sweep, self.source)
        return digest(canonical_json([part.model_dump(exclude_defaults=True) for part in parts]))

    def config(self, params: Mapping[str, Any], seed: int) -> RunConfig:
        """Return the configuration of these hyper-parameters on a seed, with the hidden size that the budget allows."""
        text = canonical_json(params)
        if (text, seed) not in self._configs:
            if text not in self._bases:
                self._bases[text] = self._new_config(params)
            self._configs[text, seed] = self._bases[text].with_seed(seed)
        return self._configs[text, seed]

    @property
    def default_config(self) -> RunConfig:
        """The configuration of its untuned defaults."""
        return self.config(self.defaults, self.sweep.seed)

    def _new_config(self, params: Mapping[str, Any]) -> RunConfig:
        where = f"study {self.name!r}"
        settings = {**self.variant.fixed, **params}
        training = {name: value for name, value in settings.items() if name in TUNABLE_TRAINING}
        model = {name: value for name, value in params.items() if name in TUNABLE_MODEL}
        options = {name: value for name, value in settings.items() if name not in (*TUNABLE_TRAINING, *TUNABLE_MODEL)}
        options = architectures.options(self.variant.architecture, options)
        size: Size = validate(Size, {**self.variant.size.model_dump(), **model}, where)
        shape = size.model_dump(include=set(Shape.model_fields), exclude_defaults=True)
        if size.block == "plain":  # What only residual blocks have makes no other run, and so no other key.
            shape = {name: value for name, value in shape.items() if name not in OF_RESIDUAL_BLOCKS}
        hidden_size = size.hidden_size
        if size.budget is not None:
            budget = Budget(*size.budget, length=self.steps if size.state else 1)
            sizes = self._task.input_size, self._task.output_size
            with errors_at(where):
                hidden_size = _match_hidden_size(
                    budget, self.variant.architecture, canonical_json(options), sizes, canonical_json(shape)
                )
        assert hidden_size is not None
        return RunConfig(
            task=self.level.task,
            model=validate(
                ModelConfig,
                {"architecture": self.variant.architecture, "options": options, "hidden_size": hidden_size, **shape},
                where,
            ),
            training=validate(Training, {**self.level.training.model_dump(), **training}, where),
            seed=0,
            source=self.source,
        )

    @cached_property
    def _task(self) -> Task:
        task: Task = make_task(self.level.task.name, self.level.task.options)
        return task

    @cached_property
    def steps(self) -> int:
        """The number of steps of the longest training sequence, after which a state that grows is counted.

        Raises:
            InputError: if the task gives none.
        """
        task = self.level.task
        try:
            return Data(task, seed=0, batch_size=1).steps(task.longest)
        except (Exception, SystemExit) as error:  # The task is somebody's own, and may raise anything.
            raise InputError(f"task {task.name!r}: {reason_of(error)}") from error

    def check(self) -> None:
        """Check that every corner of the search space gives a model that can be built.

        Raises:
            InputError: if one does not, or a default lies outside the space.
        """
        assert self.family  # A wrong one is refused before any run.
        if self.sweep.trials > 1 and not self.space:
            raise InputError(
                f"study {self.name!r}: every dimension of [sweep.space] is fixed here, so no trial differs"
            )
        for name, dimension in self.space.items():
            if isinstance(dimension, Range) and not _is_number(self.defaults[name]):
                raise InputError(
                    f"study {self.name!r}: a range is for numbers, and the default of {name} in [sweep.space] is "
                    f"{self.defaults[name]!r}; give a list of choices"
                )
            if not _contains(dimension, self.defaults[name]):
                raise InputError(
                    f"study {self.name!r}: trial 0 is the untuned default, so it must lie in [sweep.space]; "
                    f"{name} = {self.defaults[name]!r} does not"
                )
        for model in self.models():
            self._check_model(model)

    def models(self) -> list[ModelConfig]:
        """Return the models at the corners of the search space, that of the defaults first."""
        configs = [self.config({**self.defaults, **corner}, 0) for corner in self._corners()]
        return list({canonical_json(config.model.model_dump()): config.model for config in configs}.values())

    def sizes(self, model: ModelConfig) -> ModelSizes:
        """Return the sizes of a model."""

        def inspect() -> ModelSizes:
            made = model_of(model, self._task)
            state = state_size(made, self.steps if grows(made.initial_state(1)) else 1)
            return ModelSizes(model.hidden_size, parameter_count(made), frozen_count(made), state)

        return inspected(inspect, model.hidden_size)

    def _corners(self) -> Iterator[dict[str, Any]]:
        """Yield the changes of the defaults that lead to the corners of the search space which have to be checked."""
        yield {}
        for name, dimension in self.space.items():
            yield from ({name: end} for end in _ends(dimension))
        options = [name for name in self.space if name not in (*TUNABLE_TRAINING, *TUNABLE_MODEL)]
        for pair in combinations(options, 2):  # Two options of an architecture may exclude each other.
            ends_of_both = product(*(_ends(self.space[name]) for name in pair))
            yield from (dict(zip(pair, ends, strict=True)) for ends in ends_of_both)

    def _check_model(self, config: ModelConfig) -> None:
        """Check that a model can be built and trained."""

        def inspect() -> tuple[int, set[torch.dtype]]:
            model = model_of(config, self._task)
            by_weight_decay(model)  # It checks the names of parameters.
            return parameter_count(model), {parameter.dtype for parameter in model.parameters()}

        with errors_at(f"study {self.name!r}"):
            count, types = inspected(inspect, config.hidden_size)
            if count > LARGEST_MODEL:
                raise InputError(f"a model has at most {LARGEST_MODEL:,} parameters; got {count:,}")
            if len(types) > 1:
                raise InputError(
                    f"all parameters of a model must have one type; got {', '.join(sorted(map(str, types)))}: "
                    "keep complex ones as pairs of real numbers"
                )


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _contains(dimension: Range | tuple[Any, ...], value: Any) -> bool:
    return dimension.low <= value <= dimension.high if isinstance(dimension, Range) else value in dimension


def _ends(dimension: Range | tuple[Any, ...]) -> tuple[Any, ...]:
    """Return the ends of a range, or all choices of a dimension without an order."""
    return (dimension.low, dimension.high) if isinstance(dimension, Range) else dimension


@lru_cache(maxsize=4096)
def _match_hidden_size(
    budget: Budget, architecture: str, options_json: str, task_sizes: tuple[int, int], shape_json: str
) -> int:
    """Call `match_hidden_size` once per combination of arguments. The options are JSON, so that they can be a key."""
    options, shape = json.loads(options_json), json.loads(shape_json)
    inputs, outputs = task_sizes
    return match_hidden_size(budget, lambda size: build_model(architecture, options, inputs, size, outputs, **shape))
