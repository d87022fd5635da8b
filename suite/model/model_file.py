"""A model file: the weights of one run with all that makes a model of them again, loaded in one line."""

from __future__ import annotations

import io
import warnings
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, fields
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from pydantic import ValidationError
from torch import Tensor

from suite.errors import InputError
from suite.experiment.run_config import RunConfig
from suite.experiment.source_hash import source_of
from suite.model.sequence_model import SequenceModel, model_of
from suite.registry import architectures
from tasks import Task

if TYPE_CHECKING:
    import numpy as np

FORMAT = 1
"""Of a model file. Raised when older versions of memspan could not read it."""
MARK = "memspan_model"
"""The key of the format: by it a model file is told from other files of torch."""


@dataclass(frozen=True)
class SavedModel:
    """What a model file holds."""

    config: RunConfig
    """The run that made it."""
    experiment: str
    architecture: str
    """The label of the row, which need not be the architecture's name."""
    task: str
    """The label of the task level."""
    weights: dict[str, Tensor]
    metrics: dict[str, float]
    """Of the training that made this model."""
    packages: dict[str, str]
    """The versions with which it was made."""


def load(path: Path | str) -> tuple[SequenceModel, Task]:
    """The model of a file, in eval mode and on the CPU, and its task.

    Warns if the source of its architecture or task has changed since.

    Raises:
        InputError: if there is no such file, it is no model file or of a newer memspan, its architecture or task is not
            to be had, or the weights do not fit the architecture as it is now.
    """
    from suite.registry import make_task

    kept = read(path)
    config, writer = kept.config, f"memspan {kept.packages.get('memspan', '?')}"
    remedy = f"use the sources with which {writer} wrote it, or make it again: {_command(kept.experiment)}"
    task: Task = make_task(config.task.name, config.task.options)
    architectures.get(config.model.architecture)  # one that cannot be imported says so itself
    try:
        model = model_of(config.model, task, seed=0)
    except (TypeError, ValueError) as error:
        raise InputError(f"the model file {str(path)!r} cannot be used: {error}; {remedy}") from error
    changed = _changed(config)
    if changed:
        warnings.warn(
            f"the source of {changed} has changed since {writer} wrote {str(path)!r}: the model may calculate "
            "something else than it did",
            stacklevel=3,
        )
    try:
        model.load_state_dict(kept.weights)
    except RuntimeError as error:
        reason = str(error).splitlines()[-1].strip()
        raise InputError(
            f"the weights in {str(path)!r} do not fit architecture {config.model.architecture!r} as it is now "
            f"({reason}); {remedy}"
        ) from error
    return model.eval(), task


def _changed(config: RunConfig) -> str:
    """What of the sources of a run is not what it was; empty if all is."""
    name, architecture = config.task.name, config.model.architecture
    now = source_of(name, architecture)
    changed = [f"task {name!r}"] * (now.task != config.source.task)
    changed += [f"architecture {architecture!r}"] * (now.architecture != config.source.architecture)
    return " and of ".join(changed)


def read(path: Path | str) -> SavedModel:
    """What a model file holds. Reading it runs no code of the file.

    Raises:
        InputError: if there is no such file, or it is none of this memspan.
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


def pack(kept: SavedModel) -> bytes:
    """The file of a model: plain values and tensors, each on its own and on the CPU."""
    plain = {field.name: getattr(kept, field.name) for field in fields(kept)}
    # After a training, weights are views of one vector.
    weights = {name: tensor.detach().cpu().clone() for name, tensor in kept.weights.items()}
    buffer = io.BytesIO()
    torch.save({MARK: FORMAT, **plain, "config": kept.config.json_text, "weights": weights}, buffer)
    return buffer.getvalue()


def unpack(data: bytes) -> SavedModel:
    """What `pack` has packed; an ``InputError`` says what else it is."""
    try:
        found = torch.load(io.BytesIO(data), weights_only=True, map_location="cpu")
    except Exception as error:  # torch has a dozen of them for a broken file
        raise InputError(f"is not a model file of memspan; {_command()} writes them") from error
    if not isinstance(found, dict) or not isinstance(found.get(MARK), int):
        raise InputError(f"is not a model file of memspan; {_command()} writes them")
    if found[MARK] > FORMAT:
        raise InputError(f"has format {found[MARK]} of a newer memspan; this one reads up to {FORMAT}: upgrade memspan")
    try:
        config = RunConfig.model_validate_json(found.pop("config"))
        return SavedModel(config=config, **{name: value for name, value in found.items() if name != MARK})
    except (KeyError, TypeError, ValidationError) as error:
        raise InputError(f"is of another memspan and cannot be read; make it again: {_command()}") from error


def _command(experiment: str = "EXPERIMENT") -> str:
    return f"`memspan run {experiment} --keep-models`"


def _hint(path: Path) -> str:
    """The nearest to ``path`` of what there is, looked for where the path leaves it."""
    missing = next(one for one in (*reversed(path.parents), path) if not one.exists())
    with suppress(OSError):
        names = [one.name for one in missing.parent.iterdir() if one.is_dir() or one.suffix == ".pt"]
        nearest = get_close_matches(missing.name, names, n=1)
        if nearest:
            return f" (did you mean {str(missing.parent / nearest[0] / path.relative_to(missing))!r}?)"
    return ""


class _Predictor:
    """A model as MLflow's ``pyfunc`` wants it: arrays in, arrays out."""

    def __init__(self, model: SequenceModel) -> None:
        self.model = model

    def get_raw_model(self) -> SequenceModel:
        return self.model

    @torch.no_grad()
    def predict(self, inputs: np.ndarray[Any, Any], params: Mapping[str, Any] | None = None) -> np.ndarray[Any, Any]:
        """``[batch, time, input_size]`` → ``[batch, time, output_size]``, float32."""
        outputs: Tensor = self.model(torch.tensor(inputs))[0]
        return outputs.numpy()


def _load_pyfunc(path: str) -> _Predictor:
    """Called by MLflow, which knows this module as the loader of the models that are listed there."""
    return _Predictor(load(path)[0])
