"""From numbers to a verdict: paired differences, Holm's adjustment, and one rule.

A row is one comparison on one level. It is *resolved* if its difference is shown to exceed the margin, after the
adjustment, or if its whole interval lies within the margin ("tied"). Where the claim has a *yardstick*, which is one
arm that was tuned twice, the difference must exceed that of the two tunings as well. Intervals are not adjusted, and n
seeds rarely show a failure rarer than 1/n. A resolved row supports or contradicts the claim. A row without a difference
at the floor (neither arm remembers anything) or at the ceiling (both remember everything) is *uninformative*: the level
is too hard or too easy. A row is *unresolved* otherwise, and also where an arm lacks the measure on some seed, as a
diverged run lacks its loss, because the seeds that are left would be a selection.

The rows that state the claim decide about it, and are one family for Holm's method. The claim is

- *conditional* if some of them support it and some contradict it;
- *supported* or *refuted* if all resolved ones agree and at least half of the informative ones are resolved;
- *unresolved* otherwise.

Rows that test the *cause* that the claim gives have a verdict of their own by the same rule, and *context* has none.
Both together are the other family.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from suite.claims.claim import Claim, Comparison
from suite.claims.evidence import SHARES, SMOOTH, tables_by_level
from suite.statistics.paired_tests import DIFFERENT, holm, paired_test, verdict_of
from suite.statistics.power import power_text
from suite.statistics.table import FEW_SEEDS, OVERALL, Floats

SUPPORTS, CONTRADICTS, UNRESOLVED, UNINFORMATIVE = "supports", "contradicts", "unresolved", "uninformative"
"""The four things that a row can say of the claim."""
SIGN = {"above": ">", "below": "<", "different": "≠", "equal": "="}
COMPARISON = ["first", "second", "measure", "direction"]
"""The columns that the rows of one comparison share."""
FLOOR, CEILING = 0.05, 0.95
"""Two shares that are both below the floor, or both above the ceiling, do not inform about the claim."""


@dataclass(frozen=True)
class ClaimVerdict:
    """A claim with its verdict and the comparisons behind it."""

    claim: Claim
    budget: str
    verdict: str
    """"supported", "refuted", "conditional" or "unresolved"."""
    cause: str
    """The same of the cause that the claim gives; empty where no comparison tests it."""
    rows: pd.DataFrame
    """One row per comparison and level: ``first``, ``second``, ``task``, ``measure``, ``direction``, ``margin``,
    ``pairs``, ``lost`` (the seeds on which an arm lacks the measure), ``first_mean``, ``second_mean``, ``difference``,
    ``low``, ``high``, ``yardstick`` (the difference of two tunings of one arm; NaN without), ``p_holm``, ``observed``
    (above, below, tied, unresolved), ``says`` (supports, contradicts, unresolved, uninformative) and ``role``
    (statement, cause, context). On a logarithmic scale the means are geometric."""
    effect: pd.Series[Any]
    """The effect behind the verdict: the mean over the levels that decided, in the first comparison that has any. Of an
    unresolved claim it is that of the first comparison, over all of its levels."""
    pooled: pd.DataFrame
    """One row per comparison: the same effect as a mean over its levels, which is not tested."""
    observations: pd.DataFrame
    """The numbers behind everything: ``measure``, ``architecture``, ``task``, ``seed``, ``value``."""

    @property
    def seeds(self) -> int:
        """The number of pairs in the row that has the fewest."""
        return int(self.rows["pairs"].min())

    @property
    def few_seeds(self) -> bool:
        """True if the seeds are too few for more than an indication."""
        return self.seeds < FEW_SEEDS

    def count(self, says: str) -> int:
        """Return how many of the rows that state the claim say this."""
        return int((self.rows["says"][self.rows["role"] == "statement"] == says).sum())

    @property
    def counted(self) -> int:
        """The number of rows that state the claim."""
        return int((self.rows["role"] == "statement").sum())


def judge(claim: Claim, budget: str, observations: Mapping[str, pd.DataFrame]) -> ClaimVerdict:
    """Return the verdict on a claim, given the observations of each of its measures."""
    rows: list[dict[str, Any]] = []
    pooled: list[dict[str, Any]] = []
    differences: list[Floats] = []  # of each row
    for comparison in claim.comparisons:
        measure = comparison.measure or claim.measure
        table = observations[measure].assign(value=lambda t: _scaled(t["value"], claim.scale))
        values = table.set_index(["task", "seed", "architecture"])["value"].unstack("architecture")
        margin = claim.margin if comparison.margin is None else comparison.margin
        base = {
            "first": comparison.first,
            "second": comparison.second if comparison.second is not None else f"{comparison.value:g}",
            "measure": measure,
            "direction": comparison.direction or claim.direction,
            "margin": margin,
            "role": comparison.role,
        }
        start = len(rows)
        for task in _levels(claim, comparison, measure):
            level = values[values.index.get_level_values("task") == task]
            first, second = _arms(level, comparison, claim)
            yardstick = _yardstick(level, claim)
            effect = _effect([first - second], measure, claim.scale, float(np.fmax(margin, yardstick)))
            lost = int(level.index.nunique()) - len(first)
            means = _means(first, second, claim)
            rows.append({**base, "task": task, **effect, "yardstick": yardstick, "lost": lost, **means})
            differences.append(first - second)
        pooled.append({**base, "task": OVERALL, **_effect(differences[start:], measure, claim.scale)})
    table = pd.DataFrame(rows)
    states = table["role"] == "statement"
    for family in (states, ~states):
        table.loc[family, "p_holm"] = holm(table.loc[family, "p"])
    table["observed"] = [
        verdict_of(*row) for row in table[["difference", "low", "high", "p_holm", "margin"]].to_numpy()
    ]
    table["says"] = [_says(row) for _, row in table.iterrows()]
    verdict = overall_verdict(table["says"][states])
    causes = table["says"][table["role"] == "cause"]
    effect_rows = _behind(table[states], verdict)
    effect = {
        **rows[effect_rows[0]],
        **_effect([differences[row] for row in effect_rows], rows[effect_rows[0]]["measure"], claim.scale),
        "levels": len(effect_rows),
    }
    return ClaimVerdict(
        claim=claim,
        budget=budget,
        verdict=verdict,
        cause=overall_verdict(causes) if len(causes) else "",
        rows=table,
        effect=pd.Series(effect),
        pooled=pd.DataFrame(pooled),
        observations=pd.concat(values.assign(measure=measure) for measure, values in observations.items()),
    )


def _behind(rows: pd.DataFrame, verdict: str) -> list[int]:
    """Return the places of the rows behind a verdict, which belong to one comparison."""
    decided = rows[rows["says"].isin([SUPPORTS, CONTRADICTS])]
    candidates = rows if verdict == "unresolved" or decided.empty else decided
    first = candidates.iloc[0]
    return [int(place) for place in candidates.index[(candidates[COMPARISON] == first[COMPARISON]).all(axis=1)]]


def power_of(claim: Claim, seeds: int) -> str:
    """Return a sentence that says what so many seeds can show of the comparisons that state a claim.

    It is empty where a measure varies smoothly, because any number of seeds can decide then.
    """
    states = [comparison for comparison in claim.comparisons if comparison.role == "statement"]
    measures = {comparison.measure or claim.measure for comparison in states}
    if measures & set(SMOOTH):
        return ""
    rows = sum(len(_levels(claim, each, each.measure or claim.measure)) for each in states)
    return power_text(seeds, rows, claim.margin)


def overall_verdict(says: pd.Series[str]) -> str:
    """Return the verdict by the rule of this module, from what each counted row says."""
    supporting, contradicting = int((says == SUPPORTS).sum()), int((says == CONTRADICTS).sum())
    if supporting and contradicting:
        return "conditional"
    informative = int((says != UNINFORMATIVE).sum())
    if 2 * (supporting + contradicting) < informative or not informative:
        return "unresolved"
    return "supported" if supporting else "refuted"


def _says(row: pd.Series[Any]) -> str:
    """Return what a row says of the claim."""
    means = row["first_mean"], row["second_mean"]
    if row["lost"]:
        return UNRESOLVED
    if row["observed"] in ("tied", "unresolved"):
        if _is_share(row["measure"]) and (max(means) < FLOOR or min(means) > CEILING):
            return UNINFORMATIVE
        if row["observed"] == "unresolved":
            return UNRESOLVED
    claimed = {"equal": ("tied",), "different": DIFFERENT}.get(row["direction"], (row["direction"],))
    return SUPPORTS if row["observed"] in claimed else CONTRADICTS


def _is_share(measure: str) -> bool:
    return measure.endswith(SHARES) and "gap" not in measure


def _levels(claim: Claim, comparison: Comparison, measure: str) -> list[str]:
    """Return the levels of a comparison; the label of a table stands for all of its levels."""
    tables, tasks = tables_by_level(claim.whole_experiment, measure), comparison.tasks
    return [label for label, table in tables.items() if not tasks or label in tasks or table in tasks]


def _scaled(values: pd.Series[float], scale: str) -> pd.Series[float]:
    with np.errstate(divide="ignore", invalid="ignore"):
        return pd.Series(np.log(values), index=values.index) if scale == "log" else values


def _arms(level: pd.DataFrame, comparison: Comparison, claim: Claim) -> tuple[Floats, Floats]:
    """Return the values of both arms on the seeds that they share."""
    arms = [arm for arm in (comparison.first, comparison.second) if arm is not None]
    shared = level.reindex(columns=arms).replace([np.inf, -np.inf], np.nan).dropna()
    first = shared[comparison.first].to_numpy(dtype=np.float64)
    if comparison.second is not None:
        return first, shared[comparison.second].to_numpy(dtype=np.float64)
    value = float(comparison.value if comparison.value is not None else np.nan)
    return first, np.full_like(first, np.log(value) if claim.scale == "log" else value)


def _yardstick(level: pd.DataFrame, claim: Claim) -> float:
    """Return the size of the mean difference between two tunings of one arm on a level; NaN without a yardstick."""
    if claim.yardstick is None:
        return np.nan
    both = level.reindex(columns=[claim.yardstick.first, claim.yardstick.second])
    both = both.replace([np.inf, -np.inf], np.nan).dropna()
    return abs(float((both.iloc[:, 0] - both.iloc[:, 1]).mean()))


def _effect(differences: list[Floats], measure: str, scale: str, margin: float = 0.0) -> dict[str, float]:
    """Return the mean difference over levels with its interval and the p-value that it lies within the margin.

    Two shares differ by at most 1.
    """
    difference, low, high, p = paired_test(differences, margin, cautious=measure not in SMOOTH)
    if _is_share(measure) and scale == "linear":
        low, high = max(-1.0, low), min(1.0, high)
    return {"pairs": min(map(len, differences)), "difference": difference, "low": low, "high": high, "p": p}


def _means(first: Floats, second: Floats, claim: Claim) -> dict[str, float]:
    """Return the mean of each arm, which is geometric on a logarithmic scale."""
    if not len(first):
        return {"first_mean": np.nan, "second_mean": np.nan}
    means = float(first.mean()), float(second.mean())
    if claim.scale == "log":
        means = float(np.exp(means[0])), float(np.exp(means[1]))
    return {"first_mean": means[0], "second_mean": means[1]}
