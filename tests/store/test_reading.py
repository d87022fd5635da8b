"""Whoever only looks writes nothing, and needs no right to write."""

from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from suite.errors import StoreError
from suite.planning.job import Outcome
from suite.store.addresses import check_database_address
from suite.store.lease import Leases
from suite.store.ledger import Ledger
from suite.store.store import Store
from tests.servers import PostgreSQL
from tests.store.conftest import Call, write_experiment
from tests.store.test_ledger import OUTCOME, job

LOOKS = [
    ("list",),
    ("list", "gru"),
    ("run", "tiny.toml", "--dry-run"),
    ("status", "tiny.toml"),
    ("leaderboard", "tiny.toml"),
    ("leaderboard", "tiny.toml", "--output", "{elsewhere}"),
    ("compare", "tiny.toml", "tiny.toml"),
    ("doctor",),
    ("claims", "claim.toml", "--dry-run"),
    ("gradients", "--architectures", "rnn", "--length", "10", "--seeds", "1", "--output", "{elsewhere}"),
]


def tree(folder: Path) -> dict[str, bytes | None]:
    """Every file and folder below a folder, with the bytes of the files."""
    return {str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None for path in folder.rglob("*")}


@pytest.mark.parametrize("arguments", LOOKS, ids=" ".join)
def test_what_looks_writes_nothing(arguments: tuple[str, ...], finished: Path, tmp_path: Path, call: Call) -> None:
    before = tree(finished)
    given = [argument.format(elsewhere=tmp_path / "elsewhere") for argument in arguments]
    code, _, said = call(*given)
    assert code == 0, said
    assert tree(finished) == before


@pytest.mark.parametrize("arguments", LOOKS, ids=" ".join)
def test_what_looks_makes_no_store(
    arguments: tuple[str, ...], tmp_path: Path, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "empty"
    folder.mkdir()
    write_experiment(folder)
    monkeypatch.chdir(folder)
    before = tree(folder)
    code, _, said = call(*(argument.format(elsewhere=tmp_path / "elsewhere") for argument in arguments))
    needs_runs = arguments[0] in ("status", "leaderboard", "compare")
    assert code == (2 if needs_runs else 0), said
    assert ("no store in 'mlruns'" in said) is needs_runs
    assert tree(folder) == before


def test_what_looks_with_addresses_makes_no_tables(
    finished: Path, postgresql: PostgreSQL, tmp_path: Path, call: Call
) -> None:
    places = [postgresql.create(f"{name}_{tmp_path.name}") for name in ("ledger", "mlflow")]
    given = ("--storage", places[0], "--tracking-uri", places[1])
    for command, code in ((("status", "tiny.toml"), 1), (("run", "tiny.toml", "--dry-run"), 0), (("doctor",), 0)):
        assert call(*command, *given)[0] == code
    import psycopg

    for place in places:
        with psycopg.connect(place) as connection:
            found = connection.execute("select count(*) from pg_tables where schemaname = 'public'").fetchone()
        assert found == (0,)


@contextmanager
def somebody_else() -> Iterator[None]:
    """In this context, the superuser has the rights of an ordinary user."""
    user = os.getuid()
    if user == 0:
        os.setresuid(65534, 65534, user)
    try:
        yield
    finally:
        os.setresuid(user, user, user)


@pytest.fixture
def of_another(made: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A working folder with a store that everybody may read and nobody may write."""
    with tempfile.TemporaryDirectory(prefix="memspan-") as name:  # Others cannot enter the folders of pytest.
        folder = Path(name)
        shutil.copytree(made, folder, dirs_exist_ok=True)
        for path in (folder, *folder.rglob("*")):
            path.chmod(0o555 if path.is_dir() else 0o444)
        monkeypatch.chdir(folder)
        yield folder
        for path in (folder, *folder.rglob("*")):
            path.chmod(0o755)


def test_a_store_that_may_only_be_read_looks_as_it_does_to_its_owner(of_another: Path, call: Call) -> None:
    looks = [("leaderboard", "tiny.toml"), ("status", "tiny.toml"), ("compare", "tiny.toml", "tiny.toml")]
    seen_by_owner = [call(*look) for look in looks]
    with somebody_else():
        assert [call(*look) for look in looks] == seen_by_owner
        code, _, said = call("run", "tiny.toml", "--workers", 1)
    assert [code for code, _, _ in seen_by_owner] == [0, 0, 0]
    assert code == 2, said
    assert f"you may only read {str(of_another / 'mlruns')!r}" in said
    assert "disk" not in said


def test_a_lost_ledger_is_read_from_mlflow_without_being_made_again(finished: Path, call: Call) -> None:
    before = call("leaderboard", "tiny.toml", "--json")
    (finished / "mlruns" / "ledger.db").unlink()
    assert call("leaderboard", "tiny.toml", "--json") == before
    assert not (finished / "mlruns" / "ledger.db").exists()


def test_a_reader_sees_what_is_in_the_log_of_a_writer(tmp_path: Path) -> None:
    """Also while the writer is at work, and after it was killed."""
    file = tmp_path / "ledger.db"
    writer = Ledger(f"sqlite:///{file}")
    reader = Ledger(f"sqlite:///{file}", reads_only=True)
    owner = Leases(writer, "e")
    for number in range(3):
        owner.take(job(number))
        assert writer.finish("e", job(number).key, owner.owner, "run", OUTCOME)
        assert len(reader.outcomes("e")) == number + 1
    assert (tmp_path / "ledger.db-wal").stat().st_size > 0, "the writer still has its log"
    shutil.copytree(tmp_path, tmp_path / "killed")
    assert len(Ledger(f"sqlite:///{tmp_path / 'killed' / 'ledger.db'}", reads_only=True).outcomes("e")) == 3


def test_a_reader_is_right_although_writers_come_and_go(tmp_path: Path) -> None:
    """Each writer empties its log at its end, so that readers meet every state of the files."""
    file = tmp_path / "ledger.db"
    Ledger(f"sqlite:///{file}").engine.dispose()
    counts: list[int] = []
    at_work = threading.Event()

    def read() -> None:
        reader = Ledger(f"sqlite:///{file}", reads_only=True)
        while not at_work.is_set():
            counts.append(len(reader.outcomes("e", curves=True)))

    thread = threading.Thread(target=read)
    thread.start()
    for number in range(40):
        writer = Ledger(f"sqlite:///{file}")
        finished = {"key": f"{number}", "study": "e/adding/rnn", "role": "evaluation", "number": number, "run_id": ""}
        writer.add_finished("e", [(finished, Outcome(dict.fromkeys(map(str, range(400)), 0.1)))])
        writer.engine.dispose()
    at_work.set()
    thread.join()
    assert counts == sorted(counts)
    assert len(Ledger(f"sqlite:///{file}", reads_only=True).outcomes("e")) == 40


def test_a_ledger_of_an_earlier_memspan_is_read_as_it_is(finished: Path) -> None:
    ledger = finished / "mlruns" / "ledger.db"
    with sqlite3.connect(ledger) as connection:
        connection.execute("ALTER TABLE memspan_runs DROP COLUMN environment")
    connection.close()
    before = ledger.read_bytes()
    store = Store(finished / "mlruns", reads_only=True)
    assert len(store.finished("tiny")) == 4
    assert ledger.read_bytes() == before


def test_a_role_that_may_only_select_can_look(postgresql: PostgreSQL, tmp_path: Path) -> None:
    import psycopg

    address = postgresql.create(f"reading_{tmp_path.name}")
    ledger = Ledger(check_database_address(address))
    owner = Leases(ledger, "e")
    owner.take(job(0))
    assert ledger.finish("e", job(0).key, owner.owner, "run", OUTCOME)
    with psycopg.connect(address, autocommit=True) as connection:
        connection.execute("CREATE ROLE onlooker LOGIN PASSWORD 'looks'")
        connection.execute("GRANT SELECT ON ALL TABLES IN SCHEMA public TO onlooker")
    theirs = address.replace(f"postgres:{postgresql.password}", "onlooker:looks")
    store = Store(tmp_path / "store", theirs, reads_only=True)
    assert set(store.finished("e")) == {job(0).key}
    assert not store.ledger.unfinished("e")
    with pytest.raises(StoreError, match=r"cannot be used .*permission denied") as error:
        Leases(Store(tmp_path / "store", theirs).ledger, "e").take(job(1))
    assert "disk" not in str(error.value)
