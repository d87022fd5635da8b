"""The evidence for a claim: one number per arm, level and seed."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from statistics import median

import pandas as pd
import torch

from suite import kernels
from suite.data import Data
from suite.experiment.experiment import Experiment
from suite.model.sequence_model import model_of
from suite.numerics import numerics
from suite.planning.plan import Plan, studies
from suite.planning.study import Study
from suite.results.ladders import size_ladders, size_points
from suite.results.overfitting import areas
from suite.results.record import Record
from suite.results.schema import LONGER, LONGER_SCORE
from suite.results.score_table import score_table

COLUMNS = ["architecture", "task", "seed", "value"]
AREA = "area_"
"""The prefix of a measure's mean over the logarithm of the training-set size, see ``suite.results.overfitting``."""
STEP_TIME = "step_milliseconds"
"""The time of a pass forward and back through the untrained model; it is measured for the claim itself."""
PASSES = 9
"""The number of passes whose median is one observation."""
MEASURES = {
    "test_skill": "skill on test data, at the best validation point",
    "validation_skill": "skill on validation data, at the best validation point",
    "train_skill": "skill on training data, at the best validation point",
    "test_loss": "loss on test data, at the best validation point",
    "train_loss": "loss on training data, at the best validation point",
    "gap_skill": "skill on training data minus skill on test data, at the best validation point",
    "gap_loss": "loss on test data minus loss on training data, at the best validation point",
    "final_gap_skill": "gap of the skill after the last step",
    "final_gap_loss": "gap of the loss after the last step",
    "solved": "1 where the task was solved, else 0",
    "restricted_steps": "steps to solve, the whole budget where it was not solved",
    "diverged": "1 where the run diverged, else 0",
    "beyond_skill": "mean skill on test data over the lengths beyond those of training",
    "beyond_flawless": "1 where every answer at every length beyond those of training is right, else 0",
    "clip_fraction": "share of the steps that were clipped",
    "gradient_norm_p99": "99th percentile of the gradient's norm before clipping",
    "gradient_slope_start": "change of the logarithm of the gradient through time per step, before training",
    "gradient_slope_end": "the same after training",
    "input_gradient_slope_start": "change of the logarithm of the gradient from output to input, before training",
    "input_gradient_slope_end": "the same after training",
    STEP_TIME: "milliseconds of a pass forward and back, timed for the claim itself",
}
"""The measures that may be compared, beside ``AREA`` with each measure of ``suite.results.overfitting``."""
POSITIVE = ("restricted_steps", "gradient_norm_p99", STEP_TIME)
"""The measures that may be compared on a logarithmic scale."""
BEYOND = ("beyond_skill", "beyond_flawless")
"""The measures of levels that are tested at lengths beyond those of training."""
SHARES = ("skill", "solved", "diverged", "flawless", "clip_fraction")
"""The endings of measures between 0 and 1, of which two values differ by at most 1; gaps are excepted."""
THROUGH_STATE = ("gradient_slope_start", "gradient_slope_end")
"""The measures that only an architecture with a state of constant size has."""
GRADIENT_SLOPES = (*THROUGH_STATE, "input_gradient_slope_start", "input_gradient_slope_end")
"""The measures that only runs with diagnostics have."""
SMOOTH = (*GRADIENT_SLOPES, STEP_TIME)
"""The measures that vary smoothly from seed to seed, and not between failure and success."""


def tables_by_level(experiment: Experiment, measure: str) -> dict[str, str]:
    """Return the levels, or whole ladders of training-set sizes, on which a measure is taken: label → task table."""
    places = size_ladders(experiment.levels) if measure.startswith(AREA) else experiment.levels
    if measure in BEYOND:
        places = [level for level in experiment.levels if level.task.test_lengths]
    return {place.label: place.table for place in places}


def evidence(plan: Plan, measure: str) -> pd.DataFrame:
    """Return the ``value`` of a measure for each arm, level and seed, from the finished runs of a plan."""
    runs = score_table(Record.of(plan))
    if runs.empty:
        return pd.DataFrame(columns=COLUMNS)
    if measure.startswith(AREA):
        ladders = areas(size_points(runs, plan.experiment.levels)).rename(columns={"ladder": "task"})
        return ladders.assign(value=ladders[measure.removeprefix(AREA)])[COLUMNS]
    runs = runs.assign(restricted_steps=runs["steps_to_solve"].fillna(runs["steps_budget"]), **_beyond(runs))
    return runs.assign(value=runs[measure] if measure in runs else float("nan"))[COLUMNS].astype({"value": float})


def _beyond(runs: pd.DataFrame) -> dict[str, pd.Series[float]]:
    """Return the measures ``BEYOND``, which are NaN for a run that is tested at no longer length."""
    skills, scores = (runs.filter(regex=f"^{prefix}") for prefix in (LONGER, LONGER_SCORE))
    flawless = (scores == 1.0) | scores.isna()
    return {
        "beyond_skill": skills.mean(axis=1),
        "beyond_flawless": flawless.all(axis=1).astype(float).where(scores.notna().any(axis=1)),
    }


def time_steps(experiment: Experiment, on_repetition: Callable[[], None] = lambda: None) -> pd.DataFrame:
    """Measure ``STEP_TIME`` of every arm on every level, with one repetition per seed, on one thread.

    The arms take turns, and a different one begins each time, so that a busy moment of the machine hits all alike.

    Args:
        experiment: the arms, the levels and the number of seeds.
        on_repetition: called after each repetition of a level.
    """
    kernels.warm_up()
    rows: list[tuple[str, str, int, float]] = []
    all_studies = studies(experiment)
    with numerics():
        for level in experiment.levels:
            steps = {study.variant.label: _step(study) for study in all_studies if study.level.label == level.label}
            _time_passes(steps, 1)  # not counted
            for repetition in range(len(experiment.evaluation.seed_list)):
                seconds = _time_passes(steps, PASSES)
                rows += [(label, level.label, repetition, 1000 * median(times)) for label, times in seconds.items()]
                on_repetition()
    return pd.DataFrame(rows, columns=COLUMNS)


def _time_passes(steps: Mapping[str, Callable[[], None]], count: int) -> dict[str, list[float]]:
    """Run the steps in turns, ``count`` times each, and return the seconds of each pass."""
    seconds: dict[str, list[float]] = {label: [] for label in steps}
    labels = list(steps)
    for first in range(count):
        for turn in range(len(labels)):
            label = labels[(first + turn) % len(labels)]
            started = time.perf_counter()
            steps[label]()
            seconds[label].append(time.perf_counter() - started)
    return seconds


def _step(study: Study) -> Callable[[], None]:
    """Return a function that passes one batch forward and back through the untrained model of a study."""
    config = study.config(study.defaults, 0)
    data = Data(config.task, 0, config.training.batch_size)
    model = model_of(config.model, data.task, seed=0)
    batch, parameters = data.train_batch(0), list(model.parameters())

    def step() -> None:
        outputs, _ = model(batch.inputs)
        torch.autograd.grad(data.task.loss(outputs, batch), parameters)

    return step
