"""The store: every run in MLflow's database, its files beside it. The only importer of mlflow."""

from __future__ import annotations

import json
import logging
import os
import platform
import sqlite3
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from functools import cache
from importlib.metadata import version
from pathlib import Path
from statistics import fmean
from typing import Any

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")

import torch
from mlflow import MlflowClient
from mlflow.entities import Metric, Param, Run, RunTag

from suite.errors import InputError
from suite.job import Job, Outcome
from suite.study import Study

logging.getLogger("mlflow").setLevel(logging.WARNING)  # it tells of every table that it makes

FORMAT = 1
"""Of the store. Raised when older versions of memspan could not read it."""
FLUSH_SECONDS = 5.0
PACKAGES = ("memspan", "torch", "lightning", "mlflow", "optuna", "numba", "numpy", "scipy", "pandas")


class Store:
    """A folder with an MLflow database (``mlflow.db``), its artifacts, and Optuna's journal.

    A run counts once its status is FINISHED, which is the last thing written of it: what a crash leaves half-written
    stays in the store and is not counted.
    """

    def __init__(self, folder: Path | str) -> None:
        self.folder = Path(folder).resolve()
        _prepare(self.folder)
        self._study_runs: dict[str, str] = {}
        database = self.folder / "mlflow.db"
        if not database.exists():
            _create(database)
        self.uri = f"sqlite:///{database}"
        self.client = MlflowClient(tracking_uri=self.uri)

    @property
    def journal(self) -> Path:
        """Optuna's record of every study."""
        return self.folder / "optuna.journal"

    def experiment_id(self, name: str) -> str:
        """The id of MLflow's experiment ``name``, which is created when it is not there."""
        found = self.client.get_experiment_by_name(name)
        if found is not None:
            return str(found.experiment_id)
        folder = str(self.folder / "artifacts" / name)
        kind = {"mlflow.experimentKind": "custom_model_development"}  # MLflow's UI opens on runs, not on chat traces
        return str(self.client.create_experiment(name, artifact_location=folder, tags=kind))

    def finished(self, experiment: str, curves: bool = False) -> dict[str, Outcome]:
        """Every finished run of an experiment by its key; with ``curves``, the validation skill by step as well."""
        runs = self._runs(experiment, "attributes.status = 'FINISHED' and tags.key LIKE '%'")
        outcomes: dict[str, Outcome] = {}
        for run in sorted(runs, key=lambda run: (run.info.start_time, run.info.run_id)):
            curve = self._curve(run.info.run_id) if curves else ()
            outcomes.setdefault(run.data.tags["key"], Outcome(run.data.metrics, curve))
        return outcomes

    def _curve(self, run_id: str) -> tuple[tuple[int, float], ...]:
        history = self.client.get_metric_history(run_id, "validation/skill")
        return tuple(sorted((metric.step, metric.value) for metric in history))

    def _runs(self, experiment: str, condition: str) -> Iterator[Run]:
        found = self.client.get_experiment_by_name(experiment)
        token: str | None = None
        while found is not None:
            page = self.client.search_runs([found.experiment_id], condition, max_results=5000, page_token=token)
            yield from page
            token = page.token
            if not token:
                break

    def study_run(self, study: Study) -> str:
        """The run under which those of a study are nested; made when it is not there."""
        experiment = study.experiment.name
        if study.name in self._study_runs:
            return self._study_runs[study.name]
        mine = f"tags.role = 'study' and tags.study = '{study.name}' and tags.study_version = '{study.version}'"
        for run in self._runs(experiment, mine):
            self._study_runs[study.name] = str(run.info.run_id)
            if run.info.status != "FINISHED":
                self.client.update_run(run.info.run_id, "RUNNING")
            return self._study_runs[study.name]
        tags = {
            "role": "study",
            "experiment": experiment,
            "study": study.name,
            "study_version": study.version,
            "task": study.level.label,
            "architecture": study.variant.label,
            **_process(),
        }
        name = f"{study.variant.label} on {study.level.label}"
        run = self.client.create_run(self.experiment_id(experiment), run_name=name, tags=tags)
        self._study_runs[study.name] = str(run.info.run_id)
        return self._study_runs[study.name]

    def summarise(self, study: Study, best: Mapping[str, Any], evaluations: Sequence[Mapping[str, float]]) -> None:
        """Close the run of a finished study with its best hyper-parameters and the means over its seeds."""
        run_id = self.study_run(study)
        known = [name for name in evaluations[0] if all(name in metrics for metrics in evaluations)]
        now = int(time.time() * 1000)
        means = [Metric(name, fmean(m[name] for m in evaluations), now, 0) for name in known]
        params = [Param(name, str(value)) for name, value in best.items()]
        tags = [RunTag("seeds", str(len(evaluations)))]
        self.client.log_batch(run_id, metrics=means, tags=tags)
        if self.client.get_run(run_id).data.params != {param.key: param.value for param in params}:
            self.client.log_batch(run_id, params=params)
        self.client.set_terminated(run_id, "FINISHED")

    def keep_report(self, experiment: str, title: str, files: Sequence[Path]) -> None:
        """Keep pictures and tables that were made of an experiment's runs as artifacts of a run of their own."""
        condition = f"tags.role = 'report' and attributes.run_name = '{title}'"
        known = next(iter(self._runs(experiment, condition)), None)
        tags = {"role": "report", "experiment": experiment, **_process()}
        run = known or self.client.create_run(self.experiment_id(experiment), run_name=title, tags=tags)
        for path in files:
            self.client.log_artifact(run.info.run_id, str(path))
        self.client.set_terminated(run.info.run_id, "FINISHED")

    def close_unfinished(self, experiment: str) -> None:
        """Mark as KILLED the runs that processes of this machine, now gone, have left RUNNING."""
        for run in list(self._runs(experiment, "attributes.status = 'RUNNING'")):
            tags = run.data.tags
            if tags.get("host") == platform.node() and not _alive(int(tags["pid"])):
                self.client.set_terminated(run.info.run_id, "KILLED")

    def interrupt_studies(self) -> None:
        """Mark as KILLED the studies that were taken up and not finished."""
        for run_id in self._study_runs.values():
            if self.client.get_run(run_id).info.status == "RUNNING":
                self.client.set_terminated(run_id, "KILLED")

    @contextmanager
    def recording(self, job: Job, experiment: str, parent: str) -> Iterator[Recorder]:
        """Record one run: FINISHED at the end, FAILED after an error, KILLED after an interruption."""
        number = f"trial {job.number}" if job.role == "trial" else f"seed {job.number}"
        run = self.client.create_run(
            self.experiment_id(experiment),
            run_name=f"{job.variant} on {job.level}, {number}",
            tags={
                "mlflow.parentRunId": parent,
                "experiment": experiment,
                "study": job.study,
                "role": job.role,
                "task": job.level,
                "architecture": job.variant,
                "seed": str(job.config.seed),
                "number": str(job.number),
                "key": job.key,
                "source_hash": job.config.source,
                **_process(),
                **_origin(),
            },
        )
        recorder = Recorder(self.client, run.info.run_id)
        try:
            yield recorder
        except Exception as error:
            self.client.set_tag(run.info.run_id, "error", f"{type(error).__name__}: {error}"[:4000])
            self.client.set_terminated(run.info.run_id, "FAILED")
            raise
        except BaseException:
            self.client.set_terminated(run.info.run_id, "KILLED")
            raise
        recorder.flush()
        self.client.set_terminated(run.info.run_id, "FINISHED")


class Recorder:
    """Buffers what a run measures and hands it to MLflow in batches."""

    def __init__(self, client: MlflowClient, run_id: str) -> None:
        self.client = client
        self.run_id = run_id
        self.waiting: list[Metric] = []
        self.flushed = time.monotonic()

    def curve(self, step: int, metrics: Mapping[str, float]) -> None:
        """Metrics of one step, flushed every few seconds so that a long run can be watched."""
        now = int(time.time() * 1000)
        self.waiting += [Metric(name, value, now, step) for name, value in metrics.items()]
        if time.monotonic() - self.flushed > FLUSH_SECONDS:
            self.flush()

    def result(self, job: Job, metrics: Mapping[str, float], threads: int, path: str) -> None:
        """The configuration, the summary of the run and its environment."""
        config = job.config.model_dump()
        flat = {
            **{f"task.{name}": value for name, value in config["task"].items() if name != "options"},
            **config["task"]["options"],
            **{name: value for name, value in config["model"].items() if name != "options"},
            **config["model"]["options"],
            **config["training"],
            "seed": config["seed"],
        }
        params = [Param(name, str(value)) for name, value in flat.items()]
        tags = [
            RunTag("path", path),
            RunTag("threads", str(threads)),
            RunTag("cpu_capability", torch.backends.cpu.get_cpu_capability()),
        ]
        self.client.log_batch(self.run_id, params=params, tags=tags)
        self.client.log_dict(self.run_id, json.loads(job.config.json_text.replace("Infinity", '"inf"')), "config.json")
        self.client.log_dict(self.run_id, _environment(), "environment.json")
        now = int(time.time() * 1000)
        self.waiting += [Metric(name, value, now, 0) for name, value in metrics.items()]

    def data(self, data: Mapping[str, Any], name: str) -> None:
        self.client.log_dict(self.run_id, dict(data), name)

    def figure(self, figure: Any, name: str) -> None:
        self.client.log_figure(self.run_id, figure, name)

    def flush(self) -> None:
        """Write what is waiting, at most 1000 metrics a call (MLflow's limit)."""
        for start in range(0, len(self.waiting), 1000):
            self.client.log_batch(self.run_id, metrics=self.waiting[start : start + 1000])
        self.waiting = []
        self.flushed = time.monotonic()


def _prepare(folder: Path) -> None:
    """Make the folder, and refuse one that cannot be written or that a newer version has made."""
    marker = folder / "memspan.json"
    try:
        (folder / "artifacts").mkdir(parents=True, exist_ok=True)
        if not marker.exists():
            marker.write_text(json.dumps({"format": FORMAT}), encoding="utf-8")
        found = json.loads(marker.read_text(encoding="utf-8"))["format"]
        if not os.access(folder, os.W_OK):
            raise PermissionError(13, "permission denied")
    except OSError as error:
        raise InputError(
            f"the store {str(folder)!r} cannot be written: {error.strerror}; give another --store"
        ) from error
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"the store {str(folder)!r} is not one of memspan: {marker.name} cannot be read") from error
    if found > FORMAT:
        raise InputError(
            f"the store {str(folder)!r} has format {found} of a newer memspan; this one reads up to {FORMAT}: "
            "upgrade memspan or give another --store"
        )


def _create(database: Path) -> None:
    """Create MLflow's database beside its place and move it there whole.

    MLflow builds its tables in many steps, of which a kill or a second process would leave half.
    """
    unfinished = database.with_name(f"{database.name}.{os.getpid()}")
    MlflowClient(tracking_uri=f"sqlite:///{unfinished}").search_experiments(max_results=1)
    with closing(sqlite3.connect(unfinished)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")  # a writer does not keep readers waiting
    with suppress(FileExistsError):  # another process was first, and its database is as good
        os.link(unfinished, database)
    unfinished.unlink()


@cache
def _environment() -> dict[str, Any]:
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "processor": _processor(),
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "packages": {name: version(name) for name in PACKAGES},
        "variables": {
            k: v for k, v in sorted(os.environ.items()) if k.startswith(("ATEN_", "MKL_", "OMP_", "MEMSPAN_"))
        },
    }


def _process() -> dict[str, str]:
    """Where this runs, so that what it leaves behind can be told from what is still under way."""
    return {"host": platform.node(), "pid": str(os.getpid())}


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # somebody else's
        return True
    return True


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor()


@cache
def _origin() -> dict[str, str]:
    """The commit of the code, when it is a git checkout, and whether files differ from it."""
    folder = Path(__file__).parent

    def git(*arguments: str) -> str:
        return subprocess.run(
            ["git", "-C", str(folder), *arguments], capture_output=True, text=True, check=True, timeout=10
        ).stdout.strip()

    try:
        return {"git_commit": git("rev-parse", "HEAD"), "git_dirty": str(bool(git("status", "--porcelain", "-uno")))}
    except (OSError, subprocess.SubprocessError):
        return {}
