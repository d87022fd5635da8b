"""The memory horizon: the delay up to which an architecture remembers, read off a ladder of delays.

The skill at delay d is fitted by least squares with

    skill(d) = (1 − λ) / (1 + (d/d₅₀)^s),    0 ≤ λ ≤ 0.1

At d₅₀ the fit keeps half of its plateau 1 − λ; at d₉₀ = d₅₀ · 9^(−1/s) it keeps nine tenths. The lapse rate λ is
bounded, as in psychometric fitting (Wichmann & Hill 2001), so that a net that never learned has a short horizon and not
a low plateau. The fit is the best point of a grid of (d₅₀, s), with the best λ in closed form, so that there are
neither start values nor local minima.

A horizon is *censored* at the ends of its ladder. A d₅₀ beyond the longest delay is "at least that", and one below the
shortest is "less than that". Numbers in tables are held within [shortest, longest]: one that equals an end is censored.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import pandas as pd

from suite.errors import InputError
from suite.statistics.bootstrap import widened
from suite.statistics.summary import skill_intervals
from suite.statistics.table import OVERALL, TAILS, Floats

TRAINED, EXTRAPOLATED, READ = "trained", "extrapolated", "read"
"""Three kinds of points: one net is trained at each delay; a single net is tested beyond its training length; or the
answers of a single net to sequences of one length are taken apart by their lags."""
HOW = {
    TRAINED: "trained at each delay",
    EXTRAPOLATED: "tested beyond the training length",
    READ: "read from one trained net by lag",
}
"""The kinds of points in words."""
POINTS = ("architecture", "ladder", "kind", "rung", "delay", "seed", "skill")
"""The columns of a table of points, which has one row per run and delay."""

LARGEST_LAPSE = 0.1
SLOPES = np.geomspace(1 / 8, 32, 13)
RESAMPLES = 1000
CHUNK = 256
"""The number of curves fitted at a time, which bounds the memory that they take."""


class Fit(NamedTuple):
    """Fitted curves; every field has the shape ``[curves]``."""

    d50: Floats
    slope: Floats
    lapse: Floats

    @property
    def d90(self) -> Floats:
        """The delay at which nine tenths of the plateau are left."""
        d90: Floats = self.d50 * 9 ** (-1 / self.slope)
        return d90

    def at(self, delays: Floats) -> Floats:
        """Return the skill at ``delays``, ``[curves, delays]``."""
        plateau = 1 - self.lapse[:, None]
        return plateau * _shape(delays, self.d50[:, None], self.slope[:, None])


def check_ladder(delays: Sequence[float]) -> None:
    """Check that a horizon can be read off these delays.

    Raises:
        InputError: if there are fewer than two delays, or one is not above 0.
    """
    if len(set(delays)) < 2:
        raise InputError(
            f"a memory horizon needs a ladder of two delays or more; got {sorted(set(delays))}: "
            "give the task table a list, such as lag = [4, 8, 16, 32]"
        )
    if min(delays) <= 0:
        raise InputError(f"the delays of a ladder must be above 0; got {min(delays)}")


def fit(delays: Sequence[float], skill: Floats) -> Fit:
    """Return the best curve through each row of ``skill``, ``[curves, delays]``, with ``delays`` ascending.

    On the grid, d₅₀ has at least 64 values over the ladder and at least four between two delays, and s has 13 values
    from 1/8 to 32, and ∞.
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
        error *= plateau  # the sum of squared errors, without the constant Σ skill²
        chosen = error.argmin(axis=1)
        best.append(chosen)
        lapse.append(1 - plateau[np.arange(len(rows)), chosen])
    index = np.concatenate(best)
    return Fit(d50[index], slope[index], np.concatenate(lapse))


def _shape(delays: Floats, d50: Floats, slope: Floats) -> Floats:
    """Return the fitted curve with a plateau of 1."""
    with np.errstate(over="ignore"):
        shape: Floats = 1 / (1 + (delays / d50) ** slope)
    return shape


@lru_cache(maxsize=64)
def _grid(delays: tuple[float, ...]) -> tuple[Floats, Floats, Floats]:
    """Return d₅₀ ``[grid]``, s ``[grid]`` and the curve at the delays ``[grid, delays]`` of every candidate.

    Steps (s = ∞) midway between two delays come first, and so win where other curves fit as well. For each slope there
    follow values of d₅₀ at equal parts of the logarithm between two delays, and beyond both ends until the curve is
    practically flat.
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


def resampled_curves(skill: Floats, generator: np.random.Generator, resamples: int) -> tuple[Floats, Floats]:
    """Return mean curves of resampled seeds, ``[resamples, delays]``, for the low and for the high end.

    ``skill`` is ``[seeds, delays]``. A seed is drawn with all of its delays, because runs of one seed may be alike. As
    in `guaranteed_interval`, deviations are widened and a share u ~ Beta(1, n) goes to one unseen seed, which
    remembers nothing (low) or everything (high) at every delay.
    """
    n = len(skill)
    drawn = generator.multinomial(n, np.full(n, 1 / n), size=resamples) @ skill / n
    drawn = widened(drawn, skill.mean(axis=0), n)
    unseen = generator.beta(1, n, size=(resamples, 1))
    return (1 - unseen) * drawn, (1 - unseen) * drawn + unseen


def horizons(points: pd.DataFrame, resamples: int = RESAMPLES, seed: int = 0) -> pd.DataFrame:
    """Return one row per kind, ladder and architecture, and one for `OVERALL` where a kind has several ladders.

    - `seeds`: the number of seeds with a run at every delay of the ladder; the others do not count. Without any, all
      values are NaN.
    - `d50`, `d90` with `_low`, `_high`: the 95 % bootstrap interval over seeds; NaN with fewer than two seeds.
    - `shortest`, `longest`: the ends of the ladder, within which all of these are held.
    - `censored`: the end at which `d50` is censored: "right", "left", "both" (overall only) or "".
    - `curve_d50`, `slope`, `lapse`: the fitted curve, which is not held within the ladder.

    The overall horizon is the geometric mean over ladders. A censored one counts at the end of its ladder, so the mean
    is a bound where `censored` says so. The interval is wide on purpose. In simulations with ten seeds and six delays
    it held the true d₅₀ and d₉₀ in .98 to 1.00 of 60 ladders, whether the skills were accuracies on 50 answers, or 0
    or 1, or runs that keep everything up to a delay of their own. Percentiles without the unseen seed held d₅₀ in 0
    to .97.
    """
    if missing := [column for column in POINTS if column not in points]:
        raise InputError(f"points need the columns {', '.join(POINTS)}; missing: {', '.join(missing)}")
    rows: list[dict[str, object]] = []
    for kind in sorted(points["kind"].unique(), reverse=True):  # trained first
        points_of_kind = points[points["kind"] == kind]
        ladders = points_of_kind["ladder"].unique()
        parts: dict[str, list[_Resamples]] = {}
        for ladder in ladders:
            points_of_ladder = points_of_kind[points_of_kind["ladder"] == ladder]
            for row, part in _ladder_rows(points_of_ladder, str(ladder), resamples, seed):
                rows.append({"ladder": ladder, "kind": kind, **row})
                if part is not None:
                    parts.setdefault(str(row["architecture"]), []).append(part)
        for architecture, all_parts in sorted(parts.items()) if len(ladders) > 1 else ():
            if len(all_parts) == len(ladders):
                row = {"architecture": architecture, **_summary(_mean(all_parts))}
                rows.append({"ladder": OVERALL, "kind": kind, **row})
    columns = ["kind", "ladder", "architecture", "seeds", "d50", "d50_low", "d50_high", "d90", "d90_low", "d90_high"]
    columns += ["censored", "shortest", "longest", "curve_d50", "slope", "lapse"]
    return pd.DataFrame(rows, columns=columns)


class _Resamples(NamedTuple):
    """Logarithms of d₅₀ and d₉₀ (the two columns), held within the ladder, of an architecture and its resamples."""

    point: Floats  # [2]
    low: Floats  # [resamples, 2]
    high: Floats  # [resamples, 2]
    ends: Floats  # [2]: shortest, longest
    seeds: int
    censored: frozenset[str]


def _ladder_rows(
    points: pd.DataFrame, ladder: str, resamples: int, seed: int
) -> list[tuple[dict[str, object], _Resamples | None]]:
    """Return the row of each architecture, sorted by name, with the resamples from which overall rows are made."""
    table = points.pivot_table(index=["architecture", "seed"], columns="delay", values="skill", sort=True)
    delays = [float(delay) for delay in table.columns]
    check_ladder(delays)
    rows: list[tuple[dict[str, object], _Resamples | None]] = []
    for architecture in sorted(points["architecture"].unique()):
        skill = table.loc[[architecture]].dropna().to_numpy(dtype=np.float64)  # [seeds, delays]
        n = len(skill)
        if n == 0:
            row = {"architecture": architecture, "seeds": 0, "censored": "", "shortest": delays[0]}
            rows.append(({**row, "longest": delays[-1]}, None))
            continue
        middle = fit(delays, np.maximum(skill.mean(axis=0, keepdims=True), 0))
        generator = np.random.default_rng([seed, n, *f"horizon {ladder}".encode()])
        low, high = (_held(fit(delays, curves), delays) for curves in resampled_curves(skill, generator, resamples))
        censored = {"right"} if middle.d50[0] >= delays[-1] else {"left"} if middle.d50[0] <= delays[0] else set()
        ends = np.log([delays[0], delays[-1]])
        part = _Resamples(_held(middle, delays)[0], low, high, ends, n, frozenset(censored))
        curve = {"curve_d50": middle.d50[0], "slope": middle.slope[0], "lapse": middle.lapse[0]}
        rows.append(({"architecture": architecture, **_summary(part), **curve}, part))
    return rows


def _held(fitted: Fit, delays: Sequence[float]) -> Floats:
    """Return the logarithms of d₅₀ and d₉₀, held within the ladder: ``[curves, 2]``."""
    return np.log(np.clip(np.stack([fitted.d50, fitted.d90], axis=1), delays[0], delays[-1]))


def _mean(parts: Sequence[_Resamples]) -> _Resamples:
    """Return the geometric mean over ladders, in each resample."""
    point, low, high, ends = (
        np.mean(logs, axis=0) for logs in zip(*((p.point, p.low, p.high, p.ends) for p in parts), strict=True)
    )
    censored = frozenset().union(*(part.censored for part in parts))
    return _Resamples(point, low, high, ends, min(part.seeds for part in parts), censored)


def _summary(part: _Resamples) -> dict[str, object]:
    """Return d₅₀ and d₉₀ with their intervals, which are made to hold the point.

    A raised tail makes the fit less steep and so may lower d₉₀. The interval therefore spans what both unseen seeds
    give.
    """
    both = np.quantile(part.low, TAILS, axis=0), np.quantile(part.high, TAILS, axis=0)  # [2 tails, 2] each
    low, high = np.minimum(both[0][0], both[1][0]), np.maximum(both[0][1], both[1][1])
    row: dict[str, object] = {"seeds": part.seeds}
    for i, name in enumerate(("d50", "d90")):
        row[name] = _delay(part.point[i])
        has_interval = part.seeds >= 2
        row[f"{name}_low"] = _delay(min(low[i], part.point[i])) if has_interval else np.nan
        row[f"{name}_high"] = _delay(max(high[i], part.point[i])) if has_interval else np.nan
    row["censored"] = "both" if len(part.censored) == 2 else "".join(part.censored)
    row["shortest"], row["longest"] = map(_delay, part.ends)
    return row


def _delay(logarithm: float) -> float:
    return round(float(np.exp(logarithm)), 9)  # so that the ends of a ladder come back exactly


def curves(points: pd.DataFrame) -> pd.DataFrame:
    """Return the mean skill per kind, ladder, architecture and delay, with the interval of the leaderboard."""
    keys = ["kind", "ladder", "architecture", "delay", "rung"]
    seeds = points.groupby(keys, as_index=False, sort=True)["skill"].agg(seeds="count")
    runs = points.drop_duplicates(["architecture", "rung", "seed"])
    runs = runs.assign(task=runs["rung"], solved=False, steps_to_solve=np.nan, steps_budget=1)
    skills = skill_intervals(runs).rename(columns={"task": "rung", "mean": "skill"}).drop(columns="seeds")
    table: pd.DataFrame = seeds.merge(skills, on=["architecture", "rung"])
    return table.reindex(columns=[*keys, "skill", "seeds", "low", "high"])
