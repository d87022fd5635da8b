"""The details of a row, which is one architecture on one task level, for the page."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from suite.diagnostics.wording import curve_text
from suite.experiment.lengths import LengthRange
from suite.experiment.run_config import canonical_json
from suite.leaderboards.page.plain import DRAWN, plain
from suite.results.early_ends import diverged_text
from suite.results.record import Record, Row, Run
from suite.results.tuning import default_and_tuned, edges
from suite.results.wording import setting_text
from suite.statistics.student import mean_interval
from suite.statistics.summary import bounded_mean

MOMENTS = ("start", "half", "end")
"""The moments of a run at which its gradient flow is measured."""
GRADIENTS = ("gradient", "input_gradient")
"""The names of the gradient through the state and of the one from output to input."""
SAID_DECIMALS = 2
"""The decimals in which the page says a decimal logarithm of a norm."""


def row_details(record: Record) -> dict[str, dict[str, Any]]:
    """Return the details of every row by level and architecture.

    They are its hyper-parameters, its configuration, its seeds, its curves, and the command that proves it.
    """
    details: dict[str, dict[str, Any]] = {row.study.level.label: {} for row in record.rows}
    for row in record.rows:
        if row.evaluations:
            details[row.study.level.label][row.study.variant.label] = _details(row)
    return details


def _details(row: Row) -> dict[str, Any]:
    before, after = default_and_tuned(row)
    chosen = row.evaluations[0][0].config
    trust = " --trust" if any(":" in name for name in row.study.classes) else ""  # It lies outside memspan.
    parts = {**chosen.model_dump(include={"task", "training"}), "model": chosen.model.settings}
    config = json.loads(canonical_json(parts))
    if isinstance(chosen.task.length, LengthRange):
        config["task"]["length"] = str(chosen.task.length)
    return {
        "params": {name: _setting(value) for name, value in sorted(row.params.items())},
        "edges": edges(row.study, row.params),
        "default_validation": before,
        "default_remark": diverged_text(row.trials[0][1].metrics["diverged"], 1) if row.trials else "",
        "tuned_validation": after,
        "evaluated_validation": bounded_mean([np.array([o.metrics["validation_skill"] for _, o in row.evaluations])]),
        "config": {part: {name: _setting(value) for name, value in values.items()} for part, values in config.items()},
        "seeds": [job.config.seed for job, _ in row.evaluations],
        "skills": [outcome.metrics["test_skill"] for _, outcome in row.evaluations],
        "diverged": [job.config.seed for job, outcome in row.evaluations if outcome.metrics["diverged"]],
        "steps_to_solve": [outcome.metrics.get("steps_to_solve") for _, outcome in row.evaluations],
        "keys": [job.key for job, _ in row.evaluations],
        "curve": plain(_learning_curve(row.evaluations), DRAWN),
        **{name: plain(_gradient(row.evaluations, name)) for name in GRADIENTS},
        **{f"{name}_words": _gradient_words(row.evaluations, name) for name in GRADIENTS},
        "command": f"memspan verify manifest.json{trust} --rows '{row.name}'",
    }


def _setting(value: Any) -> Any:
    """Return a value of a configuration for people: with all of its digits, and off for an infinite threshold."""
    if isinstance(value, float):
        short = setting_text(value)
        return short if math.isinf(value) or float(short) == value else repr(value)
    if isinstance(value, Mapping):
        return {name: _setting(part) for name, part in value.items()}
    return value if isinstance(value, str | int) or value is None else canonical_json(value)


def _learning_curve(runs: Sequence[Run]) -> dict[str, Any]:
    """Return means over the seeds by step.

    A run that has stopped counts on with its last skill, and no longer counts in losses.
    """
    steps = sorted({step for _, outcome in runs for step, point in outcome.curves if "validation/skill" in point})
    skills = np.array([_held(outcome.curve, steps) for _, outcome in runs]) if steps else np.empty((1, 0))
    curve: dict[str, Any] = {"step": steps, "skill": skills.mean(axis=0)}
    curve |= {"skill_low": skills.min(axis=0), "skill_high": skills.max(axis=0)}
    for name in ("train", "validation"):
        losses: dict[int, list[float]] = {}
        for _, outcome in runs:
            for step, point in outcome.curves:
                if f"{name}/loss" in point:
                    losses.setdefault(step, []).append(point[f"{name}/loss"])
        curve[f"{name}_loss"] = [float(np.mean(losses[step])) if step in losses else None for step in steps]
    return curve


def _held(curve: Iterable[tuple[int, float]], steps: Sequence[int]) -> list[float]:
    """Return the value of a curve at each step, or its last value before it."""
    values, held, last = dict(curve), [], 0.0
    for step in steps:
        last = values.get(step, last)
        held.append(last)
    return held


def _gradient(runs: Sequence[Run], gradient: str) -> dict[str, Any] | None:
    """Return means over the seeds of log₁₀ norm by lag, for each moment of a measurement.

    The interval of a mean is as long on both sides, and ``_reach`` is the length of one. There is nothing where this
    gradient was not measured, as the one through the state of a model without a state of constant size.
    """
    norms: dict[str, dict[int, list[float]]] = {}
    for _, outcome in runs:
        for lag, point in outcome.curves:
            for name, value in point.items():
                measured, _, moment = name.partition("/")
                if measured == gradient:
                    norms.setdefault(moment, {}).setdefault(lag, []).append(value)
    if not norms:
        return None
    lags = sorted({lag for by_lag in norms.values() for lag in by_lag})
    curves: dict[str, list[float | None]] = {}
    for moment in MOMENTS:
        if moment in norms:
            intervals = [mean_interval(norms[moment].get(lag, ())) for lag in lags]
            curves[moment] = [round(interval.mean, SAID_DECIMALS) for interval in intervals]
            curves[f"{moment}_reach"] = [round(interval.high - interval.mean, SAID_DECIMALS) for interval in intervals]
    return {"lag": lags, **curves}


def _gradient_words(runs: Sequence[Run], gradient: str) -> dict[str, str]:
    """Return what the gradient does on its way through time, for each moment at which its slope was measured."""
    words = {}
    for moment in MOMENTS:
        name = f"{gradient}/{moment}"
        norms: dict[int, list[float]] = {}
        if gradient == "gradient":
            norms[0] = [0.0]  # A change of a state moves the same state as much.
        for _, outcome in runs:
            for lag, point in outcome.curves:
                if name in point:
                    norms.setdefault(lag, []).append(point[name] * math.log(10))
        slopes = [outcome.metrics.get(f"{gradient}_slope_{moment}", math.nan) for _, outcome in runs]
        if len(norms) > 1 and np.isfinite(slopes).all():
            lags = sorted(norms)
            words[moment] = curve_text([float(np.mean(norms[lag])) for lag in lags], float(np.mean(slopes)), lags)
    return words
