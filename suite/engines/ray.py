"""Runs as tasks of a Ray cluster: many machines, many GPUs."""

from __future__ import annotations

import logging
import os
import socket
import time
from contextlib import suppress
from typing import Any

from suite.engines._base import Engine, EngineTask, Signals, TaskResult, TaskStatus, run_task
from suite.engines.devices import CPU, available
from suite.errors import InputError

POLL_SECONDS = 1.0
"""A task tells its progress, and looks whether to stop, at most so often."""


class Ray(Engine):
    """One Ray task per run, on one GPU where the cluster has GPUs and on one core otherwise.

    Args:
        address: of a running cluster (``host:6379``, ``ray://host:10001``); None is RAY_ADDRESS, or one on this
            machine. None is ever started here, as Ray listens on every network of its machine.
        workers: runs at a time; 0 is as many as the cluster has room for, also when it grows.
        gpus: of each run, also a fraction; None is 1 where the cluster has any, otherwise 0.

    Raises:
        InputError: if Ray is not installed, or the cluster does not answer.
    """

    def __init__(self, address: str | None = None, workers: int = 0, gpus: float | None = None) -> None:
        try:
            import ray
        except ImportError as error:
            raise InputError("--engine ray needs an extra: pip install 'memspan[ray]'") from error
        self.ray: Any = ray
        if gpus is not None and gpus > 1 and not float(gpus).is_integer():
            raise InputError(f"--gpus must be a whole number, or a fraction below 1; got {gpus}")
        where = address or os.environ.get("RAY_ADDRESS") or "auto"
        self.joined_here = not ray.is_initialized()
        try:
            _knock(where)
            ray.init(where, log_to_driver=False, ignore_reinit_error=True, logging_level=logging.ERROR)
        except (OSError, RuntimeError, ValueError) as error:
            raise InputError(
                f"no Ray cluster answers at --address {where!r} ({_first_line(error)}); start one with "
                "`ray start --head`, or use --engine local"
            ) from error
        self.workers = workers
        self.gpus = float(self._has("GPU") > 0) if gpus is None else gpus
        self.board: Any = ray.remote(num_cpus=0, max_restarts=-1)(_Board).remote()  # its machine may be lost too
        self.stopping = False
        self.running: dict[Any, str] = {}
        self.looked = 0.0

    def _has(self, resource: str) -> float:
        return float(self.ray.cluster_resources().get(resource, 0.0))

    @property
    def nodes(self) -> int:
        """Machines in the cluster."""
        return len({node["NodeManagerHostname"] for node in self.ray.nodes() if node["Alive"]})

    @property
    def free(self) -> int:
        room = int(self._has("GPU") / self.gpus) if self.gpus else int(self._has("CPU"))
        room = max(1, room)  # one that waits makes a cluster grow
        return min(room, self.workers or room) - len(self.running)

    @property
    def pending(self) -> int:
        return len(self.running)

    def submit(self, key: str, task: EngineTask) -> None:
        # Whether and when to try again is decided in one place, by whoever hands out the work.
        remote = self.ray.remote(num_cpus=0 if self.gpus else 1, num_gpus=self.gpus, max_retries=0)(_do)
        self.running[remote.remote(key, task, self.board)] = key

    def wait(self, seconds: float) -> list[tuple[str, TaskResult]]:
        done, _ = self.ray.wait(list(self.running), num_returns=1, timeout=min(seconds, POLL_SECONDS))
        if not done and time.monotonic() - self.looked > POLL_SECONDS:
            self.looked = time.monotonic()
            with suppress(self.ray.exceptions.RayError):  # the board is on its way to another machine
                for key, step in self.ray.get(self.board.steps.remote(self.stopping), timeout=10).items():
                    if key in self.running.values():
                        self.listener(key, step)
        return [(self.running.pop(task), self._end(task)) for task in done]

    def _end(self, task: Any) -> TaskResult:
        errors = self.ray.exceptions
        try:
            end: TaskResult = self.ray.get(task)
            return end
        except (errors.NodeDiedError, errors.ObjectLostError) as error:
            return TaskResult(TaskStatus.LOST, reason=f"its machine was lost: {_first_line(error)}")
        except errors.RayError as error:
            return TaskResult(TaskStatus.FAILED, reason=f"the worker's process died: {_first_line(error)}")

    def stop(self) -> None:
        self.stopping = True  # the next look tells the board

    def __exit__(self, *error: object) -> None:
        for task in self.running:
            self.ray.cancel(task, force=True)
        self.running.clear()
        if self.joined_here:
            self.ray.shutdown()


class _Board:
    """An actor: how far every task has come, and whether they are to stop."""

    def __init__(self) -> None:
        self.done: dict[str, int] = {}
        self.stopping = False

    def report(self, key: str, step: int) -> bool:
        self.done[key] = step
        return self.stopping

    def steps(self, stopping: bool) -> dict[str, int]:
        self.stopping = stopping
        found, self.done = self.done, {}
        return found


class _RaySignals(Signals):
    def __init__(self, key: str, board: Any) -> None:
        self.key = key
        self.board = board
        self.step = 0
        self.looked = time.monotonic()

    def report(self, step: int) -> None:
        self.step = step

    def should_stop(self) -> bool:
        import ray

        if time.monotonic() - self.looked > POLL_SECONDS:
            with suppress(ray.exceptions.RayError):  # a run does not depend on who watches it
                self.stopping = bool(ray.get(self.board.report.remote(self.key, self.step), timeout=10))
            self.looked = time.monotonic()
        return self.stopping


def _do(key: str, task: EngineTask, board: Any) -> TaskResult:
    import ray

    signals = _RaySignals(key, board)
    signals.device = available() if ray.get_runtime_context().get_accelerator_ids().get("GPU") else CPU
    return run_task(task, signals)


def _knock(address: str) -> None:
    """Raise ``OSError`` if nobody listens at an address; Ray itself goes on trying for minutes."""
    host, _, port = address.rpartition("://")[2].rpartition(":")
    if port.isdecimal():
        socket.create_connection((host, int(port)), timeout=5).close()


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0]
