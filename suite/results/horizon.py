"""The memory horizon: up to which delay an architecture remembers, read off a ladder of delays.

Skill against delay d is fitted by least squares with

    skill(d) = (1 − λ) / (1 + (d/d₅₀)^s),    0 ≤ λ ≤ 0.1

At d₅₀ the fit keeps half of its plateau 1 − λ, at d₉₀ = d₅₀ · 9^(−1/s) nine tenths. The lapse rate λ is bounded, as in
psychometric fitting (Wichmann & Hill 2001), so that a net that never learned has a short horizon and not a low plateau.
The fit is the best point of a grid of (d₅₀, s) with the best λ in closed form: no start values and no local minima.

A horizon is *censored* at the ends of its ladder: d₅₀ beyond the longest delay says "at least that", below the shortest
"less than that". Numbers in tables are held within [shortest, longest], so one that equals an end is censored there.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import pandas as pd

from suite.errors import InputError
from suite.statistics.bootstrap import CONFIDENCE, OVERALL, Bootstrap, Floats

TRAINED, EXTRAPOLATED = "trained", "extrapolated"
"""A net of its own for each delay, or one net that is tested beyond its training length."""
POINTS = ("architecture", "ladder", "kind", "rung", "delay", "seed", "skill")
"""The columns of points, a tidy table with one row per run and delay."""

LARGEST_LAPSE = 0.1
SLOPES = np.geomspace(1 / 8, 32, 13)
RESAMPLES = 1000
CHUNK = 256
"""Curves fitted at a time, for the memory they take."""


class Fit(NamedTuple):
    """Fitted curves; every field ``[curves]``."""

    d50: Floats
    slope: Floats
    lapse: Floats

    @property
    def d90(self) -> Floats:
        found: Floats = self.d50 * 9 ** (-1 / self.slope)
        return found

    def at(self, delays: Floats) -> Floats:
        """Skill at ``delays``: ``[curves, delays]``."""
        plateau = 1 - self.lapse[:, None]
        return plateau * _shape(delays, self.d50[:, None], self.slope[:, None])


def check_ladder(delays: Sequence[float]) -> None:
    """Raise ``InputError`` unless a horizon can be read off these delays."""
    if len(set(delays)) < 2:
        raise InputError(
            f"a memory horizon needs a ladder of two delays or more; got {sorted(set(delays))}: "
            "give the task table a list, such as lag = [4, 8, 16, 32]"
        )
    if min(delays) <= 0:
        raise InputError(f"the delays of a ladder must be above 0; got {min(delays)}")


def fit(delays: Sequence[float], skill: Floats) -> Fit:
    """The best curve through each row of ``skill``, ``[curves, delays]``, with ``delays`` ascending.

    On the grid, d₅₀ has at least 64 values over the ladder and four between two delays; s has 13 from 1/8 to 32, and ∞.
    """
    check_ladder(delays)
    d50, slope, shape = _grid(tuple(delays))
    power = (shape**2).sum(axis=1)  # [grid]
    best, lapse = [], []
    for rows in np.split(skill, range(CHUNK, len(skill), CHUNK)):
        product = rows @ shape.T  # [rows, grid]
        plateau = product / np.maximum(power, 1e-300)
        np.clip(plateau, 1 - LARGEST_LAPSE, 1, out=plateau)
        error = plateau * power
        error -= 2 * product
        error *= plateau  # the sum of squares, less that of the skill
        chosen = error.argmin(axis=1)
        best.append(chosen)
        lapse.append(1 - plateau[np.arange(len(rows)), chosen])
    index = np.concatenate(best)
    return Fit(d50[index], slope[index], np.concatenate(lapse))


def _shape(delays: Floats, d50: Floats, slope: Floats) -> Floats:
    with np.errstate(over="ignore"):
        found: Floats = 1 / (1 + (delays / d50) ** slope)
    return found


@lru_cache(maxsize=64)
def _grid(delays: tuple[float, ...]) -> tuple[Floats, Floats, Floats]:
    """d₅₀, s and the curve at the delays (plateau 1) of every candidate: ``[grid]``, ``[grid]``, ``[grid, delays]``.

    First steps (s = ∞) midway between two delays, which win where other curves are as good. Then for each slope d₅₀
    at equal parts of the logarithm between two delays, and beyond both ends until the curve is as good as flat.
    """
    rungs = np.array(delays, dtype=np.float64)
    walls = np.array([rungs[0] / 4, *rungs, rungs[-1] * 4])
    steps = np.sqrt(walls[1:] * walls[:-1])
    parts = max(4, -(-64 // (len(rungs) - 1)))
    inside = np.exp(np.interp(np.arange((len(rungs) - 1) * parts + 1) / parts, range(len(rungs)), np.log(rungs)))
    odds = np.geomspace(1.5, 1000, 10)
    d50, slope = [steps], [np.full(len(steps), np.inf)]
    for s in SLOPES:
        d50.append(np.concatenate([rungs[0] * odds ** (-1 / s), inside, rungs[-1] * odds ** (1 / s)]))
        slope.append(np.full(len(d50[-1]), s))
    all_d50, all_slopes = np.concatenate(d50), np.concatenate(slope)
    return all_d50, all_slopes, _shape(rungs, all_d50[:, None], all_slopes[:, None])


def resampled(skill: Floats, generator: np.random.Generator, resamples: int = RESAMPLES) -> tuple[Floats, Floats]:
    """Mean curves of resampled seeds, ``[resamples, delays]``, once for the low and once for the high end.

    ``skill`` is ``[seeds, delays]``; a seed is drawn with all of its delays, so runs of one seed may be alike. As in
    ``Bootstrap.intervals``, deviations are widened by √(n/(n − 1)) and a share u ~ Beta(1, n) goes to one unseen seed,
    which remembers nothing (low) or everything (high) at every delay.
    """
    n = len(skill)
    drawn = generator.multinomial(n, np.full(n, 1 / n), size=resamples) @ skill / n
    mean = skill.mean(axis=0)
    drawn = np.clip(mean + (drawn - mean) * np.sqrt(n / max(n - 1, 1)), 0, 1)
    unseen = generator.beta(1, n, size=(resamples, 1))
    return (1 - unseen) * drawn, (1 - unseen) * drawn + unseen


def horizons(points: pd.DataFrame, resamples: int = RESAMPLES, seed: int = 0) -> pd.DataFrame:
    """One row per kind, ladder and architecture, and over several ladders of a kind one for `OVERALL`.

    - `seeds`: those with a run at every delay of the ladder, which alone count; none: the row has no values but NaN.
    - `d50`, `d90` with `_low`, `_high`: the 95 % bootstrap interval over seeds; NaN with fewer than two seeds.
    - `shortest`, `longest`: the ends of the ladder, within which all of these are held.
    - `censored`: "right", "left", "both" (overall only) or "", of `d50`.
    - `curve_d50`, `slope`, `lapse`: the fitted curve, not held.

    Overall is the geometric mean over ladders, a censored horizon counted at the end of its ladder: a bound when
    `censored` says so. The interval is wide on purpose: in simulations of ten seeds and six delays, with skills
    that are accuracies on 50 answers, or 0 or 1, or runs that keep all up to a delay of their own, it held the true d₅₀
    and d₉₀ in .98 to 1.00 of 60 ladders each, percentiles without the unseen seed d₅₀ in 0 to .97.
    """
    if missing := [column for column in POINTS if column not in points]:
        raise InputError(f"points need the columns {', '.join(POINTS)}; missing: {', '.join(missing)}")
    rows: list[dict[str, object]] = []
    for kind in sorted(points["kind"].unique(), reverse=True):  # trained first
        here = points[points["kind"] == kind]
        parts: dict[str, list[_Resamples]] = {}
        for ladder in here["ladder"].unique():
            for row, part in _of_ladder(here[here["ladder"] == ladder], str(ladder), resamples, seed):
                rows.append({"ladder": ladder, "kind": kind, **row})
                if part is not None:
                    parts.setdefault(str(row["architecture"]), []).append(part)
        ladders = here["ladder"].nunique()
        for architecture, found in sorted(parts.items()) if ladders > 1 else ():
            if len(found) == ladders:
                row = {"architecture": architecture, **_summary(_mean(found))}
                rows.append({"ladder": OVERALL, "kind": kind, **row})
    columns = ["kind", "ladder", "architecture", "seeds", "d50", "d50_low", "d50_high", "d90", "d90_low", "d90_high"]
    columns += ["censored", "shortest", "longest", "curve_d50", "slope", "lapse"]
    return pd.DataFrame(rows, columns=columns)


class _Resamples(NamedTuple):
    """Logarithms of d₅₀ and d₉₀ (the two columns), held within the ladder."""

    point: Floats  # [2]
    low: Floats  # [resamples, 2]
    high: Floats  # [resamples, 2]
    ends: Floats  # [2]: shortest, longest
    seeds: int
    censored: frozenset[str]


def _of_ladder(
    points: pd.DataFrame, ladder: str, resamples: int, seed: int
) -> list[tuple[dict[str, object], _Resamples | None]]:
    """The row of each architecture, by name, and what overall rows are made from."""
    table = points.pivot_table(index=["architecture", "seed"], columns="delay", values="skill", sort=True)
    delays = [float(delay) for delay in table.columns]
    check_ladder(delays)
    found: list[tuple[dict[str, object], _Resamples | None]] = []
    for architecture in sorted(points["architecture"].unique()):
        skill = table.loc[[architecture]].dropna().to_numpy(dtype=np.float64)  # [seeds, delays]
        n = len(skill)
        if n == 0:
            row = {"architecture": architecture, "seeds": 0, "censored": "", "shortest": delays[0]}
            found.append(({**row, "longest": delays[-1]}, None))
            continue
        middle = fit(delays, skill.mean(axis=0, keepdims=True))
        generator = np.random.default_rng([seed, n, *f"horizon {ladder}".encode()])
        low, high = (_held(fit(delays, curves), delays) for curves in resampled(skill, generator, resamples))
        censored = {"right"} if middle.d50[0] >= delays[-1] else {"left"} if middle.d50[0] <= delays[0] else set()
        ends = np.log([delays[0], delays[-1]])
        part = _Resamples(_held(middle, delays)[0], low, high, ends, n, frozenset(censored))
        curve = {"curve_d50": middle.d50[0], "slope": middle.slope[0], "lapse": middle.lapse[0]}
        found.append(({"architecture": architecture, **_summary(part), **curve}, part))
    return found


def _held(fitted: Fit, delays: Sequence[float]) -> Floats:
    return np.log(np.clip(np.stack([fitted.d50, fitted.d90], axis=1), delays[0], delays[-1]))


def _mean(parts: Sequence[_Resamples]) -> _Resamples:
    """The geometric mean over ladders, in each resample."""
    point, low, high, ends = (
        np.mean(logs, axis=0) for logs in zip(*((p.point, p.low, p.high, p.ends) for p in parts), strict=True)
    )
    censored = frozenset().union(*(part.censored for part in parts))
    return _Resamples(point, low, high, ends, min(part.seeds for part in parts), censored)


def _summary(part: _Resamples) -> dict[str, object]:
    """Point and interval, which is made to hold the point.

    A raised tail makes the fit less steep and may so lower d₉₀: its interval spans what both unseen seeds give.
    """
    tails = (1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2
    both = np.quantile(part.low, tails, axis=0), np.quantile(part.high, tails, axis=0)  # [2 tails, 2] each
    low, high = np.minimum(both[0][0], both[1][0]), np.maximum(both[0][1], both[1][1])
    row: dict[str, object] = {"seeds": part.seeds}
    for i, name in enumerate(("d50", "d90")):
        row[name] = _delay(part.point[i])
        known = part.seeds >= 2
        row[f"{name}_low"] = _delay(min(low[i], part.point[i])) if known else np.nan
        row[f"{name}_high"] = _delay(max(high[i], part.point[i])) if known else np.nan
    row["censored"] = "both" if len(part.censored) == 2 else "".join(part.censored)
    row["shortest"], row["longest"] = map(_delay, part.ends)
    return row


def _delay(logarithm: float) -> float:
    return round(float(np.exp(logarithm)), 9)  # so that the ends of a ladder are what they were


def curves(points: pd.DataFrame) -> pd.DataFrame:
    """Mean skill per kind, ladder, architecture and delay, with the interval of the leaderboard and all its seeds."""
    keys = ["kind", "ladder", "architecture", "delay", "rung"]
    counts = points.groupby(keys, as_index=False, sort=True)["skill"].agg(["mean", "count"])
    found = counts.rename(columns={"mean": "skill", "count": "seeds"})
    runs = points.drop_duplicates(["architecture", "rung", "seed"])
    runs = runs.assign(task=runs["rung"], solved=False, steps_to_solve=np.nan, steps_budget=1)
    bootstrap = Bootstrap.draw(runs)
    place = {name: a for a, name in enumerate(bootstrap.architectures)}
    intervals = {name: bootstrap.intervals([k]) for k, name in enumerate(bootstrap.tasks)}
    ends = [intervals[rung][place[who]] for who, rung in zip(found["architecture"], found["rung"], strict=True)]
    found["low"], found["high"] = np.array(ends).T
    return found
