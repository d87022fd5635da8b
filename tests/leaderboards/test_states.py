"""Families, frozen numbers and states of every kind in the tables and files of a leaderboard, old ones too."""

from __future__ import annotations

import io
import json
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq
import pytest
from rich.console import Console
from typer.testing import CliRunner

from suite.cli import app
from suite.errors import InputError
from suite.experiment.loading import parse
from suite.leaderboards.columns import COST, MEMORY, Column, cell_text, is_needed, shown_columns
from suite.leaderboards.files import write
from suite.leaderboards.leaderboard import Leaderboard, build_leaderboard
from suite.leaderboards.proof.checks import check_manifest
from suite.leaderboards.proof.manifest import MANIFEST_FILE, RUNS_FILE, build_manifest, read_manifest
from suite.leaderboards.text import render
from suite.leaderboards.text.latex import latex
from suite.leaderboards.text.table_styles import fitting
from suite.planning.plan import studies
from suite.results.record import Record
from suite.results.schema import check_metrics
from suite.results.wording import state_text
from tests.leaderboards.made_up_pages import STATES, sizes
from tests.leaderboards.test_proof import sealed
from tests.mutations import said_of
from tests.synthetic import BASE, made_up

SHAPE = ("block", "norm", "mixer", "dropout")
"""The settings of a model that an earlier memspan did not know."""
LATER = ("family", "frozen_parameters", "state_growth")
"""The columns that an earlier memspan did not write."""


@pytest.fixture(scope="module")
def board() -> Leaderboard:
    return build_leaderboard(made_up(STATES, sizes))


def printed(board: Leaderboard, width: int, families: Sequence[str] = ()) -> list[str]:
    console = Console(width=width, record=True, file=io.StringIO())
    render.show(board, console, families=families)
    return console.export_text().splitlines()


def test_some_families_alone_keep_the_ranks_of_the_whole_board(board: Leaderboard, tmp_path: Path) -> None:
    names = {label for label, family in board.record.families.items() if family == "gated"} if board.record else set()
    every = printed(board, 200)
    some = printed(board, 200, ["gated"])
    assert names == {"lstm", "residual"}
    ranked, kept = ([line.split() for line in lines if re.match(r" *\d[–\d]* +\w", line)] for lines in (every, some))
    assert [row[:4] for row in kept] == [row[:4] for row in ranked if row[1] in names]  # rank, name, family, skill
    titles = [line for line in some if line.endswith("· gated: 2 of 5 rows, ranked among all")]
    assert titles[0].startswith("made_up: ")
    assert len(kept) == 2 * len(titles) >= 4  # on each task, and beyond its training length
    write(board, tmp_path / "board")
    result = CliRunner().invoke(app, ["leaderboard", str(tmp_path / "board"), "--family", "gated, other"])
    assert "gated, other: 5 of 5 rows, ranked among all" in " ".join(result.stdout.split())
    for arguments, message in (
        (("--family", "gate"), r"unknown family 'gate'; available: gated, other \(did you mean 'gated'\?\)"),
        (("--family", "gated", "--json"), "JSON has all rows; give it or --json"),
    ):
        result = CliRunner().invoke(app, ["leaderboard", str(tmp_path / "board"), *arguments])
        assert isinstance(result.exception, InputError)
        assert re.search(message, str(result.exception))


def test_a_state_is_told_in_words() -> None:
    assert state_text(6400.0, 64.0) == "6,400 (64 per step)"
    assert state_text(63.4, 0.0) == state_text(63.4, None) == "63"
    assert state_text(None, None) == state_text(float("nan"), float("nan")) == "not stated"


def test_every_table_of_text_shows_families_frozen_numbers_and_states(board: Leaderboard) -> None:
    for text, before in ((render.markdown(board), "| "), (latex(board), "")):
        heading = next(line for line in text.splitlines() if line.startswith(f"{before}rank"))
        assert all(word in heading for word in ("family", "frozen", "state"))
        assert "6,000 (200 per step)" in text
        assert "not stated" in text
        assert "nan" not in text
    longer = render.markdown(board).partition("## Beyond the training length, by length")[2].partition("##")[0]
    assert "| adding | 30 | 60 | cache | 0.30 [0.30, 0.30] | 2 | 12,000 |" in longer
    assert "| adding | 30 | 60 | transformer | 0.30 [0.30, 0.30] | 2 | not stated |" in longer
    assert "per step" not in longer, "there each row has the size at its length"


def test_files_for_programs_have_numbers_and_nothing_where_a_state_is_not_stated(
    board: Leaderboard, tmp_path: Path
) -> None:
    write(board, tmp_path)
    rows = pd.read_csv(tmp_path / "leaderboard.csv").set_index(["task", "architecture"])
    assert rows.loc[("adding", "cache"), ["state_size", "state_growth"]].tolist() == [6000, 200]
    assert rows.loc[("overall", "cache"), "state_size"] == (6000 + 2400) / 2
    assert rows.loc[("adding", "lstm"), ["state_size", "state_growth"]].tolist() == [32, 0]
    assert rows.loc[("adding", "transformer"), ["state_size", "state_growth"]].isna().all()
    assert rows.loc[("adding", "reservoir"), "frozen_parameters"] == 1840
    assert rows.loc["adding", "family"].to_dict() == {
        **{"lstm": "gated", "residual": "gated"},
        **{"cache": "other", "transformer": "other", "reservoir": "other"},
    }
    data = json.loads((tmp_path / "leaderboard.json").read_text(encoding="utf-8"))
    (row,) = [row for row in data["rows"] if (row["task"], row["architecture"]) == ("adding", "transformer")]
    assert (row["state_size"], row["state_growth"], row["family"]) == (None, None, "other")
    longer = {row["architecture"]: row["state_size"] for row in data["beyond_training_length"]}
    assert (longer["cache"], longer["transformer"], longer["lstm"]) == (12000, None, 32)
    assert check_manifest(read_manifest(tmp_path, trusted=True), []).wrong == []


def test_a_column_is_left_out_where_no_row_needs_it() -> None:
    plain = {"family": "gated", "frozen_parameters": 0.0, "horizon_d50": None}
    labels = {column.label for column in shown_columns((*MEMORY, *COST), [plain, plain])}
    assert {"architecture", "state", "params"} < labels
    assert not {"family", "frozen", "d50"} & labels
    other = {"family": "simple", "frozen_parameters": 3.0, "horizon_d50": 4.0}
    assert {"family", "frozen", "d50"} < {column.label for column in shown_columns(MEMORY, [plain, other])}
    assert not is_needed(Column("family", "family", optional="several"), [plain, {**plain, "family": ""}])


def test_of_a_leaderboard_without_growing_states_the_table_of_longer_lengths_has_none() -> None:
    tables = {**STATES, "architectures": {name: STATES["architectures"][name] for name in ("lstm", "transformer")}}
    text = render.markdown(build_leaderboard(made_up(tables, sizes)))
    assert "| task | trained at | length | architecture | skill [95 %] | seeds |\n" in text


@pytest.mark.parametrize("width", [80, 100, 120, 160])
def test_a_terminal_shows_as_many_columns_as_it_has_room_for(board: Leaderboard, width: int) -> None:
    lines = printed(board, width)
    assert max(map(len, lines)) <= width
    assert not [line for line in lines if "…" in line], "no column is squeezed"
    heading = next(line for line in lines if line.startswith("rank"))
    left_out = next((line for line in lines if line.startswith("A wider terminal has room")), "")
    for label in ("family", "frozen", "state", "seq/s"):
        assert (label in heading.split()) is (label not in left_out), label
    assert ("state" in heading) is (width > 80)
    assert ("family" in heading) is (width > 100)
    assert ("(200 per step)" in "\n".join(lines)) is ("state" in heading)


def test_the_most_dispensable_columns_go_first_and_the_others_stay() -> None:
    columns = [Column("a", "aaaa"), Column("b", "bbbb", dispensable=1), Column("c", "cccc", dispensable=2)]
    found = [[column.key for column in fitting(columns, [{}], width)] for width in (14, 13, 8, 1)]
    assert found == [["a", "b", "c"], ["a", "b"], ["a"], ["a"]]
    wide = Column("state_size", "state", "state", dispensable=1)
    rows = [{"state_size": 6400.0, "state_growth": 64.0}]
    assert cell_text(rows[0], wide) == "6,400 (64 per step)"
    assert fitting([columns[0], wide], rows, 18) == [columns[0], wide], "what each step adds stands below"


def test_a_written_leaderboard_has_the_families_of_classes_that_are_not_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = "family_cell"
    text = (
        "from tests.contracts.cells import Growing\n\n\nclass Mine(Growing):\n"
        "    family = 'attention'\n\n    def step(self, x, state):\n        return super().step(x, state)\n"
    )
    (tmp_path / f"{module}.py").write_text(text, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    tables = {**STATES, "architectures": {"lstm": {}, "cache": {"architecture": f"{module}:Mine"}}}
    write(build_leaderboard(made_up(tables, sizes)), tmp_path / "board")
    before = read_manifest(tmp_path / "board").record
    (tmp_path / f"{module}.py").unlink()
    del sys.modules[module]
    for record in (before, Record.read(tmp_path / "board" / RUNS_FILE)):
        assert record.families == {"lstm": "gated", "cache": "attention"}
        again = build_manifest(record)
        assert again["digest"] == read_manifest(tmp_path / "board").digest
        write(build_leaderboard(record), tmp_path / "again")
    assert (tmp_path / "again" / "index.html").read_bytes() == (tmp_path / "board" / "index.html").read_bytes()
    assert module not in sys.modules


def test_a_family_that_the_class_does_not_state_is_found(board: Leaderboard, tmp_path: Path) -> None:
    write(board, tmp_path)
    data = json.loads((tmp_path / MANIFEST_FILE).read_text(encoding="utf-8"))
    next(row for row in data["rows"] if row["architecture"] == "lstm")["family"] = "attention"
    (tmp_path / MANIFEST_FILE).write_text(sealed(data), encoding="utf-8")
    wrong = check_manifest(read_manifest(tmp_path, trusted=True), []).wrong
    assert wrong == ["lstm on adding: its family is 'attention', and its architecture says 'gated'"]
    data["rows"][0]["family"] = "<b>"
    (tmp_path / MANIFEST_FILE).write_text(sealed(data), encoding="utf-8")
    with pytest.raises(InputError, match=r"rows\.0\.family: a family is a word or two, .*; got '<b>'"):
        read_manifest(tmp_path, trusted=True)


def test_a_leaderboard_of_an_earlier_memspan_reads_ranks_and_follows_from_its_runs(tmp_path: Path) -> None:
    rows = {"lstm": {}, "reservoir": {"architecture": "tests.contracts.cells:Plain"}}
    write(build_leaderboard(made_up({**STATES, "architectures": rows}, sizes)), tmp_path)
    expected = json.loads((tmp_path / "leaderboard.json").read_text(encoding="utf-8"))
    make_earlier(tmp_path)
    manifest = read_manifest(tmp_path, trusted=True)
    found = check_manifest(manifest, [])
    assert found.wrong == []
    for record in (manifest.record, Record.read(tmp_path / RUNS_FILE)):
        assert record.families == {"lstm": "gated", "reservoir": ""}
        assert [row.runs for row in record.rows]
        again = build_leaderboard(record).rows.set_index(["task", "architecture"])
        assert again["frozen_parameters"].isna().all()
        assert (again["state_growth"] == 0).all(), "every earlier state is of constant size"
        assert again.loc[("adding", "lstm"), "mean"] == pytest.approx(expected["rows"][0]["mean"])
    assert "family" not in manifest.data["rows"][0]
    assert "families" not in build_manifest(Record.read(tmp_path / RUNS_FILE))


def make_earlier(folder: Path) -> None:
    """Take out of a written leaderboard whatever an earlier memspan did not write."""

    def without(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: without(part) for key, part in value.items() if key not in (*LATER, *SHAPE, "families")}
        return [without(part) for part in value] if isinstance(value, list) else value

    data = without(json.loads((folder / MANIFEST_FILE).read_text(encoding="utf-8")))
    (folder / MANIFEST_FILE).write_text(sealed(data), encoding="utf-8")
    table = without(json.loads((folder / "leaderboard.json").read_text(encoding="utf-8")))
    for row in table["beyond_training_length"]:
        del row["state_size"]
    (folder / "leaderboard.json").write_text(json.dumps(table), encoding="utf-8")
    runs = pq.read_table(folder / RUNS_FILE)
    about = {**without(said_of(runs)), "format": 1}
    lines = runs.to_pandas(ignore_metadata=True).drop(columns="frozen_parameters")
    lines["config"] = [json.dumps(without(json.loads(config))) for config in lines["config"]]
    earlier = runs.from_pandas(lines, preserve_index=False).replace_schema_metadata({b"memspan": json.dumps(about)})
    pq.write_table(earlier, folder / RUNS_FILE)


@pytest.mark.parametrize(
    ("metrics", "message"),
    [
        ({"state_size": -1.0}, "state_size lies between 0"),
        ({"state_growth": -1.0}, "state_growth lies between 0"),
        ({"state_size_at_length_60": -1.0}, "state_size_at_length_60 lies between 0"),
        ({"state_size_at_length_x": 1.0}, "the size of the state at another length is called state_size_at_length_N"),
        ({"frozen_parameters": -1.0}, "frozen_parameters lies between 0"),
    ],
)
def test_sizes_are_numbers_that_a_model_can_have(metrics: dict[str, float], message: str) -> None:
    run = {**BASE, "test_skill": 0.5, "validation_skill": 0.5, "objective": 0.5}
    assert "state_size" not in check_metrics(pd.DataFrame([run]).drop(columns="state_size"))[0]
    with pytest.raises(InputError, match=message):
        check_metrics(pd.DataFrame([{**run, **metrics}]))


def test_a_state_that_grows_is_counted_at_the_steps_of_a_sequence_and_not_at_the_length_of_its_task() -> None:
    tables = {
        "tasks": {"copy_memory": {"length": 5}},
        "architectures": {"cache": {"architecture": "tests.contracts.cells:Growing", "state": 1000}},
    }
    (study,) = studies(parse(tables, "x"))
    steps = 5 + 2 * 10  # the symbols, the blanks and the answers
    assert study.steps == steps
    assert study.default_config.model.hidden_size == 1000 / steps
    (model,) = study.models()
    assert study.sizes(model).state == (1000, 40)
