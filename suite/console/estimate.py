"""An estimate of the time that the missing runs of an experiment take, from a few measured steps of each study.

A run costs more with a larger or a deeper model, and a sweep may search the size. So a study is measured at several
points of its search space, and the mean over them stands for its runs.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from statistics import fmean

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from suite.console.progress import counting_bar, duration
from suite.errors import many
from suite.experiment.run_config import RunConfig, canonical_json
from suite.planning.plan import Plan
from suite.planning.study import Study
from suite.planning.sweep import spread
from suite.results.wording import UNKNOWN
from suite.training.train import train

STEPS = 20
"""The number of optimiser steps that are measured."""
TEST_SHARE = 4
"""A test is measured on one of so many parts of its sequences."""
POINTS = 8
"""The number of points of a search space at which its models are looked at."""
MOST_MODELS = 4
"""The largest number of these models that are measured."""
START = 15.0
"""The seconds, on a common machine, in which a command and its workers start and the leaderboard is written."""
_compiled: set[str] = set()
"""The architectures, with their options and blocks, whose kernels this process has compiled."""
HEADINGS = ("runs missing", "hidden size", "seconds per run")


@dataclass(frozen=True)
class StudyEstimate:
    """The missing runs of a study, and the time that they take one after another."""

    label: str
    missing: int
    hidden_sizes: Sequence[int]
    seconds: float
    """The mean time of a run."""
    turns: int
    """The number of runs that must wait for each other: an evaluation waits for all trials."""


def print_estimate(plan: Plan, workers: int, console: Console, power: str = "") -> tuple[int, float]:
    """Print the missing runs of each study, by task, and the time that they take.

    Args:
        plan: the plan.
        workers: the number of runs at a time.
        console: the console on which to print.
        power: a sentence that says what the seeds of the plan can show.

    Returns:
        The number of missing runs, and the seconds that they take.
    """
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False)
    table.add_column("", no_wrap=True)
    for heading in HEADINGS:
        table.add_column(heading, justify="right")
    with counting_bar("studies measured", len(plan.studies), Console(stderr=True)) as tick:
        estimates = []
        for study in plan.studies:
            estimates.append(estimate_study(plan, study))
            tick()
    for level, pairs in groupby(zip(plan.studies, estimates, strict=True), key=lambda pair: pair[0].level.label):
        table.add_row(f"[bold]{escape(level)}[/bold]")
        for _, estimate in pairs:
            sizes = "–".join(map(str, dict.fromkeys((min(estimate.hidden_sizes), max(estimate.hidden_sizes)))))
            each = f"{estimate.seconds:.1f}" if estimate.missing else UNKNOWN
            table.add_row(f"  {escape(estimate.label)}", str(estimate.missing), sizes, each)
    console.print(table)
    if power:
        console.print(power, highlight=False)
    missing, seconds = plan.planned - plan.done, 0.0
    sentences = [f"{missing} of {many(plan.planned, 'run')} {'is' if missing == 1 else 'are'} missing."]
    if missing:
        seconds = total_seconds(estimates, workers)
        takes = "it takes" if missing == 1 else "they take"
        sentences.append(
            f"With {many(workers, 'worker')}, {takes} about {duration(seconds)} in all, the start included."
        )
        if any(study.level.training.stop_when_solved for study in plan.studies):
            sentences.append("A run that solves its task stops early.")
    console.print(" ".join(sentences), highlight=False)
    return missing, seconds


def total_seconds(estimates: Sequence[StudyEstimate], workers: int) -> float:
    """Return the time that all missing runs take, with the start.

    The workers share the runs. No number of workers makes a run shorter, or an evaluation begin before its trials end.
    """
    shared = sum(estimate.seconds * estimate.missing for estimate in estimates) / workers
    longest = max((estimate.seconds * estimate.turns for estimate in estimates), default=0.0)
    return START + max(shared, longest)


def estimate_study(plan: Plan, study: Study) -> StudyEstimate:
    """Return the missing runs of a study, and the time of one of them, as a mean over the search space."""
    progress = plan.progress(study)
    missing = study.planned - progress.done
    configs = models_of(study)
    hidden_sizes = [config.model.hidden_size for config in configs]
    if not missing:
        return StudyEstimate(study.variant.label, 0, hidden_sizes, seconds=0.0, turns=0)
    _compile(configs[0])
    seconds = fmean(_seconds_of_a_run(config) for config in configs)
    return StudyEstimate(study.variant.label, missing, hidden_sizes, seconds, turns=1 if progress.evaluations else 2)


def models_of(study: Study) -> list[RunConfig]:
    """Return configurations whose models stand for all of a study: its own, or some at points all over its space."""
    points = spread(study, POINTS) if study.sweep.trials else [{}]
    configs = [study.config(params, study.sweep.seed) for params in points]
    models = {canonical_json(config.model.model_dump()): config for config in configs}
    ordered = sorted(models.values(), key=lambda config: (config.model.depth, config.model.hidden_size))
    if len(ordered) <= MOST_MODELS:
        return ordered
    return [ordered[round(i * (len(ordered) - 1) / (MOST_MODELS - 1))] for i in range(MOST_MODELS)]


def _compile(config: RunConfig) -> None:
    """Run a model once, because the first of its form compiles the kernels, which is not among the costs of a run."""
    model = config.model
    form = canonical_json([model.architecture, dict(model.options), model.block])
    if form not in _compiled:
        _compiled.add(form)
        _seconds_of_a_run(config)


def _seconds_of_a_run(config: RunConfig) -> float:
    """Return the time of a whole run, from a few steps, a validation, a part of its test, and its diagnostics."""
    whole = config.training
    test_size = math.ceil(whole.test_size / TEST_SHARE)
    training = whole.model_copy(update={"steps": STEPS, "validate_every": STEPS, "test_size": test_size})
    metrics = train(config.model_copy(update={"training": training})).metrics
    each_step, each_validation = metrics["training_seconds"] / STEPS, metrics["validation_seconds"]
    once = metrics["wall_seconds"] - metrics["training_seconds"] - each_validation - metrics["testing_seconds"]
    testing = metrics["testing_seconds"] * whole.test_size / test_size
    validations = math.ceil(whole.steps / whole.validate_every)
    return once + testing + each_step * whole.steps + each_validation * validations
