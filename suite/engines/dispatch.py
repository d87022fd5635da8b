"""The one loop that gives work to an engine and waits for it, with the same Ctrl-C and the same watch everywhere."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence

from suite.engines._base import Engine, EngineTask, TaskResult
from suite.engines.interruption import interruptible
from suite.engines.watch import Watch

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

    def on_step(self, key: str, step: int) -> None:  # noqa: B027  (not every kind of work has to know these events)
        """Learn the step that a task has reached. This is called now and then, also from other threads."""

    def on_note(self, key: str, text: str) -> None:  # noqa: B027
        """Receive a sentence about something in a task that changes no result, also from other threads."""

    def on_silent(self, key: str, text: str) -> None:
        """Learn that a task makes no step; ``text`` names its process. This is called by another thread."""
        self.on_note(key, f"{text}. If this process hangs, end it with `kill -9`, and the task can be done again.")

    def on_idle(self) -> None:  # noqa: B027
        """Learn that no task is under way and none could be started."""

    def on_interrupted(self) -> None:  # noqa: B027
        """Learn that a signal has ended the work early. All tasks have ended."""


def dispatch(work: Work, engine: Engine, on_stopping: Callable[[], None] = lambda: None) -> bool:
    """Execute all tasks of some work, and leave the context of the engine.

    After Ctrl-C or SIGTERM, no task is started any more, and those under way are asked to keep a checkpoint and end. A
    second Ctrl-C raises Interruption at once, and so does a task that has not ended in time.

    Args:
        work: the tasks, and the receiver of their results.
        engine: the engine that executes them.
        on_stopping: is called after the first Ctrl-C, by the handler of the signal.

    Returns:
        True if all tasks are done, and False after Ctrl-C.
    """

    def stop() -> None:
        engine.stop()
        on_stopping()

    with interruptible(stop) as signals:
        _execute_all(work, engine, signals)
        if signals:
            work.on_interrupted()
        return not signals


def _execute_all(work: Work, engine: Engine, signals: Sequence[int]) -> None:
    """Execute all tasks of some work, or only those under way once there are signals."""
    with engine, Watch(engine, work.on_silent) as watch:

        def on_step(key: str, step: int) -> None:
            watch.on_step(key)
            work.on_step(key, step)

        engine.on_step = on_step
        while engine.pending or (work.is_left() and not signals):
            while engine.free > 0 and not signals and (task := work.next_task()) is not None:
                engine.submit(*task)  # This may have to start a process first.
                watch.begin(task[0])
            if engine.pending:
                for key, result in engine.wait(POLL_SECONDS):
                    watch.finish(key)
                    for note in result.notes:
                        work.on_note(key, note)
                    work.on_result(key, result)
            elif work.is_left():
                work.on_idle()
                time.sleep(POLL_SECONDS)
