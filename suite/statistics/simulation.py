"""The simulations by which intervals and test were chosen: ``python -m suite.statistics.simulation`` repeats them.

Two tables come out, which the guide to leaderboards shows. The first is about intervals of means of ten seeds: how
often each covers the true mean, and how wide it is as a multiple of the interval that knows the true standard
deviation. The second is about the test: how often it finds a difference in a family of equal architectures, and how
often it finds one that is there.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from scipy import special

from suite.statistics.bootstrap import guaranteed_interval
from suite.statistics.paired_tests import MARGIN
from suite.statistics.student import mean_interval, mean_test
from suite.statistics.table import CONFIDENCE, TAILS, Floats

SEEDS = 10
INTERVALS, FAMILIES = 4000, 4000
"""The number of simulated means, and of simulated families of architectures."""
SHAPE = 200
"""The parameter by which the scores of a cluster spread: their standard deviation is about 0.03."""


@dataclass(frozen=True)
class Scores:
    """A distribution of skills between 0 and 1."""

    name: str
    draw: Callable[[np.random.Generator, tuple[int, ...]], Floats]
    mean: float
    deviation: float
    modes: float | None = None
    """The skill between the two modes of a distribution that has two."""


def beta(name: str, mean: float, weight: float) -> Scores:
    """Return scores of Beta(mean · weight, (1 − mean) · weight)."""
    deviation = float(np.sqrt(mean * (1 - mean) / (weight + 1)))
    return Scores(name, lambda rng, shape: rng.beta(mean * weight, (1 - mean) * weight, shape), mean, deviation)


def bimodal(rate: float) -> Scores:
    """Return scores in a cluster near 0.97 at the rate given, and otherwise in one near 0.1."""
    high, low = beta("", 0.97, SHAPE), beta("", 0.1, SHAPE)

    def draw(rng: np.random.Generator, shape: tuple[int, ...]) -> Floats:
        return np.where(rng.random(shape) < rate, high.draw(rng, shape), low.draw(rng, shape))

    mean = rate * high.mean + (1 - rate) * low.mean
    squares = rate * (high.deviation**2 + high.mean**2) + (1 - rate) * (low.deviation**2 + low.mean**2)
    name = f"{rate:.0%} of the seeds succeed"
    return Scores(name, draw, mean, float(np.sqrt(squares - mean**2)), modes=0.5)


SMOOTH = (
    beta("steady, near 0.9 (sd 0.015)", 0.9, 400),
    beta("one cluster near 0.5 (sd 0.1)", 0.5, 24),
    beta("skewed, near 0.1 (sd 0.06)", 0.1, 24),
    beta("very skewed, near 0.1 (sd 0.1)", 0.1, 8),
)
RATES = (0.1, 0.2, 0.3, 0.34, 0.4, 0.5, 0.6, 0.66, 0.7, 0.8, 0.9)
"""The rates of success, by tenths, and those near one third and two thirds at which the interval covers the least."""


def interval_table(count: int = INTERVALS, seed: int = 0) -> list[str]:
    """Return the lines of the table of intervals, in Markdown."""
    lines = [
        "| scores of ten seeds | covers | both modes seen | one mode unseen | width | guaranteed covers | its width |",
        "|---|--:|--:|--:|--:|--:|--:|",
    ]
    for scores in (*SMOOTH, *map(bimodal, RATES)):
        rng = np.random.default_rng([seed, *scores.name.encode()])
        skills = scores.draw(rng, (count, SEEDS))
        ends = np.array([mean_interval(row)[1:] for row in skills]).clip(0, 1)
        few = skills[: count // 4]
        guaranteed = np.array([guaranteed_interval({"task": row}, 1000) for row in few])
        ideal = 2 * float(special.ndtri(TAILS[1])) * scores.deviation / np.sqrt(SEEDS)
        covered = (ends[:, 0] <= scores.mean) & (scores.mean <= ends[:, 1])
        seen: tuple[str, str] = ("", "")
        if scores.modes is not None:
            above = (skills > scores.modes).mean(axis=1)
            both = (above > 0) & (above < 1)
            seen = (f"{covered[both].mean():.3f}", f"{covered[~both].mean():.3f}" if (~both).any() else "")
        safe = (guaranteed[:, 0] <= scores.mean) & (scores.mean <= guaranteed[:, 1])
        widths = [np.diff(each).mean() / ideal for each in (ends, guaranteed)]
        cells = (scores.name, f"{covered.mean():.3f}", *seen, f"{widths[0]:.2f}", f"{safe.mean():.3f}")
        lines.append(f"| {' | '.join(cells)} | {widths[1]:.2f} |")
    return lines


def found(skills: Floats, margin: float = MARGIN) -> tuple[float, float]:
    """Return how often some pair is found to differ, and how often the first two are.

    Args:
        skills: the skills of families of architectures, ``[families, architectures, tasks, seeds]``.
        margin: the margin of the test.
    """
    pairs = list(combinations(range(skills.shape[1]), 2))
    p_values = []
    for a, b in pairs:
        differences = skills[:, a] - skills[:, b]
        means = differences.mean(axis=-1)
        squares = ((differences - means[..., None]) ** 2).sum(axis=-1)
        p_values.append(mean_test(np.full_like(means, skills.shape[-1]), means, squares, margin).p)
    significant = np.array(p_values) * len(pairs) < 1 - CONFIDENCE  # the first step of Holm's method
    return float(significant.any(axis=0).mean()), float(significant[0].mean())


def power_table(count: int = FAMILIES, seed: int = 0) -> list[str]:
    """Return the lines of the table of the test, in Markdown.

    A family has so many architectures on so many tasks. Its error is the share of families of equal architectures in
    which some pair is found to differ. Its power is the share of families in which the first architecture, which is
    better on every task, is found to be above the second.
    """
    lines = [
        "| seeds | architectures | tasks | error, bimodal | error, steady | finds 0.019 | finds 0.05 | finds 9 of 10 "
        "against 1 of 10 |",
        "|--:|--:|--:|--:|--:|--:|--:|--:|",
    ]
    halves, steady = bimodal(0.5), SMOOTH[0]
    for seeds in (5, 10):
        for architectures in (2, 9):
            for tasks in (1, 3):
                rng = np.random.default_rng([seed, seeds, architectures, tasks])
                shape = (count, architectures, tasks, seeds)

                def shifted(by: float, shape: tuple[int, ...] = shape, rng: np.random.Generator = rng) -> Floats:
                    skills = steady.draw(rng, shape)
                    skills[:, 0] += by
                    return skills

                skills = bimodal(0.1).draw(rng, shape)
                skills[:, 0] = bimodal(0.9).draw(rng, (count, tasks, seeds))
                errors = found(halves.draw(rng, shape))[0], found(shifted(0))[0]
                powers = found(shifted(0.019))[1], found(shifted(0.05))[1], found(skills)[1]
                numbers = " | ".join(f"{number:.3f}" for number in (*errors, *powers))
                lines.append(f"| {seeds} | {architectures} | {tasks} | {numbers} |")
    return lines


if __name__ == "__main__":
    print("\n".join([*interval_table(), "", *power_table()]))
