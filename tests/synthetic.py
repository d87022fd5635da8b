"""Plans whose runs were made up instead of trained."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from suite.experiment.loading import parse
from suite.planning.job import Job, Outcome
from suite.planning.plan import Plan, studies

BASE = {
    "validation_loss": 0.5,
    "test_loss": 0.5,
    "train_loss": 0.4,
    "gap_skill": 0.0,
    "final_gap_skill": 0.0,
    "final_train_skill": 0.5,
    "final_test_skill": 0.5,
    "gap_loss": 0.1,
    "final_gap_loss": 0.2,
    "train_skill": 0.5,
    "solved": 0.0,
    "diverged": 0.0,
    "pruned": 0.0,
    "clip_fraction": 0.0,
    "parameters": 100.0,
    "state_size": 10.0,
    "sequences_per_second": 1000.0,
}


def made_up(tables: Mapping[str, Any], metrics: Callable[[Job], dict[str, float]]) -> Plan:
    """A finished plan of the experiment in ``tables``, where each run measured what ``metrics`` says of it.

    ``metrics`` gives ``skill`` at least, which is taken for that on validation and test as well. A metric that is
    NaN is one that the run has not.
    """
    experiment = parse(tables, "made_up")
    plan = Plan(experiment, studies(experiment), {})
    while jobs := plan.missing():
        for key, job in jobs.items():
            found = metrics(job)
            skill = found.pop("skill")
            same = {"test_skill": skill, "validation_skill": skill, "objective": skill}
            every = {**BASE, **same, **found}
            plan.finished[key] = Outcome({name: value for name, value in every.items() if not math.isnan(value)})
    return plan
