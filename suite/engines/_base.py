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


Task = Callable[[Signals], Any]
"""Something to be done elsewhere. It can be pickled, and so can what it returns."""

Listener = Callable[[str, int], None]
"""Is told the key of a task and how far it has come."""


class Kind(Enum):
    """How a task ended."""

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
class Ended:
    """The end of a task."""

    kind: Kind
    value: Any = None
    reason: str = ""
    trace: str = ""


def ended(task: Task, signals: Signals) -> Ended:
    """Do a task here and now."""
    try:
        return Ended(Kind.DONE, task(signals))
    except StoppedError as error:
        return Ended(Kind.STOPPED, reason=str(error))
    except StoreError as error:
        return Ended(Kind.STORE, reason=redacted(str(error)))
    except Exception as error:
        reason = f"{type(error).__name__}: {error}".strip()
        return Ended(Kind.FAILED, reason=redacted(reason), trace=redacted(traceback.format_exc()))


class Engine(ABC):
    """Takes tasks and says how they ended. Used as a context; leaving it ends what is under way."""

    listener: Listener = staticmethod(lambda key, step: None)
    """Is told of progress, also from other threads."""

    @property
    @abstractmethod
    def free(self) -> int:
        """So many tasks can be taken now."""

    @property
    @abstractmethod
    def pending(self) -> int:
        """Tasks that were taken and have not ended."""

    @abstractmethod
    def submit(self, key: str, task: Task) -> None:
        """Take a task; only while something is free."""

    @abstractmethod
    def wait(self, seconds: float) -> list[tuple[str, Ended]]:
        """The keys and ends of tasks that have ended; none after so many seconds in which none did."""

    @abstractmethod
    def stop(self) -> None:
        """Ask every task to keep a checkpoint and end. Called from a signal's handler."""

    def __enter__(self) -> Engine:
        return self

    @abstractmethod
    def __exit__(self, *error: object) -> None: ...
