"""The finished evaluations as a table."""

from __future__ import annotations

import math

import pandas as pd

from suite.results.record import Record


def score_table(record: Record) -> pd.DataFrame:
    """Return one row per finished evaluation, with every metric of its run."""
    rows = []
    for row in record.rows:
        for job, outcome in row.evaluations:
            metrics, training = outcome.metrics, job.config.training
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
