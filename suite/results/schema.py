"""The schema of runs in a file: their descriptions, their metrics, and what a file says beside them."""

from __future__ import annotations

import math
import re
from typing import Annotated, Any, Literal

import pandas as pd
from pydantic import BaseModel, ConfigDict, Field

from suite.errors import InputError
from suite.experiment.bounds import Count, Natural, Seed
from suite.experiment.names import Family
from suite.experiment.search_space import Choice
from suite.experiment.validation import validate

ALWAYS = (
    *("objective", "validation_skill", "train_skill", "test_skill", "gap_skill", "final_gap_skill"),
    *("solved", "diverged", "pruned", "parameters", "sequences_per_second"),
)
"""The metrics that every run has. The others may be missing, such as the loss of a run that diverged.

So may the size of the state, which is not stated for a layer without a step.
"""
Key = Annotated[str, Field(min_length=1, max_length=64)]
Digest = Annotated[str, Field(max_length=100)]
Params = dict[str, Choice]
"""The searched hyper-parameters of a run."""
MetricName = Annotated[str, Field(pattern=r"^[\w/.-]{1,100}$")]


class Strict(BaseModel):
    """A part of a file, in which a newer memspan may have put more."""

    model_config = ConfigDict(strict=True, extra="ignore")


class Environment(Strict):
    """The environment of a run, as far as memspan reads it."""

    protocol: Count = 1
    packages: dict[str, str] = {}
    files: dict[str, str] = {}
    variables: dict[str, str] = {}
    processor: str = ""
    cpu: str = ""
    cpu_capability: str = ""
    device: str = ""
    system: str = ""
    python: str = ""
    threads: int = 1


class Fingerprint(Strict):
    """The data of a level for one seed."""

    seed: Seed
    train: Digest
    validation: Digest
    test: Digest
    delays: dict[Annotated[str, Field(pattern=r"^\d{1,7}$")], Natural] = {}
    """The delay at each length, of a task from outside memspan."""


class Origin(Strict):
    """What was true of the rows and the levels when they were written."""

    definitions: dict[str, dict[str, str]]
    data: dict[str, Fingerprint]
    families: dict[str, Family] = {}
    """The family of each architecture by label. An earlier memspan did not record it."""


class Counts(Strict):
    """The numbers of runs."""

    planned: Natural
    done: Natural
    others: Natural
    earlier: Natural = 0


class About(Counts):
    """Everything in a file of runs beside the runs."""

    format: Count
    protocol: Count = 1
    experiment: dict[str, Any]
    environments: dict[str, Environment]
    origin: Origin


class Line(Strict):
    """A run, without its metrics."""

    study: str
    architecture: str
    task: str
    role: Literal["trial", "finalist", "evaluation"]
    number: Natural | Seed
    seed: Seed
    key: Key
    params: str
    config: str
    environment: Digest
    curves: str


class Lines(Strict):
    """All runs."""

    runs: list[Line]


class Searched(Strict):
    """The searched hyper-parameters of a run."""

    params: Params


class MetricNames(Strict):
    """The names of the metrics."""

    metrics: list[MetricName]


LONGER, LONGER_SCORE = "skill_at_length_", "score_at_length_"
"""The prefixes of the skill and the score at a length beyond those of training."""
STATE_AT = "state_size_at_length_"
"""The prefix of the size of a state after a sequence of another length, which a run has if its state grows."""
AT_LAG, AT_POSITION = "score_at_lag_", "score_at_position_"
"""The prefixes of the score at the steps of a lag, or of a position where the task states no lags."""
SIZES = ("parameters", "frozen_parameters", "state_size", "state_growth")
"""The sizes of a model. They and those with `STATE_AT` follow from the configuration, on every platform alike."""
LARGEST_METRIC = 1e200
"""No metric is larger, so that products of two of them are finite."""


def check_metrics(table: pd.DataFrame) -> list[dict[str, float]]:
    """Return the metrics of each run, without those that are missing.

    Raises:
        InputError: if one is no number, has a value that it cannot have, or is missing although every run has it.
    """
    validate(MetricNames, {"metrics": list(table.columns)}, "the file")
    if missing := [name for name in ALWAYS if len(table) and name not in table.columns]:
        raise InputError(f"every run has {missing[0]}, and there is no such column")
    for name in table.columns:
        if table[name].dtype.kind not in "fiub" and not table[name].isna().all():
            raise InputError(f"metrics are numbers; {name} is something else")
    values = table.astype(float)
    for name in values.columns:
        low, high = _range_of(str(name))
        known = values[name].dropna()
        outside = known[~known.between(low, high)]
        if len(outside):
            raise InputError(f"{name} lies between {low:g} and {high:g}; got {outside.iloc[0]:g}")
        if name in ALWAYS and len(known) < len(values):
            raise InputError(f"every run has {name}; it is missing in {len(values) - len(known)} of {len(values)} runs")
    lines = values.to_dict("records")
    return [{str(name): value for name, value in line.items() if not math.isnan(value)} for line in lines]


def _range_of(metric: str) -> tuple[float, float]:
    """Return the smallest and the largest value of a metric."""
    for prefix, what in ((LONGER, "skill"), (STATE_AT, "size of the state")):
        if metric.startswith(prefix) and not metric.removeprefix(prefix).isdecimal():
            raise InputError(f"the {what} at another length is called {prefix}N; got {metric!r}")
    for prefix, what in ((AT_LAG, "lag"), (AT_POSITION, "position")):
        if metric.startswith(prefix) and not re.fullmatch("[1-9][0-9]{0,6}", metric.removeprefix(prefix)):
            raise InputError(f"the score at a {what} is called {prefix}N, with N from 1 to 9999999; got {metric!r}")
    if metric.startswith((AT_LAG, AT_POSITION)):
        return 0.0, 1.0
    if metric in ("gap_skill", "final_gap_skill"):
        return -1.0, 1.0
    if metric.endswith("_skill") or metric.startswith(LONGER) or metric in ("solved", "diverged", "pruned"):
        return 0.0, 1.0
    if metric == "sequences_per_second":
        return 1e-9, LARGEST_METRIC
    return (0.0 if is_size(metric) or metric == "steps_to_solve" else -LARGEST_METRIC), LARGEST_METRIC


def is_size(metric: str) -> bool:
    """Tell whether a metric is a size of the model, see `SIZES`."""
    return metric in SIZES or metric.startswith(STATE_AT)
