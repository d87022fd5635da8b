"""Models listed in MLflow."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from mlflow.entities import LoggedModel

from suite.registry import make_task

if TYPE_CHECKING:
    from suite.model.model_file import SavedModel

MODEL_METRICS = ("validation_skill", "validation_loss", "test_skill", "test_loss")


MODEL_NEEDS = ("memspan", "torch", "numba", "numpy")
"""The packages that a model needs to answer."""


def _save_model(folder: Path, model: LoggedModel, file: Path, kept: SavedModel) -> None:
    """A model file as a model of MLflow's own, with a signature; ``suite.model.model_file`` loads it."""
    import numpy as np
    import torch
    from mlflow import pyfunc
    from mlflow.models import Model, ModelSignature
    from mlflow.types import Schema, TensorSpec

    task = make_task(kept.config.task.name, kept.config.task.options)

    def tensors(size: int) -> Schema:
        return Schema([TensorSpec(np.dtype("float32"), (-1, -1, size))])  # [batch, time, size]

    example = task.sample(1, kept.config.task.length, torch.Generator().manual_seed(0)).inputs
    pyfunc.save_model(
        path=folder,
        loader_module="suite.model.model_file",
        data_path=str(file),
        signature=ModelSignature(inputs=tensors(task.input_size), outputs=tensors(task.output_size)),
        input_example=example.numpy(),
        pip_requirements=[f"{name}=={kept.packages[name]}" for name in MODEL_NEEDS if name in kept.packages],
        mlflow_model=Model(artifact_path=model.artifact_location, model_uuid=model.model_id, model_id=model.model_id),
    )
