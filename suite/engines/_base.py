"""The contract of an engine, and of the tasks that it executes."""

from __future__ import annotations

import traceback
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any

from suite.engines.failures import is_final
from suite.errors import Interruption, StoppedError, StoreError, redacted, summary_of


class Signals:
    """The link between a task and the process that started it."""

    device = "cpu"
    """The device of the task, ``"cpu"`` or ``"cuda"``. CUDA_VISIBLE_DEVICES says which GPU that is."""

    stopping = False
    """True once the task has been asked to stop."""

    notes: tuple[str, ...] = ()
    """What `on_note` has received of the current task."""

    def on_step(self, step: int) -> None:
        """Report the step that the task has reached."""

    def on_note(self, text: str) -> None:
        """Report something that changes no result. It is told when the task has ended."""
        self.notes += (text,)

    def should_stop(self) -> bool:
        """Return True once the task should keep a checkpoint and end."""
        return self.stopping


EngineTask = Callable[[Signals], Any]
"""A function that can be executed in another process. It can be pickled, and so can its result."""

StepListener = Callable[[str, int], None]
"""A function that receives the key of a task and the step that the task has reached."""


class TaskStatus(Enum):
    """The way in which a task ended."""

    DONE = "done"
    FAILED = "failed"
    """The task raised an error, or its process was killed or ran out of memory."""
    LOST = "lost"
    """The machine of the task was lost, so the task is not to blame."""
    STOPPED = "stopped"
    """The task was asked to stop, and did."""
    STORE = "store"
    """The store could not be written or did not answer."""


@dataclass(frozen=True)
class TaskResult:
    """The outcome of a task: its status, and either its value or the reason why there is none."""

    status: TaskStatus
    value: Any = None
    """The return value of the task, if it is done."""
    reason: str = ""
    """One line that says why the task is not done."""
    trace: str = ""
    """The traceback of an error of the task."""
    notes: tuple[str, ...] = ()
    """Sentences about what has gone wrong on the way without changing the result."""
    is_final: bool = False
    """True for a failure that would be the same at every try."""


def run_task(task: EngineTask, signals: Signals) -> TaskResult:
    """Execute a task in this process, and turn whatever it raises into a result.

    A task may raise anything, also SystemExit or KeyboardInterrupt. It then has failed, and the process goes on.

    Raises:
        Interruption: if the command ends at once.
    """
    signals.notes = ()
    with warnings.catch_warnings():  # A cell that turns warnings into errors does so for its own run alone.
        result = _outcome(task, signals)
    return replace(result, notes=signals.notes)


def _outcome(task: EngineTask, signals: Signals) -> TaskResult:
    try:
        return TaskResult(TaskStatus.DONE, task(signals))
    except StoppedError as error:
        return TaskResult(TaskStatus.STOPPED, reason=str(error))
    except StoreError as error:
        return TaskResult(TaskStatus.STORE, reason=redacted(str(error)))
    except Interruption:
        raise
    except BaseException as error:
        trace = redacted(traceback.format_exc())
        return TaskResult(TaskStatus.FAILED, reason=redacted(summary_of(error)), trace=trace, is_final=is_final(error))


class Engine(ABC):
    """An engine takes tasks, executes them, and reports how they ended. Leaving its context ends all of its tasks."""

    on_step: StepListener = staticmethod(lambda key, step: None)
    """The listener for the progress of every task. It may be called from other threads."""

    @property
    @abstractmethod
    def free(self) -> int:
        """The number of tasks that can be submitted now."""

    @property
    @abstractmethod
    def pending(self) -> int:
        """The number of tasks that were submitted and have not ended."""

    @abstractmethod
    def submit(self, key: str, task: EngineTask) -> None:
        """Start a task. Call this only while `free` is above 0."""

    @abstractmethod
    def process(self, key: str) -> str:
        """Name the process of a task that is under way, as in ``process 1234``. It may be called from other threads."""

    @abstractmethod
    def wait(self, seconds: float) -> list[tuple[str, TaskResult]]:
        """Return the keys and results of tasks that have ended, or none if none ends within ``seconds``."""

    @abstractmethod
    def stop(self) -> None:
        """Ask every task to keep a checkpoint and end. Signal handlers call this, so it must return at once."""

    def __enter__(self) -> Engine:
        return self

    @abstractmethod
    def __exit__(self, *error: object) -> None: ...
