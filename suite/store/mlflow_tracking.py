"""Every run in MLflow, for people to look at. The only importer of mlflow."""

from __future__ import annotations

import json
import logging
import os
import platform
import re
import sqlite3
import subprocess
import tempfile
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from functools import cache, partial
from importlib.metadata import version
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any

from suite.store.mlflow_models import MODEL_METRICS, _save_model
from suite.store.mlflow_recorder import MOST_METRICS, Recorder, _flat

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")  # which may hold a password
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")  # trying again is `retried`'s, which says so

from mlflow import MlflowClient
from mlflow.entities import LoggedModel, LoggedModelOutput, LoggedModelStatus, Metric, Param, Run, RunTag
from mlflow.exceptions import MlflowException
from mlflow.utils.credentials import get_default_host_creds
from mlflow.utils.rest_utils import http_request

from suite.errors import InputError, StoppedError, StoreError, redacted
from suite.experiment.run_config import RunConfig, digest
from suite.planning.job import Job, Outcome
from suite.planning.study import Study
from suite.store.addresses import StoreLocation
from suite.store.ledger import Ledger
from suite.store.process import alive, machine
from suite.store.retrying import retried

if TYPE_CHECKING:
    from suite.model.model_file import SavedModel

logging.getLogger("mlflow").setLevel(logging.WARNING)  # it tells of every table that it makes
logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)  # errors with their traces, which are raised too

CURVES = ("train/", "validation/", "gradient/")
"""Beginnings of the names of what is measured in the course of a run."""
LOCK_SECONDS = 60
"""A writer waits so long for the others who write to an embedded database."""


class Tracking:
    """MLflow's record of a store. Every call waits for a server or database that is away for a moment.

    What is recorded of a run half-way stays there and is not counted: the ledger says which runs are finished, and of
    those alone MLflow says FINISHED.
    """

    def __init__(self, place: StoreLocation, ledger: Ledger) -> None:
        self.folder = place.folder
        self.ledger = ledger
        self.own_artifacts = place.tracking is None or not place.tracking.startswith("http")
        if place.tracking is None:
            database = self.folder / "mlflow.db"
            if not database.exists():
                _create(database)
            self.uri = f"sqlite:///{database}?timeout={LOCK_SECONDS}"
        else:
            self.uri = place.tracking
        self.client: Any = _Patient(retried(MlflowClient, tracking_uri=self.uri))
        self._study_runs: dict[str, str] = {}
        self._experiments: dict[str, str] = {}

    def version(self) -> str:
        """What answers: the version of the server, which should be that of the library here.

        Raises:
            InputError: if the server's major version is another.
        """
        self.client.search_experiments(max_results=1)
        here = version("mlflow")
        if not self.uri.startswith("http"):
            return f"database of version {here}"
        found = str(retried(_server_version, self.uri))
        if found.split(".")[0] != here.split(".")[0]:
            raise InputError(f"the server has MLflow {found}, which does not go with {here} here; install the same")
        return f"server of version {found}"

    def experiment_id(self, name: str) -> str:
        """The id of MLflow's experiment ``name``, which is created when it is not there."""
        if name not in self._experiments:
            found = self.client.get_experiment_by_name(name)
            self._experiments[name] = str(found.experiment_id) if found is not None else self._new_experiment(name)
        return self._experiments[name]

    def _new_experiment(self, name: str) -> str:
        folder = str(self.folder / "artifacts" / name) if self.own_artifacts else None
        kind = {"mlflow.experimentKind": "custom_model_development"}  # MLflow's UI opens on runs, not on chat traces
        try:
            return str(self.client.create_experiment(name, artifact_location=folder, tags=kind))
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
            return str(self.client.get_experiment_by_name(name).experiment_id)  # another process was first

    def finished(
        self, experiment: str, note: Callable[[Mapping[str, Any]], str]
    ) -> Iterator[tuple[dict[str, Any], Outcome]]:
        """Every finished run that MLflow has, with what the ledger wants to know; each key once, the first of it.

        ``note`` is told of each environment in which one of them was measured.
        """
        seen: set[str] = set()
        noted: set[str] = set()
        runs = self._runs(experiment, "attributes.status = 'FINISHED' and tags.key LIKE '%'")
        for run in sorted(runs, key=lambda run: (run.info.start_time, run.info.run_id)):
            tags, run_id = run.data.tags, str(run.info.run_id)
            if tags["key"] not in seen:
                seen.add(tags["key"])
                names = {"key": tags["key"], "study": tags["study"], "role": tags["role"], "run_id": run_id}
                where = tags.get("environment", "")
                if where and where not in noted:
                    note(self._environment(run_id))
                    noted.add(where)
                metrics = {name: value for name, value in run.data.metrics.items() if not name.startswith(CURVES)}
                outcome = Outcome(metrics, self._curves(run_id, run), where)
                yield {**names, "number": int(tags["number"])}, outcome

    def _environment(self, run_id: str) -> dict[str, Any]:
        with tempfile.TemporaryDirectory() as folder:
            path = self.client.download_artifacts(run_id, "environment.json", folder)
            found: dict[str, Any] = json.loads(Path(path).read_text(encoding="utf-8"))
            return found

    def _curves(self, run_id: str, run: Run) -> tuple[tuple[int, dict[str, float]], ...]:
        by_step: dict[int, dict[str, float]] = {}
        by_lag: dict[int, dict[str, float]] = {}
        for name in run.data.metrics:
            if name.startswith(CURVES):
                points = by_lag if name.startswith("gradient/") else by_step
                for metric in self.client.get_metric_history(run_id, name):
                    points.setdefault(metric.step, {})[name] = metric.value
        return (*sorted(by_step.items()), *sorted(by_lag.items()))

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
        if study.name not in self._study_runs:
            self._study_runs[study.name] = self._find_study_run(study)
        return self._study_runs[study.name]

    def _find_study_run(self, study: Study) -> str:
        experiment = study.experiment.name
        fact = f"study {experiment} {digest(study.name)} {study.version}"
        known = self.ledger.fact(fact)
        if known is not None and (status := self._status(known)) is not None:
            if status not in ("FINISHED", "RUNNING"):
                self.client.update_run(known, "RUNNING")
            return known
        mine = f"tags.role = 'study' and tags.study = '{study.name}' and tags.study_version = '{study.version}'"
        for run in self._runs(experiment, mine):  # made before there was a ledger, or after a loss of the first
            return str(run.info.run_id) if known else str(self.ledger.fact(fact, str(run.info.run_id)))
        tags = {
            "role": "study",
            "experiment": experiment,
            "study": study.name,
            "study_version": study.version,
            "task": study.level.label,
            "architecture": study.variant.label,
        }
        name = f"{study.variant.label} on {study.level.label}"
        run_id = str(self.client.create_run(self.experiment_id(experiment), run_name=name, tags=tags).info.run_id)
        first = str(self.ledger.fact(fact, run_id))
        if first in (run_id, known):
            return run_id
        self.client.delete_run(run_id)  # another process was first
        return first

    def _status(self, run_id: str) -> str | None:
        """None for a run that MLflow does not know, as after a loss of its database, or that somebody deleted."""
        try:
            info = self.client.get_run(run_id).info
            return None if info.lifecycle_stage == "deleted" else str(info.status)
        except MlflowException as error:
            if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                raise
            return None

    def interrupt_studies(self, busy: Collection[str]) -> None:
        """Mark as KILLED the studies that were taken up here, are not finished, and on which nobody works."""
        for study, run_id in self._study_runs.items():
            if study not in busy and self._status(run_id) == "RUNNING":
                self.client.set_terminated(run_id, "KILLED")

    def summarise(self, study: Study, best: Mapping[str, Any], evaluations: Sequence[Outcome]) -> None:
        """Close the run of a finished study: its best hyper-parameters, and means and mean curves over its seeds.

        So the charts of the studies of a task lay its architectures over each other.
        """
        run_id = self.study_run(study)
        first, now = evaluations[0].metrics, int(time.time() * 1000)
        known = [name for name in first if all(name in outcome.metrics for outcome in evaluations)]
        metrics = [Metric(name, fmean(one.metrics[name] for one in evaluations), now, 0) for name in known]
        points: dict[tuple[str, int], list[float]] = {}
        for outcome in evaluations:
            for step, values in outcome.curves:
                for name, value in values.items():
                    points.setdefault((name, step), []).append(value)
        # A mean over fewer seeds than all would jump where one of them stops.
        whole = {point: values for point, values in points.items() if len(values) == len(evaluations)}
        metrics += [Metric(name, fmean(values), now, step) for (name, step), values in sorted(whole.items())]
        tags = [RunTag("seeds", str(len(evaluations)))]
        self.client.log_batch(run_id, tags=tags)
        for start in range(0, len(metrics), MOST_METRICS):
            self.client.log_batch(run_id, metrics=metrics[start : start + MOST_METRICS])
        params = {"architecture": study.variant.label, "task": study.level.label, **best}
        wanted = {name: str(value) for name, value in params.items()}
        if self.client.get_run(run_id).data.params != wanted:
            self.client.log_batch(run_id, params=[Param(*param) for param in wanted.items()])
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

    def list_model(self, study: Study, file: Path, kept: SavedModel) -> str:
        """List a model file among the models of its experiment, with its signature; its id.

        It is a model of MLflow's own, which ``mlflow.pyfunc.load_model("models:/ID")`` loads where memspan is
        installed. One that is listed already is not listed again.
        """
        key, experiment = kept.config.key, study.experiment.name
        for model in self._models(experiment, study.name, key):
            if model.status == LoggedModelStatus.READY:
                return str(model.model_id)
            if not alive(model.tags.get("machine", ""), int(model.tags.get("pid", "0"))):
                self.client.delete_logged_model(model.model_id)  # begun by a process that was killed
        run_id = self.study_run(study)
        new = self.client.create_logged_model(
            self.experiment_id(experiment),
            # Some characters of a level are not allowed here.
            name=re.sub(r"[^\w =-]", "_", f"{kept.architecture} on {kept.task}"),
            source_run_id=run_id,
            model_type="SequenceModel",
            params=_flat(kept.config),
            tags={
                "experiment": experiment,
                "study": study.name,
                "task": kept.task,
                "architecture": kept.architecture,
                "seed": str(kept.config.seed),
                "key": key,
                **_sources(kept.config),
                **_process(),
            },
        )
        with tempfile.TemporaryDirectory() as folder:
            _save_model(Path(folder) / "model", new, file, kept)
            self.client.log_model_artifacts(new.model_id, str(Path(folder) / "model"))
        now = int(time.time() * 1000)
        # They are entered for the run as well, before step 0, where they do not hide its means over the seeds.
        values = {name: kept.metrics[name] for name in MODEL_METRICS if name in kept.metrics}
        metrics = [Metric(name, value, now, -1, model_id=new.model_id) for name, value in values.items()]
        self.client.log_batch(run_id, metrics=metrics)
        self.client.finalize_logged_model(new.model_id, LoggedModelStatus.READY)
        first = str(self.ledger.fact(f"model {experiment} {digest(study.name)} {key}", new.model_id))
        ready = {
            model.model_id
            for model in self._models(experiment, study.name, key)
            if model.status == LoggedModelStatus.READY
        }
        if first != new.model_id and first in ready:  # another process was first
            self.client.delete_logged_model(new.model_id)
            return first
        self.client.log_outputs(run_id, [LoggedModelOutput(new.model_id, 0)])
        return str(new.model_id)

    def _models(self, experiment: str, study: str, key: str) -> list[LoggedModel]:
        """Those that are listed for a run of a study, or being listed."""
        condition = f"tags.key = '{key}'"
        found = self.client.search_logged_models([self.experiment_id(experiment)], condition)
        return [model for model in found if model.tags.get("study") == study]

    def close(self, run_id: str, reason: str, status: str = "KILLED") -> None:
        """Close a run that nobody goes on with."""
        if run_id and self._status(run_id) == "RUNNING":
            self.client.set_tag(run_id, "error", redacted(reason)[:4000])
            self.client.set_terminated(run_id, status)

    def close_abandoned(self, experiment: str) -> None:
        """Bring the status of runs in line with the ledger, where a process died before it could.

        A run under way is left alone, here and elsewhere.
        """
        left = [run for run in self._runs(experiment, "attributes.status = 'RUNNING'") if "key" in run.data.tags]
        if not left:
            return
        under_way = {entry.run_id for entry in self.ledger.unfinished(experiment) if entry.state == "running"}
        done = set(self.ledger.run_ids(experiment).values())
        for run in left:
            tags, run_id = run.data.tags, run.info.run_id
            if run_id in done:
                self.client.set_terminated(run_id, "FINISHED")
            elif run_id not in under_way and not alive(tags.get("machine", ""), int(tags.get("pid", "0"))):
                self.client.set_terminated(run_id, "KILLED")

    @contextmanager
    def recording(self, job: Job, experiment: str, parent: str, owner: str) -> Iterator[Recorder]:
        """Record one run: FAILED after an error, KILLED after an interruption.

        At the end the ledger is told, and then MLflow: FINISHED; or KILLED, if the run belongs to another owner by now.
        """
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
                **_sources(job.config),
                **_process(),
                **_origin(),
            },
        )
        run_id = str(run.info.run_id)
        self.ledger.begun(experiment, job.key, owner, run_id)
        recorder = Recorder(self.client, run_id)
        try:
            yield recorder
            recorder.flush()
        except StoreError:
            raise  # nothing can be written now; the status is put right by whoever takes the run up
        except Exception as error:
            status = "KILLED" if isinstance(error, StoppedError) else "FAILED"
            self.close(run_id, f"{type(error).__name__}: {error}", status)
            raise
        except BaseException:
            self.client.set_terminated(run_id, "KILLED")
            raise
        assert recorder.outcome is not None, "Recorder.result was not called"
        recorder.counts = self.ledger.finish(experiment, job.key, owner, run_id, recorder.outcome)
        self.client.set_terminated(run_id, "FINISHED" if recorder.counts else "KILLED")


def _sources(config: RunConfig) -> dict[str, str]:
    return {"task_source": config.source.task, "architecture_source": config.source.architecture}


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


class _Patient:
    """An MLflow client each of whose calls waits for a store that is away for a moment."""

    def __init__(self, client: MlflowClient) -> None:
        self._client = client

    def __getattr__(self, name: str) -> Any:
        return partial(retried, getattr(self._client, name))


def _server_version(uri: str) -> str:
    credentials = get_default_host_creds(uri)  # type: ignore[no-untyped-call]
    answer: Any = http_request(credentials, "/version", "GET", timeout=10)  # type: ignore[no-untyped-call]
    return str(answer.text)


def _process() -> dict[str, str]:
    """Where this runs, so that what it leaves behind can be told from what is still under way."""
    return {"host": platform.node(), "machine": machine(), "pid": str(os.getpid())}


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
