"""The engine that executes one run after the other in this process."""

from __future__ import annotations

import os
from functools import partial

from suite.engines._base import Engine, EngineTask, Signals, TaskResult, run_task
from suite.engines.devices import available


class Inline(Engine):
    """An engine without worker processes, for a single worker and for debugging.

    Args:
        device: the CUDA_VISIBLE_DEVICES of the runs, or None for the CPU.
    """

    def __init__(self, device: str | None = None) -> None:
        self.signals = Signals()
        if device is not None:
            os.environ["CUDA_VISIBLE_DEVICES"] = device
            self.signals.device = available()
        self.waiting: list[tuple[str, EngineTask]] = []

    @property
    def free(self) -> int:
        return 1 - len(self.waiting)

    @property
    def pending(self) -> int:
        return len(self.waiting)

    def submit(self, key: str, task: EngineTask) -> None:
        self.waiting.append((key, task))

    def process(self, key: str) -> str:
        return f"process {os.getpid()}"

    def wait(self, seconds: float) -> list[tuple[str, TaskResult]]:
        key, task = self.waiting.pop()
        self.signals.on_step = partial(self.on_step, key)  # type: ignore[method-assign]
        return [(key, run_task(task, self.signals))]

    def stop(self) -> None:
        self.signals.stopping = True

    def __exit__(self, *error: object) -> None:
        self.waiting.clear()
