"""The page of a leaderboard as text: the same bytes, small, whole, and safe."""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any

import pytest

from suite.experiment.run_config import Training
from suite.experiment.tables import Size
from suite.leaderboards.page.colours import CONTRAST, PAPER, legible, luminance
from suite.leaderboards.page.html import ASSETS, render
from suite.leaderboards.page.model_text import model_sentences
from suite.leaderboards.page.protocol_text import training_sentences
from tests.leaderboards.made_up_pages import HOSTILE, bare, hostile, large, quick, states


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
        for start, row in enumerate(rows.values()):
            skills = [(start + i) / 1000 for i in range(1000)]
            row["curve"] = {"step": list(range(1000)), "skill": skills, "skill_low": []}
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


@pytest.mark.parametrize(
    ("training", "expected"),
    [
        (Training(), "for at most 1,000 steps of 32 sequences by adam. The learning rate is 0.001 and stays as it is."),
        (Training(warmup=50), "The learning rate is 0.001 and rises for 50 steps and then stays as it is."),
        (Training(schedule="linear"), "The learning rate is 0.001 and falls to 0 linearly."),
        (Training(clip=float("inf")), "Gradients are not clipped, and the weight decay is 0."),
        (Training(optimizer="rmsprop", alpha=0.9), "by rmsprop (α = 0.9)."),
        (Training(optimizer="adamw", weight_decay=0.1), "the weight decay is 0.1, decoupled from the gradient."),
    ],
)
def test_the_protocol_says_how_nets_are_trained(training: Training, expected: str) -> None:
    assert expected in training_sentences(training)
    assert "A net is trained for at most 400 steps" in " ".join(quick()["measured"]["sentences"])


@pytest.mark.parametrize(
    ("model", "sentences"),
    [
        (
            {"parameters": 5000},
            "have 5,000 parameters to 5 %, unless their row says otherwise. A model is one layer and a",
        ),
        (
            {"state": 64, "depth": 2},
            "carry 64 numbers after a training sequence, to 5 %, unless their row says otherwise.",
        ),
        ({"hidden_size": 8, "bidirectional": True}, "A model is one layer in both directions and a linear decoder."),
        (
            {"dropout": 0.1, "delay": 2},
            "10 % of the outputs of each layer are set to 0. A model answers each step after it",
        ),
        ({"block": "residual"}, "A model is a linear encoder, one residual block, an RMS norm and a linear decoder."),
        ({"block": "residual", "norm": "layer", "mixer": 2.0, "depth": 3}, "3 residual blocks, a layer norm"),
        (
            {"block": "residual", "mixer": 2.0},
            "and then those of a mixer of 2 times the hidden size; an RMS norm precedes each.",
        ),
    ],
)
def test_the_method_says_how_large_the_models_are_and_what_they_are_built_of(
    model: dict[str, Any], sentences: str
) -> None:
    assert sentences in model_sentences(Size(**model))


def test_of_plain_blocks_no_norm_is_shown_beside_residual_ones() -> None:
    page = json.loads(payload(render(states())))["data"]["rows"]["adding"]
    configs = {
        architecture: page["shared"]["model"] | config["model"]
        for architecture, config in zip(page["architecture"], page["config"], strict=True)
    }
    assert (configs["residual"]["norm"], configs["residual"]["mixer"]) == ("rms", "2")
    assert not {"norm", "mixer"} & configs["lstm"].keys()


def test_a_column_of_which_all_values_are_alike_says_it_once() -> None:
    ranking = json.loads(payload(render(states())))["data"]["rankings"]["adding"]
    assert ranking["few_seeds"] == {"all": True}
    assert ranking["architecture"] == ["lstm", "residual", "cache", "transformer", "reservoir"]
    (only,) = json.loads(payload(render(bare())))["data"]["rankings"]["adding"]["architecture"]
    assert only == "gru"
