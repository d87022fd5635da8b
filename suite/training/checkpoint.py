"""Checkpoints, from which an interrupted run goes on and gives the same bits."""

from __future__ import annotations

import hashlib
import io
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch

from suite.errors import summary_of
from suite.store.files import write_whole
from suite.store.retrying import seconds
from suite.training.gradient_callback import GradientCallback
from suite.training.lightning_module import TrainingModule, Watcher

FORMAT = 4
"""The format of a checkpoint. It is raised when the content changes. A checkpoint of another format is not used."""
DIGEST_SIZE = hashlib.sha256().digest_size

Beginning = tuple[TrainingModule, GradientCallback | None]
"""A training before its first step, and the measurement of its gradient flow."""


def checkpoint_interval() -> float:
    """Return the seconds between two checkpoints of a run (``MEMSPAN_CHECKPOINT_SECONDS``): half a minute."""
    return seconds("MEMSPAN_CHECKPOINT_SECONDS", 30.0)


class Checkpoint:
    """The file that keeps the state of a training. It is written every half minute and when the training should stop.

    The file begins with a digest of the format, of the key of the run and of everything that follows. It is checked
    before the rest is read. A file that is damaged, or that belongs to another run or version, is therefore never used:
    the run starts anew, and a note says so. The rest holds tensors and plain values, and reading it runs no code.

    Args:
        path: the file, whose folder is made if it is missing. With None, nothing is kept.
        key: the key of the run.
        watcher: is asked after each block of steps whether the training should stop, and receives the note.
    """

    def __init__(self, path: Path | None, key: str, watcher: Watcher) -> None:
        self.path = path
        self.key = key
        self.watcher = watcher
        self.stopped = False
        self.noted = False
        self.earlier_seconds = 0.0
        """The wall time of the run before it was interrupted."""
        self.started = self.saved = time.monotonic()
        self.diagnostics: GradientCallback | None = None

    def restored(self, begin: Callable[[], Beginning]) -> Beginning:
        """Return a training in the state of the checkpoint, or at its beginning if there is none that can be used.

        Args:
            begin: makes the training. It is called again if the state does not fit, which may have been put in part.
        """
        module, diagnostics = begin()
        state = self._read()
        if state is not None:
            try:
                module.resume(state["module"])
                if diagnostics is not None:
                    diagnostics.resume(state["diagnostics"])
                self.earlier_seconds = state["seconds"]
            except Exception as error:  # A cell may refuse its own state in any way, if its buffers grow for example.
                self._pass_over(f"does not fit ({summary_of(error)})")
                module, diagnostics = begin()
        module.tell_curves()
        module.after_block = self.after_block
        self.diagnostics = diagnostics
        return module, diagnostics

    def _read(self) -> dict[str, Any] | None:
        """Return the content of the file; None if there is none, or none that can be used."""
        if self.path is None:
            return None
        try:
            data = self.path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            self._pass_over(f"cannot be read ({error.strerror})")
            return None
        content = data[DIGEST_SIZE:]
        if data[:DIGEST_SIZE] != self._digest(content):
            self._pass_over("is damaged, or belongs to another run or version")
            return None
        try:
            state: dict[str, Any] = torch.load(io.BytesIO(content), weights_only=True, map_location="cpu")
        except (
            Exception
        ) as error:  # The file is whole, but another torch wrote it. This one has a dozen types of errors.
            self._pass_over(f"cannot be loaded ({summary_of(error)})")
            return None
        return state

    def _digest(self, content: bytes) -> bytes:
        return hashlib.sha256(f"memspan {FORMAT} {self.key}\n".encode() + content).digest()

    def _pass_over(self, reason: str) -> None:
        """Delete a file that is not used, and say why."""
        assert self.path is not None
        with suppress(OSError):  # It may be a folder, for example. Then the run keeps no checkpoint.
            self.path.unlink()
        self._note(f"the checkpoint {str(self.path)!r} {reason}, so the run starts anew")

    def _note(self, text: str) -> None:
        """Say the first thing that goes wrong. What follows from it needs no further note."""
        if not self.noted:
            self.noted = True
            self.watcher.on_note(text)

    def after_block(self, module: TrainingModule) -> None:
        """Write a checkpoint if one is due, and end the training if it should stop."""
        if module.trainer.should_stop or module.steps == module.training_config.steps:
            return  # This was the last block, and the test takes only a moment.
        self.stopped = self.watcher.should_stop()
        if self.stopped or time.monotonic() - self.saved >= checkpoint_interval():
            self.save(module)
        if self.stopped:
            module.trainer.should_stop = True

    def save(self, module: TrainingModule) -> None:
        """Write the state of a training. If that is not possible, the run goes on without a checkpoint."""
        if self.path is None:
            return
        state = {
            "module": module.state(),
            "seconds": self.earlier_seconds + time.monotonic() - self.started,
            "diagnostics": self.diagnostics.state() if self.diagnostics is not None else None,
        }
        buffer = io.BytesIO()
        try:
            torch.save(state, buffer)
            content = buffer.getvalue()
            write_whole(self.path, self._digest(content) + content)
        except (OSError, RuntimeError) as error:
            self._note(f"the checkpoint {str(self.path)!r} cannot be written ({summary_of(error)})")
        self.saved = time.monotonic()
