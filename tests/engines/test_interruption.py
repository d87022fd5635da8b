"""Whatever a task does, the command says so and ends."""

from __future__ import annotations

import ctypes
import os
import re
import signal
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import NoReturn

import numpy as np
import pytest
import torch

from suite import engines
from suite.engines import Engine, EngineTask, Inline, Signals, TaskResult, TaskStatus, Workers, interruption, watch
from suite.engines.dispatch import Work, dispatch
from suite.errors import Interruption
from tests.servers import RayCluster

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]


class Tasks(Work):
    """Tasks by their keys, and what became of them."""

    def __init__(self, **tasks: EngineTask) -> None:
        self.tasks = list(tasks.items())
        self.results: dict[str, TaskResult] = {}
        self.notes: list[tuple[str, str]] = []

    def is_left(self) -> bool:
        return bool(self.tasks)

    def next_task(self) -> tuple[str, EngineTask] | None:
        return self.tasks.pop(0) if self.tasks else None

    def on_result(self, key: str, result: TaskResult) -> None:
        self.results[key] = result

    def on_note(self, key: str, text: str) -> None:
        self.notes.append((key, text))


@pytest.fixture(params=["inline", "workers", "ray"])
def engine(request: pytest.FixtureRequest) -> Engine:
    if request.param == "ray":
        cluster: RayCluster = request.getfixturevalue("ray_cluster")
        return engines.make("ray", workers=2, address=cluster.address)
    return Inline() if request.param == "inline" else Workers([None, None])


# ── Tasks that hang


def _loop(signals: Signals) -> None:
    signals.on_step(1)
    while True:
        pass


def _hold_the_interpreter(signals: Signals) -> None:
    sum(range(10**15))  # This is one operation, and no other thread runs before it ends.


def _stop_the_process(signals: Signals) -> None:
    os.kill(os.getpid(), signal.SIGSTOP)


def _refuse_to_end(signals: Signals) -> None:
    while True:
        with suppress(BaseException):
            time.sleep(600)


def _finish(signals: Signals) -> int:
    return 7


def _has_ended(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except OSError:
        return True


def test_after_a_signal_a_task_that_hangs_is_ended_in_every_engine(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(interruption, "STOP_SECONDS", 0.5)
    monkeypatch.setattr(watch, "SILENT_SECONDS", 1.0)
    work = Tasks(hangs=_loop)

    def on_silent(key: str, text: str) -> None:
        process = re.fullmatch(r"no step for \d+ seconds? by process (\d+)( of .*)?", text)
        if process is not None:  # The task is under way.
            work.notes.append((key, process[1]))
            os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(work, "on_silent", on_silent)
    with pytest.raises(Interruption):
        dispatch(work, engine)
    pid = int(work.notes[0][1])
    deadline = time.monotonic() + 30
    while pid != os.getpid() and not _has_ended(pid):
        assert time.monotonic() < deadline
        time.sleep(0.1)


def _begin(begun: Path, hang: EngineTask, signals: Signals) -> None:
    begun.touch()
    hang(signals)


def test_after_a_signal_workers_are_killed_whatever_they_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(interruption, "STOP_SECONDS", 0.5)
    hangs = (_hold_the_interpreter, _stop_the_process, _refuse_to_end)
    tasks = {hang.__name__: partial(_begin, tmp_path / hang.__name__, hang) for hang in hangs}
    work = Tasks(**tasks, ends=_finish)
    engine = Workers([None] * 4)

    def interrupt_once_all_hang() -> None:
        while len(list(tmp_path.iterdir())) < len(hangs) or not work.results:
            time.sleep(0.05)
        time.sleep(0.5)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt_once_all_hang, daemon=True).start()
    with pytest.raises(Interruption):
        dispatch(work, engine)
    assert {key: result.value for key, result in work.results.items()} == {"ends": 7}
    processes = [worker.process for _, worker in engine.running.values()]
    assert [process.exitcode for process in processes if process] == [-signal.SIGKILL] * 3


PROGRAM = """
import sys
from suite.engines import Inline, interruption
from suite.engines.dispatch import dispatch
from tests.engines import test_interruption
interruption.STOP_SECONDS, interruption.END_SECONDS = 0.3, 1.0
dispatch(test_interruption.Tasks(hangs=getattr(test_interruption, sys.argv[1])), Inline())
"""


@pytest.mark.parametrize("hang", [_hold_the_interpreter, _refuse_to_end])
def test_after_a_signal_a_command_that_cannot_end_by_itself_is_killed(hang: Callable[..., None]) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, hang.__name__], env={**os.environ, "PYTHONPATH": str(ROOT)}
    )
    deadline = time.monotonic() + 60
    while not _children(process.pid):  # It has a guard, so it is about to begin.
        assert time.monotonic() < deadline
        time.sleep(0.05)
    (guard,) = _children(process.pid)
    time.sleep(1.0)
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=30) == -signal.SIGKILL
    while not _has_ended(guard):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def _children(pid: int) -> list[int]:
    found = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [int(child) for child in found]


def test_a_command_that_ends_in_time_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(interruption, "END_SECONDS", 0.5)

    def stop_soon(signals: Signals) -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        assert signals.should_stop()

    work, before = Tasks(stops=stop_soon, never=_finish), signal.getsignal(signal.SIGTERM)
    assert dispatch(work, Inline()) is False
    assert signal.getsignal(signal.SIGTERM) == before
    assert list(work.results) == ["stops"]
    time.sleep(1.0)  # A guard that went on would have killed this process.


def _linger(signals: Signals) -> int:
    threading.Thread(target=time.sleep, args=(600,)).start()
    return 7


def test_a_worker_that_does_not_end_when_all_is_done_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("suite.engines.workers.END_SECONDS", 0.5)
    work = Tasks(lingers=_linger)
    assert dispatch(work, Workers([None]))
    assert work.results["lingers"].value == 7


# ── Tasks that make no step


def _wait_for(path: Path, signals: Signals) -> int:
    while not path.exists():
        time.sleep(0.05)
    return os.getpid()


def test_a_task_without_a_step_is_reported_with_its_process_in_every_engine(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(watch, "SILENT_SECONDS", 0.5)
    work = Tasks(waits=partial(_wait_for, tmp_path / "reported"))

    def on_note(key: str, text: str) -> None:
        work.notes.append((key, text))
        if "the cluster" not in text:  # A process of Ray has to name itself first.
            (tmp_path / "reported").touch()

    monkeypatch.setattr(work, "on_note", on_note)
    assert dispatch(work, engine)
    key, text = work.notes[-1]
    assert key == "waits"
    assert re.match(
        rf"no step for \d seconds? by process {work.results['waits'].value}( of .*)?\. If this process", text
    )


def test_a_task_is_reported_after_ten_minutes_without_a_step_and_then_ever_less_often(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    minutes = 0.0
    monkeypatch.setattr(watch.time, "monotonic", lambda: 60 * minutes)
    reports: list[tuple[float, str, str]] = []
    watched = watch.Watch(Inline(), lambda key, text: reports.append((minutes, key, text.split(" by ")[0])))
    watched.begin("works")
    watched.begin("hangs")
    watched.begin("ends")
    for minute in range(100):
        minutes = minute + 0.5
        watched.check()
        if minute % 5 == 0:
            watched.on_step("works")
        if minute == 5:
            watched.finish("ends")
            watched.on_step("ends")
        if minute == 49:
            watched.on_step("hangs")
    assert reports == [
        (10.5, "hangs", "no step for 10 minutes"),
        (20.5, "hangs", "no step for 20 minutes"),
        (40.5, "hangs", "no step for 40 minutes"),
        (60.5, "hangs", "no step for 10 minutes"),
        (70.5, "hangs", "no step for 20 minutes"),
        (90.5, "hangs", "no step for 40 minutes"),
    ]


# ── Tasks that raise anything


class UnpicklableError(Exception):
    """Needs two arguments, holds a lock, and has a text that no database can store."""

    def __init__(self, lock: object, text: str) -> None:
        super().__init__(text)
        self.lock = lock


class MuteError(Exception):
    """Cannot be shown."""

    def __str__(self) -> str:
        raise ValueError("no text")


def _raise(error: type[BaseException], signals: Signals) -> NoReturn:
    raise error("by a task")


def _raise_unpicklable(signals: Signals) -> NoReturn:
    raise UnpicklableError(threading.Lock(), "nul \0 and surrogate \udcff\nand a second line")


def _warn(signals: Signals) -> None:
    warnings.simplefilter("error")
    warnings.warn("by a task", UserWarning, stacklevel=1)


def _warn_again(signals: Signals) -> str:
    warnings.warn("by the next task", UserWarning, stacklevel=1)
    return "went on"


def _recurse(signals: Signals) -> None:
    _recurse(signals)


def _return_a_lock(signals: Signals) -> object:
    return threading.Lock()


RAISED: dict[str, tuple[EngineTask, str]] = {
    **{
        error.__name__: (partial(_raise, error), f"{error.__name__}: by a task")
        for error in (SystemExit, KeyboardInterrupt, GeneratorExit, StopIteration, MemoryError, OSError, BaseException)
    },
    "unpicklable": (_raise_unpicklable, r"UnpicklableError: nul \0 and surrogate \udcff and a second line"),
    "mute": (partial(_raise, MuteError), "MuteError: (its message cannot be shown: ValueError)"),
    "warning": (_warn, "UserWarning: by a task"),
    "recursion": (_recurse, "RecursionError: maximum recursion depth exceeded"),
}


@pytest.mark.filterwarnings("ignore:by the next task")
def test_a_task_may_raise_anything_and_only_its_own_run_fails(engine: Engine) -> None:
    tasks = {name: task for name, (task, _) in RAISED.items()}
    work = Tasks(**tasks, goes_on=_warn_again)
    assert dispatch(work, engine)
    assert work.results.pop("goes_on").value == "went on"
    assert {result.status for result in work.results.values()} == {TaskStatus.FAILED}
    for name, (_, reason) in RAISED.items():
        assert work.results[name].reason.startswith(reason), name
        assert "Traceback" in work.results[name].trace, name


def _end_the_process(signals: Signals) -> None:
    os._exit(3)


def _crash(signals: Signals) -> None:
    ctypes.string_at(0)


@pytest.fixture
def worker() -> Iterator[Workers]:
    with Workers([None]) as made:
        yield made


@pytest.mark.parametrize(
    ("task", "reason"),
    [
        (_end_the_process, "the worker's process died: it ended itself with exit code 3"),
        (_crash, "the worker's process died: it received SIGSEGV"),
        (_return_a_lock, "TypeError: cannot pickle '_thread.lock' object"),
    ],
)
def test_what_ended_a_worker_is_said(task: EngineTask, reason: str, worker: Workers) -> None:
    worker.submit("dies", task)
    ((_, result),) = worker.wait(60)
    assert (result.status, result.reason) == (TaskStatus.FAILED, reason)
    worker.submit("next", _finish)
    ((_, result),) = worker.wait(60)
    assert result.value == 7


def _wait_beside(path: Path, signals: Signals) -> None:
    path.write_text(f"{os.getpid()} {os.getppid()}")
    time.sleep(600)


def _environment(signals: Signals) -> tuple[str | None, str | None]:
    return os.environ.get("MEMSPAN_TEST"), os.environ.get("RANK")


def _numpy_draws(signals: Signals) -> float:
    time.sleep(0.5)  # Nobody does both tasks.
    return float(np.random.random())  # noqa: NPY002


def _state_of_server(signals: Signals) -> tuple[int, bool, bool]:
    time.sleep(0.5)
    return os.getppid(), {"torch", "lightning", "mlflow"} <= set(sys.modules), torch.cuda.is_initialized()


on_linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only there workers are copies of a server")


@on_linux
def test_without_their_server_workers_end_and_others_go_on(worker: Workers, tmp_path: Path) -> None:
    """What is out of memory may be the server, and a worker that went on would do what is tried again."""
    worker.submit("waits", partial(_wait_beside, tmp_path / "processes"))
    deadline = time.monotonic() + 60
    while not (tmp_path / "processes").exists() or " " not in (tmp_path / "processes").read_text():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process, server = map(int, (tmp_path / "processes").read_text().split())
    assert server != os.getpid()
    os.kill(server, signal.SIGKILL)
    ((_, result),) = worker.wait(60)
    assert result.reason == "the worker's process died: killed, or out of memory"
    while not _has_ended(process):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    worker.submit("next", _finish)
    ((_, result),) = worker.wait(60)
    assert result.value == 7


def test_a_worker_has_the_environment_of_now(monkeypatch: pytest.MonkeyPatch) -> None:
    for value in ("1", "2"):
        monkeypatch.setenv("MEMSPAN_TEST", value)
        monkeypatch.setenv("RANK", value)  # It is hidden from the server alone.
        work = Tasks(seen=_environment)
        assert dispatch(work, Workers([None]))
        assert work.results["seen"].value == (value, value)


def test_no_two_workers_draw_the_same_from_a_generator_of_numpy() -> None:
    work = Tasks(first=_numpy_draws, second=_numpy_draws)
    assert dispatch(work, Workers([None, None]))
    first, second = work.results.values()
    assert first.value != second.value


@on_linux
def test_workers_are_copies_of_one_server_that_has_imported_the_libraries_and_uses_no_gpu() -> None:
    work = Tasks(first=_state_of_server, second=_state_of_server)
    assert dispatch(work, Workers([None, None]))
    first, second = (result.value for result in work.results.values())
    assert first == second
    assert first[1:] == (True, False)
