"""A small process that ends a command which does not end by itself after a signal.

A command can hang where no Python code of its own runs any more, as in an endless loop of compiled code. Python then
only notes that a signal has arrived, in the pipe from which this process reads.

This file runs as a program, and imports nothing of memspan.
"""

from __future__ import annotations

import os
import select
import signal
import sys
import time

SIGNALS = frozenset({signal.SIGINT, signal.SIGTERM})


def guard(pipe: int, seconds: float) -> None:
    """Wait for a signal, and kill the parent process if it is still there so many seconds later.

    Args:
        pipe: receives the number of each signal as a byte. It ends when the parent process does, or calls this off.
        seconds: the time between the first signal and the end.
    """
    parent = os.getppid()
    deadline: float | None = None
    while select.select([pipe], [], [], None if deadline is None else max(0.0, deadline - time.monotonic()))[0]:
        received = os.read(pipe, 1024)
        if not received:
            return
        if deadline is None and SIGNALS.intersection(received):
            deadline = time.monotonic() + seconds
    if os.getppid() == parent:
        os.kill(parent, signal.SIGKILL)


if __name__ == "__main__":
    guard(sys.stdin.fileno(), float(sys.argv[1]))
