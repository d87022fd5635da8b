"""From an experiment to its leaderboard: recorded, resumed, rebuilt."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest
import torch

import suite
from suite.data import Data
from suite.errors import InputError
from suite.experiment.loading import load
from suite.experiment.run_config import ModelConfig, RunConfig, TaskConfig, Training
from suite.leaderboards.leaderboard import MEASURED, build_leaderboard
from suite.leaderboards.text import render
from suite.numerics import numerics
from suite.planning.job import Outcome
from suite.registry import architectures
from suite.running import runner
from suite.store.process import machine
from suite.store.store import Store
from suite.training.lightning_module import Watcher
from suite.training.train import train
from tests.commands import memspan

pytestmark = pytest.mark.slow

TINY = """
title = "Tiny"
[tasks.adding]
length = 8
test_lengths = [12]
[architectures.rnn]
[architectures.gru]
[model]
hidden_size = 8
[training]
steps = 30
validate_every = 10
validation_size = 32
test_size = 32
[sweep]
trials = 2
space.learning_rate = { low = 1e-3, high = 1e-2, log = true }
[evaluation]
seeds = 3
"""


def config(**training: object) -> RunConfig:
    return RunConfig(
        task=TaskConfig(name="adding", options={}, length=10, test_lengths=(20,)),
        model=ModelConfig(architecture="gru", options=architectures.options("gru", {}), hidden_size=12),
        training=Training(**{"steps": 60, "validate_every": 20, "learning_rate": 1e-2, **training}),  # type: ignore[arg-type]
        seed=0,
        source="",
    )


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.toml"
    path.write_text(TINY, encoding="utf-8")
    return path


def test_the_same_configuration_gives_the_same_bits_and_leaves_the_generators_alone() -> None:
    before = torch.get_rng_state()
    first, second = train(config()), train(config())
    assert torch.equal(before, torch.get_rng_state())
    assert Outcome(first.metrics).repeatable == Outcome(second.metrics).repeatable
    assert {"test_skill", "steps"} < set(Outcome(first.metrics).repeatable) < set(first.metrics)
    assert first.curves == second.curves
    assert [step for step, _ in first.curves] == [20, 40, 60]


def test_training_learns_and_stops_once_the_task_is_solved() -> None:
    result = train(config(steps=2000, validate_every=50, batch_size=64))
    assert result.metrics["solved"] == 1.0
    assert result.metrics["steps_to_solve"] == result.metrics["steps"] < 2000
    assert result.metrics["test_skill"] > 0.7
    assert result.metrics["objective"] > 1.0


def test_divergence_is_an_outcome() -> None:
    result = train(config(learning_rate=1e30, clip=float("inf"), optimizer="sgd"))
    assert result.metrics["diverged"] == 1.0
    assert result.metrics["steps"] < 60
    assert result.metrics["test_skill"] == result.metrics["skill_at_length_20"] == 0.0


def test_a_pruned_run_stops_at_a_validation_and_says_so() -> None:
    result = train(config(), Watcher(should_prune=lambda step, skill: step >= 40))
    assert result.metrics["pruned"] == 1.0
    assert result.metrics["steps"] == 40


def test_a_finite_training_set_is_walked_through_in_whole_permutations() -> None:
    data = Data(TaskConfig(name="adding", options={}, length=6, train_size=10), seed=3, batch_size=4)
    seen = torch.cat([data._positions(step, 10) for step in range(5)])
    assert all(sorted(seen[i : i + 10].tolist()) == list(range(10)) for i in (0, 10))
    again = Data(TaskConfig(name="adding", options={}, length=6, train_size=10), seed=3, batch_size=4)
    assert torch.equal(data.train_batch(3).inputs, again.train_batch(3).inputs)


def test_splits_and_seeds_have_different_data() -> None:
    task = TaskConfig(name="adding", options={}, length=6)
    batches = [Data(task, seed, 4).sample(split, 4) for seed in (0, 1) for split in ("train", "validation", "test")]
    assert len({str(batch.inputs.tolist()) for batch in batches}) == 6


def test_a_run_of_the_whole_way_and_the_same_command_again_does_nothing(tiny: Path, tmp_path: Path) -> None:
    folder = tmp_path / "store"
    rows = suite.run(tiny, store=folder)
    pd.testing.assert_frame_equal(rows, suite.leaderboard(tiny, store=folder))

    store = Store(folder)
    plan = runner.open_plan(load(tiny), store)
    assert (plan.planned, plan.done) == (10, 10)
    again = runner.open_plan(load(tiny), Store(folder))
    assert again.done == again.planned
    assert not again.missing()
    assert render.as_json(build_leaderboard(again)) == render.as_json(build_leaderboard(plan))
    board = build_leaderboard(again)
    assert set(board.rows["seeds"]) == {3}
    assert board.scopes == ["adding"]
    assert render.markdown(board) == render.markdown(build_leaderboard(plan))
    assert "Fewer than 10 seeds" in render.markdown(board)

    import optuna

    from suite.planning.sweep import open_storage

    kept = optuna.load_study(study_name="tiny/adding/gru", storage=open_storage(store.journal))
    assert len(kept.trials) == 2


def test_another_budget_in_the_same_store_is_another_study(tiny: Path, tmp_path: Path) -> None:
    store = tmp_path / "store"
    for steps in (10, 30, 10):
        suite.run(tiny, store=store, steps=steps)
    parents = list(Store(store).tracking.runs("tiny", "tags.role = 'study'"))
    assert len(parents) == 4  # two architectures, two budgets
    assert {run.info.status for run in parents} == {"FINISHED"}
    assert all("test_skill" in run.data.metrics for run in parents)
    assert len(list(Store(store).tracking.runs("tiny", "tags.role != 'study'"))) == 20


def test_what_a_killed_process_left_running_is_closed(tmp_path: Path) -> None:
    tracking = Store(tmp_path / "store").tracking
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    experiment = tracking.experiment_id("tiny")
    tags = {"role": "trial", "key": "x", "machine": machine()}
    left = tracking.client.create_run(experiment, tags={**tags, "pid": str(gone.pid)})
    alive = tracking.client.create_run(experiment, tags={**tags, "pid": str(os.getpid())})
    tracking.close_abandoned("tiny")
    assert tracking.client.get_run(left.info.run_id).info.status == "KILLED"
    assert tracking.client.get_run(alive.info.run_id).info.status == "RUNNING"


def test_killed_at_any_moment_and_run_again_the_leaderboard_is_the_same(tiny: Path, tmp_path: Path) -> None:
    whole = memspan("run", tiny, "--store", "whole", "--workers", 1, cwd=tmp_path)
    assert whole.returncode == 0, whole.stderr
    command = [sys.executable, "-m", "suite", "run", str(tiny), "--store", "broken", "--workers", "2"]
    process = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True, start_new_session=True)
    assert process.stderr is not None
    process.stderr.readline()  # a first run is finished
    time.sleep(0.3)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    before = runner.open_plan(load(tiny), Store(tmp_path / "broken"))
    assert 0 < before.done < before.planned
    assert memspan("run", tiny, "--store", "broken", "--workers", 2, cwd=tmp_path).returncode == 0

    def board(store: str) -> list[dict[str, object]]:
        rows = build_leaderboard(runner.open_plan(load(tiny), Store(tmp_path / store))).rows.drop(
            columns=list(MEASURED)
        )
        return json.loads(rows.to_json(orient="records"))  # type: ignore[no-any-return]

    assert board("whole") == board("broken")


@pytest.mark.skipif(shutil.which("ps") is None, reason="ps (procps) is not installed")
def test_workers_end_with_the_command_that_is_killed(tiny: Path, tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "suite",
        "run",
        str(tiny),
        "--store",
        "store",
        "--steps",
        "100000",
        "--workers",
        "2",
    ]
    process = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.DEVNULL, start_new_session=True)

    def group() -> list[str]:
        found = subprocess.run(["ps", "-o", "pid=", "-g", str(process.pid)], capture_output=True, text=True)
        return found.stdout.split()

    deadline = time.monotonic() + 90
    while len(group()) < 3 and time.monotonic() < deadline:
        time.sleep(0.2)
    assert len(group()) >= 3
    time.sleep(2)
    process.kill()
    process.wait()
    deadline = time.monotonic() + 30
    while group() and time.monotonic() < deadline:
        time.sleep(0.2)
    assert not group()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run", "quik"], "did you mean 'quick'?"),
        (["run", "quick", "--architectures", "grru"], "unknown architecture 'grru' of experiment 'quick'"),
        (["leaderboard", "quick", "--store", "nowhere"], "no store in 'nowhere'"),
        (["run", "quick", "--seeds", "0"], "--seeds"),
    ],
)
def test_bad_input_is_one_message_and_exit_code_2(arguments: list[str], message: str, tmp_path: Path) -> None:
    done = memspan(*arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.iterdir())


def test_a_store_of_a_newer_version_or_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "memspan.json").write_text('{"format": 999}', encoding="utf-8")
    with pytest.raises(InputError, match="format 999 of a newer memspan"):
        Store(tmp_path)
    with pytest.raises(InputError, match="cannot be written"):
        Store(tmp_path / "memspan.json")
    assert json.loads((tmp_path / "memspan.json").read_text()) == {"format": 999}


@pytest.mark.parametrize(("workers", "number"), [(1, signal.SIGTERM), (2, signal.SIGINT)])
def test_interrupted_once_it_keeps_checkpoints_and_the_same_command_goes_on(
    tiny: Path, tmp_path: Path, workers: int, number: signal.Signals
) -> None:
    arguments = ["run", str(tiny), "--store", "store", "--steps", "3000", "--trials", "0", "--seeds", "2"]
    command = [sys.executable, "-m", "suite", *arguments, "--workers", str(workers)]
    process = subprocess.Popen(
        command,
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        # A shell's background job, as the tests may be, ignores SIGINT and hands that down.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    assert process.stderr is not None
    process.stderr.readline()  # a first run is finished
    time.sleep(0.7)
    os.killpg(process.pid, number)  # what a terminal does
    said = process.stderr.read()
    assert process.wait(timeout=60) == 1
    assert "Traceback" not in said
    assert "keep checkpoints" in said
    assert "the same command goes on from there" in said
    runs = list(Store(tmp_path / "store").tracking.runs("tiny", "tags.role != 'study'"))
    assert {run.info.status for run in runs} <= {"FINISHED", "KILLED"}
    assert len(list((tmp_path / "store" / "checkpoints").iterdir())) >= 1
    done = memspan(*arguments, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert not list((tmp_path / "store" / "checkpoints").iterdir())


def test_interrupted_twice_it_stops_at_once(tiny: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "suite", "run", str(tiny), "--store", "store", "--workers", "2"]
    process = subprocess.Popen(
        [*command, "--steps", "200000", "--trials", "0"],
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "MEMSPAN_CHECKPOINT_SECONDS": "0.1"},
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    checkpoints = tmp_path / "store" / "checkpoints"
    deadline = time.monotonic() + 90
    while not (checkpoints.exists() and list(checkpoints.glob("*.pt"))):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    os.killpg(process.pid, signal.SIGINT)
    assert process.stderr is not None
    assert any("Ctrl-C again" in line for line in process.stderr)  # Two signals at once may arrive as one.
    os.killpg(process.pid, signal.SIGINT)
    said = process.communicate(timeout=60)[1]
    assert process.returncode == 1
    assert "the same command goes on from there" in said
    assert not Store(tmp_path / "store").finished("tiny")


def test_the_overhead_is_the_sum_of_its_shares() -> None:
    from suite.timing.run_overhead import KINDS, SHARES, measure_overhead

    rows = measure_overhead("rnn", steps=40, repetitions=1)
    assert [row["optimizer"] for row in rows] == list(KINDS)
    for row in rows:
        assert sum(row[name] for name in SHARES) == pytest.approx(row["ratio"])
        assert row["ratio"] == pytest.approx(row["whole_seconds"] / row["bare_seconds"])


def test_list_shows_what_there_is(tmp_path: Path) -> None:
    found = json.loads(memspan("list", "--json", cwd=tmp_path).stdout)
    assert set(found["architectures"]) == set(architectures.names())
    assert "quick" in found["experiments"]
    of_family = memspan("list", "--family", "gated", cwd=tmp_path).stdout.split("\n")
    assert {line.split()[0] for line in of_family if line.startswith("    ") and line[4] != " "} >= {"gru", "lstm"}
    assert not any("adding" in line for line in of_family)


def test_the_smallest_numbers_are_zeros_during_a_run_and_only_then() -> None:
    tiny = torch.tensor([1e-30])
    with numerics(threads=1):
        assert (tiny * 1e-10).item() == 0.0
        assert torch.get_num_threads() == 1
    assert (tiny * 1e-10).item() > 0.0
