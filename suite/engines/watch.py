"""The watch over tasks: a task that makes no step for a long time may hang, and somebody should know."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from suite.engines._base import Engine
from suite.errors import many

SILENT_SECONDS = 600.0
"""The seconds without a step after which a task is reported; each further report comes after twice the time."""
POLL_SECONDS = 1.0


class Watch:
    """A thread that reports the tasks of an engine that make no step, while this context lasts.

    Args:
        engine: the engine.
        on_silent: receives the key of such a task, and what is known of it, such as ``no step for 10 minutes by process
            1234``. It is called by the thread.
    """

    def __init__(self, engine: Engine, on_silent: Callable[[str, str], None]) -> None:
        self.engine = engine
        self.on_silent = on_silent
        self.heard: dict[str, float] = {}
        """The time of the last sign of each task."""
        self.patience: dict[str, float] = {}
        """The length of the silence of each task that is reported next."""
        self.end = threading.Event()

    def __enter__(self) -> Watch:
        threading.Thread(target=self._watch, daemon=True).start()
        return self

    def __exit__(self, *error: object) -> None:
        self.end.set()

    def begin(self, key: str) -> None:
        """Watch a task from now on, or learn that it has made a step."""
        self.heard[key] = time.monotonic()
        self.patience[key] = SILENT_SECONDS

    def on_step(self, key: str) -> None:
        """Learn that a task has made a step. Nothing happens if it has ended in the meantime."""
        if key in self.heard:
            self.begin(key)

    def finish(self, key: str) -> None:
        """Learn that a task has ended."""
        self.heard.pop(key, None)

    def check(self) -> None:
        """Report each task that makes no step, if it is time to do so."""
        for key, heard in tuple(self.heard.items()):
            patience = self.patience[key]
            if time.monotonic() - heard > patience:
                self.patience[key] = 2 * patience
                self.on_silent(key, f"no step for {_duration(patience)} by {self.engine.process(key)}")

    def _watch(self) -> None:
        while not self.end.wait(min(POLL_SECONDS, SILENT_SECONDS)):
            with suppress(Exception):  # A progress bar with an error, or a store that is away, must not stop the watch.
                self.check()


@contextmanager
def saying_if_slow(what: str, seconds: float) -> Iterator[None]:
    """Say on stderr that something may hang if this context takes so many seconds."""
    text = f"memspan: {what} has taken {_duration(seconds)} in process {os.getpid()}, and may hang"
    timer = threading.Timer(seconds, print, [text], {"file": sys.stderr, "flush": True})
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _duration(seconds: float) -> str:
    return many(round(seconds / 60), "minute") if seconds >= 60 else many(round(seconds), "second")
