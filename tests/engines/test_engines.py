"""Engines: every task ends once, whatever happens to its worker."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from functools import partial
from multiprocessing.util import Finalize
from pathlib import Path

import pytest
import torch

from suite import engines
from suite.engines import Engine, Inline, Ray, Signals, TaskStatus, Workers
from suite.engines._base import run_task
from suite.engines.devices import slots
from suite.errors import InputError, StoppedError, StoreError
from tests.servers import RayCluster

pytestmark = pytest.mark.slow


def _hang() -> None:
    time.sleep(600)


def _double(number: int, signals: Signals) -> int:
    signals.on_step(number)
    return 2 * number


def _fail(signals: Signals) -> None:
    raise ValueError("cannot reach postgresql://me:hush@host/db")


def _full(signals: Signals) -> None:
    raise StoreError("the disk is full")


def _die(signals: Signals) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _seen(signals: Signals) -> tuple[int, str, str]:
    time.sleep(0.3)
    return os.getpid(), os.environ.get("CUDA_VISIBLE_DEVICES", ""), signals.device


def _until_stopped(signals: Signals) -> None:
    while not signals.should_stop():
        time.sleep(0.01)
    raise StoppedError("stopped")


def _slow_to_end(signals: Signals) -> None:
    Finalize(None, time.sleep, args=(600,), exitpriority=1)
    _until_stopped(signals)


def _make(name: str, request: pytest.FixtureRequest) -> Engine:
    if name == "ray":
        cluster: RayCluster = request.getfixturevalue("ray_cluster")
        return engines.make("ray", workers=2, address=cluster.address)
    return Inline() if name == "inline" else Workers([None, None])


@pytest.fixture(params=["inline", "workers", "ray"])
def engine(request: pytest.FixtureRequest) -> Iterator[Engine]:
    with _make(request.param, request) as made:
        yield made


@pytest.fixture(params=["workers", "ray"])
def processes(request: pytest.FixtureRequest) -> Iterator[Engine]:
    """An engine whose tasks are in other processes."""
    with _make(request.param, request) as made:
        yield made


def test_every_engine_does_its_tasks_and_says_how_they_ended(engine: Engine) -> None:
    tasks = [partial(_double, number) for number in range(5)] + [_fail, _full]
    ends = {}
    waiting = list(enumerate(tasks))
    while waiting or engine.pending:
        while waiting and engine.free > 0:
            number, task = waiting.pop(0)
            engine.submit(str(number), task)
        ends.update(engine.wait(5))
    assert [ends[str(number)].value for number in range(5)] == [0, 2, 4, 6, 8]
    assert {ends[str(number)].status for number in range(5)} == {TaskStatus.DONE}
    assert (ends["5"].status, ends["5"].reason) == (
        TaskStatus.FAILED,
        "ValueError: cannot reach postgresql://me:***@host/db",
    )
    assert "in _fail" in ends["5"].trace
    assert "hush" not in ends["5"].trace
    assert (ends["6"].status, ends["6"].reason) == (TaskStatus.STORE, "the disk is full")
    assert engine.pending == 0
    assert engine.free >= 1


def test_a_killed_worker_takes_nobody_along(processes: Engine) -> None:
    for _ in range(2):
        processes.submit("dies", _die)
        processes.submit("lives", partial(_double, 3))
        ends = {}
        while processes.pending:
            ends.update(processes.wait(5))
        assert ends["lives"].value == 6
        assert ends["dies"].status is TaskStatus.FAILED
        assert "process died" in ends["dies"].reason


def test_asked_to_stop_every_task_ends(processes: Engine) -> None:
    processes.submit("a", _until_stopped)
    processes.submit("b", _until_stopped)
    assert processes.wait(0.5) == []
    processes.stop()
    ends = []
    deadline = time.monotonic() + 30
    while processes.pending and time.monotonic() < deadline:
        ends += processes.wait(1)
    assert {end.status for _, end in ends} == {TaskStatus.STOPPED}
    assert len(ends) == 2


def test_once_stopped_nobody_waits_for_workers_that_are_slow_to_end() -> None:
    with Workers([None]) as workers:
        workers.submit("a", _slow_to_end)
        assert workers.wait(0.5) == []
        workers.stop()
        assert [end.status for _, end in workers.wait(60)] == [TaskStatus.STOPPED]
        ended = time.monotonic()
    assert time.monotonic() - ended < 60


def test_a_lost_machine_is_not_the_fault_of_its_tasks(ray_cluster: RayCluster) -> None:
    ray_cluster.start("127.0.0.5", "--num-cpus", "1", "--resources", '{"far": 1}')
    with engines.make("ray", address=ray_cluster.address) as engine:
        assert isinstance(engine, Ray)
        far = engine.ray.remote(num_cpus=1, resources={"far": 1}, max_retries=0)(_hang)
        engine.running[far.remote()] = "far"
        assert engine.wait(3) == []
        ray_cluster.kill("127.0.0.5")
        ends = []
        deadline = time.monotonic() + 60
        while engine.pending and time.monotonic() < deadline:
            ends += engine.wait(1)
    assert [(key, end.status) for key, end in ends] == [("far", TaskStatus.LOST)]


def test_without_a_cluster_there_is_one_message() -> None:
    pytest.importorskip("ray")
    with pytest.raises(InputError, match=r"no Ray cluster answers at --address '127.0.0.2:1'.*ray start --head"):
        engines.make("ray", address="127.0.0.2:1")


def test_progress_is_told() -> None:
    for make in (Inline, partial(Workers, [None])):
        told: list[tuple[str, int]] = []
        with make() as engine:
            engine.on_step = lambda key, step, told=told: told.append((key, step))
            engine.submit("a", partial(_double, 7))
            while engine.pending:
                engine.wait(5)
            deadline = time.monotonic() + 5
            while not told and time.monotonic() < deadline:
                time.sleep(0.01)
        assert told == [("a", 7)]


def test_four_logical_gpus_one_for_each_worker() -> None:
    with engines.make(devices="0,1,2,3") as engine:
        for number in range(4):
            engine.submit(str(number), _seen)
        found = {}
        while engine.pending:
            found.update(engine.wait(5))
    seen = [end.value for end in found.values()]
    assert len({pid for pid, _, _ in seen}) == 4
    assert sorted(device for _, device, _ in seen) == ["0", "1", "2", "3"]


def test_on_the_cpu_workers_see_no_gpu() -> None:
    with engines.make(workers=2, devices="cpu") as engine:
        engine.submit("a", _seen)
        (_, end), *_ = engine.wait(30)
    assert end.value[1:] == ("", "cpu")


def test_the_slots_of_devices() -> None:
    assert slots(3, "cpu") == [None, None, None]
    assert slots(0, "0,2,3") == ["0", "2", "3"]
    assert slots(4, "0,1") == ["0", "1", "0", "1"]
    assert slots(0, "GPU-8f1e-22") == ["GPU-8f1e-22"]
    assert len(slots(5, None)) == 5


@pytest.mark.parametrize(("workers", "devices"), [(0, "0,0"), (0, ","), (1, "0,1"), (0, "cpu,0"), (0, "0;rm")])
def test_devices_that_are_none_are_refused(workers: int, devices: str) -> None:
    with pytest.raises(InputError, match="--devices"):
        slots(workers, devices)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"name": "rey"}, "unknown engine 'rey'; available: local, ray .did you mean 'ray'"),
        ({"address": "auto"}, "--address belongs to --engine ray"),
        ({"gpus": 0.5}, "--gpus belongs to --engine ray"),
        ({"name": "ray", "devices": "0"}, "--devices belongs to --engine local"),
    ],
)
def test_options_that_do_not_go_together_are_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        engines.make(**options)  # type: ignore[arg-type]


def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import sys

    from suite.store.addresses import check_database_address

    monkeypatch.setitem(sys.modules, "ray", None)
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(InputError, match=r"pip install 'memspan\[ray\]'"):
        engines.make("ray")
    with pytest.raises(InputError, match=r"pip install 'memspan\[postgresql\]'"):
        check_database_address("postgresql://host/db")


@pytest.mark.parametrize(
    ("error", "final"),
    [
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied (2x1 and 5x4)"), True),
        (RuntimeError("expected scalar type Float but found Double"), True),
        (RuntimeError("Trying to backward through the graph a second time"), True),
        (ValueError("too many values to unpack (expected 2)"), True),
        (KeyError("h"), True),
        (NotImplementedError(), True),
        (
            RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate of size 9"),
            False,
        ),
        (torch.OutOfMemoryError("CUDA out of memory, of a size"), False),
        (RuntimeError("CUDA error: unspecified launch failure"), False),
        (MemoryError(), False),
        (OSError(28, "No space left on device"), False),
        (ConnectionResetError("reset"), False),
    ],
    ids=repr,
)
def test_only_a_failure_of_wrong_code_is_final(error: Exception, final: bool) -> None:
    def task(signals: Signals) -> None:
        raise error

    assert run_task(task, Signals()).is_final is final
