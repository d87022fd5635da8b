"""Several runs at a time, in worker processes of this machine."""

from __future__ import annotations

import multiprocessing
import os
import threading
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from typing import Any

from suite.engines._base import Engine, Task


class Workers(Engine):
    """A pool of processes, started afresh (not forked: threads of numerical libraries do not survive a fork)."""

    def __init__(self, count: int) -> None:
        context = multiprocessing.get_context("spawn")
        self.pool = ProcessPoolExecutor(count, mp_context=context, initializer=_end_with_parent)
        self.running: dict[Future[Any], str] = {}

    def submit(self, key: str, task: Task) -> None:
        self.running[self.pool.submit(task)] = key

    def wait(self) -> list[tuple[str, Any]]:
        done, _ = wait(self.running, return_when=FIRST_COMPLETED)
        return [(self.running.pop(future), future.result()) for future in done]

    @property
    def pending(self) -> int:
        return len(self.running)

    def __exit__(self, *error: object) -> None:
        self.pool.shutdown(wait=True, cancel_futures=True)


def _end_with_parent() -> None:
    """End this worker when the process that started it is gone: a killed command leaves nobody waiting for work."""

    def watch() -> None:
        parent = multiprocessing.parent_process()
        if parent is not None:
            parent.join()
            os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
