"""Written leaderboards grow: by rows, by seeds, by levels, and by each other."""

from __future__ import annotations

import copy
import random
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import suite
from suite.checkup.report import Report
from suite.cli import main
from suite.cli.boards import label_of
from suite.engines import Inline
from suite.errors import InputError
from suite.experiment.experiment import Experiment
from suite.experiment.loading import load
from suite.leaderboards import extending
from suite.leaderboards.files import write
from suite.leaderboards.joining import check_output, joined, read_board
from suite.leaderboards.leaderboard import build_leaderboard
from suite.leaderboards.proof.checks import check_manifest
from suite.leaderboards.proof.manifest import published, read_manifest
from suite.leaderboards.text import render
from suite.planning.job import MEASURED, Job, Outcome
from suite.planning.plan import Plan, studies
from suite.results.record import Record, as_plain, record_of
from suite.results.recorded import record_of_lines
from suite.running import runner
from suite.store.store import Store
from tests import contribution as contributions
from tests.leaderboards.test_proof import CELL, files, recorded
from tests.synthetic import made_up

TABLES: dict[str, Any] = {
    "tasks": {"adding": {"length": 20, "test_lengths": [40]}, "sequence_memory": {"length": 12, "lag": [2, 4]}},
    "architectures": {"rnn": {}, "gru": {}, "lstm": {}},
    "model": {"hidden_size": 6},
    "sweep": {"trials": 2, "space": {"learning_rate": {"low": 1e-3, "high": 1e-2, "log": True}}},
    "evaluation": {"seeds": 4},
}


def drawn(job: Job) -> dict[str, float]:
    rng = random.Random(job.key)
    return {"skill": rng.random()} | {f"skill_at_length_{n}": rng.random() for n in job.config.task.test_lengths}


def board(metrics: Callable[[Job], dict[str, float]] = drawn, **changes: Any) -> Record:
    """A record of the experiment, in which a change replaces a table, such as ``architectures={"gru": {}}``."""
    return Record.of(made_up({**copy.deepcopy(TABLES), **changes}, metrics))


def tables_of(record: Record) -> str:
    return render.as_json(build_leaderboard(record))


# ── Joining


def test_the_parts_of_a_board_make_the_whole_whatever_their_order() -> None:
    whole = board()
    rows = {name: board(architectures={name: {}}) for name in ("rnn", "gru", "lstm")}
    assert tables_of(joined(rows)) == tables_of(whole)
    assert joined(rows).complete
    levels = TABLES["tasks"]["sequence_memory"]
    by_level = {
        "adding": board(tasks={"adding": TABLES["tasks"]["adding"]}),
        "4": board(tasks={"sequence_memory": {**levels, "lag": [4]}}),
        "2": board(tasks={"sequence_memory": {**levels, "lag": [2]}}),
    }
    assert tables_of(joined(by_level)) == tables_of(whole)
    few, many = board(evaluation={"seeds": 2}), board()
    assert tables_of(joined({"few": few, "many": many})) == tables_of(whole)
    assert joined({"one": whole, "same": whole}).done == whole.done


def test_a_joint_board_lacks_what_no_part_has() -> None:
    parts = {"few": board(evaluation={"seeds": 2}), "other": board(architectures={"gru": {}})}
    record = joined(parts)
    assert not record.complete
    assert record.planned - record.done == 3 * 2 * 2  # three levels, two rows, two seeds
    assert build_leaderboard(record).scopes


def test_a_joint_board_is_proved_by_its_manifest(tmp_path: Path) -> None:
    for name in ("rnn", "gru"):
        write(build_leaderboard(board(architectures={name: {}})), tmp_path / name)
    record = joined({name: read_board(tmp_path / name) for name in ("rnn", "gru")})
    write(build_leaderboard(record), tmp_path / "both")
    found = check_manifest(read_manifest(tmp_path / "both"), [])
    assert (found.wrong, found.notes) == ([], [])
    assert tables_of(read_board(tmp_path / "both")) == tables_of(record)


HALVES = """
[tasks.sequence_memory]
length = 8
lag = [2, 4]
test_lengths = [12]
[architectures.rnn]
[architectures.gru]
[model]
hidden_size = 4
[training]
steps = 6
validate_every = 3
validation_size = 16
test_size = 16
[evaluation]
seeds = 2
"""


def without_time(record: Record) -> Record:
    """The same runs, each of which took no time and no memory."""

    def of_run(job: Job, outcome: Outcome) -> tuple[Job, Outcome]:
        metrics = {name: 1.0 if name.endswith(MEASURED) else value for name, value in outcome.metrics.items()}
        return job, replace(outcome, metrics=metrics)

    kinds = ("trials", "reruns", "evaluations")
    rows = [
        row._replace(**{kind: [of_run(*run) for run in getattr(row, kind)] for kind in kinds}) for row in record.rows
    ]
    return replace(record, rows=rows)


def test_two_halves_that_were_trained_apart_make_the_whole_byte_for_byte(tmp_path: Path) -> None:
    (tmp_path / "halves.toml").write_text(HALVES, encoding="utf-8")
    for name, rows in {"whole": None, "one": "rnn", "two": "gru"}.items():
        plan = runner.open_plan(
            load(tmp_path / "halves.toml").select(architectures=rows), Store(tmp_path / name / "store"), curves=True
        )
        runner.run(plan, Store(tmp_path / name / "store"), Inline())
        record = record_of(plan, Store(tmp_path / name / "store"))
        assert record.complete
        write(build_leaderboard(without_time(record)), tmp_path / name / "board")
    halves = joined({name: read_board(tmp_path / name / "board") for name in ("one", "two")})
    write(build_leaderboard(halves), tmp_path / "board")
    whole, both = files(tmp_path / "whole" / "board"), files(tmp_path / "board")
    assert {"beyond.csv", "lags.csv", "horizon.csv", "runs.parquet", "manifest.json", "index.html"} < whole.keys()
    assert [name for name in whole | both if whole.get(name) != both.get(name)] == []


def other_figure(job: Job) -> dict[str, float]:
    return {**drawn(job), **({"skill": 0.5} if (job.variant, job.role, job.number) == ("gru", "evaluation", 3) else {})}


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (lambda: board(model={"hidden_size": 7}), r"'one' and 'two' differ in \[model\]: hidden_size = 6 and hidden_"),
        (lambda: board(training={"steps": 999}), r"differ in \[training\]: steps = 1000 and steps = 999"),
        (lambda: board(sweep={**TABLES["sweep"], "trials": 3}), r"differ in \[sweep\]: trials = 2 and trials = 3"),
        (
            lambda: board(architectures={"gru": {"training": {"clip": 2.0}}}),
            r"'one' and 'two' differ in \[architectures.gru\]",
        ),
        (
            lambda: board(tasks={"adding": {"length": 21, "test_lengths": [40]}}),
            r"'one' and 'two' differ in \[tasks.adding\]: length = 20 and length = 21",
        ),
        (
            lambda: board(other_figure, architectures={"gru": {}}),
            r"gru on .*, seed 3: equal runs must have equal figures; objective is 0\.\d+ and 0\.5 in 'one' and 'two'",
        ),
    ],
    ids=["model", "training", "sweep", "row", "task", "figure"],
)
def test_boards_that_cannot_be_compared_are_refused(other: Callable[[], Record], message: str) -> None:
    with pytest.raises(InputError, match=message):
        joined({"one": board(), "two": other()})


def test_boards_of_other_experiments_protocols_and_data_are_refused() -> None:
    one, two = board(), board()
    with pytest.raises(InputError, match="are of 'made_up' and of 'other'"):
        joined({"one": one, "two": replace(two, experiment=two.experiment.model_copy(update={"name": "other"}))})
    with pytest.raises(InputError, match="'one' and 'two' have protocols 2 and 1"):
        joined({"one": one, "two": replace(two, protocol=1)})
    origin = {"definitions": {}, "data": {"adding": {"seed": 0, "train": "0", "validation": "0", "test": "0"}}}
    with pytest.raises(InputError, match="the fingerprints of 'adding' in 'one' and 'two' differ: train ="):
        joined({"one": one, "two": replace(two, origin=origin)})


def test_a_written_board_is_read_only_if_nothing_was_changed(tmp_path: Path) -> None:
    write(build_leaderboard(board()), tmp_path / "board")
    write(build_leaderboard(board(evaluation={"seeds": 3})), tmp_path / "few")
    (tmp_path / "few" / "runs.parquet").replace(tmp_path / "board" / "runs.parquet")
    with pytest.raises(InputError, match=r"are not those of its manifest\.json"):
        read_board(tmp_path / "board")
    with pytest.raises(InputError, match=r"has no runs\.parquet"):
        read_board(tmp_path / "few")
    manifest = tmp_path / "board" / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"seeds": 4', '"seeds": 5'))
    with pytest.raises(InputError, match="was changed after it was written: the section 'experiment'"):
        read_board(tmp_path / "board")


def test_no_run_that_was_written_is_lost(tmp_path: Path) -> None:
    few, many = board(architectures={"gru": {}}), board()
    check_output(tmp_path / "new", few)
    write(build_leaderboard(few), tmp_path / "board")
    check_output(tmp_path / "board", many)
    write(build_leaderboard(many), tmp_path / "board")
    with pytest.raises(
        InputError, match=r"with 36 runs that the new one does not have, such as lstm on adding, seed 0"
    ):
        check_output(tmp_path / "board", few)
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "mine.txt").touch()
    with pytest.raises(InputError, match="exists and is no leaderboard; give --output a new folder"):
        check_output(tmp_path / "notes")


# ── Adding


def test_a_new_row_is_called_after_its_class() -> None:
    names = ("gru", "my_cell:MyCell", "package.module:LSTMCell", "cells:Mamba2")
    assert [label_of(name) for name in names] == ["gru", "my_cell", "lstm_cell", "mamba2"]


def test_what_is_asked_is_checked_before_anything_is_imported() -> None:
    record = board()
    with pytest.raises(InputError, match="has a row 'gru' already; give the new one another --label"):
        extending.with_rows(record, {"gru": {}})
    with pytest.raises(InputError, match="--seeds must be at least 4, the seeds that the leaderboard has; got 3"):
        extending.with_rows(record, {}, 3)
    tables = as_plain(record.experiment)
    tables["tasks"]["foreign"] = {"task": "no_such_module:Task", "length": 3}
    with pytest.raises(InputError, match="names code from outside memspan: 'no_such_module:Task'"):
        extending.check_trust(tables, ["gru"], [])
    extending.check_trust(tables, ["gru"], ["no_such_module:Task"])
    with pytest.raises(InputError, match=r"'more.toml' must have everything .* lacks something of \[architectures\]"):
        extending.check_contains(board(architectures={"gru": {}}).experiment, record, "'more.toml'")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with a leaderboard of two small rows in ``board``, and a cell of somebody's own."""
    folder = tmp_path_factory.mktemp("growing")
    (folder / "tiny.toml").write_text(TINY, encoding="utf-8")
    (folder / "grown_cell.py").write_text(CELL, encoding="utf-8")
    sys.path.insert(0, str(folder))
    suite.run(folder / "tiny.toml", store=folder / "store", workers=1)
    write(build_leaderboard(recorded(folder)), folder / "board")
    yield folder
    sys.path.remove(str(folder))


TINY = """
[tasks.adding]
length = 6
[architectures.rnn]
[architectures.gru]
[model]
hidden_size = 4
[training]
steps = 10
validate_every = 5
validation_size = 16
test_size = 16
[evaluation]
seeds = 2
"""


Command = Callable[..., tuple[int, str]]


@pytest.fixture
def memspan(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """The command line in this process: it returns its exit code, and what it said as one line."""

    def run(*arguments: object) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["memspan", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        said = capsys.readouterr()
        return int(ended.value.code or 0), " ".join((said.out + said.err).split())

    return run


def test_a_board_that_lacks_runs_gets_them_wherever_it_is(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, memspan: Command
) -> None:
    monkeypatch.chdir(tmp_path)
    plan = runner.open_plan(load(folder / "tiny.toml"), Store(folder / "store"), curves=True)
    kept = recorded(folder).rows[0].evaluations[0][0].key  # The other row has no run at all.
    plan.finished = {kept: plan.finished[kept]}
    write(build_leaderboard(record_of(plan, Store(folder / "store"))), tmp_path / "part")
    assert (read_board(tmp_path / "part").done, read_board(tmp_path / "part").planned) == (1, 4)
    here = ("--store", "new", "--workers", "1", "--output", "part")
    code, text = memspan("add", "part", *here)
    assert (code, "4/4" in text) == (0, True), text
    whole, completed = read_board(folder / "board"), read_board(tmp_path / "part")
    assert tables_of(without_time(completed)) == tables_of(without_time(whole))
    code, text = memspan("add", "part", *here)
    assert (code, "nothing is to be added, because the leaderboard lacks no run" in text) == (2, True), text


def test_a_board_that_comes_with_memspan_is_found_by_its_name_unless_a_folder_has_it(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert "quick" in published()
    assert read_manifest(Path("quick")).path == published()["quick"] / "manifest.json"
    shutil.copytree(folder / "board", tmp_path / "quick")
    shutil.copytree(folder / "board", tmp_path / "runs_alone")
    (tmp_path / "runs_alone" / "manifest.json").unlink()
    assert read_manifest(tmp_path / "runs_alone").digest == read_manifest(folder / "board").digest
    assert tables_of(read_board(tmp_path / "runs_alone")) == tables_of(read_board(folder / "board"))
    assert read_manifest(Path("quick")).path == Path("quick") / "manifest.json"
    with pytest.raises(InputError, match=r"unknown leaderboard 'kwick'; available: .*did you mean 'quick'"):
        read_manifest(Path("kwick"))


def test_a_row_is_added_to_a_board_from_elsewhere_and_its_seeds_grow(
    folder: Path, monkeypatch: pytest.MonkeyPatch, memspan: Command
) -> None:
    monkeypatch.chdir(folder)
    here = ("--store", "elsewhere", "--workers", "1")  # Nothing of the first store is there.
    code, text = memspan("add", "board", "grown_cell:Leaky", "--options", "rate=0.25", "--output", "two", *here)
    assert code == 0, text
    assert "2/2 leaky on adding, seed 1" in text  # The row alone was trained.
    old, new = read_board(folder / "board"), read_board(folder / "two")
    assert [row.name for row in new.rows] == ["rnn on adding", "gru on adding", "leaky on adding"]
    assert new.rows[2].runs[0][0].config.model.options == {"rate": 0.25}
    assert [row.runs for row in new.rows[:2]] == [row.runs for row in old.rows]
    page = (folder / "two" / "index.html").read_text(encoding="utf-8")
    for command in ("manifest.json --trust --rows 'leaky on adding'", "manifest.json --rows 'gru on adding'"):
        assert f"memspan verify {command}" in page  # The page shows what each row is proved by.
    code, text = memspan("verify", "two", "--trust", "--all", "--workers", "1")
    assert (code, "3 of 3 rows were trained again, and agree bit for bit" in text) == (0, True), text
    code, text = memspan("add", "two", "--seeds", "3", "--output", "three", *here)
    assert (code, "names code from outside memspan: 'grown_cell:Leaky'" in text) == (2, True), text
    code, text = memspan("add", "two", "--seeds", "3", "--output", "three", "--trust", *here)
    assert code == 0, text
    assert "9/9 leaky on adding, seed 2" in text
    assert [len(row.runs) for row in read_board(folder / "three").rows] == [3, 3, 3]
    code, text = memspan("merge", "two", "three", "--output", "four", "--quiet")
    assert code == 0, text
    assert tables_of(read_board(folder / "four")) == tables_of(read_board(folder / "three"))


def test_a_row_that_is_sent_to_the_repository_is_checked(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def contribution(*folders: str) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["contribution", *folders])
        return contributions.main(), capsys.readouterr().out

    monkeypatch.chdir(folder)
    recorded_board = read_board(folder / "board")
    tables = extending.with_rows(recorded_board, {"indrnn": {}})
    tables["architectures"] = {"indrnn": {}}
    name = tables.pop("name")
    plan = runner.open_plan(Experiment.from_tables(tables, name), Store(folder / "more"), curves=True)
    runner.run(plan, Store(folder / "more"), Inline())
    grown = joined({"board": recorded_board, "new": record_of(plan, Store(folder / "more"))})
    write(build_leaderboard(grown), folder / "grown")
    assert contribution("board", "grown") == (0, "accepted: indrnn on adding\n")
    report = Report("cell", "indrnn", {}, ())
    monkeypatch.setattr(contributions, "checkup", lambda name, options: report)  # It was seen once, and takes seconds.
    assert contribution("grown", "board") == (
        1, "wrong: 2 runs of 'grown' are not in 'board'\nwrong: there is no new row\n"
    )  # fmt: skip
    forged = dict.fromkeys(("test_skill",), 0.5)
    row = grown.rows[2]
    job, outcome = row.evaluations[1]
    lying = Outcome({**outcome.metrics, **forged}, outcome.curves, outcome.environment)
    rows = [*grown.rows[:2], row._replace(evaluations=[row.evaluations[0], (job, lying)])]
    write(build_leaderboard(replace(grown, rows=rows)), folder / "forged")
    code, text = contribution("board", "forged")
    assert (code, "indrnn on adding, evaluation 1: test_skill" in text) == (1, True), text


def test_rows_whose_source_has_changed_get_no_further_runs(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    record = read_board(folder / "board")
    tables = extending.with_rows(record, {}, 3)
    name = tables.pop("name")
    plan = Plan(Experiment.from_tables(tables, name), studies(Experiment.from_tables(tables, name)), {})
    for study in plan.studies:
        if study.variant.label == "gru":
            study.__dict__["source"] = study.source.model_copy(update={"architecture": "0" * 16})
    with pytest.raises(
        InputError, match=r"1 row cannot get further runs, .* another source .*: gru on adding; add rows"
    ):
        extending.add_recorded_runs(plan, record)
    monkeypatch.setattr(extending, "source_hash", lambda cls: "0" * 16)
    with pytest.raises(InputError, match="the task 'adding' of the leaderboard is not the one that is installed here"):
        extending.add_recorded_runs(plan, record)


def test_what_needs_no_foreign_code_is_verified_without_trust(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The foreign module is not there, so it could not even be imported."""
    monkeypatch.chdir(folder)
    record = read_board(folder / "board")
    experiment = as_plain(record.experiment)
    experiment["architectures"] = {"theirs": {"architecture": "no_such_module:Theirs"}}
    lines = record.frame()
    lines = lines[lines["architecture"] == "gru"].replace({"architecture": {"gru": "theirs"}})
    lines = lines.assign(
        study=lines["study"].str.replace("/gru", "/theirs"),
        config=lines["config"].str.replace('"architecture":"gru"', '"architecture":"no_such_module:Theirs"'),
    )
    about = {
        "experiment": experiment, "protocol": record.protocol, "planned": 2, "done": 2, "others": 0, "earlier": 0,
        "format": 1, "environments": record.environments, "origin": record.origin,
    }  # fmt: skip
    write(build_leaderboard(joined({"ours": record, "theirs": record_of_lines(lines, about)})), folder / "foreign")
    monkeypatch.setattr(sys, "argv", ["memspan", "verify", "foreign", "--all", "--workers", "1"])
    with pytest.raises(SystemExit) as ended:
        main()
    said = " ".join(capsys.readouterr().out.split())
    assert ended.value.code == 0, said
    assert "not checked, for it needs code from outside memspan: theirs on adding. It would import no_such_m" in said
    assert "2 of 3 rows were trained again, and agree bit for bit: rnn on adding, gru on adding" in said
    monkeypatch.setattr(sys, "argv", ["memspan", "verify", "foreign", "--rows", "theirs on adding"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    assert "theirs on adding can only be verified with code outside memspan" in " ".join(
        capsys.readouterr().err.split()
    )
