"""The way from a claim to its verdict: run what is missing, measure, and judge."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

import pandas as pd

from suite.claims.claim import Claim
from suite.claims.evidence import STEP_TIME, THROUGH_STATE, evidence, time_steps
from suite.claims.verdict import ClaimVerdict, judge
from suite.data import Data
from suite.diagnostics.scan import NO_STATE, has_state
from suite.errors import InputError
from suite.model.sequence_model import model_of
from suite.planning.plan import Plan, studies
from suite.planning.study import Study
from suite.running import runner
from suite.store.store import Store


def measures_of(claim: Claim) -> list[str]:
    """Return the measures of a claim's comparisons, each once."""
    return list(dict.fromkeys(comparison.measure or claim.measure for comparison in claim.comparisons))


def needs_runs(claim: Claim) -> bool:
    """Return whether a claim needs runs; one about the time of a step is measured without any."""
    return measures_of(claim) != [STEP_TIME]


def check_states(claim: Claim) -> None:
    """Check that every arm whose gradient through the state is compared has a state of constant size.

    Raises:
        InputError: if one has none, with the measure that takes its place.
    """
    wanted = {
        arm: comparison.measure or claim.measure
        for comparison in claim.comparisons
        if (comparison.measure or claim.measure) in THROUGH_STATE
        for arm in (comparison.first, comparison.second)
    }
    arms = {study.variant.label: study for study in studies(claim.whole_experiment) if study.variant.label in wanted}
    have = [label for label, study in arms.items() if _has_state(study)]
    if missing := [label for label in arms if label not in have]:
        measure = wanted[missing[0]]
        raise InputError(
            f"claim {claim.name!r}: {measure}: {NO_STATE}; got {', '.join(missing)} without one (accepted: "
            f"{', '.join(have) or 'none of its arms'}; or the measure input_{measure}, which every architecture has)"
        )


def _has_state(study: Study) -> bool:
    config = study.default_config
    data = Data(config.task, 0, 1)
    return has_state(model_of(config.model, data.task, seed=0), data.sample("validation", 1).inputs)


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
