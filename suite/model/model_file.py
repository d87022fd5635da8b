"""The model file: the weights of one run, with everything that is needed to make the model again."""

from __future__ import annotations

import io
import warnings
import zipfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import fields
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from pydantic import ConfigDict, ValidationError
from pydantic.dataclasses import dataclass
from torch import Tensor

from suite.errors import InputError, problem_text
from suite.experiment.run_config import RunConfig
from suite.experiment.source_hash import source_of
from suite.model.sequence_model import SequenceModel, model_of
from suite.registry import architectures, make_task
from tasks import Task

if TYPE_CHECKING:
    import numpy as np

FORMAT = 1
"""The format of a model file. It is raised when older versions of memspan could not read it."""
MARK = "memspan_model"
"""The key of the format, which distinguishes a model file from other files of torch."""


@dataclass(frozen=True, config=ConfigDict(arbitrary_types_allowed=True, extra="forbid"))
class SavedModel:
    """The content of a model file."""

    config: RunConfig
    """The configuration of the run that made the model."""
    experiment: str
    architecture: str
    """The label of the row, which may differ from the name of the architecture."""
    task: str
    """The label of the task level."""
    weights: dict[str, Tensor]
    metrics: dict[str, float]
    """The metrics of the training that made the model."""
    packages: dict[str, str]
    """The versions of the packages with which it was made."""


def load(path: Path | str) -> tuple[SequenceModel, Task]:
    """Return the model of a file, in eval mode and on the CPU, and its task.

    You get a warning if the source of the architecture or of the task has changed since the file was written, or if
    the file is too old to tell.

    Raises:
        InputError: if the file is missing, is not a model file that this memspan can read, needs an architecture or a
            task that cannot be imported, or holds weights that do not fit the architecture as it is now.
    """
    saved = read(path)
    config, writer = saved.config, f"memspan {saved.packages.get('memspan', '?')}"
    remedy = f"use the sources with which {writer} wrote it, or make it again: {_command(saved.experiment)}"
    task: Task = make_task(config.task.name, config.task.options)
    architectures.get(config.model.architecture)  # This raises a better error if the class cannot be imported.
    try:
        model = model_of(config.model, task, seed=0)
    except (TypeError, ValueError) as error:
        raise InputError(f"the model file {str(path)!r} cannot be used: {error}; {remedy}") from error
    if doubt := _doubt(config, f"since {writer} wrote {str(path)!r}"):
        warnings.warn(f"{doubt}: the model may give other outputs than it did then", stacklevel=3)
    try:
        model.load_state_dict(saved.weights)
    except RuntimeError as error:
        reason = str(error).splitlines()[-1].strip()
        raise InputError(
            f"the weights in {str(path)!r} do not fit architecture {config.model.architecture!r} as it is now "
            f"({reason}); {remedy}"
        ) from error
    return model.eval(), task


def _doubt(config: RunConfig, since: str) -> str:
    """Say which sources of a run have changed, or that nobody can tell; empty if they are the same as then."""
    task, architecture = config.task.name, config.model.architecture
    if not config.source.is_comparable:
        return f"it is unknown whether the source of task {task!r} or of architecture {architecture!r} changed {since}"
    now = source_of(task, architecture)
    changed = [f"task {task!r}"] * (now.task != config.source.task)
    changed += [f"architecture {architecture!r}"] * (now.architecture != config.source.architecture)
    return f"the source of {' and of '.join(changed)} has changed {since}" if changed else ""


def read(path: Path | str) -> SavedModel:
    """Return the content of a model file. Reading it runs no code from the file.

    Raises:
        InputError: if the file is missing, or is not a model file that this memspan can read.
    """
    try:
        data = Path(path).read_bytes()
    except FileNotFoundError as error:
        raise InputError(f"no model file {str(path)!r}{_hint(Path(path))}; {_command()} writes them") from error
    except OSError as error:
        raise InputError(f"cannot read model file {str(path)!r}: {error.strerror}") from error
    try:
        return unpack(data)
    except InputError as error:
        raise InputError(f"{str(path)!r} {error}") from error


def pack(saved: SavedModel) -> bytes:
    """Return the bytes of a model file, which holds plain values and tensors."""
    plain = {field.name: getattr(saved, field.name) for field in fields(saved)}
    # After a training, the weights are views of one vector, and torch would save the vector with each of them.
    weights = {name: tensor.detach().cpu().clone() for name, tensor in saved.weights.items()}
    buffer = io.BytesIO()
    torch.save({MARK: FORMAT, **plain, "config": saved.config.json_text, "weights": weights}, buffer)
    return buffer.getvalue()


def unpack(data: bytes) -> SavedModel:
    """Return the model that `pack` has packed.

    Raises:
        InputError: if the bytes are something else, or any of them has changed. The message goes on from the name of
            the file.
    """
    try:
        damaged = zipfile.ZipFile(io.BytesIO(data)).testzip()  # torch itself ignores the checksums that it writes.
        content = {} if damaged else torch.load(io.BytesIO(data), weights_only=True, map_location="cpu")
    except Exception as error:  # Both have a dozen types of errors for a broken file.
        raise InputError(f"is not a model file of memspan; {_command()} writes them") from error
    if damaged:
        raise InputError(f"is damaged; make it again: {_command()}")
    if not isinstance(content, dict) or not isinstance(content.get(MARK), int):
        raise InputError(f"is not a model file of memspan; {_command()} writes them")
    version = content.pop(MARK)
    if version > FORMAT:
        raise InputError(f"has format {version} of a newer memspan; this one reads up to {FORMAT}: upgrade memspan")
    try:
        config = RunConfig.model_validate_json(content.pop("config"))
        return SavedModel(config=config, **content)
    except (KeyError, TypeError, ValidationError) as error:
        reason = f": {problem_text(error)}" if isinstance(error, ValidationError) else ""
        raise InputError(f"is of another memspan and cannot be read{reason}; make it again: {_command()}") from error


def _command(experiment: str = "EXPERIMENT") -> str:
    return f"`memspan run {experiment} --keep-models`"


def _hint(path: Path) -> str:
    """Suggest the nearest path that exists, by the first part of ``path`` that is missing; empty if there is none."""
    missing = next(part for part in (*reversed(path.parents), path) if not part.exists())
    with suppress(OSError):
        names = [entry.name for entry in missing.parent.iterdir() if entry.is_dir() or entry.suffix == ".pt"]
        nearest = get_close_matches(missing.name, names, n=1)
        if nearest:
            return f" (did you mean {str(missing.parent / nearest[0] / path.relative_to(missing))!r}?)"
    return ""


class _Predictor:
    """A model in the form of MLflow's ``pyfunc``, which takes arrays and returns arrays."""

    def __init__(self, model: SequenceModel) -> None:
        self.model = model

    def get_raw_model(self) -> SequenceModel:
        return self.model

    @torch.no_grad()
    def predict(self, inputs: np.ndarray[Any, Any], params: Mapping[str, Any] | None = None) -> np.ndarray[Any, Any]:
        """Return the outputs ``[batch, time, output_size]`` of inputs ``[batch, time, input_size]``, all float32."""
        outputs: Tensor = self.model(torch.tensor(inputs))[0]
        return outputs.numpy()


def _load_pyfunc(path: str) -> _Predictor:
    """Load a model for MLflow, which finds this function by the name of its module."""
    return _Predictor(load(path)[0])
