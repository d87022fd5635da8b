"""One page over several leaderboards."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from suite.errors import InputError
from suite.leaderboards.files import write
from suite.leaderboards.leaderboard import build_leaderboard
from suite.leaderboards.page.index_page import BEST, boards_in, write_index
from suite.results.record import Record
from tests.browser import browser, browser_program
from tests.leaderboards.test_growing import TABLES, drawn
from tests.synthetic import made_up


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with three leaderboards, of which the last has a hostile title."""
    folder = tmp_path_factory.mktemp("boards")
    rows = {f"gru_{n}": {"architecture": "gru"} for n in range(BEST + 2)}
    changes: dict[str, dict[str, Any]] = {
        "a": {"title": "Recall", "description": "What is\n remembered."},
        "b c": {"architectures": rows},
        "z": {"title": "</style><script>alert(1)</script>"},
    }
    for name, tables in changes.items():
        write(build_leaderboard(Record.of(made_up({**TABLES, **tables}, drawn))), folder / name)
    (folder / "other").mkdir()
    return folder


def test_it_shows_every_leaderboard_with_its_best_rows(folder: Path) -> None:
    found = boards_in([folder, folder / "a"])
    assert [path.name for path in found] == ["a", "b c", "z"]
    write_index(found, folder / "all.html", "Ours & yours")
    text = (folder / "all.html").read_text(encoding="utf-8")
    assert "<title>Ours &amp; yours · memspan</title>" in text
    assert re.findall(r'<a href="([^"]*)">', text) == ["a/index.html", "b%20c/index.html", "z/index.html"]
    assert text.count('<th scope="row"') == 3 + BEST + 3
    assert "and 2 more" in text
    assert "What is remembered." in text
    assert text.count("<code>sha256:") == 3
    assert "<script" not in text
    write_index(found[:1], folder / "all.html", "Again")  # It may be written again.


def test_links_lead_from_wherever_the_page_is(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "pages").mkdir()
    write_index([folder / "a"], tmp_path / "pages" / "all.html", "Ours")
    (link,) = re.findall(r'<a href="([^"]*)">', (tmp_path / "pages" / "all.html").read_text(encoding="utf-8"))
    assert (tmp_path / "pages" / link).resolve() == folder / "a" / "index.html"


def test_other_files_are_not_written_over_and_other_folders_are_named(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.html").write_text("<p>mine</p>", encoding="utf-8")
    with pytest.raises(InputError, match="is there and is no index of memspan; give another --output"):
        write_index([folder / "a"], tmp_path / "mine.html", "Ours")
    assert (tmp_path / "mine.html").read_text(encoding="utf-8") == "<p>mine</p>"
    for path in (folder / "other", folder / "none"):
        with pytest.raises(InputError, match="there is no leaderboard in"):
            boards_in([path])


@pytest.mark.skipif(browser_program() is None, reason="no Chromium on this machine")
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_is_accessible_and_fits_a_phone(folder: Path, scheme: str) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe is not installed")
    write_index(boards_in([folder]), folder / "all.html", "Ours")
    with browser() as started:
        page = started.new_page(viewport={"width": 390, "height": 800}, color_scheme=scheme)
        page.goto((folder / "all.html").as_uri())
        found = axe.Axe().run(page).response["violations"]
        assert [each["id"] for each in found if each["impact"] in ("serious", "critical")] == []
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
