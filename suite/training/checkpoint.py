"""Checkpoints, from which an interrupted run goes on and gives the same bits."""

from __future__ import annotations

import pickle
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import torch

from suite.store.files import write_whole
from suite.store.retrying import seconds
from suite.training.gradient_callback import GradientCallback
from suite.training.lightning_module import TrainingModule

FORMAT = 2
"""The format of a checkpoint. It is raised when the content changes. A checkpoint of another format is not used."""


def checkpoint_interval() -> float:
    """Return the seconds between two checkpoints of a run (``MEMSPAN_CHECKPOINT_SECONDS``): half a minute."""
    return seconds("MEMSPAN_CHECKPOINT_SECONDS", 30.0)


class Checkpoint:
    """The file that keeps the state of a training. It is written every half minute and when the training should stop.

    The file is whole or not there. It holds tensors and plain values, and reading it runs no code.

    Args:
        path: the file, whose folder is made if it is missing. With None, nothing is kept.
        should_stop: is called after each block of steps. If it returns True, the training ends after a checkpoint.
    """

    def __init__(self, path: Path | None, should_stop: Callable[[], bool] = lambda: False) -> None:
        self.path = path
        self.should_stop = should_stop
        self.stopped = False
        self.earlier_seconds = 0.0
        """The wall time of the run before it was interrupted."""
        self.started = self.saved = time.monotonic()
        self.diagnostics: GradientCallback | None = None

    def restore(self, module: TrainingModule, diagnostics: GradientCallback | None) -> None:
        """Put a training into the state of the checkpoint, if there is one that can be read."""
        self.diagnostics = diagnostics
        module.after_block = self.after_block
        state = self._read()
        if state is None:
            return
        module.resume(state["module"])
        self.earlier_seconds = state["seconds"]
        if diagnostics is not None:
            diagnostics.resume(state["diagnostics"])

    def _read(self) -> dict[str, Any] | None:
        """Return the content of the file; None if there is no checkpoint of this format. A broken file is deleted."""
        if self.path is None:
            return None
        try:
            state: Any = torch.load(self.path, weights_only=True, map_location="cpu")
            if not isinstance(state, dict) or state.get("format") != FORMAT:
                raise RuntimeError("a checkpoint of another version")
        except FileNotFoundError:
            return None
        except (OSError, RuntimeError, EOFError, pickle.UnpicklingError):
            self.path.unlink(missing_ok=True)
            return None
        return state

    def after_block(self, module: TrainingModule) -> None:
        """Write a checkpoint if one is due, and end the training if it should stop."""
        if module.trainer.should_stop or module.steps == module.training_config.steps:
            return  # This was the last block, and the test takes only a moment.
        self.stopped = self.should_stop()
        if self.stopped or time.monotonic() - self.saved >= checkpoint_interval():
            self.save(module)
        if self.stopped:
            module.trainer.should_stop = True

    def save(self, module: TrainingModule) -> None:
        """Write the state of a training."""
        if self.path is None:
            return
        state = {
            "format": FORMAT,
            "module": module.state(),
            "seconds": self.earlier_seconds + time.monotonic() - self.started,
            "diagnostics": self.diagnostics.state() if self.diagnostics is not None else None,
        }
        with suppress(OSError, RuntimeError):  # On a full disk, the run goes on without a checkpoint.
            write_whole(self.path, partial(torch.save, state))
        self.saved = time.monotonic()
