"""One run after the other, in this process."""

from __future__ import annotations

from collections import deque
from functools import partial
from typing import Any

from suite.engines._base import Engine, Listener, Task


class Inline(Engine):
    """For one worker, and for debugging."""

    def __init__(self, listener: Listener) -> None:
        self.listener = listener
        self.waiting: deque[tuple[str, Task]] = deque()

    def submit(self, key: str, task: Task) -> None:
        self.waiting.append((key, task))

    def wait(self) -> list[tuple[str, Any]]:
        key, task = self.waiting.popleft()
        return [(key, task(partial(self.listener, key)))]

    @property
    def pending(self) -> int:
        return len(self.waiting)

    def __exit__(self, *error: object) -> None:
        self.waiting.clear()
