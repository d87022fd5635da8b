"""Ctrl-C and SIGTERM: the runs under way are asked to stop, and the command ends in any case."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from suite.errors import Interruption

STOP_SECONDS = 10.0
"""The seconds after the first signal in which runs can keep a checkpoint and end. Then they are interrupted."""
END_SECONDS = 20.0
"""The seconds after the first signal in which the command can end by itself. Then it is killed."""


@contextmanager
def own_ctrl_c() -> Iterator[None]:
    """Let Ctrl-C raise Interruption in this context, so that nobody's own KeyboardInterrupt is taken for it."""
    is_default = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if not is_default or threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(number: int, frame: Any) -> None:
        raise Interruption

    signal.signal(signal.SIGINT, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@contextmanager
def interruptible(stop: Callable[[], None]) -> Iterator[list[int]]:
    """Collect the numbers of the signals that arrive in this context.

    The first signal calls ``stop``. A second one, or the end of the time that is left, raises Interruption. In another
    thread than the main one, which receives no signals, this does nothing.
    """
    signals: list[int] = []  # A handler may interrupt any line, so there must be no lock.
    if threading.current_thread() is not threading.main_thread():
        yield signals
        return

    def on_signal(number: int, frame: Any) -> None:
        if signals:
            raise Interruption
        signals.append(number)
        handlers[signal.SIGALRM] = signal.signal(signal.SIGALRM, on_signal)
        signal.setitimer(signal.ITIMER_REAL, STOP_SECONDS)
        stop()

    with _guarded():
        handlers = {number: signal.signal(number, on_signal) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield signals
        finally:
            if signals:
                signal.setitimer(signal.ITIMER_REAL, 0)
            for number, handler in handlers.items():
                if handler is not None:  # Only a handler of Python's can be put back.
                    signal.signal(number, handler)


@contextmanager
def _guarded() -> Iterator[None]:
    """Have this process killed if it hangs for ``END_SECONDS`` after a signal, even where it runs no Python code."""
    program = [sys.executable, "-I", "-S", str(Path(__file__).with_name("guard.py")), str(END_SECONDS)]
    # A session of its own keeps the Ctrl-C of a terminal away.
    with subprocess.Popen(program, stdin=subprocess.PIPE, start_new_session=True) as guard:
        assert guard.stdin is not None
        os.set_blocking(guard.stdin.fileno(), False)
        before = signal.set_wakeup_fd(guard.stdin.fileno(), warn_on_full_buffer=False)
        try:
            yield
        finally:
            signal.set_wakeup_fd(before)
