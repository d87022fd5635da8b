"""The details of a row and the comparison of rows, on the page of a leaderboard in a real browser."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.leaderboards.conftest import Opener
from tests.leaderboards.made_up_pages import quick

IN_THE_DRAWER = (
    *("Chosen hyper-parameters", "at the edge", "Untuned against tuned", "Skill of 10 seeds"),
    *("Learning curves", "Gradient through time", "Configuration", "Do it again"),
)


def test_a_row_opens_by_mouse_and_keyboard_and_gives_the_focus_back(show: Opener) -> None:
    page = show(quick())
    drawer = page.locator("#drawer")
    for opens in (
        lambda: page.get_by_role("button", name="gru", exact=True).first.click(),
        lambda: by_keyboard(page, "gru"),
    ):
        opens()
        assert drawer.is_visible()
        assert page.evaluate("document.activeElement.closest('dialog').id") == "drawer"
        text = drawer.inner_text()
        for part in (*IN_THE_DRAWER, "0.0123456789", "memspan verify manifest.json --rows 'gru on adding'"):
            assert part in text
        assert "row=gru" in page.evaluate("location.hash")
        page.keyboard.press("Escape")
        assert not drawer.is_visible()
        assert page.evaluate("document.activeElement.dataset.row") == "gru"
        assert "row" not in page.evaluate("location.hash")


def by_keyboard(page: Any, name: str) -> None:
    page.locator("#filter").focus()
    for _ in range(80):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.dataset.row") == name:
            break
    page.keyboard.press("Enter")


def test_levels_in_the_drawer(show: Opener) -> None:
    page = show(quick())
    page.get_by_role("button", name="lstm", exact=True).first.click()
    drawer = page.locator("#drawer")
    assert "Memory horizon" not in drawer.inner_text()
    drawer.get_by_label("Task", exact=True).select_option("sequence_memory lag=30")
    assert "Memory horizon" in drawer.inner_text()
    drawer.get_by_text("Each seed").click()
    assert drawer.locator("details tbody tr").count() == 10
    assert re.search(r"\b[0-9a-f]{16}\b", drawer.locator("details").inner_text())
    drawer.get_by_role("button", name="copy_memory").click()
    assert "'lstm on copy_memory'" in drawer.inner_text()


@pytest.mark.parametrize("seeds", [1, 10, 100])
def test_dots_of_seeds_stand_on_each_other_below_the_words(show: Opener, seeds: int) -> None:
    data = quick()
    row = data["rows"]["adding"]["gru"]
    row |= {"skills": [0.0] * seeds, "seeds": list(range(seeds)), "diverged": []}
    page = show(data, fragment="#row=gru&level=adding")
    strip = page.locator("#drawer .strip")
    boxes = [dot.bounding_box() for dot in strip.locator("circle").all()]
    assert len(boxes) == seeds + 1, "a dot for each seed, and one for the mean"
    assert min(box["y"] for box in boxes) >= strip.bounding_box()["y"]
    assert len({round(box["y"]) for box in boxes}) == seeds + 1, "none lies on another"


def test_an_address_leads_to_a_row(show: Opener) -> None:
    page = show(quick(), fragment="#tab=cost&scope=adding&row=gru&level=copy_memory")
    assert page.locator("#drawer-title").inner_text() == "gru"
    assert "'gru on copy_memory'" in page.locator("#drawer").inner_text()
    page.keyboard.press("Escape")
    assert page.get_by_role("tab", name="Cost").get_attribute("aria-selected") == "true"
    assert page.locator("#scope").input_value() == "adding"


def test_comparing_two_and_three(show: Opener) -> None:
    data = quick()
    page = show(data)
    page.get_by_label("compare gru").first.check()
    assert page.locator("#compare-open").is_disabled()
    page.get_by_label("compare lstm_cell").first.check()
    page.get_by_role("button", name="Compare 2 architectures").click()
    found = page.locator("#compare table tbody tr").first.inner_text()
    pairs = data["comparisons"]["overall"]
    (pair,) = [pair for pair in pairs if (pair["first"], pair["second"]) == ("gru", "lstm_cell")]
    assert f"+{-pair['difference']:.2f}" in found  # the other way round: the better row comes first
    assert {"below": "above", "above": "below"}.get(pair["verdict"], pair["verdict"]) in found
    assert page.locator("#compare svg[role=img]").count() == 1
    page.locator("#compare select").select_option("copy_memory")
    page.keyboard.press("Escape")
    assert page.evaluate("document.activeElement.id") == "compare-open"
    page.get_by_label("compare lstm", exact=True).first.check()
    page.get_by_role("button", name="Compare 3 architectures").click()
    assert "below" in page.locator("#compare table tbody tr").first.inner_text()
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Clear").click()
    assert not page.locator("#compare-bar").is_visible()
    assert page.locator(".pick:checked").count() == 0
