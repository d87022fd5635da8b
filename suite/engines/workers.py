"""The engine that executes several runs at a time, in worker processes of this machine."""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from multiprocessing.connection import Connection
from multiprocessing.connection import wait as wait_for
from multiprocessing.process import BaseProcess
from typing import Any

from suite.engines._base import Engine, EngineTask, Signals, StepListener, TaskResult, TaskStatus, run_task
from suite.engines.devices import CPU, available
from suite.engines.starting import make_context, start_server, starting, take_over
from suite.errors import InputError, redacted, summary_of
from suite.imports import search_path
from suite.surroundings import protect_streams

REPORT_SECONDS = 0.25
"""The shortest time between two progress reports of a worker."""
END_SECONDS = 10.0
"""The seconds in which a worker can end by itself when there is nothing left to do."""

SERVER_GONE = 255
"""The exit code that Python makes up for a worker whose server is gone."""
NEEDS_GUARD = 97
"""The exit code of a worker that was to start runs while it imported the user's script."""
GUARD = (
    'a script must call memspan.run below `if __name__ == "__main__":` to have more than one worker, because each '
    "worker imports the script first; this one calls it outside"
)

WATCH_SECONDS = 1.0
"""The seconds after which a worker looks again whether the server of which it is a copy is still there."""

_context = make_context()


class Workers(Engine):
    """An engine with an executor of a single process for each worker.

    A process that is killed therefore leaves the other workers alone, and is replaced.

    Args:
        devices: the CUDA_VISIBLE_DEVICES of each worker, with None for the CPU.
    """

    def __init__(self, devices: Sequence[str | None]) -> None:
        # A RawValue has no lock that a killed worker could hold.
        self.stopping: Any = _context.RawValue(ctypes.c_bool, False)
        self.idle = [_Worker(device, self.stopping, self._tell) for device in reversed(devices)]
        self.running: dict[Future[TaskResult], tuple[str, _Worker]] = {}

    def _tell(self, key: str, step: int) -> None:
        self.on_step(key, step)

    @property
    def free(self) -> int:
        return len(self.idle)

    @property
    def pending(self) -> int:
        return len(self.running)

    def submit(self, key: str, task: EngineTask) -> None:
        worker = self.idle.pop()
        try:
            future = worker.submit(key, task)
        except BrokenProcessPool:  # The worker was killed while it had nothing to do.
            worker.renew()
            future = worker.submit(key, task)
        self.running[future] = key, worker

    def process(self, key: str) -> str:
        workers = [worker for running, worker in tuple(self.running.values()) if running == key]
        return f"process {workers[0].process.pid}" if workers and workers[0].process else ""

    def wait(self, seconds: float) -> list[tuple[str, TaskResult]]:
        done, _ = wait(self.running, timeout=seconds, return_when=FIRST_COMPLETED)
        return [self._result(future) for future in done]

    def _result(self, future: Future[TaskResult]) -> tuple[str, TaskResult]:
        key, worker = self.running.pop(future)
        try:
            result = future.result()
        except BrokenProcessPool:  # The Ctrl-C of a terminal also kills a worker that does not ignore it yet.
            status = TaskStatus.STOPPED if self.stopping.value else TaskStatus.FAILED
            result = TaskResult(status, reason=f"the worker's process died: {worker.end()}")
            if worker.exit_code == NEEDS_GUARD:
                raise InputError(GUARD) from None
            worker.renew()
        except Exception as error:  # The result cannot be pickled.
            result = TaskResult(TaskStatus.FAILED, reason=redacted(summary_of(error)))
        self.idle.append(worker)
        return key, result

    def stop(self) -> None:
        self.stopping.value = True

    def __exit__(self, *error: object) -> None:
        """End the workers. After an error or an interruption, and where one does not end in time, it is killed.

        What a task has finished is safe by then, and a worker may take seconds to end by itself.
        """
        workers = [*self.idle, *(worker for _, worker in self.running.values())]
        for worker in workers:
            worker.pool.shutdown(wait=False, cancel_futures=True)
        deadline = time.monotonic() + (0.0 if error[0] is not None or self.stopping.value else END_SECONDS)
        for worker in workers:
            worker.end(max(0.0, deadline - time.monotonic()))


class _Worker:
    """A process that executes one task after the other."""

    def __init__(self, device: str | None, stopping: Any, on_step: StepListener) -> None:
        self.device = device
        self.stopping = stopping
        self.on_step = on_step
        self.process: BaseProcess | None = None
        self.waiting: threading.Thread | None = None
        self.renew()

    def renew(self) -> None:
        # Each worker has its own pipe. In a shared queue, a worker killed while it writes would block the others.
        receiver, sender = _context.Pipe(duplex=False)
        arguments = (_start, sender, self.stopping, self.device, dict(os.environ))
        with starting():
            self.pool = ProcessPoolExecutor(
                1, mp_context=_context, initializer=search_path.first_call, initargs=arguments
            )
        threading.Thread(target=self._listen, args=(receiver,), daemon=True).start()

    def submit(self, key: str, task: EngineTask) -> Future[TaskResult]:
        """Start a task. The first one starts the process."""
        with starting():
            start_server()
            future = self.pool.submit(_execute, key, task)
        # An executor has no public way to its process, nor to the thread that waits for its end.
        self.process = next(iter(self.pool._processes.values()), None)
        self.waiting = self.pool._executor_manager_thread  # type: ignore[assignment]
        return future

    def end(self, seconds: float = 0.0) -> str:
        """Wait for the end of the process and kill it if that takes too long. Return what has ended it, in words."""
        if self.process is None:
            return ""
        if not wait_for([self.process.sentinel], seconds):
            self.process.kill()  # It may be stopped, or in an endless loop.
            wait_for([self.process.sentinel])
        if self.waiting is not None:
            self.waiting.join(1.0)  # An exit code can be received once, and this thread may be about to receive it.
        return _cause(self.process.exitcode)

    @property
    def exit_code(self) -> int | None:
        """The exit code of the process, if it has ended."""
        return self.process.exitcode if self.process else None

    def _listen(self, reports: Connection) -> None:
        with suppress(EOFError, OSError):  # The worker is gone.
            while True:
                report = reports.recv()
                with suppress(Exception):  # An error in a progress bar must not stop the work.
                    self.on_step(*report)


def _cause(exit_code: int | None) -> str:
    """Say what has ended a process."""
    if exit_code in (None, -signal.SIGKILL, SERVER_GONE):
        return "killed, or out of memory"
    if exit_code is not None and exit_code < 0:
        return f"it received {signal.Signals(-exit_code).name}"
    return f"it ended itself with exit code {exit_code}"


class _WorkerSignals(Signals):
    """The link between the task of this worker and the main process."""

    def __init__(self, reports: Connection, stopping: Any) -> None:
        self.reports = reports
        self.shared_stopping = stopping
        self.key = ""
        self.last_report = 0.0

    def on_step(self, step: int) -> None:
        now = time.monotonic()
        if now - self.last_report > REPORT_SECONDS:
            self.last_report = now
            with suppress(OSError):  # Nobody listens any more.
                self.reports.send((self.key, step))

    def should_stop(self) -> bool:
        return bool(self.shared_stopping.value)


def end_while_importing_script() -> None:
    """End this process if it is a new worker, which imports the user's script before anything else.

    The script would start its runs again in each worker, and that would start more workers.
    """
    if getattr(multiprocessing.current_process(), "_inheriting", False):  # Python's own check reads this too.
        os._exit(NEEDS_GUARD)


_signals: _WorkerSignals


def _start(reports: Connection, stopping: Any, device: str | None, environment: Mapping[str, str]) -> None:
    """Set up a worker once, before it calculates anything."""
    global _signals
    protect_streams()
    take_over(environment)
    os.environ["CUDA_VISIBLE_DEVICES"] = device or ""
    _signals = _WorkerSignals(reports, stopping)
    _signals.device = available() if device else CPU
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """End this worker when the process that started it is gone, so that a killed command leaves no workers behind.

    The same goes for the server, because without it the command takes its workers for dead.
    """
    parent, server = multiprocessing.parent_process(), os.getppid()
    if parent is not None:
        while parent.is_alive() and os.getppid() == server:
            parent.join(WATCH_SECONDS)
        os._exit(1)


def _execute(key: str, task: EngineTask) -> TaskResult:
    _signals.key = key
    return run_task(task, _signals)
