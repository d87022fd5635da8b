"""The way from a claim to its verdict: run what is missing, measure, and judge."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

import pandas as pd

from suite.claims.claim import Claim
from suite.claims.evidence import STEP_TIME, evidence, time_steps
from suite.claims.verdict import ClaimVerdict, judge
from suite.planning.plan import Plan
from suite.running import runner
from suite.store.store import Store


def measures_of(claim: Claim) -> list[str]:
    """Return the measures of a claim's comparisons, each once."""
    return list(dict.fromkeys(comparison.measure or claim.measure for comparison in claim.comparisons))


def needs_runs(claim: Claim) -> bool:
    """Return whether a claim needs runs; one about the time of a step is measured without any."""
    return measures_of(claim) != [STEP_TIME]


def evaluate_claim(
    claim: Claim,
    budget: str,
    store: Store,
    run: Callable[[Plan], None],
    timing_bar: Callable[[int], AbstractContextManager[Callable[[], None]]],
) -> ClaimVerdict:
    """Return the verdict on a claim, after running what its experiment lacks.

    Args:
        claim: a checked claim.
        budget: the name of one of its budgets.
        store: where runs are recorded.
        run: does the missing runs of a plan.
        timing_bar: shows the progress of ``STEP_TIME``, given the number of repetitions.
    """
    experiment = claim.experiment_with(budget)
    plan = runner.open_plan(experiment, store)
    if needs_runs(claim):
        run(plan)
    observations: dict[str, pd.DataFrame] = {}
    for measure in measures_of(claim):
        if measure == STEP_TIME:
            with timing_bar(len(experiment.levels) * len(experiment.evaluation.seed_list)) as on_repetition:
                observations[measure] = time_steps(experiment, on_repetition)
        else:
            observations[measure] = evidence(plan, measure)
    return judge(claim, budget, observations)
