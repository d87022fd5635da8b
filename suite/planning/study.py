"""A study: one variant on one task level, with its search space and the configuration of each of its runs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cached_property, lru_cache
from itertools import combinations, product
from typing import Any

from suite.errors import InputError
from suite.experiment.experiment import Experiment, Level, Size, Variant
from suite.experiment.run_config import ModelConfig, RunConfig, Source, Training, canonical_json, digest
from suite.experiment.search_space import TUNABLE_MODEL, TUNABLE_TRAINING, Range
from suite.experiment.source_hash import source_of
from suite.experiment.validation import parsed
from suite.model.sequence_model import build_model, model_of
from suite.model.sizing import match_hidden_size, only_looked_at
from suite.model.states import differentiable, leaves
from suite.registry import architectures, make_task
from tasks import Task


class Study:
    """One (architecture variant, task level) of an experiment."""

    def __init__(self, experiment: Experiment, variant: Variant, level: Level) -> None:
        self.experiment = experiment
        self.variant = variant
        self.level = level
        self.name = f"{experiment.name}/{level.label}/{variant.label}"
        self.title = f"{variant.label} on {level.label}"
        self.sweep = experiment.sweep
        self.design: list[dict[str, Any]] = []
        """The points of its Sobol design that were asked for so far."""
        # Planning asks for each again after every run.
        self._bases: dict[str, RunConfig] = {}
        self._configs: dict[tuple[str, int], RunConfig] = {}

    @cached_property
    def space(self) -> dict[str, Range | tuple[Any, ...]]:
        """The dimensions of the experiment's space that exist here and are not fixed for this variant."""
        mine = {*TUNABLE_TRAINING, *TUNABLE_MODEL, *architectures.options(self.variant.architecture, {})}
        return {name: d for name, d in self.sweep.space.items() if name in mine and name not in self.variant.fixed}

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
    def classes(self) -> tuple[str, str]:
        """The registered names of its task and of its architecture."""
        return self.level.task.name, self.variant.architecture

    @cached_property
    def source(self) -> Source:
        return source_of(*self.classes)

    @cached_property
    def version(self) -> str:
        """Stands for everything that determines which configuration is evaluated: budget, space, settings, sources."""
        parts = (self.level, self.variant, self.sweep, self.source)
        return digest(canonical_json([part.model_dump(exclude_defaults=True) for part in parts]))

    def config(self, params: Mapping[str, Any], seed: int) -> RunConfig:
        """The run of these hyper-parameters on this seed; the hidden size is solved for where parameters are given."""
        text = canonical_json(params)
        if (text, seed) not in self._configs:
            if text not in self._bases:
                self._bases[text] = self._new_config(params)
            self._configs[text, seed] = self._bases[text].with_seed(seed)
        return self._configs[text, seed]

    def _new_config(self, params: Mapping[str, Any]) -> RunConfig:
        where = f"study {self.name!r}"
        given = {**self.variant.fixed, **params}
        training = {name: value for name, value in given.items() if name in TUNABLE_TRAINING}
        model = {name: value for name, value in params.items() if name in TUNABLE_MODEL}
        own = {name: value for name, value in given.items() if name not in (*TUNABLE_TRAINING, *TUNABLE_MODEL)}
        options = architectures.options(self.variant.architecture, own)
        size: Size = parsed(Size, {**self.variant.size.model_dump(), **model}, where)
        if size.parameters is not None:
            try:
                hidden_size = _matched(
                    size.parameters,
                    self.variant.architecture,
                    canonical_json(options),
                    (self._task.input_size, self._task.output_size),
                    size.depth,
                    size.bidirectional,
                )
            except InputError as error:
                raise InputError(f"{where}: {error}") from error
        else:
            assert size.hidden_size is not None
            hidden_size = size.hidden_size
        return RunConfig(
            task=self.level.task,
            model=parsed(
                ModelConfig,
                {
                    "architecture": self.variant.architecture,
                    "options": options,
                    "hidden_size": hidden_size,
                    "depth": size.depth,
                    "bidirectional": size.bidirectional,
                    "delay": size.delay,
                },
                where,
            ),
            training=parsed(Training, {**self.level.training.model_dump(), **training}, where),
            seed=0,
            source=self.source,
        )

    @cached_property
    def _task(self) -> Task:
        task: Task = make_task(self.level.task.name, self.level.task.options)
        return task

    def check(self) -> None:
        """Raise ``InputError`` unless every corner of the space gives a model that can be built."""
        if self.sweep.trials > 1 and not self.space:
            raise InputError(
                f"study {self.name!r}: every dimension of [sweep.space] is fixed here, so no trial differs"
            )
        corners: list[dict[str, Any]] = [{}]
        for name, dimension in self.space.items():
            default = self.defaults[name]
            inside = (
                dimension.low <= default <= dimension.high if isinstance(dimension, Range) else default in dimension
            )
            if not inside:
                raise InputError(
                    f"study {self.name!r}: trial 0 is the untuned default, so it must lie in [sweep.space]; "
                    f"{name} = {default!r} does not"
                )
            corners += [{name: end} for end in _ends(dimension)]
        own = [name for name in self.space if name not in (*TUNABLE_TRAINING, *TUNABLE_MODEL)]
        # Two options of an architecture may exclude each other.
        for pair in combinations(own, 2):
            corners += [dict(zip(pair, ends, strict=True)) for ends in product(*(_ends(self.space[n]) for n in pair))]
        configs = [self.config({**self.defaults, **corner}, 0) for corner in corners]
        for config in {canonical_json(config.model.model_dump()): config for config in configs}.values():
            self._check_builds(config)

    def _check_builds(self, config: RunConfig) -> None:
        try:
            with only_looked_at(config.model.hidden_size):
                model = model_of(config.model, self._task)
        except (ValueError, TypeError) as error:
            raise InputError(f"study {self.name!r}: {error}") from error
        types = {parameter.dtype for parameter in model.parameters()}
        if len(types) > 1:
            raise InputError(
                f"study {self.name!r}: all parameters of a model must have one type; got "
                f"{', '.join(sorted(map(str, types)))}: keep complex ones as pairs of real numbers"
            )
        if config.training.diagnostics and not any(map(differentiable, leaves(model.initial_state(1)))):
            raise InputError(
                f"study {self.name!r}: diagnostics follow the gradient through the state, and there is none here; "
                "set diagnostics = false in [training]"
            )


def _ends(dimension: Range | tuple[Any, ...]) -> tuple[Any, ...]:
    return (dimension.low, dimension.high) if isinstance(dimension, Range) else dimension


@lru_cache(maxsize=4096)
def _matched(
    budget: int, architecture: str, options: str, task_sizes: tuple[int, int], depth: int, bidirectional: bool
) -> int:
    """``match_hidden_size`` once per combination; options as canonical JSON, so that they can be a key."""
    read = json.loads(options)
    inputs, outputs = task_sizes
    return match_hidden_size(
        budget,
        lambda size: build_model(architecture, read, inputs, size, outputs, depth=depth, bidirectional=bidirectional),
    )
