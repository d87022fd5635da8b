"""The best model of each row of an experiment, kept in the store.

Training is repeatable, so a row's model is made by training its best run once more: an experiment that was finished
long ago gets its models as well, and runs need not keep weights that nobody asks for.
"""

from __future__ import annotations

import os
import time
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from suite.errors import InputError, StoreError
from suite.model.model_file import SavedModel, packed, read, unpacked
from suite.planning.job import Outcome
from suite.running.events import RunListener

if TYPE_CHECKING:
    from suite.engines import Engine, Signals
    from suite.planning.job import Job
    from suite.planning.plan import Finished, Plan
    from suite.planning.study import Study
    from suite.store.store import Store

POLL_SECONDS = 2.0


@dataclass(frozen=True)
class BestModel:
    """A row whose evaluations are finished: its best run, and where its model belongs."""

    study: Study
    job: Job
    path: Path

    @property
    def there(self) -> bool:
        """Whether the file is that of this run."""
        try:
            return read(self.path).config.key == self.job.key
        except InputError:
            return False


@dataclass(frozen=True)
class ModelResult:
    """What became of the model of a row."""

    row: BestModel
    state: Literal["made", "there", "failed"]
    note: str = ""
    """What somebody has to know: why it failed, or that it is not quite the model that was recorded."""


def rows(plan: Plan, folder: Path) -> list[BestModel]:
    """The rows that can have a model now, in the order of the plan.

    Raises:
        InputError: if two rows would have the same file.
    """
    from suite.results.wording import stem

    found: dict[Path, BestModel] = {}
    for study in plan.studies:
        job = best_run(study, plan.finished)
        if job is None:
            continue
        path = folder / "models" / plan.experiment.name / stem(study.level.label) / f"{stem(study.variant.label)}.pt"
        if path in found:
            raise InputError(
                f"the models of {found[path].study.name!r} and {study.name!r} would be the same file, "
                f"{path.parent.name}/{path.name}; rename one of them in the experiment"
            )
        found[path] = BestModel(study, job, path)
    return list(found.values())


def best_run(study: Study, finished: Finished) -> Job | None:
    """The evaluation with the highest validation skill, then the lower validation loss, then the lower seed.

    Never chosen on test data. None while an evaluation is missing.
    """
    from suite.planning.plan import evaluations

    jobs = evaluations(study, finished)
    if any(job.key not in finished for job in jobs):
        return None

    def rank(job: Job) -> tuple[float, float, int]:
        metrics = finished[job.key].metrics
        return -metrics["validation_skill"], metrics.get("validation_loss", float("inf")), job.config.seed

    return min(jobs, key=rank, default=None)


def keep(plan: Plan, store: Store, engine: Engine, told: RunListener | None = None) -> list[ModelResult]:
    """Write the model of each finished row that the store lacks, and list them all in MLflow.

    Interrupted and called again, it goes on with what is missing.

    Args:
        plan: whose rows.
        store: models are in ``models/EXPERIMENT/TASK-CONFIDENCE/VARIANT.pt`` of its folder.
        engine: where they are trained; it is left at the end.
        told: what is told to whoever watches; ``done`` of each model that is made.

    Returns:
        What became of each row, in the order of the plan; those that are not finished are left out.

    Raises:
        InputError: if two rows would have the same file.
        StoreError: if a file cannot be written.
    """
    from suite.engines import TaskStatus
    from suite.errors import redacted

    told = told or RunListener()
    step_told, done_told = told.step, told.done
    found = rows(plan, store.folder)
    findings = {row.study.name: ModelResult(row, "there") for row in found if row.there}
    waiting = [row for row in found if row.study.name not in findings]
    running: dict[str, BestModel] = {}

    def listener(name: str, step: int) -> None:
        row = running.get(name)
        if row is not None:
            step_told(row.job, step)

    def written(row: BestModel, data: bytes) -> ModelResult:
        _write(row.path, data)
        made = Outcome(unpacked(data).metrics)
        done_told(row.job, made)
        return ModelResult(row, "made", _difference(plan.finished[row.job.key], made))

    engine.listener = listener
    with engine:
        while waiting or running:
            while waiting and engine.free > 0:
                row = waiting.pop(0)
                running[row.study.name] = row
                checkpoint = store.checkpoints / f"{row.job.key}.model.pt"
                engine.submit(row.study.name, partial(make, row.job, plan.experiment.name, checkpoint))
            if not engine.pending:  # the engine has no room
                told.waiting(len(waiting), 0)
                time.sleep(POLL_SECONDS)
            for name, how in engine.wait(POLL_SECONDS) if engine.pending else ():
                row = running.pop(name)
                if how.kind is TaskStatus.DONE:
                    findings[name] = written(row, how.value)
                elif how.kind is TaskStatus.LOST:
                    waiting.append(row)
                elif how.kind is TaskStatus.STOPPED:
                    raise KeyboardInterrupt
                elif how.kind is TaskStatus.STORE:
                    raise StoreError(how.reason)
                else:
                    told.failed(row.job, how, True)
                    findings[name] = ModelResult(row, "failed", how.reason)
    try:
        for row in found:
            if findings[row.study.name].state != "failed":
                store.tracking.list_model(row.study, row.path, read(row.path))
    except Exception as error:  # the files are there; the same command lists what is not listed
        told.trouble(f"the models could not be listed in MLflow: {redacted(str(error))}")
    return [findings[row.study.name] for row in found]


def make(job: Job, experiment: str, checkpoint: Path, signals: Signals) -> bytes:
    """Train the run of a row once more: its model file, for whoever asked to write it where it belongs."""
    from suite.store.environment import environment
    from suite.training.checkpoint import discard
    from suite.training.lightning_module import Watcher
    from suite.training.train import train

    watcher = Watcher(on_progress=signals.report, should_stop=signals.should_stop)
    result = train(job.config, watcher, signals.device, checkpoint=checkpoint)
    packages = dict(environment(signals.device)["packages"])
    weights = result.model.state_dict()
    data = packed(SavedModel(job.config, experiment, job.variant, job.level, weights, result.metrics, packages))
    discard(checkpoint)
    return data


def _difference(recorded: Outcome, made: Outcome) -> str:
    """That a model is not quite the one that was recorded, as on another platform; empty if it is."""
    before, after = recorded.repeatable, made.repeatable
    different = [name for name in sorted({*before, *after}) if before.get(name) != after.get(name)]
    if not different:
        return ""
    name = next((name for name in ("test_skill", "validation_skill") if name in different), different[0])
    return (
        f"trained here, {len(different)} of {len(after)} metrics differ from those recorded, as with another platform "
        f"or version ({name} {after.get(name)} instead of {before.get(name)}); the file has its own"
    )


def _write(path: Path, data: bytes) -> None:
    """Put a file where it belongs, whole or not at all, and clear away what a killed process has left of it."""
    unfinished = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with unfinished.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileNotFoundError):  # another process has just cleared it away, after writing the same model
            unfinished.replace(path)
        for left in path.parent.glob(f"{path.name}.*"):
            left.unlink(missing_ok=True)
    except OSError as error:
        unfinished.unlink(missing_ok=True)
        raise StoreError(f"the model file {str(path)!r} cannot be written: {error.strerror}") from error
