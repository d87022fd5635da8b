"""How the page of a leaderboard looks in a real browser: plots, themes, phones, sandboxes, hostile names."""

from __future__ import annotations

import re
from html import escape
from pathlib import Path
from typing import Any

import pytest

from suite.leaderboards.page.html import render
from tests.leaderboards.conftest import Opener, Watched
from tests.leaderboards.made_up_pages import HOSTILE, bare, hostile, large, nothing, quick


def test_theme(show: Opener) -> None:
    page = show(quick(), color_scheme="light")
    ground = "getComputedStyle(document.documentElement).backgroundColor"
    light = page.evaluate(ground)
    page.locator("#theme").click()
    dark = page.evaluate(ground)
    assert dark != light
    page.reload()
    assert page.evaluate(ground) == dark  # remembered
    page.locator("#theme").click()
    assert page.evaluate(ground) == light
    assert show(quick(), color_scheme="dark").evaluate(ground) == dark  # the system's


def test_plots_show_what_is_chosen(show: Opener) -> None:
    data = quick()
    page = show(data)
    titles = page.locator("#figures figcaption h3").all_inner_texts()
    assert titles == ["Skill on every task", "Performance profiles", "Memory horizon",
                      "Gradient through time", "Budget of the search", "Critical differences"]  # fmt: skip
    for picture in page.locator("figure svg[role=img]").all():
        assert picture.get_attribute("aria-label")
    chip = page.locator("#chips").get_by_role("button", name="gru")
    drawn = page.locator("#figures svg .arch-1")
    before = drawn.count()
    chip.click()
    assert chip.get_attribute("aria-pressed") == "false"
    assert before > 5
    assert drawn.count() == 1  # of the critical differences, which are those of all
    page.locator("#figures summary").nth(2).click()
    assert page.locator("#figures details[open]").count() == 1
    assert data["horizons"][0]["fits"][0]["text"] in page.locator("#figures details").nth(2).inner_text()


def test_the_gradients_of_all_architectures_lie_over_each_other_with_their_words(show: Opener) -> None:
    page = show(quick())
    figure = page.locator("#figures figure").filter(has_text="Gradient through time")
    label = figure.locator("svg[role=img]").get_attribute("aria-label")
    said = "Logarithm of the norm of the gradient {} against the lag on adding, before training, for 9 architectures."
    assert label == said.format("through the state")
    figure.locator("summary").click()
    assert "shrinks by e^−0.14 per step, 10^−3.6 over 59" in figure.locator("details").inner_text()
    figure.locator("select").nth(1).select_option(label="from output to input")
    label = figure.locator("svg[role=img]").get_attribute("aria-label")
    assert label == said.format("from output to input")
    assert figure.locator("tbody td").nth(1).inner_text().startswith("-1.3")  # at lag 1
    figure.locator("select").first.select_option(label="copy_memory, half-way")
    assert "on copy_memory, half-way, for 8" in figure.locator("svg[role=img]").get_attribute("aria-label")  # not gru
    assert figure.locator(".how").count() == 0
    page.get_by_role("button", name="lstm", exact=True).first.click()
    drawer = page.locator("#drawer")
    assert drawer.inner_text().count("The gradient before training shrinks by e^−0.18 per step") == 2
    for said in ("through the state", "from output to input"):
        assert (
            drawer.get_by_role("img", name=f"Logarithm of the norm of the gradient {said} against the lag").count() == 1
        )


def test_a_row_without_a_state_of_constant_size_is_seen_from_output_to_input(show: Opener) -> None:
    data = quick()
    for rows in data["rows"].values():
        rows["mlp"] |= {"gradient": None, "gradient_words": {}}
    page = show(data)
    figure = page.locator("#figures figure").filter(has_text="Gradient through time")
    picture = figure.locator("svg[role=img]")
    assert "from output to input against the lag on adding, before training, for 9" in picture.get_attribute(
        "aria-label"
    )
    figure.locator("select").nth(1).select_option(label="through the state")
    assert "for 8 architectures" in picture.get_attribute("aria-label")
    why = "Not drawn, because there is no gradient through a state of constant size: mlp."
    assert figure.locator(".how").inner_text() == why
    page.get_by_role("button", name="mlp", exact=True).first.click()
    assert "There is no gradient through a state of constant size." in page.locator("#drawer").inner_text()
    assert page.locator("#drawer").get_by_role("img", name="Logarithm of the norm of the gradient").count() == 1


def test_a_leaderboard_of_earlier_runs_has_only_the_gradient_through_the_state(show: Opener) -> None:
    data = quick()
    for rows in data["rows"].values():
        for row in rows.values():
            row |= {"input_gradient": None, "input_gradient_words": {}}
    page = show(data)
    figure = page.locator("#figures figure").filter(has_text="Gradient through time")
    assert figure.locator("select").count() == 1
    assert "from output to input" not in figure.inner_text()
    page.get_by_role("button", name="lstm", exact=True).first.click()
    assert "from output to input" not in page.locator("#drawer").inner_text()


def test_a_point_says_what_it_is(show: Opener) -> None:
    page = show(quick(), color_scheme="dark")
    point = page.locator("#figures figure").nth(2).locator("svg g.arch-3 path").nth(2)
    point.hover(force=True)
    tip = page.locator("#figures figure").nth(2).locator("svg g g").filter(has_text="delay").last
    assert re.search(r"delay \d+: 0\.\d\d \[", tip.inner_html())
    assert page.locator("#figures svg [fill=white]").count() == 0  # a ground of its own in the dark


def test_a_large_leaderboard_draws_the_best(show: Opener) -> None:
    page = show(large())
    assert page.locator("#table-memory tbody tr").count() == 30
    assert page.locator("#chips [aria-pressed=true]").count() == 8
    page.get_by_role("button", name="all", exact=True).click()
    assert page.locator("#chips [aria-pressed=true]").count() == 30


@pytest.mark.parametrize("tab", ["memory", "overfitting", "cost"])
def test_nothing_is_wider_than_a_phone(show: Opener, tab: str) -> None:
    page = show(
        quick(seeds=3, without="mlp on copy_memory"), viewport={"width": 360, "height": 740}, fragment=f"#tab={tab}"
    )
    wide = "document.documentElement.scrollWidth"
    assert page.evaluate(wide) == 360
    page.evaluate("document.querySelectorAll('details').forEach((each) => { each.open = true; })")
    assert page.evaluate(wide) == 360
    box = page.locator(f"#panel-{tab} > .scroll")
    assert box.evaluate("box => box.scrollWidth > box.clientWidth")
    box.evaluate("box => { box.scrollLeft = 200; }")
    left = page.locator(f"#table-{tab} tbody .name").first.bounding_box()["x"]
    assert left == pytest.approx(box.bounding_box()["x"], abs=1)  # the name stays
    page.get_by_label("compare gru").locator("visible=true").check()
    page.get_by_label("compare lstm", exact=True).locator("visible=true").check()
    page.locator("#compare-open").click()
    assert page.locator("#compare").evaluate("box => box.scrollWidth - box.clientWidth") == 0
    page.keyboard.press("Escape")
    page.locator(f"#table-{tab} .open").first.click()
    assert page.locator("#drawer").evaluate("box => [box.scrollWidth, box.clientWidth]") == [360, 360]
    assert page.evaluate(wide) == 360


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_accessibility(show: Opener, scheme: str) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe is not installed").Axe()
    page = show(quick(seeds=3, without="mlp on copy_memory"), color_scheme=scheme)

    def faults() -> list[tuple[str, Any]]:
        found = axe.run(page).response["violations"]
        return [
            (each["id"], [node["target"] for node in each["nodes"]][:5])
            for each in found
            if each["impact"] in ("serious", "critical")
        ]

    assert faults() == []
    page.get_by_role("button", name="gru", exact=True).first.click()
    assert faults() == []
    page.keyboard.press("Escape")
    for tab in ("Overfitting", "Cost") if scheme == "light" else ():
        page.get_by_role("tab", name=tab).click()
        assert faults() == []
    for name in ("gru", "lstm"):
        page.get_by_label(f"compare {name}", exact=True).locator("visible=true").check()
    assert faults() == []
    page.locator("#compare-open").click()
    assert faults() == []


def test_hostile_names_are_text(show: Opener) -> None:
    data = hostile()
    page = show(data, java_script_enabled=True)
    assert sorted(page.locator("#table-memory tbody .open").all_text_contents()) == sorted(HOSTILE)
    assert page.locator("h1").text_content() == data["title"]
    assert page.locator("#bibtex").text_content() == HOSTILE[1]
    assert [link.get_attribute("href").startswith("./") for link in page.locator(".files a").all()] == [True, True]
    for i in range(len(HOSTILE)):
        page.locator("#table-memory .open").nth(i).click()
        assert page.locator("#drawer-title").text_content() in HOSTILE
        assert page.locator("#drawer pre").text_content() == HOSTILE[1]
        page.keyboard.press("Escape")
    for box in page.locator("#table-memory .pick").all():
        box.check()
    page.locator("#compare-open").click()
    assert page.locator("#compare thead th").count() == 1 + len(HOSTILE)
    page.keyboard.press("Escape")
    for scope in data["scopes"]:
        page.locator("#scope").select_option(scope)
        assert page.locator("#table-memory .scope-name").text_content() == scope
        assert page.locator("#table-memory .skill .numbers").count() == len(HOSTILE)
    assert page.locator("#main img, #main b b, dialog img").count() == 0
    assert page.title() == f"{data['title']} · memspan"
    assert page.locator("body").is_visible()


def test_in_a_sandbox_without_storage(chromium: Any, tmp_path: Path) -> None:
    (tmp_path / "host.html").write_text(
        f'<iframe sandbox="allow-scripts" width="1200" height="800" srcdoc="{escape(render(quick()))}"></iframe>',
        encoding="utf-8",
    )
    page = chromium.new_page()
    watched = Watched(page)
    page.goto((tmp_path / "host.html").as_uri())
    inside = page.frame_locator("iframe")
    inside.locator("#theme").click()
    inside.locator("#scope").select_option("adding")
    inside.get_by_role("link", name="Cite").click()
    inside.get_by_role("button", name="gru", exact=True).first.click()
    assert inside.locator("#drawer").is_visible()
    assert watched.faults == []
    page.close()


def test_little_is_enough(show: Opener) -> None:
    data = bare()
    data |= {"overfitting": {}, "overfitting_curves": [], "horizons": [], "longer": [], "profiles": {}, "budget": None}
    data |= {"critical": None, "notes": [], "files": []}
    row = data["rows"]["adding"]["gru"]
    assert row["gradient"] is None
    assert (row["params"], row["edges"], row["curve"]["step"]) == ({}, [], [])
    page = show(data)
    assert page.get_by_role("tab").all_inner_texts() == ["Long-term memory", "Cost"]
    page.get_by_role("button", name="gru", exact=True).first.click()
    assert "Untuned" in page.locator("#drawer").inner_text()
    assert "No run has finished yet." in show(nothing()).locator("main").inner_text()
