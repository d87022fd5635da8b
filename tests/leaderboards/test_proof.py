"""A leaderboard can be written, read, proved, frozen and compared."""

from __future__ import annotations

import io
import json
import re
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from rich.console import Console
from typer.testing import CliRunner

import suite
from suite.cli import app, main
from suite.engines import Inline
from suite.errors import InputError
from suite.experiment.loading import load
from suite.experiment.run_config import canonical_json, digest
from suite.leaderboards.changes import compare_records
from suite.leaderboards.files import freeze, write
from suite.leaderboards.leaderboard import build_leaderboard
from suite.leaderboards.proof import manifest as manifests
from suite.leaderboards.proof.checks import CheckResult, check_manifest
from suite.leaderboards.proof.retraining import RepeatedRun, differing_rows, retrain, runs_to_repeat
from suite.leaderboards.proof.trust import choose_rows
from suite.leaderboards.text import render
from suite.leaderboards.text.latex import escape
from suite.planning.job import Outcome
from suite.planning.study_progress import StudyProgress
from suite.results.record import Record, record_of
from suite.running import runner
from suite.store.store import Store
from tests.commands import memspan
from tests.synthetic import made_up

ROOT = Path(__file__).parents[2]

CELL = """
import torch
from torch import Tensor
from torch.nn.functional import linear
from suite.architectures._base import Cell, bias, input_weight, recurrent_weight

class Leaky(Cell[Tensor]):
    def __init__(self, input_size: int, hidden_size: int, *, rate: float = 0.5) -> None:
        super().__init__(input_size, hidden_size)
        self.rate = rate
        self.W, self.U = input_weight(1, hidden_size, input_size), recurrent_weight(1, hidden_size, "orthogonal")
        self.b = bias(1, hidden_size)

    def initial_state(self, batch_size: int) -> Tensor:
        return self.zeros(batch_size, self.hidden_size)

    def step(self, x: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        h = (1 - self.rate) * state + self.rate * torch.tanh(linear(x, self.W, self.b) + linear(state, self.U))
        return h, h
"""
TINY = """
title = "Tiny"
[tasks.sequence_memory]
length = 8
lag = [4, 2]
[tasks.adding]
length = 8
test_lengths = [12]
[architectures.rnn]
[architectures.leaky]
architecture = "proof_cell:Leaky"
[model]
hidden_size = 8
[training]
steps = 30
validate_every = 10
validation_size = 32
test_size = 32
diagnostics = true
[sweep]
trials = 2
space.learning_rate = { low = 1e-3, high = 1e-2, log = true }
[evaluation]
seeds = 2
"""


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with ``tiny.toml``, a cell of somebody's own, a ``store``, and the leaderboard in ``board``."""
    folder = tmp_path_factory.mktemp("proof")
    (folder / "tiny.toml").write_text(TINY, encoding="utf-8")
    (folder / "proof_cell.py").write_text(CELL, encoding="utf-8")
    sys.path.insert(0, str(folder))
    suite.run(folder / "tiny.toml", store=folder / "store")
    write(build_leaderboard(recorded(folder)), folder / "board")
    yield folder
    sys.path.remove(str(folder))


@pytest.fixture
def board(whole: Path, tmp_path: Path) -> Path:
    """A copy of the written leaderboard, to be changed."""
    return Path(shutil.copytree(whole / "board", tmp_path / "board"))


def recorded(folder: Path) -> Record:
    store = Store(folder / "store")
    return record_of(runner.open_plan(load(folder / "tiny.toml"), store, curves=True), store)


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def verified(folder: Path, rows: str = "1", everything: bool = False) -> tuple[CheckResult, list[str]]:
    found = manifests.read_manifest(folder, trusted=True)
    names = choose_rows(found, rows, everything)
    findings = check_manifest(found, names)
    if findings.wrong and not findings.suspects:
        return findings, []
    again = runs_to_repeat(found, [] if findings.wrong else names, findings)
    return findings, retrain(again, Inline(), lambda run, differs: None)


def test_the_same_runs_give_the_same_bytes_from_every_source(whole: Path, tmp_path: Path) -> None:
    for name, record in {
        "store": recorded(whole),
        "parquet": Record.read(whole / "board" / manifests.RUNS_FILE),
    }.items():
        write(build_leaderboard(record), tmp_path / name)
        assert files(tmp_path / name) == files(whole / "board")
    names = {"index.html", "leaderboard.md", "leaderboard.csv", "leaderboard.json", "leaderboard.tex", "horizon.csv"}
    assert names | {"runs.parquet", "manifest.json"} < set(files(whole / "board"))


def test_neither_the_order_of_runs_nor_another_process_changes_a_byte(whole: Path, tmp_path: Path) -> None:
    store = Store(whole / "store")
    plan = runner.open_plan(load(whole / "tiny.toml"), store, curves=True)
    plan.finished = dict(sorted(plan.finished.items(), key=lambda pair: digest(pair[0])))
    write(build_leaderboard(record_of(plan, store)), tmp_path / "shuffled")
    assert files(tmp_path / "shuffled") == files(whole / "board")
    done = memspan("leaderboard", whole / "board", "--output", tmp_path / "again", cwd=whole)
    assert done.returncode == 0, done.stderr
    assert files(tmp_path / "again") == files(whole / "board")


def test_a_record_keeps_every_run_with_its_order(whole: Path) -> None:
    first, second = recorded(whole), Record.read(whole / "board" / manifests.RUNS_FILE)
    assert [row.name for row in second.rows] == [row.name for row in first.rows]
    assert [row.runs for row in second.rows] == [row.runs for row in first.rows]
    assert (second.experiment, second.planned, second.done) == (first.experiment, 24, 24)
    assert second.environments == first.environments
    assert {outcome.environment for row in first.rows for _, outcome in row.runs} == set(first.environments)


def test_a_file_of_runs_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot read"):
        Record.read(tmp_path / "none.parquet")
    (tmp_path / "text.parquet").write_text("text", encoding="utf-8")
    with pytest.raises(InputError, match="not a file of runs"):
        Record.read(tmp_path / "text.parquet")
    pd.DataFrame({"a": [1]}).to_parquet(tmp_path / "other.parquet")
    with pytest.raises(InputError, match="not a file of runs"):
        Record.read(tmp_path / "other.parquet")


def test_rows_hold_when_they_are_trained_again(whole: Path) -> None:
    findings, wrong = verified(whole / "board", everything=True)
    assert (findings.wrong, findings.notes, wrong) == ([], [], [])
    assert len(choose_rows(manifests.read_manifest(whole / "board", trusted=True), "2")) == 2
    assert choose_rows(manifests.read_manifest(whole / "board", trusted=True), "rnn on adding") == ["rnn on adding"]
    with pytest.raises(InputError, match="did you mean 'rnn on adding'"):
        choose_rows(manifests.read_manifest(whole / "board", trusted=True), "rnn on addin")
    with pytest.raises(InputError, match=r"unknown row 'leaky'; .*did you mean 'leaky on adding'"):
        choose_rows(manifests.read_manifest(whole / "board", trusted=True), "leaky")


def test_a_changed_digit_is_found_and_the_figure_is_named(board: Path) -> None:
    data = json.loads((board / manifests.MANIFEST_FILE).read_text(encoding="utf-8"))
    row = next(row for row in data["rows"] if manifests.row_name(row) == "rnn on adding")
    losses = row["metrics"]["test_loss"]
    true, digit = losses[-1], repr(losses[-1])[4]
    losses[-1] = float(repr(true)[:4] + ("1" if digit != "1" else "2") + repr(true)[5:])
    (board / manifests.MANIFEST_FILE).write_text(manifests.manifest_text(data), encoding="utf-8")
    findings, wrong = verified(board)
    assert any("rnn on adding, evaluation 1: its figures do not match their digest" in one for one in findings.wrong)
    told = f"test_loss is {losses[-1]!r} in the manifest, and {true!r} when it is trained again"
    assert wrong == [f"rnn on adding, evaluation 1: {told}"]


def sealed(data: dict[str, Any]) -> str:
    """A manifest whose digests were made to fit after it was changed."""
    for row in data["rows"]:
        row["digests"] = manifests.run_digests(row)
    data["digests"] = {name: digest(canonical_json(data[name])) for name in manifests.SECTIONS}
    data["digest"] = manifests.combined_digest(data["digests"])
    data["outputs"] = {}
    return manifests.manifest_text(data)


def test_a_forged_figure_with_digests_that_fit_does_not_follow_or_does_not_train(board: Path) -> None:
    data = json.loads((board / manifests.MANIFEST_FILE).read_text(encoding="utf-8"))
    row = next(row for row in data["rows"] if manifests.row_name(row) == "rnn on adding")
    row["metrics"]["test_skill"][-1] += 0.1
    (board / manifests.MANIFEST_FILE).write_text(sealed(data), encoding="utf-8")
    findings, _ = verified(board)
    assert any("leaderboard.json does not follow from the runs" in one for one in findings.wrong)
    (board / "leaderboard.json").unlink()
    (board / manifests.RUNS_FILE).unlink()
    findings, wrong = verified(board, "rnn on adding")
    assert findings.wrong == []
    assert any("rnn on adding, evaluation 1: test_skill is" in one for one in wrong)


def test_settings_that_tuning_did_not_choose_are_found(board: Path) -> None:
    data = json.loads((board / manifests.MANIFEST_FILE).read_text(encoding="utf-8"))
    row = next(row for row in data["rows"] if manifests.row_name(row) == "leaky on adding")
    better = 1 - row["params"][:2].index(row["params"][-1])  # the trial that was not chosen
    row["metrics"]["objective"][better] = 2.0
    (board / manifests.MANIFEST_FILE).write_text(sealed(data), encoding="utf-8")
    wrong = check_manifest(manifests.read_manifest(board, trusted=True), []).wrong
    assert wrong == ["leaky on adding: its evaluations do not have the settings that its tuning chose"]


def test_honest_keys_on_other_settings_or_seeds_are_found(board: Path) -> None:
    data = json.loads((board / manifests.MANIFEST_FILE).read_text(encoding="utf-8"))
    row = next(row for row in data["rows"] if manifests.row_name(row) == "rnn on adding")
    row["configs"][row["config"][-1]]["training"]["steps"] = 300
    row["seed"][-2], row["number"][-2] = 17, 17
    (board / manifests.MANIFEST_FILE).write_text(sealed(data), encoding="utf-8")
    wrong = check_manifest(manifests.read_manifest(board, trusted=True), []).wrong
    assert "rnn on adding, evaluation 1: its key is not that of its configuration and seed" in wrong
    assert "rnn on adding, evaluation 17: its seed 17 is not one of the experiment's" in wrong


def test_rows_and_seeds_that_were_left_out_are_found(board: Path) -> None:
    data = json.loads((board / manifests.MANIFEST_FILE).read_text(encoding="utf-8"))
    data["rows"] = data["rows"][1:]
    (board / manifests.MANIFEST_FILE).write_text(sealed(data), encoding="utf-8")
    assert (
        "the manifest says that 24 of 24 runs are done, but it has 20 of 24"
        in check_manifest(manifests.read_manifest(board, trusted=True), []).wrong
    )
    data["counts"] |= {"planned": 20, "done": 20}
    (board / manifests.MANIFEST_FILE).write_text(sealed(data), encoding="utf-8")
    assert (
        "the manifest says that 20 of 20 runs are done, but it has 20 of 24"
        in check_manifest(manifests.read_manifest(board, trusted=True), []).wrong
    )


def test_other_runs_or_tables_beside_the_manifest_are_found(board: Path) -> None:
    record = Record.read(board / manifests.RUNS_FILE)
    job, outcome = record.rows[0].evaluations[0]
    forged = Outcome({**outcome.metrics, "test_skill": 0.99}, outcome.curves, outcome.environment)
    rows = [record.rows[0]._replace(evaluations=[(job, forged), *record.rows[0].evaluations[1:]]), *record.rows[1:]]
    replace(record, rows=rows).write(board / manifests.RUNS_FILE, record.origin)
    page = board / "leaderboard.md"
    page.write_text(page.read_text(encoding="utf-8") + "and more", encoding="utf-8")
    data = json.loads((board / manifests.MANIFEST_FILE).read_text(encoding="utf-8"))
    (board / manifests.MANIFEST_FILE).write_text(sealed(data), encoding="utf-8")
    found = check_manifest(manifests.read_manifest(board, trusted=True), [])
    assert found.wrong == [f"runs.parquet has other runs of {record.rows[0].name}"]
    assert found.notes == ["leaderboard.md is not what memspan makes of these runs here"]


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: data["rows"][0]["digests"].pop(),
        lambda data: data["rows"][0].pop("definitions"),
        lambda data: data.update(format="1"),
        lambda data: data["counts"].pop("done"),
        lambda data: data.update(rows=None),
    ],
)
def test_a_damaged_manifest_is_one_message(board: Path, damage: Callable[[Any], Any]) -> None:
    data = json.loads((board / manifests.MANIFEST_FILE).read_text(encoding="utf-8"))
    damage(data)
    (board / manifests.MANIFEST_FILE).write_text(json.dumps(data), encoding="utf-8")
    with pytest.raises(InputError, match="is not a manifest of memspan"):
        manifests.read_manifest(board, trusted=True)


def test_a_record_remembers_the_sources_and_machines_of_its_runs_alone(whole: Path, tmp_path: Path) -> None:
    store = Store(whole / "store")
    plan = runner.open_plan(load(whole / "tiny.toml"), store, curves=True)
    strange = Outcome(next(iter(plan.finished.values())).metrics, (), store.keep_environment({"processor": "another"}))
    plan.finished["of another experiment"] = strange
    record = record_of(plan, store)
    assert record.others == 1
    assert record.environments == recorded(whole).environments
    read = Record.read(whole / "board" / manifests.RUNS_FILE)
    assert read.origin["definitions"]["leaky on adding"]["proof_cell.Leaky"]
    old = {name: {"old": "1"} for name in read.origin["definitions"]}
    moved = replace(read, origin={**read.origin, "definitions": old})
    assert {str(row["definitions"]) for row in manifests.build_manifest(moved)["rows"]} == {"{'old': '1'}"}


def test_incomplete_leaderboards_are_written(tmp_path: Path) -> None:
    tables = {
        "tasks": {"adding": {"length": 8}, "counting": {"length": 12}},
        "architectures": {"rnn": {}, "gru": {}},
        "model": {"hidden_size": 8},
        "sweep": {"trials": 3, "space": {"learning_rate": {"low": 1e-4, "high": 1e-2, "log": True}}},
        "evaluation": {"seeds": 2},
    }
    for name, kept in {
        "trials only": lambda job: job.role == "trial",
        "one task": lambda job: job.level == "adding" or (job.role == "trial" and job.number == 0),
        "nothing": lambda job: False,
    }.items():
        plan = made_up(tables, lambda job: {"skill": 0.5})
        jobs = {job.key: job for study in plan.studies for job in StudyProgress(study, plan.finished).jobs}
        plan.finished = {key: outcome for key, outcome in plan.finished.items() if kept(jobs[key])}
        written = write(build_leaderboard(plan), tmp_path / name)
        assert check_manifest(manifests.read_manifest(written[0].parent, trusted=True), []).wrong == []


def test_changed_data_are_found(board: Path) -> None:
    data = json.loads((board / manifests.MANIFEST_FILE).read_text(encoding="utf-8"))
    data["data"]["adding"]["test"] = "0" * 16
    (board / manifests.MANIFEST_FILE).write_text(sealed(data), encoding="utf-8")
    (board / "leaderboard.csv").write_text("", encoding="utf-8")
    wrong = check_manifest(manifests.read_manifest(board, trusted=True), []).wrong
    assert any("adding: its data are not those of the manifest" in one for one in wrong)
    shutil.copy(board / "leaderboard.json", board / "leaderboard.csv")


def test_an_output_that_was_changed_is_named(board: Path) -> None:
    (board / "leaderboard.csv").write_text("", encoding="utf-8")
    assert check_manifest(manifests.read_manifest(board, trusted=True), []).wrong == [
        "changed after it was written: leaderboard.csv"
    ]


def test_a_changed_line_of_a_cell_is_named_before_anything_is_trained(whole: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(whole, tmp_path / "whole"))
    cell = folder / "proof_cell.py"
    cell.write_text(cell.read_text(encoding="utf-8").replace("(1 - self.rate)", "(0.99 - self.rate)"), encoding="utf-8")
    done = memspan("verify", "board", "--trust", "--rows", "leaky on adding", "--workers", "1", cwd=folder)
    assert done.returncode == 1
    assert "its source has changed since it was trained: proof_cell.Leaky" in " ".join(done.stdout.split())
    assert "again" not in done.stdout
    other = memspan("verify", "board", "--trust", "--rows", "rnn on adding", "--workers", "1", cwd=folder)
    assert other.returncode == 0, other.stdout  # that row is not touched by it
    assert "note: leaky on adding: its source has changed" in " ".join(other.stdout.split())


def test_another_platform_is_named_and_rows_are_judged_by_their_skill(board: Path) -> None:
    data = json.loads((board / manifests.MANIFEST_FILE).read_text(encoding="utf-8"))
    for environment in data["environments"].values():
        environment["processor"] = "another"
        environment["packages"]["torch"] = "1.0"
        environment["files"]["suite/training/train.py"] = "0" * 16
    (board / manifests.MANIFEST_FILE).write_text(sealed(data), encoding="utf-8")
    found = manifests.read_manifest(board, trusted=True)
    findings = check_manifest(found, ["rnn on adding"])
    assert findings.wrong == []
    assert any(note.startswith("processor: another there") for note in findings.notes)
    assert any("torch 1.0 there" in note for note in findings.notes)
    assert "code of memspan differs here: suite/training/train.py" in findings.notes
    again = runs_to_repeat(found, ["rnn on adding"], findings)
    assert not any(run.exact for run in again)
    assert retrain(again, Inline(), lambda run, differs: None) == []


def test_notes_tell_of_the_code_behind_the_chosen_rows_alone(board: Path) -> None:
    data = json.loads((board / manifests.MANIFEST_FILE).read_text(encoding="utf-8"))
    first, other = data["rows"][0], data["rows"][1]
    here = data["environments"][first["environment"][0]]
    changed = dict.fromkeys(sorted(here["files"])[:5], "0" * 16)
    data["environments"]["a" * 16] = {**here, "files": {**here["files"], **changed}}
    first["environment"] = ["a" * 16] * len(first["environment"])
    (board / manifests.MANIFEST_FILE).write_text(sealed(data), encoding="utf-8")
    found = manifests.read_manifest(board, trusted=True)
    beginning = f"code of memspan differs here: {', '.join([*changed][:3])}, and 2 more"
    assert beginning in check_manifest(found, [manifests.row_name(first)]).notes
    assert not [note for note in check_manifest(found, [manifests.row_name(other)]).notes if "differs here" in note]


def test_on_another_platform_only_a_difference_that_is_shown_is_wrong() -> None:
    def judged(*rows: np.ndarray) -> list[str]:
        runs, results = [], {}
        for name, differences in enumerate(rows):
            for seed, apart in enumerate(differences):
                results[len(runs)] = Outcome({"test_skill": 0.5 + apart})
                runs.append(RepeatedRun(f"row {name}", f"evaluation {seed}", None, {"test_skill": 0.5}, "", False))  # type: ignore[arg-type]
        return list(differing_rows(runs, results))

    rng = np.random.default_rng(0)
    assert judged(np.zeros(10)) == []
    assert "its skill differs by -0." in judged(np.full(10, -0.3) + rng.normal(0, 0.01, 10))[0]
    assert judged(np.full(10, 0.01) + rng.normal(0, 0.001, 10)) == []  # smaller than what matters
    chance = sum(bool(judged(*rng.choice([-0.9, 0.0, 0.9], (27, 10)))) for _ in range(300))
    assert chance <= 9  # seeds that end elsewhere in both directions, as rounding has it


def test_the_leaderboard_of_quick_that_comes_with_memspan_holds() -> None:
    """Bit for bit where it was made; elsewhere by the skill of the row."""
    findings, wrong = verified(ROOT / "experiments/report/quick", "rnn on sequence_memory")
    assert (findings.wrong, wrong) == ([], [])


def test_what_is_no_manifest_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match=rf"^{re.escape(repr(str(tmp_path)))} has no manifest\.json; `memspan leaderboard"
    ):
        manifests.read_manifest(tmp_path)
    file = tmp_path / manifests.MANIFEST_FILE
    file.write_text('{"format": ', encoding="utf-8")
    with pytest.raises(InputError, match=f"^{re.escape(str(file))} is not valid JSON: "):
        manifests.read_manifest(tmp_path)
    file.write_text('{"format": 1}', encoding="utf-8")
    with pytest.raises(InputError, match="is not a manifest of memspan"):
        manifests.read_manifest(tmp_path)


def test_frozen_stays_as_it_is(whole: Path, tmp_path: Path) -> None:
    board = build_leaderboard(recorded(whole))
    written = freeze(board, tmp_path)
    folder = written[0].parent
    before = files(folder)
    assert {path.name for path in freeze(board, tmp_path)} == {path.name for path in written}
    other = made_up(
        {"tasks": {"adding": {"length": 8}}, "architectures": {"rnn": {"hidden_size": 4}}}, lambda job: {"skill": 0.5}
    )
    for again in (build_leaderboard(other), board):
        with pytest.raises(InputError, match="holds a frozen leaderboard"):
            write(again, folder)
    assert files(folder) == before
    other.finished.pop(next(iter(other.finished)))
    with pytest.raises(InputError, match="only a complete leaderboard can be frozen"):
        freeze(build_leaderboard(other), tmp_path)


def test_changes_between_two_leaderboards() -> None:
    def record(skill: dict[str, float], steps: int = 100, tasks: tuple[str, ...] = ("adding", "counting")) -> Record:
        tables = {
            "tasks": {task: {"length": 12} for task in tasks},
            "architectures": {name: {"architecture": "rnn", "gain": 1 - 0.1 * i} for i, name in enumerate(skill)},
            "model": {"hidden_size": 8},
            "training": {"steps": steps},
            "evaluation": {"seeds": 10},
        }
        rng = np.random.default_rng(0)
        return Record.of(made_up(tables, lambda job: {"skill": skill[job.variant] + rng.uniform(0, 0.01)}))

    first = record({"a": 0.2, "b": 0.5, "old": 0.3})
    found = compare_records(first, record({"a": 0.6, "b": 0.5, "new": 0.3}, steps=200))
    rows = found.rows.set_index(["task", "architecture"])
    assert rows.loc[("overall", "a"), "verdict"] == "better"
    assert rows.loc[("overall", "a"), "difference"] == pytest.approx(0.4, abs=0.01)
    assert rows.loc[("adding", "b"), "verdict"] == "tied"
    assert rows.loc[("adding", "old"), "verdict"] == "gone"
    assert rows.loc[("adding", "new"), "verdict"] == "new"
    assert "setting training.steps: 100, then 200" in found.causes
    same = compare_records(first, first)
    assert set(same.rows["verdict"]) == {"same runs"}
    assert same.causes == []
    places = [{"files": {"mine.py": "1", "module.py": text, f"{text}.py": "2"}, "packages": {}} for text in ("a", "b")]
    moved = compare_records(*(replace(first, environments={"": place}) for place in places))
    assert moved.causes == ["code: module.py"]  # and not what was added or taken away beside it
    with pytest.raises(InputError, match="no task in common"):
        compare_records(record({"a": 0.2}, tasks=("adding",)), record({"a": 0.2}, tasks=("counting",)))


def test_the_commands(whole: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def memspan(*arguments: object) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["memspan", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        return int(ended.value.code or 0), " ".join(capsys.readouterr().out.split())

    monkeypatch.chdir(whole)
    assert memspan("leaderboard", "tiny.toml", "--store", "store", "--frozen")[0] == 0
    folder = next((whole / "store" / "frozen").iterdir())
    code, text = memspan("compare", folder, "tiny.toml", "--store", "store")
    assert (code, text.count("same runs")) == (0, 8)
    code, text = memspan("verify", folder, "--trust", "--rows", "rnn on adding", "--trials", "--workers", "1")
    assert code == 0, text
    assert "training 4 runs of 1 row again: bit for bit" in text
    assert text.endswith("1 of 6 rows was trained again, and agrees bit for bit: rnn on adding")
    assert "not here" not in text
    few = Path(shutil.copytree(folder, whole / "few"))
    gone = ("index.html", "leaderboard.json", "runs.parquet", "horizon.csv")
    for name in gone:
        (few / name).unlink()
    code, text = memspan("verify", few, "--trust", "--rows", "rnn on adding,leaky on adding", "--workers", "1")
    assert code == 0, text
    assert f"note: not here: {', '.join(gone)} training" in text
    assert text.endswith("2 of 6 rows were trained again, and agree bit for bit: rnn on adding, leaky on adding")
    code, text = memspan("leaderboard", "tiny.toml", "--store", "store", "--seeds", "5", "--steps", "7")
    assert code == 1
    assert "other settings" in text
    shown = {more: memspan("run", "tiny.toml", "--store", "store", *more)[1] for more in ((), ("--quiet",))}
    for said in ("tiny: overall, 3 tasks", "Fewer than 10 seeds"):
        assert all(said in text for text in shown.values())
    for said in ("0 remembers nothing", "A wider terminal"):
        assert [said in text for text in shown.values()] == [True, False]


def test_a_leaderboard_without_a_finished_row_is_named(whole: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(whole)
    (whole / "other.toml").write_text(TINY.replace("steps = 30", "steps = 40"), encoding="utf-8")
    for one, another, named in (
        ("board", "other.toml", "'other.toml'"),
        ("other.toml", "board", "'other.toml'"),
        ("other.toml", "other.toml", "'other.toml' and 'other.toml'"),
    ):
        result = CliRunner().invoke(app, ["compare", one, another, "--store", "store"])
        assert isinstance(result.exception, InputError)
        assert str(result.exception) == (
            f"{named} cannot be compared without a finished row; `memspan run` an experiment first, or give the "
            "folder of a written leaderboard"
        )


def test_an_experiment_is_not_taken_for_the_leaderboard_in_the_working_folder(
    board: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(board)
    result = CliRunner().invoke(app, ["leaderboard", "quick"])
    assert isinstance(result.exception, InputError)
    assert "no store in 'mlruns'" in str(result.exception)
    assert CliRunner().invoke(app, ["leaderboard", "."]).exit_code == 0


def test_names_are_text_wherever_they_are_shown() -> None:
    hostile = "<script>alert(1)</script> | [bold]% $x_1$ & \\\\"
    tables = {"title": hostile, "tasks": {"adding": {"length": 8}}, "architectures": {"rnn": {"hidden_size": 4}}}
    board = build_leaderboard(made_up(tables, lambda job: {"skill": 0.5}))
    page = render.markdown(replace(board, notes=[hostile]))
    assert "<script>" not in page
    assert "\\| [bold]" in page
    console = Console(width=200, record=True, file=io.StringIO())
    render.show(replace(board, notes=[hostile]), console)
    assert hostile in console.export_text()
    assert (
        escape(hostile) == r"$<$script$>$alert(1)$<$/script$>$ | [bold]\% \$x\_1\$ \& \textbackslash{}\textbackslash{}"
    )
