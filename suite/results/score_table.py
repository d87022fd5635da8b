"""The finished evaluations as a table."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

import pandas as pd

from suite.results.record import Record


def score_table(record: Record) -> pd.DataFrame:
    """Return one row per finished evaluation, with every metric of its run.

    Skills stand here as they are *before the floor at 0*. A net that guesses is above chance on one seed and below on
    another; if each run were floored, a mean over seeds would take the luck for memory. Means are floored when they are
    shown (`suite.statistics.summary`).
    """
    rows = []
    for row in record.rows:
        chance = _chance(outcome.metrics for _, outcome in row.evaluations)
        for job, outcome in row.evaluations:
            metrics, training = before_floor(outcome.metrics, chance), job.config.training
            solved_step = metrics.get("steps_to_solve", float("nan"))
            steps = training.steps if math.isnan(solved_step) else solved_step
            rows.append(
                {
                    **metrics,
                    "architecture": job.variant,
                    "task": job.level,
                    "table": row.study.level.table,
                    "seed": job.config.seed,
                    "key": job.key,
                    "skill": metrics["test_skill"],
                    "solved": bool(metrics["solved"]),
                    "stopped": training.stop_when_solved and steps < training.steps,
                    "steps_to_solve": solved_step,
                    "steps_budget": training.steps,
                    "seconds_to_solve": steps * training.batch_size / metrics["sequences_per_second"],
                }
            )
    return pd.DataFrame(rows)


def before_floor(metrics: Mapping[str, float], chance: float | None) -> dict[str, float]:
    """Return the metrics of a run, in which a skill of 0 is (score − chance) / (1 − chance), which lies in [−1, 0].

    The gaps between two skills follow. A diverged run keeps its skills of 0, and so does a run whose chance is unknown.
    """
    if chance is None or metrics.get("diverged"):
        return dict(metrics)
    result = dict(metrics)
    for name, score in metrics.items():
        if "score" in name and metrics.get(skill := name.replace("score", "skill")) == 0:
            result[skill] = max(-1.0, min(0.0, (score - chance) / (1 - chance)))
    for prefix in ("final_", ""):
        if f"{prefix}gap_skill" in result:
            result[f"{prefix}gap_skill"] = result[f"{prefix}train_skill"] - result[f"{prefix}test_skill"]
    return result


def _chance(runs: Iterable[Mapping[str, float]]) -> float | None:
    """Return the chance of the task of some runs, which stands in their metrics.

    Runs of an earlier memspan lack it. It follows from a score and a skill that is neither at the floor nor 1; without
    one, nothing but the floor is known, and the answer is None.
    """
    for metrics in runs:
        if "chance" in metrics:
            return metrics["chance"]
        for name, skill in metrics.items():
            if name.endswith("_skill") and 0 < skill < 1 and (score := metrics.get(name[: -len("skill")] + "score")):
                return (score - skill) / (1 - skill)
    return None
