"""The contract of an engine."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

Task = Callable[[Callable[[int], None]], Any]
"""Something to be done elsewhere; it is given a function to report its progress to. It can be pickled, and so can what
it returns."""

Listener = Callable[[str, int], None]
"""Is told the key of a task and how far it has come."""


class Engine(ABC):
    """Takes tasks and gives back their results as they finish. Used as a context; leaving it drops what is waiting."""

    @abstractmethod
    def submit(self, key: str, task: Task) -> None:
        """Take ``task``, to be done when there is room."""

    @abstractmethod
    def wait(self) -> list[tuple[str, Any]]:
        """Block until something has finished; (key, result) of each. An error of a task is raised here."""

    @property
    @abstractmethod
    def pending(self) -> int:
        """Tasks that were submitted and not yet given back."""

    def __enter__(self) -> Engine:
        return self

    @abstractmethod
    def __exit__(self, *error: object) -> None: ...
