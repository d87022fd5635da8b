"""How the process of a worker is started: on Linux as a copy of a server that has imported the libraries, else anew.

The import of PyTorch, Lightning and MLflow takes seconds of a core, and hundreds of megabytes. The server imports them
once for all workers of this process, also for those that replace a killed one, and does nothing else: it calculates
nothing, starts no thread of its own and uses no GPU, so that a copy of it is as good as a new process. It imports
nothing of memspan or of the user. What a worker imports depends on the path that it gets from this process.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from multiprocessing import forkserver, resource_tracker
from multiprocessing.context import BaseContext

from suite.engines.ranks import without_ranks

USES_SERVER = sys.platform.startswith("linux")
"""Whether there is a server. On macOS, frameworks of the system do not survive a fork, not even of an idle process."""
PRELOADED = ("torch", "lightning.pytorch", "mlflow", "optuna", "numba", "scipy.stats", "matplotlib.figure")
"""What the server imports. A library that is not installed is left out."""

SAFE_PATH, STARTED_BY_MEMSPAN = "PYTHONSAFEPATH", "memspan"
"""An environment variable that keeps the working folder off the path of a Python, and the value that is set here."""
IGNORED_SIGNALS = (signal.SIGINT, signal.SIGTERM)
"""The signals that a whole group of processes receives, and that only the main process handles."""


def make_context() -> BaseContext:
    """Return the way in which the processes of workers are started here."""
    if not USES_SERVER:
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([*PRELOADED])
    return context


@contextmanager
def starting() -> Iterator[None]:
    """Start processes in this context without the working folder, which Python would search before all others.

    They get this process's ``sys.path`` a moment later. The locks of an executor start a process too.
    """
    before = os.environ.setdefault(SAFE_PATH, STARTED_BY_MEMSPAN)
    try:
        yield
    finally:
        if before == STARTED_BY_MEMSPAN:
            os.environ.pop(SAFE_PATH, None)


def start_server() -> None:
    """Start the server unless it runs already, or none is used here. Call this while `starting`.

    A Ctrl-C reaches the whole group of processes, and Slurm's SIGTERM all processes of a job. The server must survive
    both, or else its workers could not end in their own way. This process only waits for it when a worker is started,
    and can be interrupted then.
    """
    if not USES_SERVER:
        return
    resource_tracker.ensure_running()  # It would let the signals through.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, IGNORED_SIGNALS)
    try:
        with without_ranks():
            forkserver.ensure_running()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def take_over(environment: Mapping[str, str]) -> None:
    """Give this new process the environment of the one that wants it, and numbers and signals of its own.

    The server may have been started in another environment. What the libraries have set while it imported them stays.
    """
    if os.environ.get(SAFE_PATH) == STARTED_BY_MEMSPAN:  # The programs that a task starts are not concerned.
        del os.environ[SAFE_PATH]
    os.environ.update(environment)
    for number in IGNORED_SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, IGNORED_SIGNALS)
    if (numpy := sys.modules.get("numpy")) is not None:
        numpy.random.seed()  # Its global generator is the server's, and would draw the same in every worker.
