"""Several runs at a time, in worker processes of this machine."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from functools import partial
from multiprocessing.queues import SimpleQueue
from typing import Any

from suite.engines._base import Engine, Listener, Task

REPORT_SECONDS = 0.25
"""A worker reports its progress at most so often."""


class Workers(Engine):
    """A pool of processes, started afresh (not forked: threads of numerical libraries do not survive a fork)."""

    def __init__(self, count: int, listener: Listener) -> None:
        context = multiprocessing.get_context("spawn")
        self.reports: SimpleQueue[tuple[str, int] | None] = context.SimpleQueue()
        self.pool = ProcessPoolExecutor(count, mp_context=context, initializer=_start, initargs=(self.reports,))
        self.running: dict[Future[Any], str] = {}
        self.listening = threading.Thread(target=self._listen, args=(listener,), daemon=True)
        self.listening.start()

    def _listen(self, listener: Listener) -> None:
        while (report := self.reports.get()) is not None:
            listener(*report)

    def submit(self, key: str, task: Task) -> None:
        self.running[self.pool.submit(_do, key, task)] = key

    def wait(self) -> list[tuple[str, Any]]:
        done, _ = wait(self.running, return_when=FIRST_COMPLETED)
        return [(self.running.pop(future), future.result()) for future in done]

    @property
    def pending(self) -> int:
        return len(self.running)

    def __exit__(self, *error: object) -> None:
        """Wait for what is under way; interrupted once more, stop it at once."""
        try:
            self.pool.shutdown(wait=True, cancel_futures=True)
        except KeyboardInterrupt:
            for process in multiprocessing.active_children():
                process.kill()
            raise
        self.reports.put(None)
        self.listening.join()


_reports: SimpleQueue[tuple[str, int] | None] | None = None
_reported = 0.0


def _start(reports: SimpleQueue[tuple[str, int] | None]) -> None:
    """In each worker, once."""
    global _reports
    _reports = reports
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process that hands out the work
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """End this worker when the process that started it is gone: a killed command leaves nobody waiting for work."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _do(key: str, task: Task) -> Any:
    return task(partial(_report, key))


def _report(key: str, step: int) -> None:
    global _reported
    now = time.monotonic()
    if _reports is not None and now - _reported > REPORT_SECONDS:
        _reported = now
        _reports.put((key, step))
