"""A damaged file of a store is named in one message, which says what to move away, and nothing recorded is lost."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from suite.errors import DamagedError
from suite.planning.job import Outcome
from suite.store.ledger import Ledger
from suite.store.store import Store
from tests.store.conftest import Call


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 3])


def garble(file: Path) -> None:
    file.write_bytes(b"hello, this is not a database")


def become_a_folder(file: Path) -> None:
    file.unlink()
    file.mkdir()


@pytest.mark.parametrize("damage", [cut, garble, become_a_folder])
def test_a_damaged_ledger_is_named_and_made_again_from_mlflow(damage: object, finished: Path, call: Call) -> None:
    before = call("leaderboard", "tiny.toml", "--json")
    ledger = finished / "mlruns" / "ledger.db"
    damage(ledger)  # type: ignore[operator]
    for command in (("status",), ("leaderboard",), ("run", "--workers", 1)):
        code, _, said = call(command[0], "tiny.toml", *command[1:])
        assert code == 1
        assert f"the ledger {str(ledger)!r} is damaged" in said
        assert "move it away, and memspan makes the ledger again from MLflow's record" in said
        assert "Traceback" not in said
    ledger.rename(finished / "away")
    assert call("leaderboard", "tiny.toml", "--json") == before


@pytest.mark.parametrize("damage", [cut, garble, become_a_folder])
def test_a_damaged_database_of_mlflow_is_named_and_the_ledger_keeps_every_result(
    damage: object, finished: Path, call: Call
) -> None:
    database = finished / "mlruns" / "mlflow.db"
    damage(database)  # type: ignore[operator]
    code, _, said = call("run", "tiny.toml", "--workers", 1, "--seeds", 3)
    assert code == 1
    assert f"MLflow's database {str(database)!r} is damaged" in said
    assert "move it away, and memspan makes a new one" in said
    assert call("leaderboard", "tiny.toml")[0] == 0


@pytest.mark.parametrize(
    "text", ["", "hello", "[]", "1", "null", "{}", '{"format": "1"}', '{"format": null}', '{"format": true}', "\udcff"]
)
def test_a_marker_of_any_other_shape_is_named_and_made_again(text: str, finished: Path, call: Call) -> None:
    marker = finished / "mlruns" / "memspan.json"
    marker.write_bytes(text.encode(errors="surrogateescape"))
    code, _, said = call("status", "tiny.toml")
    assert code == 1
    assert f"{str(marker)!r} is not what memspan writes" in said
    assert "move it away, and memspan makes it again" in said
    marker.unlink()
    Store(finished / "mlruns")
    assert json.loads(marker.read_text()) == {"format": 1}


@pytest.mark.parametrize("metrics", ["", "hello", "[]", '{"test_skill": "high"}', '{"test_skill": null}', "3"])
def test_a_row_that_is_none_is_a_damaged_ledger(metrics: str, tmp_path: Path) -> None:
    ledger = Ledger(f"sqlite:///{tmp_path / 'ledger.db'}")
    names = {"key": "k", "study": "e/adding/rnn", "role": "evaluation", "number": 0, "run_id": ""}
    ledger.add_finished("e", [(names, Outcome({}))])
    with ledger.begin() as connection:
        connection.exec_driver_sql("update memspan_runs set metrics = ?", (metrics,))
    with pytest.raises(DamagedError, match=r"the ledger .*ledger\.db' is damaged"):
        ledger.outcomes("e")
