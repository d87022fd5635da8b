"""From numbers to a verdict: paired differences, Holm over the whole claim, and one rule.

A row is one comparison on one level. It is *resolved* if its adjusted difference is beyond the margin, or if its whole
interval lies within it ("tied"; such intervals are not adjusted, and n seeds rarely show a failure rarer than 1/n). It
then supports or contradicts the claim. A tie at the floor (nobody remembers anything) or at the ceiling (everybody
does) is *uninformative*: the level is too hard or too easy to tell. A row is *unresolved* too where an arm lacks the
measure on some seed, as a diverged run lacks its loss: what is left of it would be a selection. The claim is

- *conditional* if some rows support and some contradict it;
- *supported* or *refuted* if all that are resolved do, and at least half of the informative ones are resolved;
- *unresolved* otherwise.

Comparisons that are ``context`` have no say.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from suite.claims.claim import Claim, Comparison
from suite.claims.evidence import SHARES, SMOOTH, tables_by_level
from suite.statistics.bootstrap import FEW_SEEDS, OVERALL, Floats
from suite.statistics.paired_tests import holm, paired_test, verdict_of

VERDICTS = ("supported", "refuted", "conditional", "unresolved")
SUPPORTS, CONTRADICTS, OPEN, NOTHING = "supports", "contradicts", "unresolved", "uninformative"
SIGN = {"above": ">", "below": "<", "equal": "="}
FLOOR, CEILING = 0.05, 0.95
"""Of a share: two arms below or above tell nothing."""


@dataclass(frozen=True)
class ClaimVerdict:
    """A claim with its verdict."""

    claim: Claim
    budget: str
    verdict: str
    rows: pd.DataFrame
    """One per comparison and level: ``first``, ``second``, ``task``, ``measure``, ``direction``, ``margin``, ``pairs``,
    ``lost`` (seeds on which an arm lacks the measure), ``first_mean``, ``second_mean``, ``difference``, ``low``,
    ``high``, ``p_holm``, ``found`` (above, below, tied, unresolved), ``says`` (supports, contradicts, unresolved,
    uninformative) and ``context``. On a logarithmic scale the means are geometric."""
    pooled: pd.DataFrame
    """Per comparison, the same of the mean over its levels, untested."""
    observations: pd.DataFrame
    """``measure``, ``architecture``, ``task``, ``seed``, ``value``: what all of it was made from."""

    @property
    def seeds(self) -> int:
        return int(self.rows["pairs"].min())

    @property
    def few_seeds(self) -> bool:
        return self.seeds < FEW_SEEDS

    def count(self, says: str) -> int:
        return int(((self.rows["says"] == says) & ~self.rows["context"]).sum())

    @property
    def voting(self) -> int:
        """Rows that have a say."""
        return int((~self.rows["context"]).sum())


def judge(claim: Claim, budget: str, measured: Mapping[str, pd.DataFrame]) -> ClaimVerdict:
    """The verdict on a claim; ``measured`` holds the evidence of each of its measures."""
    rows, pooled = [], []
    for comparison in claim.comparisons:
        measure = comparison.measure or claim.measure
        table = measured[measure].assign(value=lambda t: _scaled(t["value"], claim.scale))
        values = table.set_index(["task", "seed", "architecture"])["value"].unstack("architecture")
        base = {
            "first": comparison.first,
            "second": comparison.second if comparison.second is not None else f"{comparison.value:g}",
            "measure": measure,
            "direction": comparison.direction or claim.direction,
            "margin": claim.margin if comparison.margin is None else comparison.margin,
            "context": comparison.context,
        }
        here = []
        for task in _levels(claim, comparison, measure):
            level = values[values.index.get_level_values("task") == task]
            first, second = _arms(level, comparison, claim)
            here.append(first - second)
            effect = _effect([first - second], measure, claim.scale)
            lost = int(level.index.nunique()) - len(first)
            rows.append({**base, "task": task, **effect, "lost": lost, **_means(first, second, claim)})
        pooled.append({**base, "task": OVERALL, **_effect(here, measure, claim.scale)})
    table = pd.DataFrame(rows)
    table["p_holm"] = holm(table["p"])
    table["found"] = [verdict_of(*row) for row in table[["difference", "low", "high", "p_holm", "margin"]].to_numpy()]
    table["says"] = [_says(row) for _, row in table.iterrows()]
    observations = pd.concat(found.assign(measure=measure) for measure, found in measured.items())
    return ClaimVerdict(
        claim, budget, overall_verdict(table["says"][~table["context"]]), table, pd.DataFrame(pooled), observations
    )


def overall_verdict(says: pd.Series[str]) -> str:
    """The rule of this file, from what each row says."""
    supporting, contradicting = int((says == SUPPORTS).sum()), int((says == CONTRADICTS).sum())
    if supporting and contradicting:
        return "conditional"
    informative = int((says != NOTHING).sum())
    if 2 * (supporting + contradicting) < informative or not informative:
        return "unresolved"
    return "supported" if supporting else "refuted"


def _says(row: pd.Series[Any]) -> str:
    means = row["first_mean"], row["second_mean"]
    if row["found"] == "tied" and _is_share(row["measure"]) and (max(means) < FLOOR or min(means) > CEILING):
        return NOTHING
    if row["found"] == "unresolved" or row["lost"]:
        return OPEN
    return SUPPORTS if row["found"] == {"equal": "tied"}.get(row["direction"], row["direction"]) else CONTRADICTS


def _is_share(measure: str) -> bool:
    return measure.endswith(SHARES) and "gap" not in measure


def _levels(claim: Claim, comparison: Comparison, measure: str) -> list[str]:
    """The levels of a comparison; a table's label stands for all of its levels."""
    tables = tables_by_level(claim.whole_experiment, measure)
    wanted = comparison.tasks
    return [label for label, table in tables.items() if not wanted or label in wanted or table in wanted]


def _scaled(values: pd.Series[float], scale: str) -> pd.Series[float]:
    with np.errstate(divide="ignore", invalid="ignore"):
        return pd.Series(np.log(values), index=values.index) if scale == "log" else values


def _arms(level: pd.DataFrame, comparison: Comparison, claim: Claim) -> tuple[Floats, Floats]:
    """The values of both arms on the seeds that they share."""
    wanted = [arm for arm in (comparison.first, comparison.second) if arm is not None]
    known = level.reindex(columns=wanted).replace([np.inf, -np.inf], np.nan).dropna()
    first = known[comparison.first].to_numpy(dtype=np.float64)
    if comparison.second is not None:
        return first, known[comparison.second].to_numpy(dtype=np.float64)
    value = float(comparison.value if comparison.value is not None else np.nan)
    return first, np.full_like(first, np.log(value) if claim.scale == "log" else value)


def _effect(differences: list[Floats], measure: str, scale: str) -> dict[str, float]:
    difference, low, high, p = paired_test(differences, cautious=measure not in SMOOTH)
    if _is_share(measure) and scale == "linear":
        low, high = max(-1.0, low), min(1.0, high)
    return {"pairs": min(map(len, differences)), "difference": difference, "low": low, "high": high, "p": p}


def _means(first: Floats, second: Floats, claim: Claim) -> dict[str, float]:
    if not len(first):
        return {"first_mean": np.nan, "second_mean": np.nan}
    means = float(first.mean()), float(second.mean())
    if claim.scale == "log":
        means = float(np.exp(means[0])), float(np.exp(means[1]))
    return {"first_mean": means[0], "second_mean": means[1]}
