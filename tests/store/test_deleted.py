"""What was deleted in MLflow's UI is restored, or made again, as soon as there are runs to record."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from suite.store.store import Store
from tests.store.conftest import Call


def test_an_experiment_that_was_deleted_in_mlflow_is_restored_when_its_runs_go_on(finished: Path, call: Call) -> None:
    client = Store(finished / "mlruns").tracking.client
    client.delete_experiment(client.get_experiment_by_name("tiny").experiment_id)
    code, _, said = call("run", "tiny.toml", "--seeds", 3, "--workers", 1, "--quiet")
    assert code == 0, said
    assert "the experiment 'tiny' was deleted in MLflow; it is restored" in said
    runs = Store(finished / "mlruns").tracking.runs("tiny", "attributes.status = 'FINISHED' and tags.key LIKE '%'")
    assert Counter(Counter(run.data.tags["key"] for run in runs).values()) == {1: 6}


def test_an_experiment_that_is_deleted_while_it_runs_is_restored_for_the_next_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tracking = Store(tmp_path / "store").tracking
    first = tracking._create_run("e", "first", {})
    tracking.client.delete_experiment(tracking.experiment_id("e"))
    second = tracking._create_run("e", "second", {})
    assert "it is restored" in capsys.readouterr().err
    assert {run.info.run_id for run in tracking.runs("e", "")} == {first.info.run_id, second.info.run_id}


def test_a_deleted_experiment_still_makes_a_lost_ledger_again(finished: Path, call: Call) -> None:
    before = call("leaderboard", "tiny.toml", "--json")
    client = Store(finished / "mlruns").tracking.client
    client.delete_experiment(client.get_experiment_by_name("tiny").experiment_id)
    (finished / "mlruns" / "ledger.db").unlink()
    assert call("leaderboard", "tiny.toml", "--json") == before
