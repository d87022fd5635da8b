"""What a claim is judged by: one number per arm, level and seed."""

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
from suite.results.score_table import score_table

COLUMNS = ["architecture", "task", "seed", "value"]
AREA = "area_"
"""Before a measure: its mean over the logarithm of the training-set size, see ``suite.results.overfitting``."""
TIMED = "step_milliseconds"
"""A batch forward and back through the untrained model: timed for the claim itself, the arms in turns on one thread."""
PASSES = 9
"""So many make one observation, their median."""
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
    "clip_fraction": "share of the steps that were clipped",
    "gradient_norm_p99": "99th percentile of the gradient's norm before clipping",
    "gradient_slope_start": "change of the logarithm of the gradient through time per step, before training",
    "gradient_slope_end": "the same after training",
    TIMED: "milliseconds of a pass forward and back, timed for the claim itself",
}
"""What may be compared, by name; with ``AREA`` before it, each measure of ``suite.results.overfitting``."""
POSITIVE = ("restricted_steps", "gradient_norm_p99", TIMED)
"""Those that may be compared on a logarithmic scale."""
SHARES = ("skill", "solved", "diverged", "clip_fraction")
"""How the names of measures between 0 and 1 end, but for gaps: two of them differ by at most 1."""
SMOOTH = ("gradient_slope_start", "gradient_slope_end", TIMED)
"""Those that vary smoothly from seed to seed, and not between failure and success."""


def tables_by_level(experiment: Experiment, measure: str) -> dict[str, str]:
    """The levels, or whole ladders of training-set sizes, on which a measure is taken: their labels and task tables."""
    places = size_ladders(experiment) if measure.startswith(AREA) else experiment.levels
    return {place.label: place.table for place in places}


def evidence(plan: Plan, measure: str) -> pd.DataFrame:
    """One row per arm, level and seed with the ``value`` of ``measure``, from the finished runs of a plan."""
    runs = score_table(Record.of(plan))
    if runs.empty:
        return pd.DataFrame(columns=COLUMNS)
    if measure.startswith(AREA):
        found = areas(size_points(runs, plan.experiment)).rename(columns={"ladder": "task"})
        return found.assign(value=found[measure.removeprefix(AREA)])[COLUMNS]
    runs = runs.assign(restricted_steps=runs["steps_to_solve"].fillna(runs["steps_budget"]))
    return runs.assign(value=runs[measure] if measure in runs else float("nan"))[COLUMNS].astype({"value": float})


def timed(experiment: Experiment, tick: Callable[[], None] = lambda: None) -> pd.DataFrame:
    """``TIMED`` of every arm on every level, as often as there are seeds; ``seed`` counts the repetitions.

    Each is a median of ``PASSES``. The arms take turns, and a different one begins each time: a busy moment of the
    machine hits all alike. ``tick`` is called after each repetition of a level.
    """
    kernels.warm_up()
    rows: list[tuple[str, str, int, float]] = []
    every = studies(experiment)
    with numerics():
        for level in experiment.levels:
            steps = {study.variant.label: _step(study) for study in every if study.level.label == level.label}
            _passes(steps, 1)  # not counted
            for repetition in range(len(experiment.evaluation.seed_list)):
                taken = _passes(steps, PASSES)
                rows += [(label, level.label, repetition, 1000 * median(times)) for label, times in taken.items()]
                tick()
    return pd.DataFrame(rows, columns=COLUMNS)


def _passes(steps: Mapping[str, Callable[[], None]], count: int) -> dict[str, list[float]]:
    """Seconds of each step, ``count`` times, in turns."""
    taken: dict[str, list[float]] = {label: [] for label in steps}
    labels = list(steps)
    for first in range(count):
        for turn in range(len(labels)):
            label = labels[(first + turn) % len(labels)]
            started = time.perf_counter()
            steps[label]()
            taken[label].append(time.perf_counter() - started)
    return taken


def _step(study: Study) -> Callable[[], None]:
    config = study.config(study.defaults, 0)
    data = Data(config.task, 0, config.training.batch_size)
    model = model_of(config.model, data.task, seed=0)
    batch, parameters = data.train_batch(0), list(model.parameters())

    def step() -> None:
        outputs, _ = model(batch.inputs)
        torch.autograd.grad(data.task.loss(outputs, batch), parameters)

    return step
