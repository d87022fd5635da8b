"""The record of one run in MLflow, which is written while the run is under way and at its end."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import Any

from mlflow.entities import Metric, Param, RunTag

from suite.experiment.run_config import RunConfig
from suite.planning.job import Job, Outcome

FLUSH_SECONDS = 5.0
"""The longest time for which metrics wait before they are written."""
MOST_METRICS = 1000
"""The largest number of metrics that MLflow accepts in one call."""


class Recorder:
    """A buffer for the metrics of a run, which are written to MLflow in batches."""

    def __init__(self, client: Any, run_id: str) -> None:
        self.client = client
        self.run_id = run_id
        self.outcome: Outcome | None = None
        self.counts = False
        """True at the end if the ledger counts this run."""
        self.waiting: list[Metric] = []
        self.flushed = time.monotonic()

    def curve(self, step: int, metrics: Mapping[str, float]) -> None:
        """Add the metrics of one step. They are written every few seconds, so that a long run can be watched."""
        now = int(time.time() * 1000)
        self.waiting += [Metric(name, value, now, step) for name, value in metrics.items()]
        if time.monotonic() - self.flushed > FLUSH_SECONDS:
            self.flush()

    def result(self, job: Job, outcome: Outcome, tags: Mapping[str, str]) -> None:
        """Add the metrics of a finished run, and write its configuration."""
        self.outcome = outcome
        params = [Param(name, value) for name, value in flat_config(job.config).items()]
        self.client.log_batch(self.run_id, params=params, tags=[RunTag(*tag) for tag in tags.items()])
        self.client.log_dict(self.run_id, json.loads(job.config.json_text.replace("Infinity", '"inf"')), "config.json")
        now = int(time.time() * 1000)
        self.waiting += [Metric(name, value, now, 0) for name, value in outcome.metrics.items()]

    def data(self, data: Mapping[str, Any], name: str) -> None:
        """Write plain values as a JSON file."""
        self.client.log_dict(self.run_id, dict(data), name)

    def figure(self, figure: Any, name: str) -> None:
        """Write a picture."""
        self.client.log_figure(self.run_id, figure, name)

    def flush(self) -> None:
        """Write the metrics that wait."""
        log_metrics(self.client, self.run_id, self.waiting)
        self.waiting = []
        self.flushed = time.monotonic()


def log_metrics(client: Any, run_id: str, metrics: list[Metric]) -> None:
    """Write any number of metrics, in as few calls as MLflow allows."""
    for start in range(0, len(metrics), MOST_METRICS):
        client.log_batch(run_id, metrics=metrics[start : start + MOST_METRICS])


def flat_config(config: RunConfig) -> dict[str, str]:
    """Return a configuration as params of MLflow, with a name of its own for each setting.

    Those of the task are called ``task.…`` and the options of the architecture ``architecture.…``, since a task and an
    architecture may have options of one name. What only residual blocks have is left out of plain ones.
    """
    parts = config.model_dump()
    flat = {
        **{f"task.{name}": value for name, value in parts["task"].items() if name != "options"},
        "task.length": config.task.length,
        **{f"task.{name}": value for name, value in parts["task"]["options"].items()},
        **{name: value for name, value in config.model.settings.items() if name != "options"},
        **{f"architecture.{name}": value for name, value in parts["model"]["options"].items()},
        **parts["training"],
        "seed": parts["seed"],
    }
    return {name: str(value) for name, value in flat.items()}


def source_tags(config: RunConfig) -> dict[str, str]:
    """Return tags with the fingerprints of the code on which a run depends."""
    return {"task_source": config.source.task, "architecture_source": config.source.architecture}
