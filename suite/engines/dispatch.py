"""The one loop that gives work to an engine and waits for it, with the same Ctrl-C everywhere."""

from __future__ import annotations

import signal
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from suite.engines._base import Engine, EngineTask, TaskResult

POLL_SECONDS = 2.0
"""The seconds between two checks of what other commands do, or of whether an engine has room."""


class Work(ABC):
    """A set of tasks that are to be done. Results may lead to further tasks."""

    @abstractmethod
    def is_left(self) -> bool:
        """Tell whether any task is left that is not under way."""

    @abstractmethod
    def next_task(self) -> tuple[str, EngineTask] | None:
        """Return a task with its key; None if no task can be started now."""

    @abstractmethod
    def on_result(self, key: str, result: TaskResult) -> None:
        """Receive the result of a task."""

    def on_idle(self) -> None:  # noqa: B027  (not every kind of work has to know it)
        """Learn that no task is under way and none could be started."""


def dispatch(work: Work, engine: Engine, on_stopping: Callable[[], None] = lambda: None) -> bool:
    """Execute all tasks of some work, and leave the context of the engine.

    After Ctrl-C or SIGTERM, no task is started any more, and those under way are asked to keep a checkpoint and end. A
    second Ctrl-C raises KeyboardInterrupt at once.

    Args:
        work: the tasks, and the receiver of their results.
        engine: the engine that executes them.
        on_stopping: is called after the first Ctrl-C, by the handler of the signal.

    Returns:
        True if all tasks are done, and False after Ctrl-C.
    """
    with engine, _interruptible(engine, on_stopping) as signals:
        while engine.pending or (work.is_left() and not signals):
            while engine.free > 0 and not signals and (task := work.next_task()) is not None:
                engine.submit(*task)
            if engine.pending:
                for key, result in engine.wait(POLL_SECONDS):
                    work.on_result(key, result)
            elif work.is_left():
                work.on_idle()
                time.sleep(POLL_SECONDS)
        return not signals


@contextmanager
def _interruptible(engine: Engine, on_stopping: Callable[[], None]) -> Iterator[list[int]]:
    """Collect the numbers of the signals that arrive. The first one stops the engine, and a second one interrupts."""
    signals: list[int] = []  # A handler may interrupt any line, so there must be no lock.
    if threading.current_thread() is not threading.main_thread():
        yield signals
        return

    def stop(number: int, frame: Any) -> None:
        if signals:
            raise KeyboardInterrupt
        signals.append(number)
        engine.stop()
        on_stopping()

    handlers = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield signals
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
