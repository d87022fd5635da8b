"""The whole way of a claim: run what is missing, then judge."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

import pandas as pd

from suite.claims.claim import Claim
from suite.claims.evidence import TIMED, evidence, timed
from suite.claims.verdict import ClaimVerdict, judge
from suite.planning.plan import Plan
from suite.running import runner
from suite.store.store import Store


def measures(claim: Claim) -> list[str]:
    """The measures of a claim's comparisons, each once."""
    return list(dict.fromkeys(comparison.measure or claim.measure for comparison in claim.comparisons))


def needs_runs(claim: Claim) -> bool:
    return measures(claim) != [TIMED]


def evaluate_claim(
    claim: Claim,
    budget: str,
    store: Store,
    run: Callable[[Plan], None],
    timing: Callable[[int], AbstractContextManager[Callable[[], None]]],
) -> ClaimVerdict:
    """The verdict on a claim; what its experiment lacks is run first.

    Args:
        claim: a checked claim.
        budget: ``small`` or ``full``.
        store: where runs are recorded.
        run: does the missing runs of a plan.
        timing: given the number of repetitions that ``TIMED`` takes, shows their progress.
    """
    experiment = claim.asks(budget)
    plan = runner.open_plan(experiment, store)
    measured: dict[str, pd.DataFrame] = {}
    if needs_runs(claim):
        run(plan)
    for measure in measures(claim):
        if measure == TIMED:
            with timing(len(experiment.levels) * len(experiment.evaluation.seed_list)) as tick:
                measured[measure] = timed(experiment, tick)
        else:
            measured[measure] = evidence(plan, measure)
    return judge(claim, budget, measured)
