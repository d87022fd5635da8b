"""Several runs at a time, in worker processes of this machine."""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from multiprocessing.connection import Connection
from typing import Any

from suite.engines._base import Engine, EngineTask, Signals, StepListener, TaskResult, TaskStatus, run_task
from suite.engines.devices import CPU, available

REPORT_SECONDS = 0.25
"""A worker reports its progress at most so often."""

_context = multiprocessing.get_context("spawn")  # threads of numerical libraries do not survive a fork


class Workers(Engine):
    """One executor of one process each: one that is killed takes nobody along, and is replaced.

    Args:
        devices: the CUDA_VISIBLE_DEVICES of each worker; None for the CPU.
    """

    def __init__(self, devices: Sequence[str | None]) -> None:
        self.stopping: Any = _context.RawValue(ctypes.c_bool, False)  # without a lock that a killed worker could hold
        self.idle = [_Worker(device, self.stopping, self._tell) for device in reversed(devices)]
        self.running: dict[Future[TaskResult], tuple[str, _Worker]] = {}

    def _tell(self, key: str, step: int) -> None:
        self.listener(key, step)

    @property
    def free(self) -> int:
        return len(self.idle)

    @property
    def pending(self) -> int:
        return len(self.running)

    def submit(self, key: str, task: EngineTask) -> None:
        worker = self.idle.pop()
        try:
            future = worker.pool.submit(_do, key, task)
        except BrokenProcessPool:  # killed while it had nothing to do
            worker.renew()
            future = worker.pool.submit(_do, key, task)
        self.running[future] = key, worker

    def wait(self, seconds: float) -> list[tuple[str, TaskResult]]:
        done, _ = wait(self.running, timeout=seconds, return_when=FIRST_COMPLETED)
        return [self._end(future) for future in done]

    def _end(self, future: Future[TaskResult]) -> tuple[str, TaskResult]:
        key, worker = self.running.pop(future)
        try:
            end = future.result()
        except BrokenProcessPool:  # the Ctrl-C of a terminal also reaches a worker that has not begun to ignore it
            kind = TaskStatus.STOPPED if self.stopping.value else TaskStatus.FAILED
            end = TaskResult(kind, reason="the worker's process died: killed, or out of memory")
            worker.renew()
        except BaseException as error:  # of a task that ends its process, or cannot be pickled
            if not future.done() or future.exception() is not error:
                raise
            end = TaskResult(TaskStatus.FAILED, reason=f"{type(error).__name__}: {error}")
        self.idle.append(worker)
        return key, end

    def stop(self) -> None:
        self.stopping.value = True

    def __exit__(self, *error: object) -> None:
        """Wait for what is under way; after an error or an interruption, end it at once."""
        if error[0] is not None:
            for process in multiprocessing.active_children():
                process.kill()
        for worker in (*self.idle, *(worker for _, worker in self.running.values())):
            worker.pool.shutdown(wait=True, cancel_futures=True)


class _Worker:
    """A process that does one task after the other."""

    def __init__(self, device: str | None, stopping: Any, listener: StepListener) -> None:
        self.device = device
        self.stopping = stopping
        self.listener = listener
        self.renew()

    def renew(self) -> None:
        # A pipe of its own: in a shared queue, a worker that is killed while it writes would block the others.
        here, there = _context.Pipe(duplex=False)
        arguments = (there, self.stopping, self.device)
        self.pool = ProcessPoolExecutor(1, mp_context=_context, initializer=_start, initargs=arguments)
        threading.Thread(target=self._listen, args=(here,), daemon=True).start()

    def _listen(self, reports: Connection) -> None:
        with suppress(EOFError, OSError):  # the worker is gone
            while True:
                report = reports.recv()
                with suppress(Exception):  # what is shown must not stop what is done
                    self.listener(*report)


class _WorkerSignals(Signals):
    """Of the task that this worker does."""

    def __init__(self, reports: Connection, stopping: Any) -> None:
        self.reports = reports
        self.flag = stopping
        self.key = ""
        self.reported = 0.0

    def report(self, step: int) -> None:
        now = time.monotonic()
        if now - self.reported > REPORT_SECONDS:
            self.reported = now
            with suppress(OSError):  # nobody listens
                self.reports.send((self.key, step))

    def should_stop(self) -> bool:
        return bool(self.flag.value)


_signals: _WorkerSignals


def _start(reports: Connection, stopping: Any, device: str | None) -> None:
    """In each worker, once, before anything is calculated."""
    global _signals
    os.environ["CUDA_VISIBLE_DEVICES"] = device or ""
    _signals = _WorkerSignals(reports, stopping)
    _signals.device = available() if device else CPU
    for number in (signal.SIGINT, signal.SIGTERM):  # they are for the process that hands out the work
        signal.signal(number, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """End this worker when the process that started it is gone: a killed command leaves nobody waiting for work."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _do(key: str, task: EngineTask) -> TaskResult:
    _signals.key = key
    return run_task(task, _signals)
