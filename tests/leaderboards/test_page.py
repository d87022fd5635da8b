"""The page of a leaderboard, in a real browser: what it shows, what it does when pressed, and that it asks nobody."""

from __future__ import annotations

import hashlib
import io
import json
import re
from collections.abc import Callable, Iterator
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from suite.leaderboards.columns import MEMORY
from suite.leaderboards.page.colours import CONTRAST, PAPER, _legible, _luminance
from suite.leaderboards.page.html import ASSETS, cell, render
from tests.browser import browser, browser_program

LESSON = {
    "lstm_cell": ("#66CCEE", "s", "5 1.5", 0.49),
    "gru": ("#EE6677", "D", "", 0.40),
    "lstm_coupled": ("#228833", "^", "", 0.38),
    "lstm": ("#4477AA", "o", "", 0.28),
    "lstm_peephole": ("#AA3377", "X", "", 0.12),
    "rnn_bidirectional": ("#CCBB44", "D", "1.5 1.5", 0.04),
    "rnn_stacked": ("#CCBB44", "^", "5 1.5", 0.03),
    "rnn": ("#CCBB44", "s", "", 0.02),
    "mlp": ("#555555", "o", "1.5 1.5", 0.02),
}
SPEEDS = (13104.4, 10223.2, 11136.0, 12858.9, 11510.5, 10310.1, 10209.7, 12823.3, 14567.8)
HOSTILE = [
    "<script>document.title = 'taken'</script>",
    "</script><img src=x onerror=\"document.title = 'taken'\">",
    "quo\"te' & <b>bold</b>",
    "\u202eright to left\u202c \u2028 \u2029",
    "__proto__",
    "constructor",
    "{{ data }} {% raw %}",
]


# --- data -----------------------------------------------------------------------------------------------------------


def quick(seeds: int = 10, **changes: Any) -> dict[str, Any]:
    """What the lesson's nine architectures look like after a short experiment."""
    styles = [(name, *style) for name, style in LESSON.items()]
    return page_data(styles, ["adding", "copy_memory", "sequence_memory lag=30"], seeds, **changes)


def large() -> dict[str, Any]:
    """As much as a page has to hold: 30 architectures, 20 tasks, 10 seeds."""
    names = [*LESSON, *(f"lstm_variant_{i:02}" for i in range(21))]
    styles = [
        (name, f"#{(i * 5701139) % 2**24:06x}", "os^DvPX*"[i % 8], "", 0.9 - i / 40) for i, name in enumerate(names)
    ]
    return page_data(styles, [f"sequence_memory lag={2 * i}" for i in range(1, 21)], 10, points=20, trials=12)


def page_data(
    styles: list[tuple[str, str, str, str, float]],
    levels: list[str],
    seeds: int,
    points: int = 8,
    trials: int = 3,
    critical: bool = True,
) -> dict[str, Any]:
    """Data as `suite.leaderboards.page.data` makes them, drawn at random, the same every time."""
    draw = np.random.default_rng(0)
    names = [style[0] for style in styles]
    scopes = ["overall", *levels] if len(levels) > 1 else levels
    factor = {
        scope: 1.0 if scope == "overall" else float(f)
        for scope, f in zip(scopes, np.linspace(0.3, 1.9, len(scopes)), strict=True)
    }
    skill = {
        scope: {
            style[0]: float(np.clip(style[4] * factor[scope] + draw.normal(0, 0.02), 0.003, 0.995)) for style in styles
        }
        for scope in scopes
    }

    def ends(mean: float, width: float = 0.08) -> dict[str, float]:
        low, high = draw.uniform(0.3, 1, 2) * width * (0.3 + 4 * mean * (1 - mean))
        return {"low": max(0.0, mean - float(low)), "high": min(1.0, mean + float(high))}

    memory: dict[str, list[dict[str, Any]]] = {}
    cost: dict[str, list[dict[str, Any]]] = {}
    for scope in scopes:
        ordered = sorted(names, key=lambda name: -skill[scope][name])
        memory[scope], cost[scope] = [], []
        for place, name in enumerate(ordered):
            mean, speed = skill[scope][name], SPEEDS[names.index(name) % 9]
            interval = ends(mean)
            missing = "copy_memory" if name == "mlp" and scope == "overall" and seeds < 5 else ""
            size = {"parameters": 4900 + 13 * place, "state_size": 38 + 7 * (place % 6)}
            memory[scope].append(
                {
                    "architecture": name,
                    "rank": None if missing else place + 1,
                    "rank_low": None if missing else max(1, place + (place % 3 == 2)),
                    "rank_high": None if missing else place + 1 + (place % 2),
                    "mean": None if missing else mean,
                    "low": None if missing else interval["low"],
                    "high": None if missing else interval["high"],
                    "group": "" if missing else "abcdefgh"[place // 3 : place // 3 + 1 + place % 2],
                    "seeds": seeds,
                    "few_seeds": seeds < 10,
                    "iqm": None if missing else mean * 0.97,
                    **{f"iqm_{end}": None if missing else value * 0.97 for end, value in interval.items()},
                    "solve_rate": None if missing else round(mean, 1),
                    "solve_low": None if missing else max(0.0, round(mean, 1) - 0.125),
                    "solve_high": None if missing else min(1.0, round(mean, 1) + 0.22),
                    "steps": None if missing else 400 - 100 * mean,
                    "steps_low": None if missing else 380 - 100 * mean,
                    "steps_high": None if missing else 410 - 100 * mean,
                    "gap": (gap := float(draw.normal(0, 0.006))),
                    "gap_low": gap - 0.01,
                    "gap_high": gap + 0.01,
                    "diverged": 0,
                    **size,
                    "speed": speed,
                    "speed_low": speed * 0.97,
                    "speed_high": speed * 1.02,
                    "missing": missing,
                    "horizon": f"{10 + 20 * mean:.0f} [8, ≥ 24]" if scope == "overall" and place % 4 != 3 else None,
                    "horizon_d50": 10 + 20 * mean if scope == "overall" and place % 4 != 3 else None,
                }
            )
            cost[scope].append(
                {
                    "architecture": name,
                    "mean": memory[scope][-1]["mean"],
                    **interval,
                    "speed": speed,
                    "speed_low": speed * 0.97,
                    "speed_high": speed * 1.02,
                    **size,
                    "steps": 400 - 100 * mean,
                    "seconds_to_solve": 1.4 * (400 - 100 * mean) * 32 / speed if mean > 0.3 else None,
                    "front": False,
                }
            )
        best = -1.0
        for row in sorted(cost[scope], key=lambda row: -row["speed"]):
            if row["mean"] is not None and row["mean"] > best:
                best, row["front"] = row["mean"], True

    thresholds = [i / 50 for i in range(51)]
    profiles: dict[str, Any] = {}
    budget: dict[str, Any] = {}
    comparisons: dict[str, Any] = {}
    for scope in scopes:
        curves, searched = {}, {}
        for name in names:
            mean = skill[scope][name]
            sample = np.clip(draw.normal(mean, 0.05 + 0.2 * mean * (1 - mean), 30), 0, 1)
            share = [float(np.mean(sample > t)) for t in thresholds]
            curves[name] = {
                "share": share,
                "low": [max(0.0, s - 0.3 * s * (1 - s) - 0.01) for s in share],
                "high": [min(1.0, s + 0.3 * s * (1 - s) + 0.01) for s in share],
            }
            expected = [mean * (1 - 0.5 * 0.6 ** (k + 1)) for k in range(trials)]
            searched[name] = {
                "expected": expected,
                "low": [max(0.0, e - 0.05) for e in expected],
                "high": [min(1.0, e + 0.04) for e in expected],
                "default": mean * 0.6,
            }
        profiles[scope] = {"thresholds": thresholds, "curves": curves}
        budget[scope] = searched
        pairs = []
        for i, first in enumerate(names):
            for second in names[i + 1 :]:
                apart = skill[scope][first] - skill[scope][second]
                verdict = "unresolved" if abs(apart) < 0.06 else "above" if apart > 0 else "below"
                verdict = "tied" if abs(apart) < 0.005 else verdict
                pairs.append(
                    {
                        "first": first,
                        "second": second,
                        "difference": apart,
                        "low": max(-1.0, apart - 0.06),
                        "high": min(1.0, apart + 0.06),
                        "p_holm": float(np.exp(-90 * abs(apart))),
                        "verdict": verdict,
                    }
                )
        comparisons[scope] = pairs

    steps = [50 * (i + 1) for i in range(points)]
    rows: dict[str, Any] = {}
    for level in levels:
        rows[level] = {}
        for name in names:
            mean = skill[level][name]
            rise = [mean / (1 + np.exp(-(8 * (i + 1) / points - 4))) for i in range(points)]
            lags = [1, 2, 4, 8, 16, 32, 64, 100]
            slope = -0.004 - 0.09 * (1 - mean)
            rows[level][name] = {
                "params": {"learning_rate": float(draw.uniform(0.002, 0.03)), "clip": "off", "forget_bias": 3.0},
                "edges": ["forget_bias"],
                "default_validation": mean * 0.6,
                "tuned_validation": mean,
                "config": {
                    "task": {
                        "name": level.split(" ")[0],
                        "length": 60,
                        "test_lengths": [120, 240],
                        "options": {"lag": 30},
                    },
                    "model": {"architecture": name, "parameters": 5000, "depth": 1, "bidirectional": False},
                    "training": {"steps": 400, "batch_size": 32, "learning_rate": 0.0123456789, "clip": None},
                },
                "seeds": list(range(seeds)),
                "skills": [float(s) for s in np.clip(draw.normal(mean, 0.05, seeds), 0, 1)],
                "steps_to_solve": [400 if mean > 0.5 and i % 2 else None for i in range(seeds)],
                "keys": [f"{int(k):016x}" for k in draw.integers(0, 2**60, seeds)],
                "curve": {
                    "step": steps,
                    "skill": [float(r) for r in rise],
                    "skill_low": [float(max(0, r - 0.08)) for r in rise],
                    "skill_high": [float(min(1, r + 0.08)) for r in rise],
                    "train_loss": [float(0.17 * (1 - r) + draw.normal(0, 0.002)) for r in rise],
                    "validation_loss": [float(0.18 * (1 - r)) for r in rise],
                },
                "gradient": {
                    "lag": lags,
                    "start": [slope * 2 * lag for lag in lags],
                    **({} if name == "gru" else {"half": [slope * 1.2 * lag for lag in lags]}),  # of a short run
                    "end": [slope * lag if lag < 100 else None for lag in lags],
                },
                "command": f"memspan verify manifest.json --rows '{name} on {level}'",
            }

    delays = [2, 4, 8, 12, 16, 24]
    ladder = levels[-1].split(" ")[0]

    def fitted(name: str, delay: float) -> float:
        return float(0.98 / (1 + (delay / (6 + 24 * skill[scopes[0]][name])) ** 5))

    horizons = [
        {
            "kind": kind,
            "ladder": ladder,
            "points": [
                {
                    "architecture": name,
                    "delay": delay,
                    "skill": fitted(name, delay),
                    **ends(fitted(name, delay)),
                    "seeds": seeds,
                }
                for name in names
                for delay in delays
            ],
            "fits": [
                {
                    "architecture": name,
                    "text": f"{6 + 24 * skill[scopes[0]][name]:.0f} [5, ≥ 24]",
                    "curve": [[float(d), fitted(name, float(d))] for d in np.geomspace(2, 24, 40)],
                }
                for name in names
            ],
        }
        for kind in ("trained", "extrapolated")
    ]
    sizes = [50, 200, 1000]
    few = names[:4]
    overfitting = [
        {
            "architecture": name,
            "rank_low": place + 1,
            "rank_high": place + 1 + place % 2,
            "mean": 0.7 - 0.15 * place,
            **ends(0.7 - 0.15 * place),
            "group": "abcd"[place],
            "seeds": seeds,
            "few_seeds": seeds < 10,
            "test_loss": 0.05 + 0.03 * place,
            "test_loss_low": 0.04 + 0.03 * place,
            "test_loss_high": 0.07 + 0.03 * place,
            "gap": 0.1 + 0.02 * place,
            "final_gap": 0.2 + 0.02 * place,
            "missing": "",
        }
        for place, name in enumerate(few)
    ]

    def against_size(name: str, shift: float) -> dict[str, list[float]]:
        means = [min(1.0, max(0.0, skill[scopes[0]][name] + 0.15 * i + shift)) for i in range(len(sizes))]
        return {"mean": means, "low": [max(0.0, m - 0.07) for m in means], "high": [min(1.0, m + 0.05) for m in means]}

    return {
        "experiment": "quick",
        "title": "Every architecture of the lesson on three long-range tasks",
        "description": "Parameter-matched, a small sweep each, ten fresh seeds: minutes on a laptop. The lags are "
        "longer than the window of the fully-connected net, and short enough for a few hundred steps of training.",
        "complete": seeds >= 10,
        "planned": 351,
        "done": 351 if seeds >= 10 else 120,
        "notes": [] if seeds >= 10 else ["Fewer than 10 seeds: an indication, not a result to publish."],
        "scopes": scopes,
        "architectures": [{"label": n, "color": c, "marker": m, "dash": d} for n, c, m, d, _ in styles],
        "memory": memory,
        "cost": cost,
        "overfitting": {"adding": overfitting},
        "overfitting_curves": [
            {
                "ladder": "adding",
                "sizes": sizes,
                "curves": {
                    name: {"train_skill": against_size(name, 0.2), "test_skill": against_size(name, 0)} for name in few
                },
            }
        ],
        "horizons": horizons,
        "longer": [
            {
                "architecture": name,
                "task": level,
                "length": length,
                "skill": skill[level][name] / (i + 1.5),
                **ends(skill[level][name] / (i + 1.5)),
                "seeds": seeds,
            }
            for level in levels
            for name in names
            for i, length in enumerate((120, 240))
        ],
        "profiles": profiles,
        "budget": budget,
        "critical": {
            "p": 0.0004,
            "tasks": 12,
            "ranks": [{"architecture": name, "rank": 1 + 0.83 * i} for i, name in enumerate(names[:9])],
            "cliques": [names[0:3], names[2:5], names[4:9]],
        }
        if critical
        else None,
        "comparisons": comparisons,
        "rows": rows,
        "measured": {
            "sentences": [
                "Hyper-parameters were selected on validation data, with as many trials for every architecture.",
                "Every winner was trained anew on seeds that were not used for tuning, and tested on unseen data.",
                "Intervals are stratified bootstraps over paired seeds; differences are paired t-tests, with Holm.",
            ],
            "facts": {"memspan": "0.1.0", "torch": "2.13.0", "processor": "a laptop's, two cores", "threads": "1"},
        },
        "cite": {
            "text": "Please cite the leaderboard by its digest.",
            "bibtex": "@misc{quick,\n  title = {Every architecture of the lesson},\n  note = {memspan 0.1.0},\n}",
            "digest": "sha256:" + "0123456789abcdef" * 4,
        },
        "files": [
            {"name": "leaderboard.csv", "what": "every row with its intervals"},
            {"name": "manifest.json", "what": "what every run is made of"},
        ],
    }


# --- the text -------------------------------------------------------------------------------------------------------


def payload(text: str) -> str:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.DOTALL)
    assert found is not None
    return found[1]


def hostile() -> dict[str, Any]:
    """Names that would be markup, scripts or templates if somebody let them."""
    styles = [(name, '#123"; } body { display: none', "o", '"><script>', 0.1 * i) for i, name in enumerate(HOSTILE)]
    data = page_data(styles, ["adding", *HOSTILE[:3], "__proto__"], 10)
    for key in ("experiment", "title", "description"):
        data[key] = HOSTILE[1]
    data["notes"] = [HOSTILE[0]]
    data["cite"]["bibtex"] = data["cite"]["text"] = data["measured"]["facts"]["torch"] = HOSTILE[1]
    data["files"] = [{"name": 'a"b<c>.csv', "what": HOSTILE[1]}, {"name": "javascript:alert(1)", "what": ""}]
    for rows in data["rows"].values():
        for row in rows.values():
            row["config"]["task"][HOSTILE[1]] = HOSTILE[0]
            row["params"][HOSTILE[1]] = row["command"] = HOSTILE[1]
    return data


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
    assert {each["label"] for each in _records(json.loads(inside)["data"]["architectures"])} == set(HOSTILE)


def _records(table: dict[str, Any]) -> list[dict[str, Any]]:
    words = table.get("$words", {})
    return [
        {key: words[key][cell] if key in words else cell for key, cell in zip(table["$columns"], row, strict=True)}
        for row in table["$rows"]
    ]


def test_numbers_that_do_not_exist_are_refused() -> None:
    data = quick()
    data["memory"]["overall"][0]["gap"] = float("nan")
    with pytest.raises(ValueError, match="finite or None"):
        render(data)


def test_long_curves_are_thinned_where_there_are_many() -> None:
    data = quick()
    for rows in data["rows"].values():
        for row in rows.values():
            row["curve"] = {"step": list(range(1000)), "skill": [i / 1000 for i in range(1000)], "skill_low": []}
    (table,) = [json.loads(payload(render(data)))["data"]["rows"]["adding"]]
    curve = table["$rows"][0][table["$columns"].index("curve")]
    assert len(curve["step"]) == len(curve["skill"]["$thousandths"]) < 500
    assert (curve["step"][0], curve["step"][-1]) == (0, 999)


@pytest.mark.parametrize("theme", PAPER)
@pytest.mark.parametrize("color", ["#4477AA", "#CCBB44", "#66CCEE", "#555555", "#882255", "#ffffff", "#000000"])
def test_every_colour_can_be_seen_on_its_ground(color: str, theme: str) -> None:
    high, low = sorted((_luminance(_legible(color, theme)), _luminance(PAPER[theme])), reverse=True)
    assert (high + 0.05) / (low + 0.05) >= CONTRAST[theme]


def test_what_is_brought_along_is_what_its_list_says() -> None:
    listed = (ASSETS / "vendor" / "README.md").read_text(encoding="utf-8")
    for path in sorted((ASSETS / "vendor").glob("*.js")):
        assert f"`{path.name}`" in listed
        assert hashlib.sha256(path.read_bytes()).hexdigest() in listed


# --- the browser ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if browser_program() is None:
        pytest.skip("no Chromium on this machine")
    with browser() as started:
        yield started


class Watched:
    """A page, and what went wrong on it."""

    def __init__(self, page: Any) -> None:
        self.page = page
        self.faults: list[str] = []
        self.requests: list[str] = []
        page.on("pageerror", lambda error: self.faults.append(str(error)))
        page.on("console", lambda message: self.faults.append(message.text) if message.type != "log" else None)
        page.on("dialog", lambda dialog: (self.faults.append("a dialog"), dialog.dismiss()))
        page.on("request", lambda request: self.requests.append(request.url))


Opener = Callable[..., Any]


@pytest.fixture
def show(chromium: Any, tmp_path: Path) -> Iterator[Opener]:
    """Opens the page of some data from the disk; afterwards nothing may have gone wrong, and nobody been asked."""
    opened: list[tuple[Watched, str]] = []
    contexts = []

    def opens(data: dict[str, Any], script: str = "", fragment: str = "", **options: Any) -> Any:
        path = tmp_path / f"page{len(opened)}.html"
        path.write_text(render(data), encoding="utf-8")
        contexts.append(chromium.new_context(**{"viewport": {"width": 1280, "height": 900}, **options}))
        page = contexts[-1].new_page()
        page.set_default_timeout(10_000)
        if script:
            page.add_init_script(script)
        opened.append((Watched(page), path.as_uri()))
        page.goto(path.as_uri() + fragment)
        return page

    yield opens
    for context in contexts:
        context.close()
    for watched, address in opened:
        assert watched.faults == []
        assert {request.split("#")[0] for request in watched.requests} == {address}


def names(page: Any, tab: str = "memory") -> list[str]:
    return [str(text) for text in page.locator(f"#table-{tab} tbody .open").all_inner_texts()]


def heading(page: Any, label: str, tab: str = "memory") -> Any:
    return page.locator(f"#table-{tab} thead th").filter(has=page.get_by_role("button", name=label, exact=True))


def test_the_table_is_there_without_scripts_and_says_the_same_with_them(show: Opener) -> None:
    data = quick(seeds=3)
    data["memory"]["overall"][1] |= {"gap": -0.004, "iqm": 0.125, "iqm_low": 0.375, "steps": 1234.5}
    without, having = show(data, java_script_enabled=False), show(data)
    for tab in ("memory", "overfitting", "cost"):
        cells = f"#table-{tab} tbody :is(td:not(.choose), th)"
        assert without.locator(cells).all_text_contents() == having.locator(cells).all_text_contents()
        assert without.locator(f"#table-{tab}").is_visible()
    assert without.locator("noscript p").is_visible()
    assert not without.locator("#plots").is_visible()
    row = having.locator("#table-memory tbody tr").nth(1).inner_text()
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
    page = show(quick())
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
    horizon = page.get_by_role("button", name="d50", exact=True)
    unknown = [row["architecture"] for row in quick()["memory"]["overall"] if row["horizon_d50"] is None]
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
    assert sorted(names(page)) == sorted(name for name in LESSON if "lstm" in name)
    assert status.inner_text() == "4 of 9 architectures"
    page.get_by_label("Architectures", exact=True).fill("nobody")
    assert names(page) == []
    assert page.get_by_text("No architecture has this in its name.").first.is_visible()


def test_another_scope(show: Opener) -> None:
    data = quick()
    page = show(data)
    page.get_by_label("Task").first.select_option("adding")
    wanted = data["memory"]["adding"]
    assert names(page) == [row["architecture"] for row in wanted]
    skills = page.locator("#table-memory .skill .numbers").all_inner_texts()
    assert skills == [" ".join(cell(row, MEMORY[2])) for row in wanted]
    assert page.evaluate("location.hash") == "#scope=adding"
    page.get_by_role("tab", name="Overfitting").click()
    assert page.locator("#table-overfitting tbody tr").count() == 4
    assert not page.locator("#table-memory").is_visible()
    page.keyboard.press("ArrowRight")
    assert page.get_by_role("tab", name="Cost").get_attribute("aria-selected") == "true"
    assert page.evaluate("document.activeElement.id") == "tab-cost"
    assert page.locator("#cost-plot svg[role=img]").count() == 1


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
    pair = data["comparisons"]["overall"][0]
    assert (pair["first"], pair["second"]) == ("lstm_cell", "gru")
    assert f"+{pair['difference']:.2f}" in found
    assert pair["verdict"] in found
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
    page = show(quick())
    titles = page.locator("#figures figcaption h3").all_inner_texts()
    assert titles == ["Skill on every task", "Performance profiles", "Memory horizon", "Beyond the training length",
                      "Budget of the search", "Critical differences"]  # fmt: skip
    for picture in page.locator("figure svg[role=img]").all():
        assert picture.get_attribute("aria-label")
    chip = page.locator("#chips").get_by_role("button", name="gru")
    drawn = page.locator("#figures svg .arch-1")
    before = drawn.count()
    chip.click()
    assert chip.get_attribute("aria-pressed") == "false"
    assert before > 5
    assert drawn.count() == 1  # of the critical differences, which are those of all
    page.locator("#figures summary").nth(1).click()
    assert (
        "[5, ≥ 24]" in page.locator("#figures details").nth(2).inner_text()
        or page.locator("#figures details[open]").count()
    )


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
    page = show(quick(seeds=3), viewport={"width": 360, "height": 740}, fragment=f"#tab={tab}")
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
    page = show(quick(seeds=3), color_scheme=scheme)

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


def test_a_cell_can_be_copied(show: Opener) -> None:
    data = quick()
    page = show(data)
    row = data["memory"]["overall"][0]
    picked = page.evaluate("""() => {
        getSelection().selectAllChildren(document.querySelector("#table-memory tbody .skill"));
        return getSelection().toString().trim();
    }""")
    assert picked == f"{row['mean']:.2f} [{row['low']:.2f}, {row['high']:.2f}]"


def test_tables_are_copied_in_three_formats(show: Opener) -> None:
    page = show(quick(), "navigator.clipboard.writeText = async (text) => { window.copied = text; };")
    page.locator("#filter").fill("lstm_c")
    page.get_by_role("button", name="Markdown").click()
    lines = page.evaluate("copied").split("\n")
    assert lines[0].startswith("| rank | architecture | skill [95 %] |".replace("[", "\\[").replace("]", "\\]"))
    assert len(lines) == 4
    assert "lstm\\_cell" in lines[2]
    page.get_by_role("button", name="CSV").click()
    table = pd.read_csv(io.StringIO(page.evaluate("copied")))
    assert list(table["architecture"]) == ["lstm_cell", "lstm_coupled"]
    page.wait_for_timeout(1300)
    page.get_by_role("button", name="LaTeX").click()
    assert "lstm\\_cell & 0.49 [" in page.evaluate("copied")
    assert "$\\geq$ 24]" in page.evaluate("copied")


def test_where_the_clipboard_is_forbidden_the_text_is_selected(show: Opener) -> None:
    page = show(quick(), "Object.defineProperty(navigator, 'clipboard', { value: undefined });")
    page.locator("[data-copies=bibtex]").click()
    assert page.evaluate("getSelection().toString()").startswith("@misc{")
    page.keyboard.press("Escape")
    assert page.evaluate("document.activeElement.dataset.copies") == "bibtex"


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
    data = quick()
    bare = page_data([("gru", "#EE6677", "D", "", 0.5)], ["adding"], 1)
    bare |= {"overfitting": {}, "overfitting_curves": [], "horizons": [], "longer": [], "profiles": {}, "budget": None}
    bare |= {"critical": None, "notes": [], "files": [], "cost": {}}
    row = bare["rows"]["adding"]["gru"]
    row |= {"gradient": None, "params": {}, "edges": [], "default_validation": None, "tuned_validation": None}
    row["curve"] = {"step": [], "skill": [], "skill_low": [], "skill_high": [], "train_loss": [], "validation_loss": []}
    page = show(bare)
    assert page.get_by_role("tab").all_inner_texts() == ["Long-term memory"]
    page.get_by_role("button", name="gru", exact=True).first.click()
    assert "Untuned" in page.locator("#drawer").inner_text()
    nothing = {**data, "memory": {}, "cost": {}, "overfitting": {}, "scopes": [], "rows": {}, "comparisons": {}}
    nothing |= {"architectures": [], "horizons": [], "longer": [], "profiles": {}, "budget": None, "critical": None}
    nothing |= {"overfitting_curves": [], "done": 0, "complete": False}
    assert "No run has finished yet." in show(nothing).locator("main").inner_text()
