"""From numbers to a verdict: paired differences, Holm's adjustment over the whole claim, and one rule.

A row is one comparison on one level. It is *resolved* if its difference exceeds the margin and is significant after the
adjustment, or if its whole interval lies within the margin ("tied"). Intervals are not adjusted, and n seeds rarely
show a failure rarer than 1/n. A resolved row supports or contradicts the claim. A tie at the floor (neither arm
remembers anything) or at the ceiling (both remember everything) is *uninformative*: the level is too hard or too easy.
A row is *unresolved* otherwise, and also where an arm lacks the measure on some seed, as a diverged run lacks its loss,
because the seeds that are left would be a selection. The claim is

- *conditional* if some rows support it and some contradict it;
- *supported* or *refuted* if all resolved rows agree and at least half of the informative ones are resolved;
- *unresolved* otherwise.

Comparisons that are ``context`` do not count towards the verdict.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from suite.claims.claim import Claim, Comparison
from suite.claims.evidence import SHARES, SMOOTH, tables_by_level
from suite.statistics.paired_tests import holm, paired_test, verdict_of
from suite.statistics.table import FEW_SEEDS, OVERALL, Floats

SUPPORTS, CONTRADICTS, UNRESOLVED, UNINFORMATIVE = "supports", "contradicts", "unresolved", "uninformative"
"""The four things that a row can say of the claim."""
SIGN = {"above": ">", "below": "<", "equal": "="}
FLOOR, CEILING = 0.05, 0.95
"""Two shares that are both below the floor, or both above the ceiling, do not inform about the claim."""


@dataclass(frozen=True)
class ClaimVerdict:
    """A claim with its verdict and the comparisons behind it."""

    claim: Claim
    budget: str
    verdict: str
    """"supported", "refuted", "conditional" or "unresolved"."""
    rows: pd.DataFrame
    """One row per comparison and level: ``first``, ``second``, ``task``, ``measure``, ``direction``, ``margin``,
    ``pairs``, ``lost`` (the seeds on which an arm lacks the measure), ``first_mean``, ``second_mean``, ``difference``,
    ``low``, ``high``, ``p_holm``, ``observed`` (above, below, tied, unresolved), ``says`` (supports, contradicts,
    unresolved, uninformative) and ``context``. On a logarithmic scale the means are geometric."""
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
        """Return how many rows say this, without context."""
        return int(((self.rows["says"] == says) & ~self.rows["context"]).sum())

    @property
    def counted(self) -> int:
        """The number of rows that count towards the verdict."""
        return int((~self.rows["context"]).sum())


def judge(claim: Claim, budget: str, observations: Mapping[str, pd.DataFrame]) -> ClaimVerdict:
    """Return the verdict on a claim, given the observations of each of its measures."""
    rows, pooled = [], []
    for comparison in claim.comparisons:
        measure = comparison.measure or claim.measure
        table = observations[measure].assign(value=lambda t: _scaled(t["value"], claim.scale))
        values = table.set_index(["task", "seed", "architecture"])["value"].unstack("architecture")
        base = {
            "first": comparison.first,
            "second": comparison.second if comparison.second is not None else f"{comparison.value:g}",
            "measure": measure,
            "direction": comparison.direction or claim.direction,
            "margin": claim.margin if comparison.margin is None else comparison.margin,
            "context": comparison.context,
        }
        differences = []
        for task in _levels(claim, comparison, measure):
            level = values[values.index.get_level_values("task") == task]
            first, second = _arms(level, comparison, claim)
            differences.append(first - second)
            effect = _effect([first - second], measure, claim.scale)
            lost = int(level.index.nunique()) - len(first)
            rows.append({**base, "task": task, **effect, "lost": lost, **_means(first, second, claim)})
        pooled.append({**base, "task": OVERALL, **_effect(differences, measure, claim.scale)})
    table = pd.DataFrame(rows)
    table["p_holm"] = holm(table["p"])
    table["observed"] = [
        verdict_of(*row) for row in table[["difference", "low", "high", "p_holm", "margin"]].to_numpy()
    ]
    table["says"] = [_says(row) for _, row in table.iterrows()]
    verdict = overall_verdict(table["says"][~table["context"]])
    all_observations = pd.concat(values.assign(measure=measure) for measure, values in observations.items())
    return ClaimVerdict(claim, budget, verdict, table, pd.DataFrame(pooled), all_observations)


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
    if row["observed"] == "tied" and _is_share(row["measure"]) and (max(means) < FLOOR or min(means) > CEILING):
        return UNINFORMATIVE
    if row["observed"] == "unresolved" or row["lost"]:
        return UNRESOLVED
    claimed = "tied" if row["direction"] == "equal" else row["direction"]
    return SUPPORTS if row["observed"] == claimed else CONTRADICTS


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


def _effect(differences: list[Floats], measure: str, scale: str) -> dict[str, float]:
    """Return the mean difference over levels with its interval and p-value; two shares differ by at most 1."""
    difference, low, high, p = paired_test(differences, cautious=measure not in SMOOTH)
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
