"""The list of model files in MLflow.

Each file becomes a model of MLflow's own, which ``mlflow.pyfunc.load_model("models:/ID")`` can load if memspan is
installed.
"""

from __future__ import annotations

import re
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from mlflow.entities import LoggedModel, LoggedModelOutput, LoggedModelStatus, Metric

from suite.experiment.run_config import digest
from suite.planning.study import Study
from suite.registry import make_task
from suite.store.mlflow_client import process_of, process_tags
from suite.store.mlflow_recorder import flat_config, source_tags

if TYPE_CHECKING:
    from suite.model.model_file import SavedModel
    from suite.store.mlflow_tracking import Tracking

METRICS = ("validation_skill", "validation_loss", "test_skill", "test_loss")
"""The metrics of a model that MLflow shows."""
PACKAGES = ("memspan", "torch", "numba", "numpy")
"""The packages that a model needs to answer."""


def list_model(tracking: Tracking, study: Study, file: Path, saved: SavedModel) -> str:
    """List a model file with its signature, unless it is listed already, and return MLflow's id of it."""
    key, experiment = saved.config.key, study.experiment.name
    for model in listed_models(tracking, experiment, study.name, key):
        if model.status == LoggedModelStatus.READY:
            return str(model.model_id)
        if not process_of(model.tags).alive:
            tracking.client.delete_logged_model(model.model_id)  # The process that began it was killed.
    run_id = tracking.study_run(study)
    new = _create(tracking, study, run_id, saved)
    with tempfile.TemporaryDirectory() as folder:
        _save(Path(folder) / "model", new, file, saved)
        tracking.client.log_model_artifacts(new.model_id, str(Path(folder) / "model"))
    now = int(time.time() * 1000)
    # The run of the study gets them too, before step 0, where they do not hide its means over the seeds.
    values = {name: saved.metrics[name] for name in METRICS if name in saved.metrics}
    metrics = [Metric(name, value, now, -1, model_id=new.model_id) for name, value in values.items()]
    tracking.client.log_batch(run_id, metrics=metrics)
    tracking.client.finalize_logged_model(new.model_id, LoggedModelStatus.READY)
    first = str(tracking.ledger.fact(f"model {experiment} {digest(study.name)} {key}", new.model_id))
    models = listed_models(tracking, experiment, study.name, key)
    ready = {model.model_id for model in models if model.status == LoggedModelStatus.READY}
    if first != new.model_id and first in ready:  # Another process was first.
        tracking.client.delete_logged_model(new.model_id)
        return first
    tracking.client.log_outputs(run_id, [LoggedModelOutput(new.model_id, 0)])
    return str(new.model_id)


def listed_models(tracking: Tracking, experiment: str, study: str, key: str) -> list[LoggedModel]:
    """Return the models that are listed for a run of a study, also those that are not complete."""
    models = tracking.client.search_logged_models([tracking.experiment_id(experiment)], f"tags.key = '{key}'")
    return [model for model in models if model.tags.get("study") == study]


def _create(tracking: Tracking, study: Study, run_id: str, saved: SavedModel) -> LoggedModel:
    model: LoggedModel = tracking.client.create_logged_model(
        tracking.experiment_id(study.experiment.name),
        # Some characters of a level are not allowed here.
        name=re.sub(r"[^\w =-]", "_", f"{saved.architecture} on {saved.task}"),
        source_run_id=run_id,
        model_type="SequenceModel",
        params=flat_config(saved.config),
        tags={
            "experiment": study.experiment.name,
            "study": study.name,
            "task": saved.task,
            "architecture": saved.architecture,
            "seed": str(saved.config.seed),
            "key": saved.config.key,
            **source_tags(saved.config),
            **process_tags(),
        },
    )
    return model


def _save(folder: Path, model: LoggedModel, file: Path, saved: SavedModel) -> None:
    """Write a model file as a model of MLflow's own, with a signature. ``suite.model.model_file`` loads it."""
    import numpy as np
    import torch
    from mlflow import pyfunc
    from mlflow.models import Model, ModelSignature
    from mlflow.types import Schema, TensorSpec

    task = make_task(saved.config.task.name, saved.config.task.options)

    def tensors(size: int) -> Schema:
        return Schema([TensorSpec(np.dtype("float32"), (-1, -1, size))])  # The shape is [batch, time, size].

    example = task.sample(1, saved.config.task.longest, torch.Generator().manual_seed(0)).inputs
    pyfunc.save_model(
        path=folder,
        loader_module="suite.model.model_file",
        data_path=str(file),
        signature=ModelSignature(inputs=tensors(task.input_size), outputs=tensors(task.output_size)),
        input_example=example.numpy(),
        pip_requirements=[f"{name}=={saved.packages[name]}" for name in PACKAGES if name in saved.packages],
        mlflow_model=Model(artifact_path=model.artifact_location, model_uuid=model.model_id, model_id=model.model_id),
    )
