"""The sweep of an experiment: its search space, and the way in which the space is searched."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated

from pydantic import AfterValidator, Discriminator, Field, Tag, model_validator

from suite.experiment.bounds import MOST_VALUES, Runs, Seed, Trials
from suite.experiment.run_config import Frozen, Shape

TUNABLE_TRAINING = ("learning_rate", "schedule", "warmup", "clip", "optimizer", "alpha", "weight_decay")
"""The settings of the training that a sweep can search, and that an architecture table can fix."""
TUNABLE_MODEL = ("hidden_size", *Shape.model_fields)
"""The settings of the model that a sweep can search."""


Finite = Annotated[float, Field(allow_inf_nan=False)]


class Range(Frozen):
    """A dimension of the search space: the numbers from ``low`` to ``high``. It has whole numbers only if both are."""

    low: Finite | int
    high: Finite | int
    log: bool = False

    @model_validator(mode="after")
    def _ordered(self) -> Range:
        if not self.low < self.high:
            raise ValueError(f"low must be below high; got low = {self.low}, high = {self.high}")
        if self.log and self.low <= 0:
            raise ValueError(f"a logarithmic range must begin above 0; got low = {self.low}")
        if not math.isfinite(self.high / self.low if self.log else self.high - self.low):
            raise ValueError(f"a range must have a finite width; got low = {self.low} and high = {self.high}")
        return self


def _check_distinct(choices: tuple[Choice, ...]) -> tuple[Choice, ...]:
    if len(set(map(repr, choices))) < len(choices):
        raise ValueError(f"a list of choices has each of them once; got {list(choices)}")
    return choices


Choice = bool | int | float | str
Choices = Annotated[
    tuple[Choice, ...],
    Field(strict=False, min_length=1, max_length=MOST_VALUES),
    AfterValidator(_check_distinct),
]
Dimension = Annotated[
    Annotated[Range, Tag("range")] | Annotated[Choices, Tag("choices")],
    Discriminator(lambda value: "range" if isinstance(value, Mapping | Range) else "choices"),
]
Space = dict[str, Dimension]

FEWEST_TRIALS = 20
"""The number of trials from which importances and maps of the space are made. The best quarter then has five trials,
which is as many as PED-ANOVA needs in Optuna."""
REPEATABLE_SAMPLERS = ("sobol", "random", "tpe", "gp")
"""The samplers that come with memspan. They depend on the seed and on finished generations alone."""
REPEATABLE_PRUNERS = ("none", "median", "percentile")
"""The pruners that come with memspan. They depend on finished generations alone."""


class Sweep(Frozen):
    """The tuning of the hyper-parameters, which has the same budget for every architecture on every task level."""

    trials: Trials = 0
    """The number of trials per study. With 0, the defaults are evaluated as they are.

    Trial 0 is always the untuned default."""
    seed: Seed = 1000
    """The seed of every trial and of the sampler. It must not be a seed of the evaluation."""
    sampler: str = "sobol"
    """``sobol`` (a scrambled Sobol design), ``random``, ``tpe``, ``gp``, or a ``package.module:Class`` for Optuna."""
    pruner: str = "none"
    """``none``, ``median``, ``percentile``, or a ``package.module:Class`` for Optuna."""
    generation: Runs | None = None
    """The number of trials in a generation, see `generation_size`."""
    finalists: Runs = 1
    """The number of trials, the best ones, that are run again on further tuning seeds. The best mean then wins.

    With 1, the best trial wins as it is."""
    finalist_seeds: Runs = 2
    """The number of further tuning seeds."""
    space: Space = Field(default={})

    @property
    def generation_size(self) -> int:
        """The number of trials that are suggested together. They depend on the generations before them alone.

        By default, ``sobol`` and ``random`` without a pruner suggest all trials at once, and others suggest 4.
        """
        if self.generation:
            return self.generation
        looks_back = self.sampler not in ("sobol", "random") or self.pruner != "none"
        return 4 if looks_back else self.trials

    @property
    def runs(self) -> int:
        """The number of runs by which a study is tuned: its trials, and the further runs of its finalists."""
        return self.trials + self.finalists * len(self.finalist_seed_list)

    @property
    def without_trials(self) -> Sweep:
        """The sweep of a row that is not tuned."""
        return self.model_copy(update={"trials": 0, "space": {}})

    @property
    def repeatable(self) -> bool:
        """True if suggestions and pruning are known to depend on the seed and on finished generations alone."""
        return self.sampler in REPEATABLE_SAMPLERS and self.pruner in REPEATABLE_PRUNERS

    @property
    def finalist_seed_list(self) -> tuple[int, ...]:
        """The further tuning seeds, which follow ``seed``. There are none with a single finalist, or without trials."""
        count = self.finalist_seeds if self.trials and self.finalists > 1 else 0
        return tuple(range(self.seed + 1, self.seed + 1 + count))
