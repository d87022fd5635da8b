"""The tables of the page of a leaderboard in a real browser: sorting, filtering, scopes, copying."""

from __future__ import annotations

import io
from typing import Any

import pandas as pd

from suite.leaderboards.columns import SKILL as SKILL_COLUMN
from suite.leaderboards.columns import cell
from tests.leaderboards.conftest import Opener
from tests.leaderboards.made_up_pages import SKILL, quick


def names(page: Any, tab: str = "memory") -> list[str]:
    return [str(text) for text in page.locator(f"#table-{tab} tbody .open").all_inner_texts()]


def heading(page: Any, label: str, tab: str = "memory") -> Any:
    return page.locator(f"#table-{tab} thead th").filter(has=page.get_by_role("button", name=label, exact=True))


def test_the_table_is_there_without_scripts_and_says_the_same_with_them(show: Opener) -> None:
    data = quick(seeds=3, without="mlp on copy_memory")
    data["rankings"]["overall"][1] |= {"gap": -0.004, "iqm": 0.125, "iqm_low": 0.375, "steps": 1234.5}
    without, having = show(data, java_script_enabled=False), show(data)
    for tab in ("memory", "overfitting", "cost"):
        cells = f"#table-{tab} tbody :is(td:not(.choose), th)"
        assert without.locator(cells).all_text_contents() == having.locator(cells).all_text_contents()
        assert without.locator(f"#table-{tab}").is_visible()
    assert without.locator("noscript p").is_visible()
    assert not without.locator("#plots").is_visible()
    row = having.locator("#table-memory tbody tr").nth(1).text_content() or ""  # a narrow window hides some intervals
    assert "0.12 [0.38, " in row
    assert "1,234" in row
    assert "-0.00" not in row
    assert "– (no copy_memory)" in having.locator("#table-memory tbody").inner_text()


def test_numbers_are_rounded_as_python_does_it(show: Opener) -> None:
    page = show(quick())
    values = [0.125, 0.375, 0.285, 1.005, -0.125, -0.004, 0.0, 2.5, 3.5, 0.5, 1234567.5, 99.995, -1.5]
    for digits in (0, 1, 2, 3):
        found = page.evaluate("([values, digits]) => values.map((value) => fixed(value, digits))", [values, digits])
        assert found == [f"{round(value, digits) + 0.0:.{digits}f}" for value in values]


def test_sorting(show: Opener) -> None:
    data = quick(without="mlp on sequence_memory lag=10")  # which leaves it without a horizon
    page = show(data)
    ranked = names(page)
    assert heading(page, "rank").get_attribute("aria-sort") == "ascending"
    page.get_by_role("button", name="seq/s").first.click()
    fastest = names(page)
    assert fastest[0] == "mlp"
    assert heading(page, "seq/s").get_attribute("aria-sort") == "descending"
    assert heading(page, "rank").get_attribute("aria-sort") is None
    page.get_by_role("button", name="seq/s").first.click()
    assert names(page) == fastest[::-1]
    assert heading(page, "seq/s").get_attribute("aria-sort") == "ascending"
    page.get_by_role("button", name="seeds", exact=True).first.click()  # all alike: nothing moves
    assert names(page) == ranked
    horizon = page.get_by_role("button", name="d50 [95 %]", exact=True)
    unknown = [row["architecture"] for row in data["rankings"]["overall"] if row["horizon_d50"] is None]
    assert unknown == ["mlp"]
    for _ in range(2):
        horizon.click()
        assert names(page)[-len(unknown) :] == unknown
    page.get_by_role("button", name="rank", exact=True).first.click()
    assert names(page) == ranked


def test_filtering(show: Opener) -> None:
    page = show(quick())
    status = page.locator("#count")
    assert status.get_attribute("aria-live") == "polite"
    assert status.inner_text() == "9 architectures"
    page.get_by_label("Architectures", exact=True).fill("LSTM")
    assert sorted(names(page)) == sorted(name for name in SKILL if "lstm" in name)
    assert status.inner_text() == "4 of 9 architectures"
    page.get_by_label("Architectures", exact=True).fill("nobody")
    assert names(page) == []
    assert page.get_by_text("No architecture has this in its name.").first.is_visible()


def test_another_scope(show: Opener) -> None:
    data = quick()
    page = show(data)
    page.get_by_label("Task").first.select_option("adding")
    ranking = data["rankings"]["adding"]
    assert names(page) == [row["architecture"] for row in ranking]
    skills = page.locator("#table-memory .skill .numbers").all_inner_texts()
    assert skills == [" ".join(cell(row, SKILL_COLUMN)) for row in ranking]
    assert page.evaluate("location.hash") == "#scope=adding"
    page.get_by_role("tab", name="Overfitting").click()
    assert page.locator("#table-overfitting tbody tr").count() == 9
    assert not page.locator("#table-memory").is_visible()
    page.keyboard.press("ArrowRight")
    assert page.get_by_role("tab", name="Cost").get_attribute("aria-selected") == "true"
    assert page.evaluate("document.activeElement.id") == "tab-cost"
    assert page.locator("#cost-plot svg[role=img]").count() == 1


def test_a_cell_can_be_copied(show: Opener) -> None:
    data = quick()
    page = show(data)
    row = data["rankings"]["overall"][0]
    picked = page.evaluate("""() => {
        getSelection().selectAllChildren(document.querySelector("#table-memory tbody .skill"));
        return getSelection().toString().trim();
    }""")
    assert picked == f"{row['mean']:.2f} [{row['low']:.2f}, {row['high']:.2f}]"


def test_tables_are_copied_in_three_formats(show: Opener) -> None:
    data = quick()
    page = show(data, "navigator.clipboard.writeText = async (text) => { window.copied = text; };")
    page.locator("#filter").fill("lstm_c")
    page.get_by_role("button", name="Markdown").click()
    lines = page.evaluate("copied").split("\n")
    assert lines[0].startswith(
        "| rank | architecture | family | skill [95 %] |".replace("[", "\\[").replace("]", "\\]")
    )
    assert len(lines) == 4
    assert "lstm\\_cell" in lines[2]
    page.get_by_role("button", name="CSV").click()
    table = pd.read_csv(io.StringIO(page.evaluate("copied")))
    assert list(table["architecture"]) == ["lstm_cell", "lstm_coupled"]
    page.wait_for_timeout(1300)
    page.get_by_role("button", name="LaTeX").click()
    best = data["rankings"]["overall"][0]
    assert f"lstm\\_cell & gated & {best['mean']:.2f} [" in page.evaluate("copied")
    assert "$\\geq$ 30]" in page.evaluate("copied")


def test_where_the_clipboard_is_forbidden_the_text_is_selected(show: Opener) -> None:
    page = show(quick(), "Object.defineProperty(navigator, 'clipboard', { value: undefined });")
    page.locator("[data-copies=bibtex]").click()
    assert page.evaluate("getSelection().toString()").startswith("@misc{")
    page.keyboard.press("Escape")
    assert page.evaluate("document.activeElement.dataset.copies") == "bibtex"
