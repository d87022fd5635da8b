"""The engine that executes runs on a Ray cluster, which may have many machines and many GPUs."""

from __future__ import annotations

import logging
import os
import pickle
import socket
import time
from contextlib import chdir, suppress
from functools import partial
from typing import Any

from suite.engines._base import Engine, EngineTask, Signals, TaskResult, TaskStatus, run_task
from suite.engines.devices import CPU, available
from suite.errors import InputError, Interruption
from suite.imports.search_path import HOME, call_pickled

POLL_SECONDS = 1.0
"""The shortest time between two exchanges of progress and stop requests with a task."""


class Ray(Engine):
    """An engine that makes each run a Ray task, on one GPU if the cluster has GPUs and on one core otherwise.

    Args:
        address: the address of a running cluster, such as ``host:6379`` or ``ray://host:10001``. None means
            RAY_ADDRESS, or else a cluster on this machine. memspan never starts a cluster, because Ray listens on every
            network of its machine.
        workers: the number of runs at a time. 0 means as many as the cluster has room for, also when it grows.
        gpus: the GPUs of each run, which may be a fraction. None means 1 if the cluster has GPUs, and 0 otherwise.

    Raises:
        InputError: if Ray is not installed, the cluster does not answer, or ``gpus`` is above 1 and not whole.
    """

    def __init__(self, address: str | None = None, workers: int = 0, gpus: float | None = None) -> None:
        try:
            import ray
        except ImportError as error:
            raise InputError("--engine ray needs an extra: pip install 'memspan[ray]'") from error
        self.ray: Any = ray
        if gpus is not None and gpus > 1 and not float(gpus).is_integer():
            raise InputError(f"--gpus must be a whole number, or a fraction below 1; got {gpus}")
        cluster = address or os.environ.get("RAY_ADDRESS") or "auto"
        self.joined_here = not ray.is_initialized()
        try:
            _check_reachable(cluster)
            with chdir(HOME):  # Ray's workers search this folder before all others.
                ray.init(cluster, log_to_driver=False, ignore_reinit_error=True, logging_level=logging.ERROR)
        except (OSError, RuntimeError, ValueError) as error:
            raise InputError(
                f"no Ray cluster answers at --address {cluster!r} ({_first_line(error)}); start one with "
                "`ray start --head`, or use --engine local"
            ) from error
        self.workers = workers
        self.gpus = float(self._has("GPU") > 0) if gpus is None else gpus
        # The board may be lost with its machine, so Ray may restart it on another one.
        self.board: Any = ray.remote(num_cpus=0, max_restarts=-1)(_Board).remote()
        self.stopping = False
        self.running: dict[Any, str] = {}
        self.processes: dict[str, str] = {}
        """The process of each task, as far as it has reported."""
        self.last_poll = 0.0

    def _has(self, resource: str) -> float:
        return float(self.ray.cluster_resources().get(resource, 0.0))

    @property
    def nodes(self) -> int:
        """The number of machines in the cluster."""
        return len({node["NodeManagerHostname"] for node in self.ray.nodes() if node["Alive"]})

    @property
    def free(self) -> int:
        room = int(self._has("GPU") / self.gpus) if self.gpus else int(self._has("CPU"))
        room = max(1, room)  # A waiting task makes a cluster grow.
        return min(room, self.workers or room) - len(self.running)

    @property
    def pending(self) -> int:
        return len(self.running)

    def submit(self, key: str, task: EngineTask) -> None:
        # Ray must not retry, because the caller alone decides whether and when to try again.
        remote = self.ray.remote(num_cpus=0 if self.gpus else 1, num_gpus=self.gpus, max_retries=0)(call_pickled)
        self.running[remote.remote(pickle.dumps(partial(_execute, key, task)), os.getcwd(), self.board)] = key

    def process(self, key: str) -> str:
        return self.processes.get(key, "a process of the cluster")

    def wait(self, seconds: float) -> list[tuple[str, TaskResult]]:
        try:
            return self._wait(seconds)
        except KeyboardInterrupt as interrupt:  # Ray says this whatever the handler of a signal has raised.
            raise Interruption from interrupt

    def _wait(self, seconds: float) -> list[tuple[str, TaskResult]]:
        done, _ = self.ray.wait(list(self.running), num_returns=1, timeout=min(seconds, POLL_SECONDS))
        if not done and time.monotonic() - self.last_poll > POLL_SECONDS:
            self.last_poll = time.monotonic()
            with suppress(self.ray.exceptions.RayError):  # The board is moving to another machine.
                reports = self.ray.get(self.board.latest.remote(self.stopping), timeout=10)
                for key, (step, process) in reports.items():
                    if key in self.running.values():
                        self.processes[key] = process
                        self.on_step(key, step)
        return [(self.running.pop(task), self._result(task)) for task in done]

    def _result(self, task: Any) -> TaskResult:
        errors = self.ray.exceptions
        try:
            result: TaskResult = self.ray.get(task)
            return result
        except (errors.NodeDiedError, errors.ObjectLostError) as error:
            return TaskResult(TaskStatus.LOST, reason=f"its machine was lost: {_first_line(error)}")
        except errors.RayError as error:
            return TaskResult(TaskStatus.FAILED, reason=f"the worker's process died: {_first_line(error)}")

    def stop(self) -> None:
        self.stopping = True  # The next poll passes this on to the board.

    def __exit__(self, *error: object) -> None:
        for task in self.running:
            self.ray.cancel(task, force=True)
        self.running.clear()
        if self.joined_here:
            self.ray.shutdown()


class _Board:
    """An actor that collects the progress of all tasks and tells them when to stop."""

    def __init__(self) -> None:
        self.reports: dict[str, tuple[int, str]] = {}
        self.stopping = False

    def report(self, key: str, step: int, process: str) -> bool:
        self.reports[key] = step, process
        return self.stopping

    def latest(self, stopping: bool) -> dict[str, tuple[int, str]]:
        self.stopping = stopping
        reports, self.reports = self.reports, {}
        return reports


class _RaySignals(Signals):
    def __init__(self, key: str, board: Any) -> None:
        self.key = key
        self.board = board
        self.step = 0
        self.process = f"process {os.getpid()} of {socket.gethostname()}"
        self.last_poll = time.monotonic()
        board.report.remote(key, 0, self.process)  # A task that hangs from its first step on is known as well.

    def on_step(self, step: int) -> None:
        self.step = step

    def should_stop(self) -> bool:
        import ray

        if time.monotonic() - self.last_poll > POLL_SECONDS:
            with suppress(ray.exceptions.RayError):  # A run goes on even if nobody watches it.
                self.stopping = bool(ray.get(self.board.report.remote(self.key, self.step, self.process), timeout=10))
            self.last_poll = time.monotonic()
        return self.stopping


def _execute(key: str, task: EngineTask, board: Any) -> TaskResult:
    import ray

    signals = _RaySignals(key, board)
    signals.device = available() if ray.get_runtime_context().get_accelerator_ids().get("GPU") else CPU
    return run_task(task, signals)


def _check_reachable(address: str) -> None:
    """Raise ``OSError`` if nothing listens at an address, because Ray itself would keep trying for minutes."""
    host, _, port = address.rpartition("://")[2].rpartition(":")
    if port.isdecimal():
        socket.create_connection((host, int(port)), timeout=5).close()


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0]
