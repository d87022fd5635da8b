"""The ranking beyond the training length: in every format, on the page, and from a file."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from rich.console import Console

from suite.leaderboards.files import write
from suite.leaderboards.leaderboard import Leaderboard, build_leaderboard
from suite.leaderboards.page.data import page_data
from suite.leaderboards.proof.checks import check_manifest
from suite.leaderboards.proof.manifest import read_manifest
from suite.leaderboards.text import render
from suite.leaderboards.text.latex import latex
from suite.statistics.table import OVERALL
from tests.leaderboards.conftest import Opener
from tests.leaderboards.made_up_pages import BEYOND, at_lengths
from tests.synthetic import made_up

SKILLS = {"lstm": 0.809, "gru": 0.859, "attention": 0.909}
"""The mean skills at the length of training."""


@pytest.fixture(scope="module")
def board() -> Leaderboard:
    return build_leaderboard(made_up(BEYOND, at_lengths))


def test_architectures_are_ranked_by_their_mean_over_the_longer_lengths(board: Leaderboard) -> None:
    rows = board.beyond.set_index(["task", "architecture"])
    assert list(rows.index.get_level_values(0).unique()) == [OVERALL, "parity", "adding"]
    assert [name for task, name in rows.index if task == OVERALL] == ["lstm", "gru", "attention"]
    assert list(board.rows[board.rows["task"] == OVERALL]["architecture"]) == ["attention", "gru", "lstm"]
    for name, power in (("lstm", 0.0), ("gru", 0.2), ("attention", 2.0)):
        parity = SKILLS[name] * sum((40 / n) ** power for n in (64, 128, 256)) / 3
        adding = SKILLS[name] * 0.5**power
        assert rows.loc[("parity", name), "mean"] == pytest.approx(parity)
        assert rows.loc[(OVERALL, name), "mean"] == pytest.approx((parity + adding) / 2)
        assert rows.loc[("parity", name), "trained_skill"] == pytest.approx(SKILLS[name])
    first = rows.loc[("parity", "lstm")]
    assert (first["rank_low"], first["rank_high"], first["group"], first["seeds"]) == (1, 1, "a", 10)
    assert first["low"] < first["mean"] < first["high"]
    assert rows["family"].to_dict()[("adding", "attention")] == "attention"
    assert set(board.longer["trained"]) == {"3 … 40", "30"}


def test_a_mean_is_taken_before_it_is_held_at_0() -> None:
    def guessing(job: Any) -> dict[str, float]:
        lucky = 0.1 if job.config.seed % 2 else -0.1
        scores = {f"score_at_length_{n}": 0.5 + lucky / 2 for n in job.config.task.test_lengths}
        skills = {f"skill_at_length_{n}": max(0.0, lucky) for n in job.config.task.test_lengths}
        return {"skill": 0.5, "chance": 0.5, **scores, **skills}

    tables = {**BEYOND, "tasks": {"parity": BEYOND["tasks"]["parity"]}}
    rows = build_leaderboard(made_up(tables, guessing)).beyond
    assert rows["mean"].to_numpy() == pytest.approx(0.0, abs=1e-12)
    assert list(rows["task"].unique()) == ["parity"]


def test_every_format_has_the_ranking(board: Leaderboard, tmp_path: Path) -> None:
    console = Console(width=120, file=io.StringIO(), record=True)
    render.show(board, console)
    for text in (console.export_text(), render.markdown(board), latex(board)):
        assert text.count("Beyond the training length, overall, 2 tasks") == 1
        assert "Beyond the training length, parity" in text
        assert "when trained" in text
        assert "nan" not in text
    assert "| parity | 3 … 40 | 256 | gru |" in render.markdown(board)
    write(board, tmp_path)
    table = pd.read_csv(tmp_path / "beyond.csv")
    data = json.loads((tmp_path / "leaderboard.json").read_text(encoding="utf-8"))["beyond_ranking"]
    assert len(table) == len(data) == 9
    assert table["mean"].tolist() == pytest.approx([row["mean"] for row in data])
    manifest = read_manifest(tmp_path)
    assert json.loads((tmp_path / "manifest.json").read_text())["experiment"]["tasks"]["parity"]["length"] == {
        "low": 3,
        "high": 40,
    }
    assert check_manifest(manifest, []).wrong == []


def test_without_longer_lengths_there_is_no_such_ranking() -> None:
    tables = {**BEYOND, "title": "", "tasks": {"counting": {"length": 12}}}
    board = build_leaderboard(made_up(tables, at_lengths))
    assert board.beyond.empty
    assert "eyond" not in render.markdown(board) + render.as_json(board).replace("beyond_training_length", "")


def test_the_page_has_a_tab_with_its_own_tasks_and_its_figure(board: Leaderboard, show: Opener) -> None:
    page = show(page_data(board, {"digest": "sha256:0"}, []))
    page.locator("#tab-beyond").click()
    assert page.evaluate("location.hash") == "#tab=beyond"
    assert page.locator("#scope option").all_inner_texts() == ["overall", "parity", "adding"]
    shown = page.locator("#table-beyond tbody")
    assert shown.locator("th button").all_inner_texts() == ["lstm", "gru", "attention"]
    page.locator("#scope").select_option("parity")
    assert "0.91" in shown.locator("tr").last.inner_text()
    figure = page.locator("#beyond-plot figure")
    assert "trained at 3 … 40, for 3 architectures" in figure.locator("svg[role=img]").get_attribute("aria-label")
    figure.locator("summary").click()
    headings = figure.locator("details thead").inner_text().strip().split("\t")
    assert headings == ["architecture", "length 64", "length 128", "length 256"], "a range is no length of its own"
    figure.locator("select").select_option("1")
    assert "length 30" in figure.locator("details thead").inner_text()


def test_the_page_draws_skill_by_lag_and_by_position_and_the_horizon_that_is_read_from_one_net(show: Opener) -> None:
    def metrics(job: Any) -> dict[str, float]:
        found = {**at_lengths(job), "chance": 0.5}
        if job.level == "parity":
            return {**found, **{f"score_at_lag_{n}": 0.5 + 0.5 / (1 + (n / 20) ** 4) for n in (1, 4, 16, 64)}}
        return (
            {**found, **{f"score_at_position_{n}": 0.5 + n / 30 for n in (3, 6, 12)}}
            if job.level == "counting"
            else found
        )

    page = show(page_data(build_leaderboard(made_up(BEYOND, metrics)), {"digest": "sha256:0"}, []))
    figure = page.locator("#figures figure").filter(has_text="Skill by lag and position")
    picture = figure.locator("svg[role=img]")
    assert picture.get_attribute("aria-label") == "Skill against the lag of a step on parity, for 3 architectures."
    figure.locator("summary").click()
    assert "lag 64" in figure.locator("details thead").inner_text()
    figure.locator("select").select_option(label="counting")
    assert (
        picture.get_attribute("aria-label") == "Skill against the position of a step on counting, for 3 architectures."
    )
    horizons = page.locator("#figures figure").filter(has_text="Memory horizon")
    assert "It is not that of nets which are trained at each delay." in horizons.inner_text()
    horizons.locator("select").select_option(label="parity, read from one trained net by lag")
    horizons.locator("summary").click()
    assert "at 16" in horizons.locator("details thead").inner_text()
    page.locator("#table-memory").get_by_role("button", name="gru", exact=True).click()
    page.locator("#drawer select").select_option("parity")
    assert "parity, read from one trained net by lag: d50 = " in page.locator("#drawer").inner_text()
