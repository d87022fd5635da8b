"""The record in MLflow, for people to look at: experiments, the runs of studies, and the runs nested in them."""

from __future__ import annotations

import sys
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from statistics import fmean
from typing import Any

from mlflow.entities import Metric, Param, Run, RunTag, ViewType
from mlflow.exceptions import MlflowException

from suite.errors import InputError, Interruption, StoppedError, StoreError, redacted, summary_of
from suite.experiment.run_config import digest
from suite.planning.job import Job, Outcome
from suite.planning.study import Study
from suite.store.addresses import StoreLocation, embedded_address
from suite.store.database import LOCK_SECONDS
from suite.store.ledger import Ledger
from suite.store.ledger_tables import RUNNING
from suite.store.mlflow_client import (
    RetryingClient,
    create_database,
    origin_tags,
    process_of,
    process_tags,
    server_version,
)
from suite.store.mlflow_recorder import Recorder, log_metrics, source_tags


class Tracking:
    """MLflow's record of a store. Every call waits for a server or database that is away for a moment.

    The record of a run that was not finished stays in MLflow and does not count. The ledger decides which runs are
    finished, and only those have the status FINISHED.
    """

    def __init__(self, location: StoreLocation, ledger: Ledger, *, reads_only: bool = False) -> None:
        self.folder = location.folder
        self.ledger = ledger
        self.own_artifacts = location.tracking is None or not location.tracking.startswith("http")
        if location.tracking is None:
            database = self.folder / "mlflow.db"
            if not database.exists() and not reads_only:
                create_database(database)
            self.uri = embedded_address(database, timeout=str(LOCK_SECONDS))
        else:
            self.uri = location.tracking
        self.client: Any = RetryingClient(self.uri, reads_only=reads_only)
        self._study_runs: dict[str, str] = {}
        self._experiments: dict[str, str] = {}

    def version(self) -> str:
        """Return the version of the server or the database, in words.

        Raises:
            InputError: if the major version of the server is not that of the library here.
        """
        library = version("mlflow")
        if not self.uri.startswith("http"):
            return f"database of version {library}"
        server = server_version(self.uri)
        if server.split(".")[0] != library.split(".")[0]:
            raise InputError(
                f"the server has MLflow {server}, which does not work with MLflow {library} here; "
                "install the same version"
            )
        return f"server of version {server}"

    def experiment_id(self, name: str) -> str:
        """Return the id of MLflow's experiment ``name``, which is made if it is missing and restored if deleted."""
        if name not in self._experiments:
            experiment = self.client.get_experiment_by_name(name)
            if experiment is None:
                return self._experiments.setdefault(name, self._new_experiment(name))
            if experiment.lifecycle_stage == "deleted":
                self.client.restore_experiment(experiment.experiment_id)
                text = f"memspan: the experiment {name!r} was deleted in MLflow; it is restored, because its runs go on"
                print(text, file=sys.stderr)
            self._experiments[name] = str(experiment.experiment_id)
        return self._experiments[name]

    def _new_experiment(self, name: str) -> str:
        folder = (self.folder / "artifacts" / name).as_uri() if self.own_artifacts else None
        kind = {"mlflow.experimentKind": "custom_model_development"}  # MLflow's UI opens on runs, not on chat traces
        try:
            return str(self.client.create_experiment(name, artifact_location=folder, tags=kind))
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
            return str(self.client.get_experiment_by_name(name).experiment_id)  # Another process was first.

    def _create_run(self, experiment: str, title: str, tags: Mapping[str, str]) -> Run:
        """Create a run in MLflow's experiment, also if that was deleted since it was last used."""
        try:
            run: Run = self.client.create_run(self.experiment_id(experiment), run_name=title, tags=tags)
        except MlflowException as error:
            if error.error_code != "INVALID_PARAMETER_VALUE":
                raise
            del self._experiments[experiment]
            run = self.client.create_run(self.experiment_id(experiment), run_name=title, tags=tags)
        return run

    def runs(self, experiment: str, condition: str) -> Iterator[Run]:
        """Yield the runs of an experiment that meet a condition, in MLflow's language of filters."""
        entry = None if self.client.is_empty else self.client.get_experiment_by_name(experiment)
        token: str | None = None
        while entry is not None:
            kept = ViewType.ALL if entry.lifecycle_stage == "deleted" else ViewType.ACTIVE_ONLY
            page = self.client.search_runs([entry.experiment_id], condition, kept, max_results=5000, page_token=token)
            yield from page
            token = page.token
            if not token:
                break

    def study_run(self, study: Study) -> str:
        """Return the id of the run under which those of a study are nested. It is made if it is missing."""
        if study.name not in self._study_runs:
            self._study_runs[study.name] = self._find_study_run(study)
        return self._study_runs[study.name]

    def _find_study_run(self, study: Study) -> str:
        experiment = study.experiment.name
        fact = f"study {experiment} {digest(study.name)} {study.version}"
        recorded = self.ledger.fact(fact)
        if recorded is not None and (status := self._status(recorded)) is not None:
            if status not in ("FINISHED", "RUNNING"):
                self.client.update_run(recorded, "RUNNING")
            return recorded
        same = f"tags.role = 'study' and tags.study = '{study.name}' and tags.study_version = '{study.version}'"
        for run in self.runs(experiment, same):  # An older version made it, or it replaced a lost one.
            return str(run.info.run_id) if recorded else str(self.ledger.fact(fact, str(run.info.run_id)))
        tags = {
            "role": "study",
            "experiment": experiment,
            "study": study.name,
            "study_version": study.version,
            "task": study.level.label,
            "architecture": study.variant.label,
            "family": study.family,
        }
        new = self._create_run(experiment, study.title, tags)
        run_id = str(new.info.run_id)
        first = str(self.ledger.fact(fact, run_id))
        if first in (run_id, recorded):
            return run_id
        self.client.delete_run(run_id)  # Another process was first.
        return first

    def _status(self, run_id: str) -> str | None:
        """Return the status of a run; None if MLflow does not know it, because it was deleted or lost."""
        try:
            info = self.client.get_run(run_id).info
            return None if info.lifecycle_stage == "deleted" else str(info.status)
        except MlflowException as error:
            if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                raise
            return None

    def interrupt_studies(self, busy: Collection[str]) -> None:
        """Mark the studies of this command as KILLED that are not finished and on which nobody works.

        Args:
            busy: the names of the studies on which somebody works.
        """
        for study, run_id in self._study_runs.items():
            if study not in busy and self._status(run_id) == "RUNNING":
                self.client.set_terminated(run_id, "KILLED")

    def summarise(self, study: Study, best_params: Mapping[str, Any], evaluations: Sequence[Outcome]) -> None:
        """Close the run of a finished study with its best hyper-parameters, and with means and mean curves over seeds.

        In MLflow's charts, the architectures on a task can then be compared by their means.
        """
        run_id = self.study_run(study)
        first, now = evaluations[0].metrics, int(time.time() * 1000)
        shared = [name for name in first if all(name in outcome.metrics for outcome in evaluations)]
        metrics = [Metric(name, fmean(outcome.metrics[name] for outcome in evaluations), now, 0) for name in shared]
        points: dict[tuple[str, int], list[float]] = {}
        for outcome in evaluations:
            for step, values in (*outcome.curves, *outcome.by_lag):
                for name, value in values.items():
                    points.setdefault((name, step), []).append(value)
        # A mean over some of the seeds would jump at the step where one of them stops.
        complete = {point: values for point, values in points.items() if len(values) == len(evaluations)}
        metrics += [Metric(name, fmean(values), now, step) for (name, step), values in sorted(complete.items())]
        self.client.log_batch(run_id, tags=[RunTag("seeds", str(len(evaluations)))])
        log_metrics(self.client, run_id, metrics)
        settings = {"architecture": study.variant.label, "task": study.level.label, **best_params}
        params = {name: str(value) for name, value in settings.items()}
        if self.client.get_run(run_id).data.params != params:
            self.client.log_batch(run_id, params=[Param(*param) for param in params.items()])
        self.client.set_terminated(run_id, "FINISHED")

    def keep_report(self, experiment: str, title: str, files: Sequence[Path]) -> None:
        """Keep the pictures and tables of an experiment as artifacts of a run of their own."""
        condition = f"tags.role = 'report' and attributes.run_name = '{title}'"
        report = next(iter(self.runs(experiment, condition)), None)
        tags = {"role": "report", "experiment": experiment, **process_tags()}
        run = report or self._create_run(experiment, title, tags)
        for path in files:
            self.client.log_artifact(run.info.run_id, str(path))
        self.client.set_terminated(run.info.run_id, "FINISHED")

    def close(self, run_id: str, reason: str, status: str = "KILLED") -> None:
        """Close a run that nobody continues."""
        if run_id and self._status(run_id) == "RUNNING":
            self.client.set_tag(run_id, "error", redacted(reason)[:4000])
            self.client.set_terminated(run_id, status)

    def close_abandoned(self, experiment: str) -> None:
        """Correct the status of runs whose process died, so that it agrees with the ledger.

        Runs under way stay as they are, also those of other commands.
        """
        running = [run for run in self.runs(experiment, "attributes.status = 'RUNNING'") if "key" in run.data.tags]
        if not running:
            return
        under_way = {run.run_id for run in self.ledger.unfinished(experiment) if run.state == RUNNING}
        done = set(self.ledger.run_ids(experiment).values())
        for run in running:
            run_id = run.info.run_id
            if run_id in done:
                self.client.set_terminated(run_id, "FINISHED")
            elif run_id not in under_way and not process_of(run.data.tags).alive:
                self.client.set_terminated(run_id, "KILLED")

    @contextmanager
    def recording(self, job: Job, experiment: str, parent: str, owner: str) -> Iterator[Recorder]:
        """Record one run. Its status is FAILED after an error, and KILLED after an interruption.

        At the end, the outcome goes to the ledger. Then the status is FINISHED, or KILLED if the run belongs to another
        owner by now.
        """
        run_id = self._new_run(job, experiment, parent)
        self.ledger.begun(experiment, job.key, owner, run_id)
        recorder = Recorder(self.client, run_id)
        try:
            yield recorder
            recorder.flush()
        except StoreError:
            raise  # Nothing can be written now. The next owner of the run corrects its status.
        except BaseException as error:
            status = "KILLED" if isinstance(error, StoppedError | Interruption) else "FAILED"
            self.close(run_id, summary_of(error), status)
            raise
        assert recorder.outcome is not None, "Recorder.result was not called"
        recorder.counts = self.ledger.finish(experiment, job.key, owner, run_id, recorder.outcome)
        self.client.set_terminated(run_id, "FINISHED" if recorder.counts else "KILLED")

    def _new_run(self, job: Job, experiment: str, parent: str) -> str:
        tags = {
            "mlflow.parentRunId": parent,
            "experiment": experiment,
            "study": job.study,
            "role": job.role,
            "task": job.level,
            "architecture": job.variant,
            "seed": str(job.config.seed),
            "number": str(job.number),
            "key": job.key,
            **source_tags(job.config),
            **process_tags(),
            **origin_tags(),
        }
        return str(self._create_run(experiment, job.title, tags).info.run_id)
