"""Several runs at a time, in worker processes of this machine."""

from __future__ import annotations

import multiprocessing
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from typing import Any

from suite.engines._base import Engine, Task


class Workers(Engine):
    """A pool of processes, started afresh (not forked: threads of numerical libraries do not survive a fork)."""

    def __init__(self, count: int) -> None:
        self.pool = ProcessPoolExecutor(count, mp_context=multiprocessing.get_context("spawn"))
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
