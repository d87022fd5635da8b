"""Sixteen writers at once: no metric is lost, and nobody is told of a lock."""

from __future__ import annotations

import multiprocessing
from pathlib import Path

import pytest

from suite.planning.job import Job, Outcome
from suite.store.addresses import StoreLocation
from suite.store.lease import Leases, LeaseStatus
from suite.store.store import Store
from tests.servers import PostgreSQL
from tests.store.test_ledger import CONFIG

pytestmark = pytest.mark.slow

WRITERS, RUNS, POINTS = 16, 2, 100
NAMES = [f"train/{letter}" for letter in "abcdefgh"]


def _write(place: StoreLocation, writer: int) -> None:
    store = Store.at(place)
    with Leases(store.ledger, "load") as hand:
        for number in range(RUNS):
            job = Job(f"{writer}-{number}", CONFIG, "load/adding/rnn", "rnn", "adding", "evaluation", number)
            assert hand.take(job).status is LeaseStatus.ACQUIRED
            with store.tracking.recording(job, "load", "", hand.owner) as recorder:
                for step in range(1, POINTS + 1):
                    recorder.curve(step, dict.fromkeys(NAMES, float(writer + step)))
                    if step % 10 == 0:
                        recorder.flush()
                recorder.result(job, Outcome({"objective": 1.0, "test_skill": float(writer)}), {"path": "test"})
            assert recorder.counts


@pytest.mark.parametrize("kind", ["embedded", "postgresql"])
def test_sixteen_writers_lose_nothing(kind: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    place = StoreLocation(tmp_path / "store")
    if kind == "postgresql":
        server: PostgreSQL = request.getfixturevalue("postgresql")
        addresses = [server.create(f"{name} {tmp_path.name}") for name in ("ledger", "mlflow")]
        place = StoreLocation(tmp_path / "store", *addresses)
    store = Store.at(place)
    store.tracking.experiment_id("load")  # MLflow makes its tables
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["suite.store.mlflow_tracking", "tests.store.test_ledger"])  # imported once
    writers = [context.Process(target=_write, args=(place, writer)) for writer in range(WRITERS)]
    for process in writers:
        process.start()
    for process in writers:
        process.join(300)
    assert [process.exitcode for process in writers] == [0] * WRITERS
    assert len(store.finished("load")) == WRITERS * RUNS
    runs = list(store.tracking.runs("load", "attributes.status = 'FINISHED'"))
    assert len(runs) == WRITERS * RUNS
    for run in runs:
        writer = int(run.data.tags["key"].split("-")[0])
        for name in NAMES:
            history = store.tracking.client.get_metric_history(run.info.run_id, name)
            assert {metric.step: metric.value for metric in history} == {
                step: float(writer + step) for step in range(1, POINTS + 1)
            }
