"""The one loop that hands out work to an engine and waits for it, with the same Ctrl-C everywhere."""

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
"""Seconds between two looks at what others do, or at whether an engine has room."""


class Work(ABC):
    """Tasks that are to be done, which may follow from the results of others."""

    @abstractmethod
    def is_left(self) -> bool:
        """Tell whether anything is left that is not under way."""

    @abstractmethod
    def next_task(self) -> tuple[str, EngineTask] | None:
        """Return the key of a task and the task itself; None if none can be started now."""

    @abstractmethod
    def on_result(self, key: str, result: TaskResult) -> None:
        """Take the result of a task."""

    def on_idle(self) -> None:
        """Take notice that nothing is under way and nothing could be started."""


def dispatch(work: Work, engine: Engine, on_stopping: Callable[[], None] = lambda: None) -> bool:
    """Do all of the work, and leave the engine.

    After Ctrl-C or SIGTERM nothing new is started, and what is under way is asked to keep a checkpoint and end. After
    a second one, KeyboardInterrupt is raised at once.

    Args:
        work: hands out tasks and takes their results.
        engine: where they execute.
        on_stopping: is called after the first Ctrl-C, from the handler of the signal.

    Returns:
        True if all of the work is done, and False after Ctrl-C.
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
    """Collect the numbers of the signals that arrive: the first stops the engine, a second one interrupts as usual."""
    signals: list[int] = []  # A handler may interrupt anything, so there is no lock.
    if threading.current_thread() is not threading.main_thread():
        yield signals
        return

    def stop(number: int, frame: Any) -> None:
        if signals:
            raise KeyboardInterrupt
        signals.append(number)
        engine.stop()
        on_stopping()

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield signals
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
