"""The finished runs in MLflow, for a store whose ledger is lost or was made by an older version."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlflow.entities import Run

from suite.planning.job import Outcome

if TYPE_CHECKING:
    from suite.store.mlflow_tracking import Tracking

BY_LAG = ("gradient/", "input_gradient/")
"""The beginnings of the names of metrics whose step is a lag."""
CURVES = ("train/", "validation/", *BY_LAG)
"""The beginnings of the names of metrics that are measured during a run."""


def finished_runs(
    tracking: Tracking, experiment: str, keep_environment: Callable[[Mapping[str, Any]], str]
) -> Iterator[tuple[dict[str, Any], Outcome]]:
    """Yield the first finished run of each key in MLflow, as columns of the ledger and an outcome.

    Args:
        tracking: MLflow's record of the store.
        experiment: the name of the experiment.
        keep_environment: is called with the environment of each run, once per environment.
    """
    seen: set[str] = set()
    environments: set[str] = set()
    runs = tracking.runs(experiment, "attributes.status = 'FINISHED' and tags.key LIKE '%'")
    for run in sorted(runs, key=lambda run: (run.info.start_time, run.info.run_id)):
        tags, run_id = run.data.tags, str(run.info.run_id)
        if tags["key"] in seen:
            continue
        seen.add(tags["key"])
        environment = tags.get("environment", "")
        if environment and environment not in environments:
            keep_environment(_environment(tracking, run_id))
            environments.add(environment)
        names = {"key": tags["key"], "study": tags["study"], "role": tags["role"], "number": int(tags["number"])}
        metrics = {name: value for name, value in run.data.metrics.items() if not name.startswith(CURVES)}
        yield {**names, "run_id": run_id}, Outcome(metrics, _curves(tracking, run_id, run), environment)


def _environment(tracking: Tracking, run_id: str) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        path = tracking.client.download_artifacts(run_id, "environment.json", folder)
        environment: dict[str, Any] = json.loads(Path(path).read_text(encoding="utf-8"))
        return environment


def _curves(tracking: Tracking, run_id: str, run: Run) -> tuple[tuple[int, dict[str, float]], ...]:
    """Return the points of a run's curves: first those by optimiser step, then those of the gradient by lag."""
    by_step: dict[int, dict[str, float]] = {}
    by_lag: dict[int, dict[str, float]] = {}
    for name in run.data.metrics:
        if name.startswith(CURVES):
            points = by_lag if name.startswith(BY_LAG) else by_step
            for metric in tracking.client.get_metric_history(run_id, name):
                points.setdefault(metric.step, {})[name] = metric.value
    return (*sorted(by_step.items()), *sorted(by_lag.items()))
