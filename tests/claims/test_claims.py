"""Claims: what is refused, what the verdicts are worth, and the whole way of one."""

from __future__ import annotations

import copy
import io
import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from rich.console import Console
from typer.testing import CliRunner

from suite.claims import claim as claims
from suite.claims import report
from suite.claims.evaluation import check_states
from suite.claims.evidence import evidence, tables_by_level
from suite.claims.figure import claim_figure
from suite.claims.verdict import ClaimVerdict, judge, overall_verdict
from suite.cli import app
from suite.console import estimate
from suite.console.listing import everything
from suite.errors import InputError
from suite.planning.job import Job
from suite.planning.plan import studies
from suite.store.store import Store
from tests.synthetic import made_up

TABLES: dict[str, Any] = {
    "statement": "One remembers more than the other.",
    "source": "a test",
    "comparisons": [{"first": "gru", "second": "rnn"}],
    "budget": {"small": {"seeds": 10}},
    "experiment": {
        "tasks": {"sequence_memory": {"length": 8, "lag": [1, 3]}},
        "architectures": {"gru": {}, "rnn": {}},
        "model": {"hidden_size": 4},
        "training": {"steps": 10},
    },
}


def tables(**changes: Any) -> dict[str, Any]:
    return {**copy.deepcopy(TABLES), **changes}


def judged(values: dict[str, dict[str, list[float]]], **changes: Any) -> ClaimVerdict:
    """The verdict where each arm has these values on each level."""
    claim = claims.parse(tables(**changes), "made_up")
    rows = [
        (arm, level, seed, value)
        for arm, levels in values.items()
        for level, numbers in levels.items()
        for seed, value in enumerate(numbers)
    ]
    frame = pd.DataFrame(rows, columns=["architecture", "task", "seed", "value"])
    return judge(claim, "small", {claim.measure: frame})


def both(gru: list[float], rnn: list[float]) -> dict[str, dict[str, list[float]]]:
    levels = ("sequence_memory lag=1", "sequence_memory lag=3")
    return {"gru": {level: list(gru) for level in levels}, "rnn": {level: list(rnn) for level in levels}}


# what is refused ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(claims.available()))
def test_every_claim_of_the_suite_can_be_planned(name: str) -> None:
    claim = claims.load(name)
    assert set(claim.budget) == {"small", "full"}
    for budget in claim.budget:
        assert studies(claim.experiment_with(budget))
        assert claim.budget[budget].seeds >= 10


@pytest.mark.parametrize(
    ("name", "members"),
    [
        ("lesson", {"H1", "H2", "H3", "H4", "H5", "H6", "H7", "H8a", "H8b", "H8c"}),
        ("field", {f"F{number}" for number in range(1, 10)}),
    ],
)
def test_the_claims_of_a_set_are_all_there(name: str, members: set[str]) -> None:
    assert {claim.name.split("_")[0] for claim in claims.load_set(name)} == members


def test_a_set_that_does_not_exist_is_refused_with_the_nearest() -> None:
    with pytest.raises(InputError, match=r"unknown set of claims 'feild'; available: field, lesson .*'field'"):
        claims.load_set("feild")


def test_names_and_a_set_together_are_refused() -> None:
    done = CliRunner().invoke(app, ["claims", "H2_depth", "--set", "field"])
    assert isinstance(done.exception, InputError)
    assert "give the names of claims, or --set; got H2_depth and --set field" in str(done.exception)


def test_claims_of_one_s_own_may_be_a_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "experiments" / "claims"
    folder.mkdir(parents=True)
    (folder / "ours.toml").write_text(f'set = "mine"\n{OWN}', encoding="utf-8")
    (folder / "loose.toml").write_text(OWN, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    assert [claim.name for claim in claims.load_set("mine")] == ["ours"]
    done = CliRunner().invoke(app, ["claims", "--set", "mine", "--workers", "1", "--quiet"])
    assert done.exit_code == 0, done.output
    assert (tmp_path / "mlruns" / "claims" / "mine" / "small" / "claims.md").is_file()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"comparisons": [{"first": "gru", "second": "rnm"}]}, r"unknown arm 'rnm'.*did you mean 'rnn'"),
        ({"comparisons": [{"first": "gru"}]}, "either second"),
        ({"comparisons": [{"first": "gru", "second": "rnn", "value": 1.0}]}, "either second"),
        ({"comparisons": []}, "comparisons"),
        ({"comparisons": [{"first": "gru", "second": "rnn", "tasks": ["adding"]}]}, "unknown task level 'adding'"),
        ({"measure": "test_skil"}, r"unknown measure 'test_skil'.*did you mean 'test_skill'"),
        ({"measure": "area_test_skill"}, r"ladder of training-set sizes.*train_size = \[50, 200, 1000\]"),
        ({"measure": "gradient_slope_end"}, "diagnostics = true"),
        ({"measure": "beyond_skill"}, r"lengths beyond those of training: .* test_lengths = \[128, 256\]"),
        ({"measure": "input_gradient_slope_start"}, "input_gradient_slope_start is only measured with diagnostics"),
        ({"budget": {"small": {"seeds": 2}}}, "an interval needs 3 seeds or more.*got 2"),
        ({"budget": {}}, "budget"),
        ({"direction": "better"}, "direction"),
        ({"comparisons": [{"first": "gru", "second": "gru"}]}, "an arm cannot be compared with itself"),
        ({"comparisons": [{"first": "gru", "value": math.nan}]}, "finite"),
        ({"comparisons": [{"first": "gru", "second": "rnn", "context": True}]}, "at least one comparison must state"),
        ({"comparisons": [{"first": "gru", "second": "rnn", "cause": True}]}, "at least one comparison must state"),
        ({"comparisons": [{"first": "gru", "second": "rnn", "cause": True, "context": True}]}, "and not both"),
        ({"yardstick": {"first": "gru", "second": "gru_agian"}}, "unknown arm 'gru_agian'"),
        ({"yardstick": {"first": "gru", "second": "gru"}}, "an arm cannot be compared with itself"),
        ({"scale": "log"}, "a measure that is always above 0; got test_skill"),
        (
            {"scale": "log", "measure": "restricted_steps", "comparisons": [{"first": "gru", "value": 0.0}]},
            "value must be above 0",
        ),
        ({"measure": "area_diverged"}, "unknown measure 'area_diverged'"),
        ({"margn": 0.1}, r"unknown key 'margn'.*did you mean 'margin'"),
    ],
)
def test_bad_claims_are_refused_with_the_remedy(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        claims.parse(tables(**changes), "bad")


def test_an_area_over_one_rung_is_refused() -> None:
    changed = tables(measure="area_test_skill")
    changed["experiment"]["tasks"] = {"adding": {"length": 8, "train_size": [50]}}
    with pytest.raises(InputError, match="two rungs or more"):
        claims.parse(changed, "bad")


def test_a_space_needs_the_trials_of_the_experiment_or_of_each_budget() -> None:
    changed = tables()
    changed["experiment"]["sweep"] = {"space": {"clip": [1.0, 2.0]}}
    message = r"claim 'bad': budget\.small: experiment 'claim_bad': \[sweep\.space\] is not searched without trials"
    with pytest.raises(InputError, match=message):
        claims.parse(changed, "bad")
    changed["budget"]["small"]["trials"] = 2
    assert claims.parse(changed, "good").experiment_with("small").sweep.trials == 2


def test_unknown_names_and_budgets_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"unknown claim 'H1_recurence'.*did you mean 'H1_recurrence'"):
        claims.load("H1_recurence")
    for beginning, name in {"H2": "H2_depth", "H8": "H8a_coupled"}.items():
        with pytest.raises(InputError, match=rf"unknown claim '{beginning}'.*did you mean '{name}'"):
            claims.load(beginning)
    with pytest.raises(InputError, match=r"unknown budget 'smal'.*did you mean 'small'"):
        claims.load("H1_recurrence").experiment_with("smal")
    bad = tmp_path / "bad.toml"
    bad.write_text("statement = ")
    with pytest.raises(InputError, match=r"bad\.toml is not valid TOML"):
        claims.load(str(bad))


# verdicts -----------------------------------------------------------------------------------------------------------


def test_a_large_effect_is_supported_and_its_opposite_refuted() -> None:
    high, low = [0.9, 0.92, 0.88, 0.91, 0.9, 0.93, 0.9, 0.89, 0.91, 0.9], [0.1 * i / 10 for i in range(10)]
    assert judged(both(high, low)).verdict == "supported"
    assert judged(both(low, high)).verdict == "refuted"
    assert judged(both(low, high), direction="below").verdict == "supported"
    assert judged(both(high, low), direction="equal").verdict == "refuted"


def test_no_difference_refutes_a_difference_and_supports_equality() -> None:
    one = [0.9 + 0.001 * i for i in range(10)]
    other = [value + 0.0001 * (-1) ** i for i, value in enumerate(one)]
    assert set(judged(both(one, other)).rows["observed"]) == {"tied"}
    assert judged(both(one, other)).verdict == "refuted"
    assert judged(both(one, other), direction="equal").verdict == "supported"


def test_levels_that_disagree_make_it_conditional() -> None:
    high, low = [0.9] * 9 + [0.91], [0.1] * 9 + [0.12]
    values = {
        "gru": {"sequence_memory lag=1": high, "sequence_memory lag=3": low},
        "rnn": {"sequence_memory lag=1": low, "sequence_memory lag=3": high},
    }
    found = judged(values)
    assert found.verdict == "conditional"
    assert list(found.rows["says"]) == ["supports", "contradicts"]


@pytest.mark.parametrize(
    ("says", "verdict"),
    [
        (["supports", "supports"], "supported"),
        (["supports", "unresolved"], "supported"),
        (["supports", "unresolved", "unresolved"], "unresolved"),
        (["contradicts", "unresolved"], "refuted"),
        (["supports", "contradicts", "unresolved", "unresolved", "unresolved"], "conditional"),
        (["unresolved"], "unresolved"),
        (["supports", "uninformative", "uninformative", "uninformative"], "supported"),
        (["uninformative"], "unresolved"),
    ],
)
def test_the_rule(says: list[str], verdict: str) -> None:
    assert overall_verdict(pd.Series(says)) == verdict


@pytest.mark.parametrize("seeds", [5, 10])
@pytest.mark.parametrize("scores", ["bimodal", "clustered", "smooth"])
def test_two_arms_of_one_distribution_are_unresolved_or_tied(scores: str, seeds: int) -> None:
    """In at least 95 % of simulated claims no row says above or below, whatever the scores are like."""
    generator = np.random.default_rng(seeds)

    def draw() -> list[float]:
        if scores == "bimodal":
            return [float(x) for x in generator.random(seeds) < 0.5]
        if scores == "clustered":
            middle = generator.choice([0.1, 0.9], seeds)
            return [float(x) for x in np.clip(middle + 0.03 * generator.standard_normal(seeds), 0, 1)]
        return [float(x) for x in generator.uniform(0.3, 0.7, seeds)]

    repeats, false = 400, 0
    claim = claims.parse(tables(), "null")
    for _ in range(repeats):
        rows = [
            (arm, level, seed, value)
            for arm in ("gru", "rnn")
            for level in ("sequence_memory lag=1", "sequence_memory lag=3")
            for seed, value in enumerate(draw())
        ]
        frame = pd.DataFrame(rows, columns=["architecture", "task", "seed", "value"])
        found = judge(claim, "small", {"test_skill": frame})
        false += bool(found.rows["observed"].isin(["above", "below"]).any())
    # 95 % within what 400 repeats can tell: 20 expected, 30 is beyond three standard errors.
    assert false <= 30


@pytest.mark.parametrize("seeds", [5, 10])
def test_a_known_large_effect_is_supported(seeds: int) -> None:
    generator = np.random.default_rng(0)
    supported = sum(
        judged(
            both(list(generator.uniform(0.7, 0.9, seeds)), list(generator.uniform(0.1, 0.3, seeds)))
        ).verdict == "supported"
        for _ in range(50)
    )  # fmt: skip
    assert supported == 50


def test_a_ratio_is_tested_on_the_logarithm() -> None:
    times = [10.0, 11.0, 9.5, 10.2, 30.0, 9.9, 10.4, 10.1, 10.0, 10.3]  # one busy moment hits both arms
    found = judged(both([0.8 * t for t in times], times), scale="log", direction="below", measure="step_milliseconds")
    assert found.verdict == "supported"
    assert math.isclose(math.exp(found.rows["difference"][0]), 0.8)
    assert report.headline(found) == "gru / rnn: × 0.80 [0.80, 0.80]"


@pytest.mark.parametrize("score", [0.0, 1.0])
@pytest.mark.parametrize("direction", ["above", "equal"])
def test_a_tie_at_the_floor_or_the_ceiling_says_nothing(score: float, direction: str) -> None:
    found = judged(both([score] * 10, [score] * 10), direction=direction)
    assert set(found.rows["says"]) == {"uninformative"}
    assert found.verdict == "unresolved"


def test_lost_runs_leave_a_row_unresolved() -> None:
    values = both([0.9] * 10, [0.1] * 10)
    values["gru"]["sequence_memory lag=1"][0] = math.nan
    values["gru"]["sequence_memory lag=3"] = [0.9] * 10
    found = judged(values)
    assert list(found.rows["lost"]) == [1, 0]
    assert list(found.rows["says"]) == ["unresolved", "supports"]


def test_context_is_shown_and_does_not_count_towards_the_verdict() -> None:
    comparisons = [{"first": "gru", "second": "rnn"}, {"first": "rnn", "second": "gru", "context": True}]
    found = judged(both([0.9, 0.8] * 5, [0.1, 0.2] * 5), comparisons=comparisons)
    assert list(found.rows["says"]) == ["supports"] * 2 + ["contradicts"] * 2
    assert found.verdict == "supported"
    assert (found.count("supports"), found.count("contradicts"), found.counted) == (2, 0, 2)


def test_an_interval_is_drawn_where_it_is_however_large_its_unit() -> None:
    found = judged(both([0.9, 0.8] * 5, [0.1, 0.2] * 5))
    first, second = found.rows.index[:2]
    found.rows.loc[first, ["difference", "low", "high"]] = [-1200.0, -1260.0, -1140.0]
    found.rows.loc[second, ["difference", "low", "high"]] = [5.0, -math.inf, math.inf]
    (axes,) = claim_figure(found).axes
    drawn = [list(line.get_xdata()) for line in axes.lines]
    assert [-1260.0, -1140.0] in drawn
    left, right = axes.get_xlim()
    assert left < -1260
    assert any(ends[0] < left and ends[-1] > right for ends in drawn)  # An infinite one leaves the picture.


def test_a_claim_is_named_once(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="each claim once"):
        claims.load_all(["H1_recurrence", "H1_recurrence"])


def test_the_terminal_breaks_no_name_inside_a_word() -> None:
    name = "a_claim_with_a_name_that_is_too_long_for_its_column"
    verdict = judged(both([0.9, 0.8] * 5, [0.1, 0.2] * 5))
    verdict = replace(verdict, claim=verdict.claim.model_copy(update={"name": name}))
    page = io.StringIO()
    report.print_verdicts([verdict], Console(file=page, width=80))
    lines = page.getvalue().splitlines()
    assert max(map(len, lines)) <= 80
    assert "…" not in page.getvalue()
    assert "gru > rnn (test_skill)" in lines
    assert sum(line.strip().startswith("sequence_memory lag=") and line.endswith("supports") for line in lines) == 2
    words = {word for line in lines for word in line.split()}
    assert {"seeds", "supported", "a_claim_with_a_name_"} <= words


def test_a_verdict_follows_from_the_rows_that_state_the_claim_alone() -> None:
    """Rows of the cause have a verdict of their own, and the printed effect is that of the rows behind the verdict."""
    rng = np.random.default_rng(1)
    values = both(list(0.5 + 0.2 * rng.random(10)), list(0.5 + 0.2 * rng.random(10)))
    values["rnn_wide"] = both(list(0.1 + 0.01 * rng.random(10)), [0.0] * 10)["gru"]
    experiment = copy.deepcopy(TABLES["experiment"])
    experiment["architectures"]["rnn_wide"] = {"architecture": "rnn"}
    comparisons = [{"first": "gru", "second": "rnn"}, {"first": "gru", "second": "rnn_wide", "cause": True}]
    found = judged(values, comparisons=comparisons, experiment=experiment)
    assert list(found.rows["says"]) == ["unresolved"] * 2 + ["supports"] * 2
    assert (found.verdict, found.cause) == ("unresolved", "supported")
    assert (found.effect["second"], found.effect["levels"]) == ("rnn", 2)
    comparisons.append({"first": "gru", "second": "rnn_wide"})
    found = judged(values, comparisons=comparisons, experiment=experiment)
    assert found.verdict == "supported"  # two of four informative rows are resolved
    assert found.effect["second"] == "rnn_wide"
    assert found.effect["difference"] == pytest.approx(found.rows["difference"][4:].mean())


def test_different_is_supported_by_either_direction() -> None:
    values = {
        "gru": {"sequence_memory lag=1": [0.8, 0.82] * 5, "sequence_memory lag=3": [0.2, 0.22] * 5},
        "rnn": {"sequence_memory lag=1": [0.5, 0.51] * 5, "sequence_memory lag=3": [0.5, 0.52] * 5},
    }
    found = judged(values, direction="different")
    assert list(found.rows["observed"]) == ["above", "below"]
    assert found.verdict == "supported"
    assert judged(both([0.5, 0.51] * 5, [0.5, 0.51] * 5), direction="different").verdict == "refuted"


def test_a_level_on_which_no_arm_learns_is_uninformative_even_if_it_is_unresolved() -> None:
    low, lower = [0.0, 0.04, 0.09, 0.0, 0.05, 0.01, 0.0, 0.08, 0.02, 0.0], [0.0] * 10
    found = judged(both(low, lower))
    assert set(found.rows["observed"]) == {"unresolved"}
    assert set(found.rows["says"]) == {"uninformative"}


def test_a_difference_smaller_than_that_of_two_tunings_of_one_arm_is_unresolved() -> None:
    values = both([0.60, 0.61] * 5, [0.5, 0.51] * 5)
    experiment = copy.deepcopy(TABLES["experiment"])
    experiment["architectures"]["again"] = {"architecture": "rnn"}
    yardstick = {"first": "again", "second": "rnn"}
    for again, says in ((0.45, "supports"), (0.35, "unresolved")):
        values["again"] = both([again, again + 0.01] * 5, [0.0])["gru"]
        found = judged(values, experiment=experiment, yardstick=yardstick)
        assert list(found.rows["yardstick"]) == pytest.approx([0.5 - again] * 2)
        assert set(found.rows["says"]) == {says}
    assert judged(values, experiment=experiment).verdict == "supported"  # without a yardstick


@pytest.mark.parametrize(
    ("measure", "gradient"),
    [
        ("gradient_slope_start", "The gradient of gru"),
        ("input_gradient_slope_end", "The gradient of gru from output to input"),
    ],
)
def test_a_slope_is_said_in_words(measure: str, gradient: str) -> None:
    slopes = [-0.54, -0.55, -0.53] * 3
    experiment = copy.deepcopy(TABLES["experiment"])
    experiment["training"]["diagnostics"] = True
    found = judged(
        both(slopes, slopes),
        measure=measure,
        experiment=experiment,
        comparisons=[{"first": "gru", "value": 0.0}],
        direction="different",
    )
    assert report.in_words(found.effect) == f"{gradient} shrinks by e^−0.54 per step, 10^−23 over 100."
    assert report.headline(found).endswith("] per step")


def attentive(measure: str) -> claims.Claim:
    """A claim in which one arm has a state that grows, and another none at all."""
    experiment = copy.deepcopy(TABLES["experiment"])
    experiment["training"]["diagnostics"] = True
    experiment["architectures"] |= {
        "grows": {"architecture": "tests.contracts.cells:Growing"},
        "layer": {"architecture": "tests.contracts.test_layers:Transformer"},
    }
    comparisons = [{"first": "gru", "second": arm} for arm in ("rnn", "grows", "layer")]
    return claims.parse(tables(measure=measure, experiment=experiment, comparisons=comparisons), "attentive")


def test_a_gradient_through_a_state_that_an_arm_lacks_is_refused_before_anything_runs(tmp_path: Path) -> None:
    message = (
        "claim 'attentive': gradient_slope_end: gradient flow through the state needs a state of constant size that is "
        r"carried from step to step; got grows, layer without one \(accepted: gru, rnn; or the measure "
        r"input_gradient_slope_end, which every architecture has\)"
    )
    with pytest.raises(InputError, match=message):
        check_states(attentive("gradient_slope_end"))
    check_states(attentive("input_gradient_slope_end"))
    check_states(attentive("test_skill"))
    check_states(claims.load("H4_jacobians"))
    path = tmp_path / "attentive.toml"
    path.write_text(TOML, encoding="utf-8")
    done = CliRunner().invoke(app, ["claims", str(path), "--store", str(tmp_path / "store")])
    assert isinstance(done.exception, InputError)
    assert "got grows without one (accepted: gru;" in str(done.exception)
    assert not (tmp_path / "store").exists()


TOML = """
statement = "The gradient of one lasts."
source = "a test"
measure = "gradient_slope_start"
comparisons = [{ first = "gru", second = "grows" }]
budget.small.seeds = 3
experiment.tasks.adding.length = 6
experiment.architectures.gru = {}
experiment.architectures.grows.architecture = "tests.contracts.cells:Growing"
experiment.model.hidden_size = 4
experiment.training = { steps = 10, diagnostics = true }
"""


def test_an_arm_against_a_number() -> None:
    changes = {"comparisons": [{"first": "gru", "value": 0.5}, {"first": "rnn", "value": 0.5}]}
    found = judged(both([0.8, 0.81, 0.79] * 3, [0.2, 0.21, 0.19] * 3), **changes)
    assert list(found.rows["observed"]) == ["above", "above", "below", "below"]


def test_pairs_are_seeds_that_both_arms_have() -> None:
    values = both([0.9] * 10, [0.5] * 10)
    values["rnn"]["sequence_memory lag=3"] = [0.5] * 4 + [math.nan] * 6
    found = judged(values)
    assert list(found.rows["pairs"]) == [10, 4]
    assert found.few_seeds


def test_evidence_of_runs_and_areas() -> None:
    experiment = {
        "tasks": {"adding": {"length": 8, "train_size": [10, 100]}},
        "architectures": {"gru": {}, "rnn": {}},
        "model": {"hidden_size": 4},
        "evaluation": {"seeds": 3},
    }
    skills = {("gru", 10): 0.2, ("gru", 100): 0.6, ("rnn", 10): 0.0, ("rnn", 100): 0.5}

    def metrics(job: Any) -> dict[str, float]:
        solved = job.variant == "gru"
        return {
            "skill": skills[job.variant, job.config.task.train_size],
            **({"steps_to_solve": 70.0} if solved else {}),
        }

    plan = made_up(experiment, metrics)
    area = evidence(plan, "area_test_skill").groupby("architecture")["value"].mean()
    assert area["gru"] == pytest.approx(0.4)
    assert area["rnn"] == pytest.approx(0.25)
    steps = evidence(plan, "restricted_steps").groupby("architecture")["value"].mean()
    assert steps["gru"] == 70
    assert steps["rnn"] == 1000


def test_what_happens_beyond_the_training_length_can_be_compared() -> None:
    changed = tables(measure="beyond_flawless")
    changed["experiment"]["tasks"] = {
        "adding": {"length": 8},
        "sequence_memory": {"length": 8, "lag": 1, "test_lengths": [16, 32]},
    }
    experiment = claims.parse(changed, "long").whole_experiment
    assert [*tables_by_level(experiment, "beyond_skill")] == ["sequence_memory"]

    def metrics(job: Job) -> dict[str, float]:
        if job.level == "adding":
            return {"skill": 0.5}
        skills = {"skill": 0.9, "skill_at_length_16": 0.8, "skill_at_length_32": 0.4}
        return {**skills, "score_at_length_16": 1.0, "score_at_length_32": 1.0 if job.variant == "gru" else 0.999}

    plan = made_up({"title": "long", **changed["experiment"]}, metrics)
    skill, flawless = (evidence(plan, f"beyond_{name}") for name in ("skill", "flawless"))
    assert skill[skill["task"] == "adding"]["value"].isna().all()
    assert skill[skill["task"] != "adding"]["value"].to_numpy() == pytest.approx(0.6)
    assert flawless[flawless["task"] == "adding"]["value"].isna().all()
    shares = flawless[flawless["task"] != "adding"].groupby("architecture")["value"].mean()
    assert dict(shares) == {"gru": 1.0, "rnn": 0.0}


# the whole way ------------------------------------------------------------------------------------------------------

OWN = """
statement = "My cell remembers more than a plain net."
source = "mine"

[[comparisons]]
first = "mine"
second = "rnn"

[budget.small]
seeds = 3

[experiment.tasks.sequence_memory]
length = 6
lag = 2

[experiment.architectures.mine]
architecture = "gru"

[experiment.architectures.rnn]

[experiment.model]
hidden_size = 4

[experiment.training]
steps = 4
validation_size = 8
test_size = 8
"""


def test_a_claim_of_one_s_own_runs_once_and_writes_its_report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.toml").write_text(OWN)
    arguments = ["claims", "mine.toml", "--workers", "1", "--output", "report"]
    first = CliRunner().invoke(app, arguments)
    assert first.exit_code == 0, first.output
    assert "mine" in first.output
    ran = len(list(Store(tmp_path / "mlruns").tracking.runs("claim_mine", "tags.key LIKE '%'")))
    again = CliRunner().invoke(app, arguments)
    assert again.exit_code == 0, again.output
    assert len(list(Store(tmp_path / "mlruns").tracking.runs("claim_mine", "tags.key LIKE '%'"))) == ran == 6
    names = {path.name for path in (tmp_path / "report").iterdir()}
    assert names == {"claims.md", "claims.json", "observations.csv", "mine.png", "mine.svg"}
    (page,) = json.loads((tmp_path / "report" / "claims.json").read_text())
    assert page["verdict"] in ("supported", "refuted", "conditional", "unresolved")
    assert page["rows"][0]["pairs"] == 3
    text = (tmp_path / "report" / "claims.md").read_text()
    assert "3 seeds, fewer than 10" in text
    assert len((tmp_path / "report" / "observations.csv").read_text().splitlines()) == 1 + 6


def test_the_time_of_several_claims_has_a_total(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    counts = iter([(40, 300.0), (1, 60.0), (40, 300.0)])
    monkeypatch.setattr(estimate, "print_estimate", lambda *given: next(counts))
    text = (
        'statement = "One remembers more."\nsource = "a test"\ncomparisons = [{ first = "gru", second = "rnn" }]\n'
        "budget.small.seeds = 3\n[experiment]\nmodel.hidden_size = 4\ntasks.adding.length = 8\n"
        "architectures = { gru = {}, rnn = {} }\n"
    )
    paths = [tmp_path / f"{name}.toml" for name in ("one", "two")]
    for path in paths:
        path.write_text(text, encoding="utf-8")
    arguments = ["--store", str(tmp_path / "store"), "--dry-run", "--no-check", "--workers", "2", "--quiet"]
    both_claims = CliRunner().invoke(app, ["claims", *map(str, paths), *arguments]).output
    total = "all 2 claims 41 runs are missing, less those that claims share. With 2 workers, they take about 6 min."
    assert total in " ".join(both_claims.split())
    assert "less those" not in CliRunner().invoke(app, ["claims", str(paths[0]), *arguments]).output


def test_the_same_runs_give_the_same_report(tmp_path: Path) -> None:
    found = judged(both([0.9, 0.8, 0.85] * 3, [0.1, 0.2, 0.15] * 3))
    for name in ("one", "two"):
        report.write_report([found], tmp_path / name)
    for path in (tmp_path / "one").iterdir():
        assert path.read_bytes() == (tmp_path / "two" / path.name).read_bytes(), path.name


def test_a_claim_that_cannot_be_read_is_listed_without_a_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "experiments" / "claims"
    folder.mkdir(parents=True)
    (folder / "broken.toml").write_text("set = [", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    found = everything()
    assert "not valid TOML" in found["claims"]["broken"]
    assert found["sets"]["broken"] == "other"
    assert set(found["sets"].values()) == {"field", "lesson", "other"}
