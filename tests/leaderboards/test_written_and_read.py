"""What is written follows from the runs, whatever they are; and looking at it runs no code that it names."""

from __future__ import annotations

import json
import random
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from suite.errors import InputError
from suite.leaderboards.files import write
from suite.leaderboards.leaderboard import build_leaderboard
from suite.leaderboards.page.data import page_data
from suite.leaderboards.proof.checks import check_manifest
from suite.leaderboards.proof.manifest import MANIFEST_FILE, RUNS_FILE, read_manifest
from suite.leaderboards.text import render
from suite.planning.job import Job
from suite.results.record import Record
from tests.mutations import EVIL, READERS, few_resamples, foreign, memspan, sandbox, written
from tests.synthetic import made_up

SPACE: dict[str, Any] = {
    "learning_rate": {"low": 1e-3, "high": 1e-1, "log": True},
    "clip": [0.1, 0.3, 1.0, 3.0],
    "weight_decay": [0.0, 0.1, 0.2],
    "forget_bias": {"low": -1, "high": 3},
    "delay": [0, 1, 2],
}
TASKS: dict[str, Any] = {
    "adding": {"length": 8, "test_lengths": [12, 10, 16]},
    "memory": {"task": "sequence_memory", "lag": [4, 2, 3], "length": 9},
    "ranged": {"task": "state_tracking", "length": {"low": 3, "high": 9}, "test_lengths": [12, 20, 31]},
    "both": {"task": "sequence_memory", "mode": ["recall", "n_back"], "length": [6, 5]},
    "sizes": {"task": "counting", "length": 12, "train_size": [200, 50]},
}
ARCHITECTURES: dict[str, Any] = {
    "wide": {"architecture": "lstm", "hidden_size": 12},
    "rnn": {"init": "orthogonal"},
    "gru": {"training": {"clip": 1.0}},
    "a-b": {"architecture": "lstm", "forget_bias": 2.0},
}


@st.composite
def experiments(draw: st.DrawFn) -> dict[str, Any]:
    """Draw an experiment with some tasks, rows and dimensions, in any order."""

    def some(table: dict[str, Any], fewest: int) -> dict[str, Any]:
        order = draw(st.permutations(sorted(table)))
        return {name: table[name] for name in order[: draw(st.integers(fewest, len(order)))]}

    rows = some(ARCHITECTURES, 1)
    space = some(SPACE, 1)
    if not {"wide", "gru", "rnn"} & set(rows) or list(space) == ["forget_bias"] or list(space) == ["clip"]:
        space["learning_rate"] = SPACE["learning_rate"]
    if not {"wide"} & set(rows):
        space.pop("forget_bias", None)
    return {
        "tasks": some(TASKS, 1),
        "architectures": rows,
        "model": {"hidden_size": 6},
        "sweep": {"trials": draw(st.sampled_from([3, 5])), "finalists": draw(st.sampled_from([1, 2])), "space": space},
        "evaluation": {"seeds": draw(st.permutations([0, 3, 1]))},
    }


def drawn(job: Job) -> dict[str, float]:
    """What a run measured: the better, the nearer its settings lie to an edge, and some runs without some metrics."""
    rng = random.Random(job.key)
    metrics = {"skill": rng.random(), "gap_skill": rng.uniform(-0.1, 0.1), "diverged": float(rng.random() < 0.1)}
    if rng.random() < 0.5:
        metrics |= {"steps_to_solve": float(rng.randrange(1, 30)), "solved": 1.0}
    return metrics | {f"skill_at_length_{n}": rng.random() for n in job.config.task.test_lengths}


@settings(max_examples=2)
@given(experiments())
def test_a_freshly_written_board_follows_from_its_runs(tables: dict[str, Any]) -> None:
    with sandbox() as folder:
        write(build_leaderboard(Record.of(made_up(tables, drawn))), folder / "board")
        found = check_manifest(read_manifest(folder / "board"), [])
        assert (found.wrong, found.notes) == ([], [])


@settings(max_examples=3)
@given(experiments())
def test_every_source_of_a_board_gives_the_same_tables_and_the_same_page(tables: dict[str, Any]) -> None:
    record = Record.of(made_up(tables, drawn))
    with sandbox() as folder:
        record.write(folder / RUNS_FILE, {"definitions": {}, "data": {}})
        boards = [build_leaderboard(source) for source in (record, Record.read(folder / RUNS_FILE))]
    first, second = (
        (render.as_json(board), render.markdown(board), page_data(board, {"digest": "sha256:0"}, []))
        for board in boards
    )
    assert first == second


@pytest.fixture
def board(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with a manifest, in which some classes are of a module that lies beside it and must not be imported."""
    for name in (EVIL, "numpy", "pandas", "json", "torch", "suite", "tasks"):
        (tmp_path / f"{name}.py").write_text(f"import sys\nsys.{EVIL} = True\n", encoding="utf-8")
    (tmp_path / MANIFEST_FILE).write_bytes(foreign(written()[MANIFEST_FILE]))
    monkeypatch.chdir(tmp_path)
    sys.path.append(str(tmp_path))
    yield tmp_path
    sys.path.remove(str(tmp_path))
    assert not hasattr(sys, EVIL)


def test_looking_at_a_folder_runs_none_of_its_code(board: Path) -> None:
    with few_resamples:
        assert memspan("leaderboard", ".", "--frozen").code == 0
        assert memspan("compare", ".", ".").code == 0
        verified = memspan("verify", ".")
    assert verified.code == 1  # Its digests do not fit.
    said = " ".join(verified.output.split())
    assert f"It would import {EVIL}:Evil, {EVIL}:Task; read that, and give --trust if you trust it" in said


def test_no_name_in_a_manifest_leads_out_of_the_store(board: Path) -> None:
    manifest = board / MANIFEST_FILE
    for name in ("../../x", "/tmp/x", "..", "con", "a\\b"):
        manifest.write_bytes(written()[MANIFEST_FILE].replace(b"made_up", json.dumps(name)[1:-1].encode()))
        answer = memspan("leaderboard", ".", "--frozen")
        assert answer.code == 2
        assert "experiment: name" in answer.error
    outputs = {**json.loads(written()[MANIFEST_FILE]), "outputs": {"../../../etc/passwd": "0"}}
    manifest.write_text(json.dumps(outputs), encoding="utf-8")
    with pytest.raises(InputError, match="the name of a file has letters"):
        read_manifest(board)


@pytest.mark.parametrize(
    ("reader", "examples"), [("manifests", 12), ("runs", 12), ("tables", 5), ("models", 12), ("ledgers", 4)]
)
def test_a_mutated_file_is_shown_or_refused_with_one_message(reader: str, examples: int) -> None:
    @settings(max_examples=examples)
    @given(st.integers(0, 2**32))
    def hold(seed: int) -> None:
        with sandbox() as folder:
            READERS[reader](folder, random.Random(seed))

    hold()


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("experiment/sweep", -1, "experiment: sweep: input should be a valid dictionary"),
        ("experiment/name", "another", "no row"),
        ("rows/0/study", {}, "rows.0.study: input should be a valid string; got {}"),
        ("rows/0/metrics/test_skill/0", "x", "rows.0.metrics.test_skill.0: input should be a valid number; got 'x'"),
        ("rows/0/metrics/test_skill/0", None, "every run has test_skill"),
        ("rows/0/metrics/sequences_per_second/0", 0.0, "sequences_per_second lies between"),
        ("rows/0/number/1", 0, "stands there twice"),
        ("rows/0/params/0/learning_rate", "x", "is not in its search space"),
        ("counts/done", -1, "counts.done: input should be greater than or equal to 0"),
        ("environments//packages", [], "packages: input should be a valid dictionary"),
        ("format", "1", "format: input should be a valid integer; got '1'"),
    ],
)
def test_the_schema_of_a_manifest_names_the_place(path: str, value: Any, message: str, tmp_path: Path) -> None:
    data = json.loads(written()[MANIFEST_FILE])
    *above, last = path.split("/")
    part = data
    for key in above:
        part = part[int(key) if isinstance(part, list) else key]
    part[int(last) if isinstance(part, list) else last] = value
    (tmp_path / MANIFEST_FILE).write_text(json.dumps(data), encoding="utf-8")
    with pytest.raises(InputError) as refused:
        read_manifest(tmp_path)
    assert "is not a manifest of memspan" in str(refused.value)
    assert message in str(refused.value)
