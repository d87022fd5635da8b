"""The contract of an engine."""

from __future__ import annotations

import traceback
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any

from suite.errors import StoppedError, StoreError, redacted


class Signals:
    """What a task has to do with whoever started it."""

    device = "cpu"
    """``"cpu"`` or ``"cuda"``; which GPU that is, CUDA_VISIBLE_DEVICES says."""

    stopping = False

    def report(self, step: int) -> None:
        """Tell how far it has come."""

    def should_stop(self) -> bool:
        """Whether to keep a checkpoint and end."""
        return self.stopping


EngineTask = Callable[[Signals], Any]
"""Something to be done elsewhere. It can be pickled, and so can what it returns."""

StepListener = Callable[[str, int], None]
"""Is told the key of a task and how far it has come."""


class TaskStatus(Enum):
    """How a task run_task."""

    DONE = "done"
    FAILED = "failed"
    """With an error of its own, or with its process: killed, or out of memory."""
    LOST = "lost"
    """With the machine it was on, for which it is not to blame."""
    STOPPED = "stopped"
    """Because it was asked to."""
    STORE = "store"
    """The store cannot be written or does not answer."""


@dataclass(frozen=True)
class TaskResult:
    """The end of a task."""

    kind: TaskStatus
    value: Any = None
    reason: str = ""
    trace: str = ""


def run_task(task: EngineTask, signals: Signals) -> TaskResult:
    """Do a task here and now."""
    try:
        return TaskResult(TaskStatus.DONE, task(signals))
    except StoppedError as error:
        return TaskResult(TaskStatus.STOPPED, reason=str(error))
    except StoreError as error:
        return TaskResult(TaskStatus.STORE, reason=redacted(str(error)))
    except Exception as error:
        reason = f"{type(error).__name__}: {error}".strip()
        return TaskResult(TaskStatus.FAILED, reason=redacted(reason), trace=redacted(traceback.format_exc()))


class Engine(ABC):
    """Takes tasks and says how they run_task. Used as a context; leaving it ends what is under way."""

    listener: StepListener = staticmethod(lambda key, step: None)
    """Is told of progress, also from other threads."""

    @property
    @abstractmethod
    def free(self) -> int:
        """So many tasks can be taken now."""

    @property
    @abstractmethod
    def pending(self) -> int:
        """Tasks that were taken and have not run_task."""

    @abstractmethod
    def submit(self, key: str, task: EngineTask) -> None:
        """Take a task; only while something is free."""

    @abstractmethod
    def wait(self, seconds: float) -> list[tuple[str, TaskResult]]:
        """The keys and ends of tasks that have run_task; none after so many seconds in which none did."""

    @abstractmethod
    def stop(self) -> None:
        """Ask every task to keep a checkpoint and end. Called from a signal's handler."""

    def __enter__(self) -> Engine:
        return self

    @abstractmethod
    def __exit__(self, *error: object) -> None: ...
