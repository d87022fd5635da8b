"""What is said of a gradient: the unit of its slope, and that a curve which turns has no slope."""

from __future__ import annotations

import math

import numpy as np
import pytest

from suite.diagnostics.gradients import effective_memory
from suite.diagnostics.wording import curve_text, slope_text, turn

LAYER_NORM = [*np.linspace(0, math.log(0.21), 50, endpoint=False), *np.linspace(math.log(0.21), math.log(27), 51)]
"""The curve of a cell with layer norm, to which a line can be fitted that says nothing."""


@pytest.mark.parametrize(
    ("slope", "steps", "text"),
    [
        (-0.54, 100, "shrinks by e^−0.54 per step, 10^−23 over 100"),
        (-0.0124, 100, "shrinks by e^−0.012 per step, 0.29 over 100"),
        (0.031, 200, "grows by e^0.031 per step, 10^2.7 over 200"),
        (-0.001, 100, "keeps about its size: e^−0.001 per step, 0.9 over 100"),
        (9.4e-06, 99, "keeps its size over 99 steps"),
        (0.0, 100, "keeps its size over 100 steps"),
    ],
)
def test_a_slope_says_in_words_what_it_does_per_step_and_over_all_steps(slope: float, steps: int, text: str) -> None:
    assert slope_text(slope, steps) == text
    assert curve_text(slope * np.arange(steps + 1), slope) == text


@pytest.mark.parametrize(
    ("logs", "text"),
    [
        (LAYER_NORM, "falls to 0.21 at τ = 50 and rises again to 27 at τ = 100, so that neither"),
        ([0.0, 10.0, 4.0, 2.0], "rises to 10^4.3 at τ = 1 and falls again to 7.4 at τ = 3, so that neither"),
        ([0.0, -1.0, -2.0, -math.inf], "is exactly 0 from τ = 3 on"),
        ([0.0, 1.0, math.nan, 3.0], "is not finite from τ = 2 on"),
    ],
)  # fmt: skip
def test_a_curve_that_is_not_monotone_or_ends_says_so(logs: list[float], text: str) -> None:
    slope = math.nan if not np.isfinite(logs).all() else effective_memory(logs).slope
    assert curve_text(logs, slope).startswith(text)


def test_ripples_of_chance_do_not_count_as_a_turn() -> None:
    ripples = np.random.default_rng(0).normal(scale=0.1, size=101)
    assert turn(-0.02 * np.arange(101) + ripples) is None
    assert turn(ripples) is None
    assert turn([0.0, -5.0]) is None
