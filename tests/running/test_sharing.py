"""One experiment, many hands: commands, machines and faults, on embedded files and on real servers."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

import suite
from suite import engines
from suite.console.status import collect_status
from suite.experiment.loading import load
from suite.leaderboards.leaderboard import MEASURED, build_leaderboard
from suite.leaderboards.text.render import as_json
from suite.planning.job import Job, Outcome
from suite.planning.plan import Plan
from suite.running import runner
from suite.running.execute import open_store
from suite.store.lease import Leases
from suite.store.store import Store
from tests import servers
from tests.chaos import chaos
from tests.commands import memspan
from tests.helpers import Notes

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
TINY = """
title = "Tiny"
[tasks.adding]
length = 8
[architectures.rnn]
[architectures.gru]
[model]
hidden_size = 8
[training]
steps = 40
validate_every = 20
validation_size = 32
test_size = 32
[sweep]
trials = 3
sampler = "tpe"
space.learning_rate = { low = 1e-3, high = 1e-2, log = true }
[evaluation]
seeds = 8
"""
FAILING = '''
"""A cell with a bug, and one that kills its process."""
import os, signal
import torch
from suite.architectures._base import Cell, input_weight

class Buggy(Cell):
    """With a bug."""
    def __init__(self, input_size, hidden_size):
        super().__init__(input_size, hidden_size)
        self.W = input_weight(1, hidden_size, input_size)
    def initial_state(self, batch_size):
        return self.zeros(batch_size, self.hidden_size)
    def step(self, x, state):
        raise RuntimeError("a bug in step")

class Deadly(Buggy):
    """Ends its process."""
    def step(self, x, state):
        os.kill(os.getpid(), signal.SIGKILL)
'''


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.toml"
    path.write_text(TINY, encoding="utf-8")
    return path


def start(*arguments: object, cwd: Path, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "memspan", *map(str, arguments)],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def done(process: subprocess.Popen[str]) -> tuple[str, str]:
    said = process.communicate(timeout=300)
    assert process.returncode == 0, said[1]
    return said


def rows_in(store: Store, path: Path, **selection: Any) -> list[dict[str, Any]]:
    """The rows of a leaderboard, without what is measured by a clock."""
    board = build_leaderboard(runner.open_plan(load(path).select(**selection), store))
    found: list[dict[str, Any]] = json.loads(as_json(board))["rows"]
    return [{k: v for k, v in row.items() if k not in MEASURED} for row in found]


@pytest.fixture(scope="session")
def alone(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """The leaderboard of one undisturbed process."""
    folder = tmp_path_factory.mktemp("alone")
    (folder / "tiny.toml").write_text(TINY, encoding="utf-8")
    suite.run(folder / "tiny.toml", store=folder / "store")
    return rows_in(Store(folder / "store"), folder / "tiny.toml")


def times_finished(store: Store, experiment: str = "tiny") -> Counter[str]:
    """How often each key is FINISHED in MLflow."""
    runs = store.tracking.runs(experiment, "attributes.status = 'FINISHED' and tags.key LIKE '%'")
    return Counter(run.data.tags["key"] for run in runs)


def test_two_commands_on_one_folder_share_the_work(tiny: Path, tmp_path: Path, alone: list[dict[str, Any]]) -> None:
    hands = [start("run", "tiny.toml", "--store", "both", "--workers", 2, cwd=tmp_path) for _ in range(2)]
    for hand in hands:
        assert "skill" in done(hand)[0]
    store = Store(tmp_path / "both")
    assert set(times_finished(store).values()) == {1}
    assert len(times_finished(store)) == 22
    assert rows_in(store, tiny) == alone

    import optuna

    from suite.planning.sweep import open_storage

    kept = optuna.load_study(study_name="tiny/adding/gru", storage=open_storage(store.journal))
    assert len(kept.trials) == 3
    studies = list(store.tracking.runs("tiny", "tags.role = 'study'"))
    assert sorted(run.info.status for run in studies) == ["FINISHED", "FINISHED"]


def test_two_commands_share_the_work_through_postgresql_and_an_mlflow_server(
    tiny: Path, tmp_path: Path, shared_store: tuple[str, servers.MLflow], alone: list[dict[str, Any]]
) -> None:
    """As two machines would, each with a folder of its own; one has the addresses from its environment."""
    storage, server = shared_store
    given = ("--storage", storage, "--tracking-uri", server.address)
    first = start("run", "tiny.toml", "--store", "one", *given, "--workers", 2, cwd=tmp_path)
    environment = {"OPTUNA_STORAGE": storage, "MLFLOW_TRACKING_URI": server.address}
    second = start("run", "tiny.toml", "--store", "two", "--workers", 1, cwd=tmp_path, **environment)
    said = done(first) + done(second)
    password = storage.split(":")[2].split("@")[0]
    assert not any(password in text for text in said)
    store = Store(tmp_path / "one", storage, server.address)
    assert set(times_finished(store).values()) == {1}
    assert len(times_finished(store)) == 22
    assert rows_in(store, tiny) == alone

    found = memspan("doctor", "--store", "one", *given, cwd=tmp_path).stdout
    assert re.search(r"ledger\s.*answers, postgresql \d+", found.replace("\n", " "))
    assert re.search(r"MLflow\s.*answers, server of\s+version", found.replace("\n", " "))
    assert password not in found

    run = next(iter(store.tracking.runs("tiny", "tags.role = 'evaluation'")))
    names = {item.path for item in store.tracking.client.list_artifacts(run.info.run_id)}
    assert {"config.json", "environment.json", "learning_curve.png"} <= names
    recorded = json.dumps([run.data.tags, run.data.params])
    environment_file = Path(store.tracking.client.download_artifacts(run.info.run_id, "environment.json"))
    assert password not in recorded + environment_file.read_text()


def test_runs_as_tasks_of_a_ray_cluster(
    tiny: Path, tmp_path: Path, shared_store: tuple[str, servers.MLflow], ray_cluster: servers.RayCluster
) -> None:
    """One of its machines is lost on the way. What lies in the working folder hides nothing from the others."""
    for name in ("copy", "numpy", "suite/__init__", "tasks/__init__"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / f"{name}.py").write_text("raise SystemExit('the wrong module')", encoding="utf-8")
    (tmp_path / "cluster.toml").write_text(TINY.replace("steps = 40", "steps = 1500"), encoding="utf-8")
    storage, server = shared_store
    ray_cluster.start("127.0.0.6", "--num-cpus", "2")
    given = ("--store", "one", "--storage", storage, "--tracking-uri", server.address)
    process = start(
        *("run", "cluster.toml", "--trials", 0, "--seeds", 4, *given),
        *("--engine", "ray", "--address", ray_cluster.address),
        cwd=tmp_path,
    )
    assert process.stderr is not None
    lines = [process.stderr.readline()]  # a first run is finished
    ray_cluster.kill("127.0.0.6")
    text, error = process.communicate(timeout=300)
    assert process.returncode == 0, error
    assert "skill" in text
    lines += error.splitlines()
    assert sum("validation skill" in line for line in lines) == 8
    store = Store(tmp_path / "one", storage, server.address)
    assert set(times_finished(store, "cluster").values()) == {1}
    suite.run(tmp_path / "cluster.toml", store=tmp_path / "alone", trials=0, seeds=4)
    chosen = load(tmp_path / "cluster.toml").select(trials=0, seeds=4)
    alone = runner.open_plan(chosen, Store(tmp_path / "alone"))
    cluster = runner.open_plan(chosen, store)
    assert cluster.done == alone.done == 8
    for key, outcome in alone.finished.items():
        assert cluster.finished[key].metrics["test_loss"] == outcome.metrics["test_loss"]


def test_a_run_that_fails_three_times_is_reported_and_stops_nobody(tiny: Path, tmp_path: Path) -> None:
    (tmp_path / "failing.py").write_text(FAILING, encoding="utf-8")
    tables = "".join(f'[architectures.{n.lower()}]\narchitecture = "failing:{n}"\n' for n in ("Buggy", "Deadly"))
    text = TINY.replace("[model]", f"{tables}[model]").replace("trials = 3", "trials = 0")
    tiny.write_text(re.sub(r"space\..*\n", "", text), encoding="utf-8")
    path = f"{ROOT}:{tmp_path}"
    arguments = ("tiny.toml", "--seeds", 2, "--store", "store")
    process = start("run", *arguments, "--no-check", "--workers", 2, cwd=tmp_path, PYTHONPATH=path)
    shown, said = process.communicate(timeout=300)
    assert process.returncode == 1, said
    assert "4 of 8 runs are missing: 4 were given up" in said
    assert said.count("a bug in step; it will be tried again") == 4
    assert said.count("a bug in step; the run is given up") == 2
    assert said.count("Traceback") == 1
    assert "buggy on adding, seed 0: " in said
    assert "process died: killed, or out of memory; the run is given up" in said
    assert "Incomplete: 4 of 8" in " ".join(shown.split())

    status = memspan("status", *arguments, "--json", cwd=tmp_path, PYTHONPATH=path)
    found = json.loads(status.stdout)
    assert status.returncode == 1
    assert found["totals"] == {"done": 4, "running": 0, "failed": 4, "missing": 0}
    assert {(entry["failures"], entry["study"]) for entry in found["failed"]} == {
        (3, "tiny/adding/buggy"),
        (3, "tiny/adding/deadly"),
    }
    chosen = ("--workers", 1, "--architectures", "rnn,buggy", "--no-check")
    again = start("run", *arguments, *chosen, cwd=tmp_path, PYTHONPATH=path)
    _, said = again.communicate(timeout=300)
    assert again.returncode == 1
    assert "will be tried again" not in said
    statuses = Counter(run.info.status for run in Store(tmp_path / "store").tracking.runs("tiny", "tags.key LIKE '%'"))
    assert statuses["FINISHED"] == 4
    assert statuses["RUNNING"] == 0


def test_status_shows_what_runs_elsewhere(tiny: Path, tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    plan = runner.open_plan(load(tiny), store)
    found = collect_status(plan, store)
    assert found.totals == {"done": 0, "running": 0, "failed": 0, "missing": 22}
    with Leases(store.ledger, "tiny") as hand:
        hand.take(next(iter(plan.missing().values())))
        text = memspan("status", "tiny.toml", "--store", "store", cwd=tmp_path).stdout
        assert re.search(
            r"running tiny/adding/rnn trial 0: for \d+ s by process \d+ of .*heartbeat \d s ago", " ".join(text.split())
        )
    assert collect_status(plan, store).totals["running"] == 0


def test_a_ledger_that_is_lost_is_made_again_from_mlflow(tiny: Path, tmp_path: Path) -> None:
    suite.run(tiny, store=tmp_path / "store", seeds=2)
    before = rows_in(Store(tmp_path / "store"), tiny, seeds=2)
    for path in (tmp_path / "store").glob("ledger.db*"):
        path.unlink()
    assert rows_in(Store(tmp_path / "store"), tiny, seeds=2) == before
    curves = [outcome.curve for outcome in Store(tmp_path / "store").finished("tiny", curves=True).values()]
    assert {tuple(step for step, _ in curve) for curve in curves} == {(20, 40)}


def test_a_lost_mlflow_database_loses_no_result(tiny: Path, tmp_path: Path) -> None:
    def run(*selection: object) -> None:
        done = memspan("run", "tiny.toml", "--store", "store", "--workers", 1, "--quiet", *selection, cwd=tmp_path)
        assert done.returncode == 0, done.stderr

    run("--seeds", 2)
    for path in (tmp_path / "store").glob("mlflow.db*"):
        path.unlink()
    run("--seeds", 3)
    run("--seeds", 3)
    assert len(Store(tmp_path / "store").finished("tiny")) == 12
    assert len(times_finished(Store(tmp_path / "store"))) == 2


def _nothing(job: Job, place: Any, experiment: str, parent: str, owner: str, signals: Any) -> Outcome | None:
    """A run that takes no time."""
    store = open_store(place)
    outcome = Outcome({"test_skill": 0.0, "pruned": 0.0, "objective": 0.0})
    return outcome if store.ledger.finish(experiment, job.key, owner, "", outcome) else None


def test_what_another_hand_has_done_in_the_meantime_is_not_done_again(tiny: Path, tmp_path: Path) -> None:
    """Two plans that were made before anything was done."""
    chosen = load(tiny).select(trials=0)
    stores = [Store(tmp_path / "store") for _ in range(2)]
    plans = [runner.open_plan(chosen, store) for store in stores]
    counts = []
    for plan, store in zip(plans, stores, strict=True):
        did: list[str] = []

        def do(job: Job, *rest: Any, did: list[str] = did) -> Outcome | None:
            did.append(job.key)
            return _nothing(job, *rest)

        listener = Notes()
        assert not runner.run(plan, store, engines.Inline(), listener, execute_run=do)
        assert len(set(listener.done)) == 16
        counts.append(len(did))
    assert counts == [16, 0]
    assert [plan.done for plan in plans] == [16, 16]


def _do_nothing(path: Path, text: str, folder: Path) -> Plan:
    path.write_text(text, encoding="utf-8")
    store = Store(folder)
    plan = runner.open_plan(load(path), store)
    assert not runner.run(plan, store, engines.Inline(), execute_run=_nothing)
    return plan


def test_two_studies_may_ask_for_the_same_run(tiny: Path, tmp_path: Path) -> None:
    """The default of one row is what the other fixes; both go on once it is done."""
    row = "[architectures.gru]\n[architectures.same]\narchitecture = 'gru'\ntraining = { clip = 1.0 }\n"
    text = TINY.replace("[architectures.gru]\n", row).replace('sampler = "tpe"', 'sampler = "random"\ngeneration = 1')
    plan = _do_nothing(tiny, text, tmp_path / "store")
    assert plan.done == plan.planned == 33


def test_a_space_of_few_points_is_complete_when_they_are_done(tiny: Path, tmp_path: Path) -> None:
    text = TINY.replace("{ low = 1e-3, high = 1e-2, log = true }", "[1e-3, 1e-2]").replace("trials = 3", "trials = 6")
    plan = _do_nothing(tiny, text, tmp_path / "store")
    assert plan.done == plan.planned == 28
    assert collect_status(plan, Store(tmp_path / "store")).complete


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="limits the size of files, as on Linux")
def test_a_full_disk_is_one_message_and_what_was_recorded_stays(
    tiny: Path, tmp_path: Path, alone: list[dict[str, Any]]
) -> None:
    suite.run(tiny, store=tmp_path / "store", seeds=2)
    before = Store(tmp_path / "store").finished("tiny", curves=True)
    largest = max(path.stat().st_size for path in (tmp_path / "store").iterdir() if path.is_file())
    program = (
        "import resource, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN); "
        f"resource.setrlimit(resource.RLIMIT_FSIZE, ({largest + 4096},) * 2); "
        "from suite.cli import main; sys.argv[0] = 'memspan'; main()"
    )
    for workers in (1, 2):
        process = subprocess.run(
            [sys.executable, "-c", program, "run", "tiny.toml", "--store", "store", "--workers", str(workers)],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert process.returncode == 1, process.stderr
        assert "memspan: the store cannot be written, its disk may be full" in process.stderr
        assert "finished runs are kept" in process.stderr
        assert "Traceback" not in process.stderr
    now = Store(tmp_path / "store").finished("tiny", curves=True)
    assert {key: now[key] for key in before} == before
    suite.run(tiny, store=tmp_path / "store")
    assert rows_in(Store(tmp_path / "store"), tiny) == alone


@servers.needs_postgresql
def test_chaos(tmp_path: Path) -> None:
    """A small one; `python -m tests.chaos` does 40 runs with 20 kills, and as many as it is told to."""
    found = chaos(tmp_path, runs=16, kills=6)
    assert found["done"] == found["planned runs"] == found["finished runs"] == 16, found
    assert found.get("worker killed", 0) + found.get("command killed", 0) >= 6, found
    assert found["database stopped"] == 2, found
    assert found["same leaderboard"], found
    assert found["finished in MLflow and in the ledger alike"], found
    names = ("finished more than once", "left running", "recorded results that changed", "checkpoints left")
    assert not any(found[name] for name in names), found
