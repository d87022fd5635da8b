"""The best model of each row of an experiment, kept in the store.

Training is repeatable, so the model of a row is made by training its best run once more. Runs therefore need not keep
their weights, and an experiment that was finished long ago can still get its models.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from suite.engines import Engine, EngineTask, TaskResult, TaskStatus
from suite.engines.dispatch import Work, dispatch
from suite.errors import InputError, StoreError, redacted
from suite.model.model_file import SavedModel, pack, read, unpack
from suite.planning.job import Job, Outcome
from suite.planning.plan import Plan
from suite.planning.study import Study
from suite.results.wording import stem
from suite.running.events import RunListener
from suite.store.files import remove, write_whole
from suite.store.store import Store

if TYPE_CHECKING:
    from suite.engines import Signals


@dataclass(frozen=True)
class BestModel:
    """The model of a row whose evaluations are finished, given by its best run and its file."""

    study: Study
    job: Job
    path: Path

    @property
    def is_made(self) -> bool:
        """True if the file exists and holds the model of this run."""
        try:
            return read(self.path).config.key == self.job.key
        except InputError:
            return False


@dataclass(frozen=True)
class ModelResult:
    """The result of keeping the model of a row."""

    model: BestModel
    state: Literal["made", "there", "failed"]
    note: str = ""
    """The reason of a failure, or the remark that the model is not quite the recorded one."""


def best_models(plan: Plan, folder: Path) -> list[BestModel]:
    """Return the models that can be made now, in the order of the plan.

    Raises:
        InputError: if two rows would share a file.
    """
    models: dict[Path, BestModel] = {}
    for study in plan.studies:
        job = plan.progress(study).best_run
        if job is None:
            continue
        path = folder / "models" / plan.experiment.name / stem(study.level.label) / f"{stem(study.variant.label)}.pt"
        if path in models:
            raise InputError(
                f"the models of {models[path].study.name!r} and {study.name!r} would be the same file, "
                f"{path.parent.name}/{path.name}; rename one of them in the experiment"
            )
        models[path] = BestModel(study, job, path)
    return list(models.values())


def keep_models(plan: Plan, store: Store, engine: Engine, listener: RunListener | None = None) -> list[ModelResult]:
    """Make the model of each finished row that the store lacks, and list all models in MLflow.

    After an interruption, the next call goes on with the models that are missing.

    Args:
        plan: the plan whose rows get models.
        store: the store. Its folder gets the files ``models/EXPERIMENT/TASK-LEVEL/VARIANT.pt``.
        engine: the engine that trains them. Its context is left at the end.
        listener: is told about each model; ``on_done`` is called when one is made.

    Returns:
        The result for each finished row, in the order of the plan.

    Raises:
        InputError: if two rows would share a file.
        KeyboardInterrupt: after Ctrl-C or SIGTERM. Trainings under way have kept a checkpoint, unless it came twice.
        StoreError: if a file cannot be written.
    """
    listener = listener or RunListener()
    work = _MissingModels(plan, store, listener)
    if not dispatch(work, engine, listener.on_stopping):
        raise KeyboardInterrupt
    results = [work.results[model.study.name] for model in work.models]
    try:
        for result in results:
            if result.state != "failed":
                from suite.store.mlflow_models import list_model

                list_model(store.tracking, result.model.study, result.model.path, read(result.model.path))
    except Exception as error:  # The files are there, and the same command lists the models later.
        listener.on_trouble(f"the models could not be listed in MLflow: {redacted(str(error))}")
    return results


class _MissingModels(Work):
    """The models of a plan that the store lacks, by the name of their study."""

    def __init__(self, plan: Plan, store: Store, listener: RunListener) -> None:
        self.plan = plan
        self.store = store
        self.listener = listener
        self.models = best_models(plan, store.folder)
        self.results = {model.study.name: ModelResult(model, "there") for model in self.models if model.is_made}
        self.ready = [model for model in self.models if model.study.name not in self.results]
        self.running: dict[str, BestModel] = {}

    def is_left(self) -> bool:
        return bool(self.ready)

    def next_task(self) -> tuple[str, EngineTask] | None:
        if not self.ready:
            return None
        model = self.ready.pop(0)
        self.running[model.study.name] = model
        checkpoint = self.store.checkpoints / f"{model.job.key}.model.pt"
        return model.study.name, partial(train_model, model.job, self.plan.experiment.name, checkpoint)

    def on_result(self, key: str, result: TaskResult) -> None:
        model = self.running.pop(key)
        if result.status is TaskStatus.DONE:
            _write(model.path, result.value)
            outcome = Outcome(unpack(result.value).metrics)
            self.listener.on_done(model.job, outcome)
            note = _difference(self.plan.finished[model.job.key], outcome)
            self.results[key] = ModelResult(model, "made", note)
        elif result.status is TaskStatus.LOST:
            self.ready.append(model)
        elif result.status is TaskStatus.STORE:
            raise StoreError(result.reason)
        elif result.status is TaskStatus.FAILED:
            self.listener.on_failed(model.job, result, True)
            self.results[key] = ModelResult(model, "failed", result.reason)

    def on_idle(self) -> None:
        self.listener.on_waiting(len(self.ready), 0)

    def on_step(self, key: str, step: int) -> None:
        model = self.running.get(key)
        if model is not None:
            self.listener.on_step(model.job, step)

    def on_note(self, key: str, text: str) -> None:
        model = self.running.get(key)
        if model is not None:
            self.listener.on_trouble(f"model of {model.job.title}: {text}")


def train_model(job: Job, experiment: str, checkpoint: Path, signals: Signals) -> bytes:
    """Train a run once more, and return the bytes of its model file."""
    from suite.store.environment import environment
    from suite.training.lightning_module import Watcher
    from suite.training.train import train

    watcher = Watcher(on_step=signals.on_step, should_stop=signals.should_stop, on_note=signals.on_note)
    result = train(job.config, watcher, signals.device, checkpoint=checkpoint)
    packages = dict(environment(signals.device)["packages"])
    weights = result.model.state_dict()
    saved = SavedModel(job.config, experiment, job.variant, job.level, weights, result.metrics, packages)
    remove(checkpoint)
    return pack(saved)


def _difference(recorded: Outcome, outcome: Outcome) -> str:
    """Say by which metrics a model differs from the recorded one, as on another platform; empty if by none."""
    before, after = recorded.repeatable, outcome.repeatable
    different = [name for name in sorted({*before, *after}) if before.get(name) != after.get(name)]
    if not different:
        return ""
    name = next((name for name in ("test_skill", "validation_skill") if name in different), different[0])
    return (
        f"{len(different)} of {len(after)} metrics differ from the recorded ones, as they may on another platform or "
        f"version ({name} is {after.get(name)} instead of {before.get(name)}); the file holds those of this training"
    )


def _write(path: Path, data: bytes) -> None:
    """Write a model file, and delete whatever a killed process has left half-written of it."""
    try:
        write_whole(path, data)
        remove(path, itself=False)
    except OSError as error:
        raise StoreError(f"the model file {str(path)!r} cannot be written: {error.strerror}") from error
