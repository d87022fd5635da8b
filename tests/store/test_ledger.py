"""The ledger: who has which run, on SQLite and on PostgreSQL."""

from __future__ import annotations

import multiprocessing
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path

import pytest

from suite.errors import InputError, StoreError, redacted
from suite.experiment.run_config import ModelConfig, RunConfig, TaskConfig, Training
from suite.planning.job import Job, Outcome
from suite.store import lease as module
from suite.store.addresses import check_database_address, check_tracking_address
from suite.store.lease import Lease, Leases, LeaseStatus
from suite.store.ledger import Ledger
from suite.store.ledger_tables import DONE, RUNNING, WAITING
from suite.store.process import machine
from suite.store.retrying import patience, retried
from tests.servers import PostgreSQL

CONFIG = RunConfig(
    task=TaskConfig(name="adding", options={}, length=8),
    model=ModelConfig(architecture="rnn", options={}, hidden_size=4),
    training=Training(),
    seed=0,
    source="",
)
OUTCOME = Outcome({"test_skill": 0.1 + 0.2, "objective": 1 / 3, "steps": 30.0}, ((10, {"validation/skill": 1 / 3}),))


def job(number: int) -> Job:
    return Job(f"key{number:05d}", CONFIG, "e/adding/rnn", "rnn", "adding", "evaluation", number)


@pytest.fixture(params=["sqlite", "postgresql"])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'ledger.db'}"
    server: PostgreSQL = request.getfixturevalue("postgresql")
    return check_database_address(server.create(f"ledger {tmp_path.name}"))


def test_a_run_is_taken_once_and_finished_once_and_its_numbers_come_back_to_the_last_bit(address: str) -> None:
    ledger = Ledger(address)
    first, second = Leases(ledger, "e"), Leases(Ledger(address), "e")
    assert first.take(job(0)).status is LeaseStatus.ACQUIRED
    assert second.take(job(0)).status is LeaseStatus.HELD_ELSEWHERE
    ledger.begun("e", job(0).key, first.owner, "mlflow-run")
    assert [entry.state for entry in ledger.unfinished("e")] == [RUNNING]
    assert not ledger.finish("e", job(0).key, second.owner, "another", OUTCOME)
    assert ledger.finish("e", job(0).key, first.owner, "mlflow-run", OUTCOME)
    assert ledger.finish("e", job(0).key, first.owner, "mlflow-run", OUTCOME)  # as after an answer that was lost
    assert second.take(job(0)) == Lease(LeaseStatus.FINISHED, OUTCOME)
    assert ledger.outcomes("e", curves=True) == {job(0).key: OUTCOME}
    assert ledger.outcomes("e") == {job(0).key: Outcome(OUTCOME.metrics)}
    assert ledger.run_ids("e") == {job(0).key: "mlflow-run"}
    assert not ledger.outcomes("another experiment")


def test_a_failed_run_is_tried_again_until_it_has_failed_too_often(address: str) -> None:
    ledger = Ledger(address)
    hand = Leases(ledger, "e", attempts=2)
    for failures in (1, 2):
        assert hand.take(job(0)).status is LeaseStatus.ACQUIRED
        assert hand.give_back(job(0).key, "out of memory", failed=True) == failures
    assert hand.take(job(0)) == Lease(LeaseStatus.GIVEN_UP, reason="out of memory")
    entry = ledger.unfinished("e")[0]
    assert (entry.state, entry.failures, entry.error) == (WAITING, 2, "out of memory")
    assert Leases(ledger, "e", attempts=3).take(job(0)).status is LeaseStatus.ACQUIRED
    assert hand.take(job(1)).status is LeaseStatus.ACQUIRED
    assert hand.give_back(job(1).key) == 0


def test_a_failure_that_would_be_the_same_counts_as_all_of_them(address: str) -> None:
    ledger = Ledger(address)
    hand = Leases(ledger, "e", attempts=3)
    assert hand.take(job(0)).status is LeaseStatus.ACQUIRED
    assert hand.give_back(job(0).key, "a wrong shape", failed=True, is_final=True) == 3
    assert hand.take(job(0)) == Lease(LeaseStatus.GIVEN_UP, reason="a wrong shape")
    again = Leases(ledger, "e", attempts=4)
    assert again.take(job(0)).status is LeaseStatus.ACQUIRED
    assert again.give_back(job(0).key, "a wrong shape", failed=True, is_final=True) == 4


def test_what_a_dead_process_held_is_taken_at_once(address: str) -> None:
    ledger = Ledger(address)
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    dead = Leases(ledger, "e")
    dead.owner = f"{machine()}:{gone.pid}:x"
    assert dead.take(job(0)).status is LeaseStatus.ACQUIRED
    ledger.begun("e", job(0).key, dead.owner, "half-written")
    hand = Leases(ledger, "e")
    assert hand.take(job(0)) == Lease(LeaseStatus.ACQUIRED, abandoned_run="half-written")
    assert not ledger.finish("e", job(0).key, dead.owner, "half-written", OUTCOME)


def test_what_another_machine_held_is_taken_after_its_heartbeat_stood_still(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "GRACE_SECONDS", 0.6)
    monkeypatch.setattr(module, "BEAT_SECONDS", 0.1)
    ledger = Ledger(address)
    far, hand = Leases(Ledger(address), "e"), Leases(ledger, "e")
    far.owner = "another machine:1:x"
    with far:  # its heart beats
        assert far.take(job(0)).status is LeaseStatus.ACQUIRED
        deadline = time.monotonic() + 1.5
        while time.monotonic() < deadline:
            assert hand.take(job(0)).status is LeaseStatus.HELD_ELSEWHERE
            time.sleep(0.1)
        assert ledger.unfinished("e")[0].heartbeat_age < 1.0
        far._end.set()  # as if it were switched off
        far._beating.join()
        assert hand.take(job(0)).status is LeaseStatus.HELD_ELSEWHERE
        time.sleep(0.7)
        assert hand.take(job(0)).status is LeaseStatus.ACQUIRED
    assert ledger.unfinished("e")[0].state == RUNNING  # what the other had lost it did not give back


def test_who_leaves_gives_back_what_it_holds(address: str) -> None:
    ledger = Ledger(address)
    with Leases(ledger, "e") as hand:
        hand.take(job(0))
    assert [(entry.state, entry.failures) for entry in ledger.unfinished("e")] == [(WAITING, 0)]


def _take_all(address: str, count: int, queue: multiprocessing.Queue[list[str]]) -> None:
    ledger = Ledger(address)
    with Leases(ledger, "e") as hand:
        mine = []
        for number in range(count):
            if hand.take(job(number)).status is LeaseStatus.ACQUIRED:
                ledger.begun("e", job(number).key, hand.owner, f"{hand.owner} {number}")
                assert ledger.finish("e", job(number).key, hand.owner, f"{hand.owner} {number}", OUTCOME)
                mine.append(job(number).key)
        queue.put(mine)


def test_sixteen_at_once_take_every_run_exactly_once(address: str) -> None:
    """They also make the tables at once."""
    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    processes = [context.Process(target=_take_all, args=(address, 60, queue)) for _ in range(16)]
    for process in processes:
        process.start()
    taken = Counter(key for _ in processes for key in queue.get(timeout=120))
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0] * 16
    assert taken == Counter(job(number).key for number in range(60))
    assert set(Ledger(address).outcomes("e")) == set(taken)


def test_what_is_done_once_is_done_by_one(address: str) -> None:
    ledger = Ledger(address)
    first, second = Leases(ledger, "e"), Leases(ledger, "e")
    assert first.begin_once("summary")
    assert not second.begin_once("summary")
    first.leave_once("summary")
    assert second.begin_once("summary"), "the first could not do it"
    assert not second.is_done("summary")
    first.end_once("summary")
    assert second.is_done("summary")
    assert not first.begin_once("summary")


def test_a_database_that_is_away_for_a_moment_is_waited_for(
    postgresql: PostgreSQL, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ledger = Ledger(check_database_address(postgresql.create(f"away {tmp_path.name}")))
    hand = Leases(ledger, "e")
    assert hand.take(job(0)).status is LeaseStatus.ACQUIRED
    postgresql.stop()
    back = threading.Timer(4.0, postgresql.start)
    back.start()
    assert hand.take(job(1)).status is LeaseStatus.ACQUIRED
    back.join()
    assert ledger.finish("e", job(0).key, hand.owner, "run", OUTCOME)
    said = capsys.readouterr().err
    assert "the store does not answer, trying again" in said
    assert postgresql.password not in said


def test_a_database_that_stays_away_is_an_error_without_its_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEMSPAN_PATIENCE", "0.5")
    with pytest.raises(StoreError, match="did not answer") as error:
        Ledger(check_database_address("postgresql://postgres:s3cret@127.0.0.1:1/x"))
    assert "s3cret" not in str(error.value)


def test_a_wrong_password_is_said_at_once(postgresql: PostgreSQL) -> None:
    address = check_database_address(postgresql.address("postgres").replace(postgresql.password, "wr0ng-word"))
    started = time.monotonic()
    with pytest.raises(StoreError, match=r"the store cannot be used.*password authentication failed") as error:
        Ledger(address)
    assert time.monotonic() - started < 10
    assert "wr0ng-word" not in str(error.value)


@pytest.mark.parametrize("text", ["ten", "-1", "10m", "nan"])
def test_seconds_that_are_none_are_refused(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEMSPAN_PATIENCE", text)
    with pytest.raises(InputError, match="MEMSPAN_PATIENCE must be a number of seconds"):
        patience()


def test_patience_is_for_stores_and_not_for_mistakes() -> None:
    tries = []

    def unknown() -> None:
        tries.append(1)
        raise LookupError("Run with id=a502b503c504d not found")

    def wrong() -> None:
        tries.append(1)
        raise ValueError("a mistake")

    def full() -> None:
        tries.append(1)
        raise OSError(28, "No space left on device")

    with pytest.raises(ValueError, match="a mistake"):
        retried(wrong)
    with pytest.raises(LookupError):
        retried(unknown)
    with pytest.raises(StoreError, match="its disk may be full"):
        retried(full)
    assert len(tries) == 3


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("postgresql://me:hush@host/db", "postgresql://me:***@host/db"),
        ("cannot reach http://me:h:u@sh@host:5000/x now", "cannot reach http://me:***@host:5000/x now"),
        ("postgresql://me:hu/s h@host/db", "postgresql://me:***@host/db"),
        ("host=h password=hush dbname=d", "host=h password=*** dbname=d"),
        ("postgresql://host/db?password=hush", "postgresql://host/db?password=***"),
        ("postgresql://me@host/db", "postgresql://me@host/db"),
        ("no address", "no address"),
    ],
)
def test_passwords_are_not_shown(text: str, shown: str) -> None:
    assert redacted(text) == shown


@pytest.mark.parametrize(
    "address",
    [
        "nonsense",
        "mysql://me:hush@host/db",
        "ftp://host",
        "",
        "postgresql://me:hush@h:abc/d",
        "postgresql://me:hu@sh@h/d",
    ],
)
def test_an_address_that_is_none_is_refused(address: str) -> None:
    for check in (check_database_address, check_tracking_address):
        with pytest.raises(InputError) as error:
            check(address)
        assert "hush" not in str(error.value)


def test_states_are_words_that_fit_their_column() -> None:
    assert all(len(state) <= 10 for state in (RUNNING, WAITING, DONE))
