"""The survey measures two gradients, and says of which architecture there is only one."""

from __future__ import annotations

import io
from typing import get_args

import numpy as np
import pytest
from rich.console import Console

from suite.console.gradient_table import show
from suite.diagnostics.gradient_survey import Arm, survey
from suite.diagnostics.survey_row import SurveyRow, Through
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


def test_models_with_a_delay_have_marks_under_the_same_headings() -> None:
    rows = survey([Arm.from_label("gru delay=3"), Arm.from_label("gru")], length=20, hidden_size=4, seeds=2)
    assert [row.last for row in rows] == [23, 20, 19, 19]
    page = io.StringIO()
    show(rows, Console(file=page, width=80))
    assert page.getvalue().count("τ = 20 ") == 1


def test_both_gradients_are_shown_and_who_has_only_one_is_named() -> None:
    alone = SurveyRow("attention", 64, np.array([[0.0] + [-5.0] * 99] * 5), "input")
    rows, page = [*rows_of_everything(), *rows_of_everything("input"), alone], io.StringIO()
    show(rows, Console(file=page, width=80))
    text = page.getvalue()
    assert max(map(len, text.splitlines())) <= 80
    state, output = text.split("The gradient from output to input, v·∂y(T)/∂x(T − τ)")
    assert "The gradient through the state, v·∂s(T)/∂s(T − τ)" in state
    assert "attention has no state of constant size, and so no gradient through it." in " ".join(state.split())
    assert "τ = 100" in state
    assert "τ = 99" in output
    assert "The gradient of attention keeps its size over 99 steps." in output
    (line,) = [line for line in output.splitlines() if line.startswith("attention ")]
    assert line.split()[1:] == ["6.7e-3"] * 3 + ["0", "∞", "[∞,", "∞]", "64", "5"]
    assert alone.turn is None
