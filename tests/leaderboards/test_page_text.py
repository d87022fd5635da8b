"""The page of a leaderboard as text: the same bytes, small, whole, and safe."""

from __future__ import annotations

import hashlib
import json
import re

import pytest

from suite.leaderboards.page.colours import CONTRAST, PAPER, legible, luminance
from suite.leaderboards.page.html import ASSETS, render
from tests.leaderboards.made_up_pages import HOSTILE, hostile, large, quick


def payload(text: str) -> str:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.DOTALL)
    assert found is not None
    return found[1]


def test_the_same_data_are_the_same_bytes() -> None:
    assert render(quick()) == render(quick())


def test_a_large_leaderboard_is_a_small_file() -> None:
    assert len(render(large()).encode()) < 3_000_000


def test_a_page_is_whole_and_may_ask_nobody() -> None:
    text = render(quick())
    policy = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:"
    assert f'http-equiv="Content-Security-Policy" content="{policy}"' in text
    assert not re.search(r'<(script|link|img|iframe)[^>]*\s(src|href)="(?!data:)', text)


def test_data_cannot_end_their_script() -> None:
    inside = payload(render(hostile()))
    assert not re.search("[<>&\u2028\u2029]", inside)
    assert {each["label"] for each in json.loads(inside)["data"]["architectures"]} == set(HOSTILE)


def test_numbers_that_do_not_exist_are_refused() -> None:
    data = quick()
    data["rankings"]["overall"][0]["gap"] = float("nan")
    with pytest.raises(ValueError, match="finite or None"):
        render(data)


def test_long_curves_are_thinned_where_there_are_many() -> None:
    data = quick()
    for rows in data["rows"].values():
        for row in rows.values():
            row["curve"] = {"step": list(range(1000)), "skill": [i / 1000 for i in range(1000)], "skill_low": []}
    curves = json.loads(payload(render(data)))["data"]["rows"]["adding"]["curve"]
    (steps,) = curves["axes"]
    assert curves["step"] == [0] * 9
    assert len(steps) == len(curves["skill"][0]) < 500
    assert (steps[0], steps[-1]) == (0, 999)


@pytest.mark.parametrize("theme", PAPER)
@pytest.mark.parametrize("color", ["#4477AA", "#CCBB44", "#66CCEE", "#555555", "#882255", "#ffffff", "#000000"])
def test_every_colour_can_be_seen_on_its_ground(color: str, theme: str) -> None:
    high, low = sorted((luminance(legible(color, theme)), luminance(PAPER[theme])), reverse=True)
    assert (high + 0.05) / (low + 0.05) >= CONTRAST[theme]


def test_what_is_brought_along_is_what_its_list_says() -> None:
    listed = (ASSETS / "vendor" / "README.md").read_text(encoding="utf-8")
    for path in sorted((ASSETS / "vendor").glob("*.js")):
        assert f"`{path.name}`" in listed
        assert hashlib.sha256(path.read_bytes()).hexdigest() in listed


def test_rows_of_a_level_say_what_differs_in_their_configurations() -> None:
    data = quick()
    level = json.loads(payload(render(data)))["data"]["rows"]["adding"]
    for architecture, config in zip(level["architecture"], level["config"], strict=True):
        whole = {part: {**level["shared"][part], **own} for part, own in config.items()}
        assert whole == data["rows"]["adding"][architecture]["config"]
    assert level["config"][0] == {"task": {}, "model": {}, "training": {}}
