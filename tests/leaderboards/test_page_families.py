"""Families, and states of every kind, on the page of a leaderboard in a real browser."""

from __future__ import annotations

from tests.leaderboards.conftest import Opener
from tests.leaderboards.made_up_pages import bare, large, quick, states
from tests.leaderboards.test_page_tables import names


def test_one_family_is_chosen_by_mouse_keyboard_and_address(show: Opener) -> None:
    page = show(states())
    choice = page.get_by_label("Family").first
    assert choice.locator("option").all_inner_texts() == ["all", "gated", "other"]
    choice.select_option("gated")
    assert names(page) == ["lstm", "residual"]
    assert page.locator("#count").inner_text() == "2 of 5 architectures"
    assert page.evaluate("location.hash") == "#family=gated"
    page.get_by_role("tab", name="Cost").click()
    assert names(page, "cost") == ["lstm", "residual"]
    assert page.evaluate("location.hash") == "#tab=cost&family=gated"
    page.reload()
    assert choice.input_value() == "gated"
    assert names(page, "cost") == ["lstm", "residual"]
    choice.focus()
    page.keyboard.press("ArrowDown")
    assert names(page, "cost") == ["cache", "transformer", "reservoir"]
    page.get_by_label("Architectures", exact=True).fill("lstm")
    assert (
        page.get_by_text("No architecture of the family “other” has this in its name.").locator("visible=true").count()
        == 1
    )
    page.get_by_label("Architectures", exact=True).fill("")
    choice.select_option(label="all")
    assert len(names(page, "cost")) == 5
    assert page.evaluate("location.hash") == "#tab=cost"


def test_a_family_that_is_not_there_is_ignored(show: Opener) -> None:
    assert len(names(show(states(), fragment="#family=linear"))) == 5
    page = show(bare(), fragment="#family=gated")
    assert page.locator("#family").count() == 0, "one family is no choice"
    assert names(page) == ["gru"]
    assert "family" not in page.locator("#table-memory thead").inner_text()


def test_rows_are_sorted_by_family_and_ranked_within_it(show: Opener) -> None:
    page = show(quick())
    page.get_by_role("button", name="family", exact=True).first.click()
    found = page.locator("#table-memory td.family").all_inner_texts()
    assert found == ["gated"] * 5 + ["simple"] * 3 + ["window"]
    assert names(page)[:3] == ["lstm_cell", "gru", "lstm_coupled"]


def test_the_plots_of_many_rows_are_chosen_by_family(show: Opener) -> None:
    page = show(large())
    page.locator("#chips").get_by_role("button", name="simple", exact=True).click()
    drawn = page.locator("#chips [aria-pressed=true]").all_inner_texts()
    assert sorted(drawn) == ["rnn", "rnn_bidirectional", "rnn_stacked"]


def test_states_that_grow_and_states_that_are_not_stated(show: Opener) -> None:
    page = show(states())
    page.get_by_label("Task").first.select_option("adding")
    shown = dict(zip(names(page), page.locator("#table-memory td.state").all_inner_texts(), strict=True))
    assert shown["lstm"] == "32"
    assert shown["cache"].split("\n") == ["6,000", "(200 per step)"]
    assert shown["transformer"] == "not stated"
    for order in (["lstm", "residual", "reservoir", "cache"], ["cache", "lstm", "residual", "reservoir"]):
        page.get_by_role("button", name="state", exact=True).first.click()
        assert names(page) == [*order, "transformer"], "what is not stated stands last whichever way up"
    frozen = dict(zip(names(page), page.locator("#table-memory td.frozen_parameters").all_inner_texts(), strict=True))
    assert (frozen["reservoir"], frozen["lstm"]) == ("1,840", "0")
    page.get_by_role("button", name="cache", exact=True).first.click()
    assert "(200 per step)" in page.locator("#drawer").inner_text()
    page.keyboard.press("Escape")
    page.locator("#tab-beyond").click()
    figure = page.locator("#beyond-plot figure")
    figure.locator("summary").click()
    numbers = figure.locator("details").inner_text()
    assert "state 6,000" in numbers
    assert "state 12,000" in numbers
    assert numbers.count("state") == 2, "a state of one size at every length is not repeated"


def test_an_architecture_whose_state_is_not_stated_has_no_place_on_the_axis_of_states(show: Opener) -> None:
    page = show(states(), fragment="#tab=cost")
    plot = page.locator("#cost-plot")
    assert "An architecture whose state is not stated has no place" in plot.inner_text()
    plot.locator("select").select_option(label="state size")
    assert plot.locator("svg[role=img]").get_attribute("aria-label").endswith("4 architectures.")
    assert "is not stated" not in show(quick(), fragment="#tab=cost").locator("#cost-plot").inner_text()


def test_the_tables_say_the_same_without_scripts(show: Opener) -> None:
    without, having = show(states(), java_script_enabled=False), show(states())
    for tab in ("memory", "cost"):
        cells = f"#table-{tab} tbody :is(td:not(.choose), th)"
        assert without.locator(cells).all_text_contents() == having.locator(cells).all_text_contents()
