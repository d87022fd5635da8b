"""A command of memspan in a process of its own that has imported the libraries before, as a worker has."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from suite.engines.starting import IGNORED_SIGNALS, USES_SERVER, start_server, starting

ROOT = Path(__file__).parents[1]
SEARCHED = [entry for entry in sys.path if entry]
"""Where a command searches modules, which is noted here before any test adds a folder of its own."""


def memspan(*arguments: object, cwd: Path, timeout: float = 240, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a command to its end, in a folder and with some more variables in its environment.

    It is a process like any other, with its own number, streams and exit code. Where workers are copies of a server, it
    is one too, because half of a short command is the import of PyTorch and MLflow. Other tests go the whole way
    through ``python -m memspan``, and so do those that kill or interrupt a command.
    """
    texts = [str(argument) for argument in arguments]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **variables}
    if not USES_SERVER:
        command = [sys.executable, "-m", "memspan", *texts]
        return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=timeout)
    with tempfile.TemporaryDirectory() as folder:
        streams = [Path(folder, name) for name in ("output", "error")]
        context = multiprocessing.get_context("forkserver")
        process = context.Process(target=_be_a_command, args=(texts, cwd, environment, SEARCHED, streams))
        with starting():
            start_server()
            process.start()
        process.join(timeout)
        if process.exitcode is None:
            process.kill()
            raise subprocess.TimeoutExpired(texts, timeout)
        output, error = (stream.read_text(encoding="utf-8") for stream in streams)
        return subprocess.CompletedProcess(texts, process.exitcode, output, error)


def _be_a_command(
    arguments: list[str], cwd: Path, environment: Mapping[str, str], path: list[str], streams: list[Path]
) -> None:
    """Make this new process what ``python -m memspan`` would be in its place, and run the command."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, IGNORED_SIGNALS)
    os.chdir(cwd)
    sys.path[:] = path
    os.environ.clear()
    os.environ.update(environment)
    for number, stream in enumerate(streams, start=1):
        os.dup2(os.open(stream, os.O_WRONLY | os.O_CREAT), number)
    sys.argv = ["memspan", *arguments]
    if "run" in arguments:
        from tests.tables import copy_tables

        copy_tables()
    from memspan.__main__ import main

    main()
