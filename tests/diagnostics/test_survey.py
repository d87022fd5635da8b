"""The survey measures two gradients, and says of which architecture there is only one."""

from __future__ import annotations

import io
import math
from typing import get_args

import numpy as np
import pytest
from rich.console import Console

from suite.console.gradient_table import show
from suite.diagnostics.gradient_survey import Arm, survey
from suite.diagnostics.survey_row import SurveyRow, Through, moving_mean
from suite.diagnostics.wording import turn
from suite.errors import InputError
from tests.contracts.test_layers import Transformer
from tests.diagnostics.test_gradients import rows_of_everything

ATTENTION = f"{Transformer.__module__}:Transformer"
GROWING = "tests.contracts.cells:Growing"


@pytest.mark.parametrize("through", [*get_args(Through), None])
def test_a_survey_measures_what_is_asked_of_whoever_has_it(through: Through | None) -> None:
    labels = ["gru"] if through == "state" else ["gru", ATTENTION, f"{GROWING} depth=2"]
    rows = survey([*map(Arm.from_label, labels)], length=12, hidden_size=4, seeds=2, through=through)
    states = [] if through == "input" else [("gru", "state")]
    inputs = [] if through == "state" else [(label, "input") for label in labels]
    assert [(row.label, row.through) for row in rows] == states + inputs


def test_a_gradient_through_a_state_that_is_not_there_is_refused_before_anything_is_measured(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("suite.diagnostics.gradient_survey.state_gradient", pytest.fail)
    arms = [*map(Arm.from_label, ["gru", ATTENTION, "lstm", GROWING])]
    message = (
        "needs a state of constant size that is carried from step to step; got "
        rf"{ATTENTION}, {GROWING} without one \(accepted: gru, lstm; the gradient from output to input can be measured"
    )
    with pytest.raises(InputError, match=message):
        survey(arms, length=12, hidden_size=4, seeds=2, through="state")
    with pytest.raises(InputError, match="accepted: none of these"):
        survey(arms[1:2], length=12, hidden_size=4, seeds=2, through="state")


def test_chance_at_single_lags_is_no_turn_from_output_to_input() -> None:
    noise = np.random.default_rng(0).normal(scale=0.64, size=(5, 100))  # as of the logarithm of two random numbers
    row = SurveyRow("mine", 64, -0.001 * np.arange(100) + noise, "input")
    assert turn(row.curve[0]) is not None
    assert row.turn is None
    assert row.words.startswith("keeps about its size")
    falls_and_rises = SurveyRow("mine", 64, np.abs(np.arange(101) - 50.0)[None] / 10 + noise[:1, :1], "input")
    assert falls_and_rises.turn is not None
    assert "at τ = 50 and rises again" in falls_and_rises.words


def test_a_moving_mean_stops_where_the_values_end() -> None:
    values = np.array([1.0, 2.0, 6.0, 4.0, -math.inf, -math.inf])
    assert moving_mean(values, 3).tolist() == [1.5, 3.0, 4.0, 5.0, -math.inf, -math.inf]
    assert moving_mean(values, 1).tolist() == values.tolist()
    row = SurveyRow("mlp", 64, np.array([[0.0, 3.0, *[-math.inf] * 98]] * 2), "input")
    assert row.words == "is exactly 0 from τ = 2 on"
    assert row.memory.mean == 1.0


def test_models_with_a_delay_have_marks_under_the_same_headings() -> None:
    rows = survey([Arm.from_label("gru delay=3"), Arm.from_label("gru")], length=20, hidden_size=4, seeds=2)
    assert [row.last for row in rows] == [23, 20, 19, 19]
    page = io.StringIO()
    show(rows, Console(file=page, width=80))
    assert page.getvalue().count("τ = 20 ") == 1


def test_both_gradients_are_shown_and_who_has_only_one_is_named() -> None:
    alone = SurveyRow("mine", 64, np.array([[0.0] + [-5.0] * 99] * 5), "input")
    rows, page = [*rows_of_everything(), *rows_of_everything("input"), alone], io.StringIO()
    show(rows, Console(file=page, width=80))
    text = page.getvalue()
    assert max(map(len, text.splitlines())) <= 80
    state, output = text.split("The gradient from output to input, v·∂y(T)/∂x(T − τ)")
    assert "The gradient through the state, v·∂s(T)/∂s(T − τ)" in state
    assert "mine has no state of constant size, and so no gradient through it." in " ".join(state.split())
    assert "τ = 100" in state
    assert "τ = 99" in output
    assert "The gradient of mine keeps its size over 99 steps." in output
    (line,) = [line for line in output.splitlines() if line.startswith("mine ")]
    assert line.split()[1:] == ["6.7e-3"] * 3 + ["0", "∞", "[∞,", "∞]", "64", "5"]
    assert alone.turn is None
