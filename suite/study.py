"""A study: one variant on one task level, tuned and then evaluated. Says which runs it needs next."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Any

import torch

from suite.config import ModelConfig, RunConfig, Training, canonical_json, digest
from suite.errors import InputError, unknown
from suite.experiment import (
    TUNABLE_MODEL,
    TUNABLE_TRAINING,
    Experiment,
    Level,
    Range,
    Size,
    Variant,
    _parsed,
    make_task,
)
from suite.model import build_model, match_hidden_size
from suite.registry import architectures, tasks


@dataclass(frozen=True)
class PrunerContext:
    """What the pruner of a trial may look at: itself and the finished earlier generations."""

    name: str
    study: str
    number: int
    earlier: tuple[tuple[tuple[int, float], ...], ...]
    """The (step, validation skill) curve of each earlier trial."""


@dataclass(frozen=True)
class Job:
    """A run to be done, and the part it plays in its study."""

    key: str
    config: RunConfig = field(repr=False)
    study: str
    variant: str
    level: str
    role: str
    """``trial`` or ``evaluation``."""
    number: int
    """Of the trial, or the seed of the evaluation."""
    params: Mapping[str, Any] = field(default_factory=dict, compare=False)
    """What was searched, by name."""
    pruner: PrunerContext | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True)
class Outcome:
    """What planning needs to know of a finished run."""

    metrics: Mapping[str, float]
    curve: tuple[tuple[int, float], ...] = ()
    """(step, validation skill); filled in where a pruner asks for it."""


class Study:
    """One (architecture variant, task level) of an experiment.

    Everything here is a function of the experiment and of the outcomes of finished runs, in the order of trial
    numbers: neither the number of workers nor an interruption changes what is asked next.
    """

    def __init__(self, experiment: Experiment, variant: Variant, level: Level) -> None:
        self.experiment = experiment
        self.variant = variant
        self.level = level
        self.name = f"{experiment.name}/{level.label}/{variant.label}"
        self.sweep = experiment.sweep

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

    @cached_property
    def source(self) -> str:
        return tasks.source_hash(self.level.task.name) + architectures.source_hash(self.variant.architecture)

    def config(self, params: Mapping[str, Any], seed: int) -> RunConfig:
        """The run of these hyper-parameters on this seed; the hidden size is solved for where parameters are given."""
        where = f"study {self.name!r}"
        training = {name: value for name, value in params.items() if name in TUNABLE_TRAINING}
        model = {name: value for name, value in params.items() if name in TUNABLE_MODEL}
        given = {
            n: v for n, v in {**self.variant.fixed, **params}.items() if n not in (*TUNABLE_TRAINING, *TUNABLE_MODEL)
        }
        options = architectures.options(self.variant.architecture, given)
        size: Size = _parsed(Size, {**self.variant.size.model_dump(), **model}, where)
        if size.parameters is not None:
            try:
                hidden_size = _matched(
                    size.parameters,
                    self.variant.architecture,
                    canonical_json(options),
                    self._task_sizes,
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
            model=_parsed(
                ModelConfig,
                {
                    "architecture": self.variant.architecture,
                    "options": options,
                    "hidden_size": hidden_size,
                    "depth": size.depth,
                    "bidirectional": size.bidirectional,
                },
                where,
            ),
            training=_parsed(Training, {**self.level.training.model_dump(), **training}, where),
            seed=seed,
            source=self.source,
        )

    @cached_property
    def _task_sizes(self) -> tuple[int, int]:
        task = make_task(self.level.task.name, self.level.task.options)
        return task.input_size, task.output_size

    def check(self) -> None:
        """Raise ``InputError`` unless every corner of the space gives a model that can be built."""
        if self.sweep.trials > 1 and not self.space:
            raise InputError(
                f"study {self.name!r}: every dimension of [sweep.space] is fixed here, so no trial differs"
            )
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
            ends = (dimension.low, dimension.high) if isinstance(dimension, Range) else dimension
            for value in ends:
                self._check_builds(self.config({**self.defaults, name: value}, 0))
        self._check_builds(self.config(self.defaults, 0))

    def _check_builds(self, config: RunConfig) -> None:
        input_size, output_size = self._task_sizes
        model = config.model
        try:
            with torch.device("meta"):
                build_model(
                    model.architecture,
                    model.options,
                    input_size,
                    model.hidden_size,
                    output_size,
                    depth=model.depth,
                    bidirectional=model.bidirectional,
                )
        except (ValueError, TypeError) as error:
            raise InputError(f"study {self.name!r}: {error}") from error

    # --- what to run -------------------------------------------------------------------------------------------------

    @property
    def generation_size(self) -> int:
        """Trials that are suggested together, knowing only the generations before them."""
        if self.sweep.generation:
            return self.sweep.generation
        one_design = self.sweep.sampler in ("sobol", "random") and self.sweep.pruner == "none"
        return self.sweep.trials if one_design else 4

    def trials(self, finished: Mapping[str, Outcome]) -> list[Job]:
        """The trials that can be named now: every generation up to the first that is not finished."""
        from suite.sweep import suggest  # optuna takes a second to import, and not every study is tuned

        jobs: list[Job] = []
        while len(jobs) < self.sweep.trials:
            if any(job.key not in finished for job in jobs):
                break
            numbers = range(len(jobs), min(len(jobs) + self.generation_size, self.sweep.trials))
            earlier = [(job, finished[job.key]) for job in jobs]
            for number, params in zip(numbers, suggest(self, numbers, earlier), strict=True):
                jobs.append(self._trial(number, params, [outcome for _, outcome in earlier]))
        return jobs

    def _trial(self, number: int, params: Mapping[str, Any], earlier: Iterable[Outcome]) -> Job:
        config = self.config(params, self.sweep.seed)
        key, context = config.key, None
        if self.sweep.pruner != "none":
            context = PrunerContext(self.sweep.pruner, self.name, number, tuple(outcome.curve for outcome in earlier))
            key = digest(f"{key} {context}")  # what a pruned run measures depends on what it is compared with
        return self._job(key, config, "trial", number, params, context)

    def best(self, finished: Mapping[str, Outcome]) -> Mapping[str, Any] | None:
        """The hyper-parameters to evaluate, selected on validation; None while trials are missing."""
        if not self.sweep.trials:
            return {}
        trials = self.trials(finished)
        if len(trials) < self.sweep.trials or any(job.key not in finished for job in trials):
            return None
        complete = [job for job in trials if not finished[job.key].metrics["pruned"]] or trials

        def rank(job: Job) -> tuple[float, float, int]:
            metrics = finished[job.key].metrics
            return (-metrics["objective"], metrics.get("validation_loss", float("inf")), job.number)

        return min(complete, key=rank).params

    def evaluations(self, finished: Mapping[str, Outcome]) -> list[Job]:
        """The runs whose results are the study's: the best configuration on every seed; none before it is known."""
        params = self.best(finished)
        if params is None:
            return []
        configs = [self.config(params, seed) for seed in self.experiment.evaluation.seed_list]
        return [self._job(c.key, c, "evaluation", c.seed, params, None) for c in configs]

    def known(self, finished: Mapping[str, Outcome]) -> list[Job]:
        """The runs that can be named now."""
        return [*self.trials(finished), *self.evaluations(finished)]

    def missing(self, finished: Mapping[str, Outcome]) -> list[Job]:
        """The runs that can be started now."""
        return [job for job in self.known(finished) if job.key not in finished]

    @property
    def planned(self) -> int:
        """How many runs the study comes to."""
        return self.sweep.trials + len(self.experiment.evaluation.seed_list)

    def _job(
        self,
        key: str,
        config: RunConfig,
        role: str,
        number: int,
        params: Mapping[str, Any],
        pruner: PrunerContext | None,
    ) -> Job:
        return Job(key, config, self.name, self.variant.label, self.level.label, role, number, params, pruner)


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


def studies(experiment: Experiment) -> list[Study]:
    """Every study of an experiment, checked: after this nothing in the file can be wrong."""
    found = [Study(experiment, variant, level) for level in experiment.levels for variant in experiment.variants]
    known = {name for study in found for name in study.space}
    for name in experiment.sweep.space:
        fixed_everywhere = all(name in study.variant.fixed for study in found)
        if name not in known and not fixed_everywhere:
            options = {o for study in found for o in architectures.options(study.variant.architecture, {})}
            raise unknown("dimension of [sweep.space]", name, {*TUNABLE_TRAINING, *TUNABLE_MODEL, *options})
    if experiment.sweep.trials:
        from suite.sweep import check

        check(experiment.sweep)
    for study in found:
        study.check()
    return found
