"""What the intervals, ranks, verdicts and groups of a leaderboard promise."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from suite.errors import InputError
from suite.statistics.bootstrap import guaranteed_interval
from suite.statistics.paired_tests import compare, groups, holm, paired_test, ranks
from suite.statistics.student import mean_test
from suite.statistics.summary import summary, wilson_interval
from suite.statistics.table import OVERALL

BUDGET = 1000


def table(skill: np.ndarray, names: list[str] | None = None) -> pd.DataFrame:
    """Runs from skill [architectures, tasks, seeds]; NaN: no such run; above 0.9 is solved, after 400 steps."""
    a, k, s = (axis.ravel() for axis in np.indices(skill.shape))
    names = names or [f"arch{i:04}" for i in range(len(skill))]
    runs = pd.DataFrame({"architecture": [names[i] for i in a], "task": [f"task{i}" for i in k], "seed": s})
    runs["skill"] = skill.ravel()
    runs["solved"] = runs["skill"] > 0.9
    runs["steps_to_solve"] = np.where(runs["solved"], 400.0, np.nan)
    runs["steps_budget"] = BUDGET
    return runs.dropna(subset="skill").reset_index(drop=True)


def bimodal(rng: np.random.Generator, rate: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Skill in [0.95, 1] at the rate given, otherwise in [0, 0.3]; its mean is 0.975 rate + 0.15 (1 − rate)."""
    return np.where(rng.random(shape) < rate, rng.uniform(0.95, 1, shape), rng.uniform(0, 0.3, shape))


@pytest.fixture
def runs() -> pd.DataFrame:
    rng = np.random.default_rng(5)
    return table(bimodal(rng, np.array([0.9, 0.5, 0.2])[:, None, None], (3, 2, 10)), ["gru", "lstm", "rnn"])


# ---- a leaderboard by hand


def tiny() -> pd.DataFrame:
    """Two architectures, two tasks; "b" runs a third seed on task0 and misses one on task1."""
    skill = np.array([[[1.0, 0.5, np.nan], [0.25, 0.75, 0.5]], [[0.5, 0.0, 1.0], [0.25, np.nan, 0.0]]])
    return table(skill, ["a", "b"])


def test_tiny_leaderboard_by_hand() -> None:
    rows = summary(tiny(), resamples=200).set_index(["architecture", "task"])
    assert rows["mean"].to_dict() == {
        ("a", "task0"): 0.75,
        ("a", "task1"): 0.5,
        ("a", OVERALL): 0.625,
        ("b", "task0"): 0.5,
        ("b", "task1"): 0.125,
        ("b", OVERALL): 0.3125,
    }
    assert rows["seeds"].tolist() == [2, 3, 2, 3, 2, 2]
    assert rows["few_seeds"].all()
    assert rows["solve_rate"].tolist() == [1 / 2, 0, 1 / 5, 1 / 3, 0, 1 / 5]
    assert rows["steps"].tolist() == [700, 1000, 850, 800, 1000, 900]  # (400 + 1000)/2, …; overall their mean


def test_tiny_comparison_by_hand() -> None:
    """Task0 pairs seeds 0, 1: d = .5, .5. Task1 pairs seeds 0, 2: d = 0, .5.

    D = (.5 + .25)/2 = .375, x = .355 beyond the margin; sums of squares 0 and 1/8; variances 0 and 1/16, over K² = 4:
    e² = 1/64; c² = 2 (1/3)/4 = 1/6; freedom 1; t = .355/√(1/64 + .355²/6). With one degree of freedom, the
    distribution is Cauchy's: p = 1 − 2 arctan(t)/π. The quantile 12.706 makes c² q² larger than 1: the interval is
    [−1, 1].
    """
    row = compare(tiny()).iloc[0]
    t = 0.355 / np.sqrt(1 / 64 + 0.355**2 / 6)
    assert (row["first"], row["second"], row["pairs"], row["difference"]) == ("a", "b", 2, 0.375)
    assert row["p"] == pytest.approx(1 - 2 * np.arctan(t) / np.pi, abs=1e-9)
    assert row["p_holm"] == row["p"]  # a family of one
    assert (row["low"], row["high"]) == (-1, 1)
    assert row["verdict"] == "unresolved"


# ---- what nothing may depend on


def test_order_of_rows_and_columns_does_not_matter(runs: pd.DataFrame) -> None:
    shuffled = runs.sample(frac=1, random_state=3)[list(reversed(runs.columns))]
    for function in (summary, compare):
        pd.testing.assert_frame_equal(function(runs), function(shuffled), check_exact=True)


def test_global_generator_is_neither_read_nor_touched(runs: pd.DataFrame) -> None:
    np.random.seed(1)  # noqa: NPY002
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    first = summary(runs, resamples=100)
    np.testing.assert_array_equal(before, np.random.get_state()[1])  # noqa: NPY002
    np.random.seed(2)  # noqa: NPY002
    pd.testing.assert_frame_equal(first, summary(runs, resamples=100), check_exact=True)


def test_a_row_does_not_depend_on_other_rows(runs: pd.DataFrame) -> None:
    """Another architecture changes no row; another task none but the overall ones."""
    rows = summary(runs, resamples=100).set_index(["architecture", "task"])
    fewer = summary(runs[runs["architecture"] != "gru"], resamples=100).set_index(["architecture", "task"])
    pd.testing.assert_frame_equal(rows.loc[fewer.index], fewer, check_exact=True)
    single = summary(runs[runs["task"] == "task0"], resamples=100).set_index(["architecture", "task"])
    kept = single[single.index.get_level_values("task") == "task0"]
    pd.testing.assert_frame_equal(rows.loc[kept.index], kept, check_exact=True)


def test_equal_scores_are_paired(runs: pd.DataFrame) -> None:
    same = pd.concat([runs, runs.assign(architecture="copy of " + runs["architecture"])])
    rows = summary(same, resamples=100).drop(columns="architecture")
    middle = len(rows) // 2
    pd.testing.assert_frame_equal(rows[:middle], rows[middle:].reset_index(drop=True), check_exact=True)
    assert compare(same).set_index(["first", "second"]).loc[("copy of gru", "gru"), "verdict"] == "tied"


# ---- missing runs


def test_an_architecture_without_a_task_has_no_overall_value(runs: pd.DataFrame) -> None:
    runs = runs[(runs["architecture"] != "rnn") | (runs["task"] != "task1")]
    rows = summary(runs, resamples=100).set_index(["architecture", "task"])
    for scope in ("task1", OVERALL):
        row = rows.loc[("rnn", scope)]
        assert row["missing"] == "task1"
        assert row.drop(["missing", "few_seeds", "seeds"]).isna().all()
        assert row["seeds"] == 0
    assert rows["mean"].notna().sum() == 7
    overall = rows.xs(OVERALL, level="task")["mean"].to_dict()
    assert np.isnan(ranks(overall, compare(runs))["rnn"]).all()
    assert ranks(overall, compare(runs))["gru"][0] == 1
    assert compare(runs)[["first", "second"]].to_numpy().tolist() == [["gru", "lstm"]]
    assert len(compare(runs, "task0")) == 3


def test_without_shared_seeds_nothing_is_decided() -> None:
    skill = np.array([[[1.0, 1.0, np.nan, np.nan]], [[np.nan, np.nan, 0.0, 0.0]]])
    row = compare(table(skill)).iloc[0]
    assert row["pairs"] == 0
    assert np.isnan(row["difference"])
    assert row["verdict"] == "unresolved"
    assert ranks({"arch0000": 1.0, "arch0001": 0.0}, compare(table(skill))) == {
        "arch0000": (1, 1, 2),
        "arch0001": (2, 1, 2),
    }
    assert compare(table(skill[:1])).empty  # nobody to compare with
    assert groups({"arch0000": 1.0}, compare(table(skill[:1]))) == {"arch0000": "a"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda runs: runs.drop(columns="skill"), "missing: skill"),
        (lambda runs: runs.iloc[:0], "at least one run"),
        (lambda runs: pd.concat([runs, runs.iloc[:1]]), "1 repeated"),
        (lambda runs: runs.assign(skill=1.5), "received 1.5"),
        (lambda runs: runs.assign(skill=np.nan), "received nan"),
        (lambda runs: runs.assign(task=OVERALL, seed=range(len(runs))), "'overall'"),
    ],
)
def test_unfit_runs_are_refused(runs: pd.DataFrame, change, message: str) -> None:
    with pytest.raises(InputError, match=message):
        summary(change(runs))


def test_unknown_scope(runs: pd.DataFrame) -> None:
    with pytest.raises(InputError, match="did you mean 'task0'"):
        compare(runs, "tusk0")


# ---- intervals


@pytest.mark.parametrize(("successes", "total"), [(0, 10), (1, 3), (7, 10), (10, 10), (33, 60)])
def test_wilson_against_scipy(successes: int, total: int) -> None:
    expected = stats.binomtest(successes, total).proportion_ci(method="wilson")
    assert wilson_interval(successes, total) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_an_interval_holds_its_mean(runs: pd.DataFrame) -> None:
    rows = summary(runs)
    for middle, low, high in [("mean", "low", "high"), ("solve_rate", "solve_low", "solve_high")]:
        assert rows[middle].between(rows[low], rows[high]).all()
        assert (rows[low] >= 0).all()
        assert (rows[high] <= 1).all()
    assert rows["steps"].between(rows["steps_low"], rows["steps_high"]).all()
    assert (rows["steps_high"] <= BUDGET).all()


def test_the_interval_of_a_mean_is_students() -> None:
    skills = np.array([0.62, 0.64, 0.61, 0.66, 0.63, 0.60, 0.65, 0.62, 0.64, 0.63])
    row = summary(table(skills[None, None])).iloc[0]
    expected = stats.ttest_1samp(skills, 0).confidence_interval()
    assert (row["low"], row["high"]) == pytest.approx((expected.low, expected.high))
    tasks = np.stack([skills, skills[::-1] / 2])
    overall = summary(table(tasks[None])).iloc[-1]
    errors = tasks.std(axis=1, ddof=1) / np.sqrt(10) / 2
    freedom = (errors**2).sum() ** 2 / (errors**4 / 9).sum()  # Welch and Satterthwaite
    reach = stats.t.ppf(0.975, freedom) * np.sqrt((errors**2).sum())
    assert overall["high"] - overall["mean"] == pytest.approx(reach)


def test_ten_equal_skills_are_an_interval_of_length_zero_beside_the_guaranteed_one() -> None:
    """The low end of the guaranteed interval after n perfect scores is that of Clopper and Pearson, 0.025^(1/n)."""
    row = summary(table(np.zeros((1, 1, 10)))).iloc[0]
    assert (row["mean"], row["low"], row["high"]) == (0, 0, 0)
    row = summary(table(np.ones((1, 1, 10)))).iloc[0]
    assert (row["mean"], row["low"], row["high"]) == (1, 1, 1)
    assert row["guaranteed_low"] == pytest.approx(0.025 ** (1 / 10), abs=0.01)
    assert row["guaranteed_high"] == 1
    many = summary(table(np.ones((1, 20, 10)))).iloc[-1]
    assert 0.97 < many["guaranteed_low"] < 0.99  # 200 perfect scores: 0.9817 if pooled


def test_one_seed_says_nothing_about_others() -> None:
    row = summary(table(np.full((1, 1, 1), 0.4))).iloc[0]
    assert (row["mean"], row["low"], row["high"]) == (0.4, 0, 1)


def test_luck_below_and_above_chance_averages_to_no_skill() -> None:
    """Means are taken before the floor: guessing is no memory, however the seeds fall."""
    guessing = np.random.default_rng(4).normal(0, 0.03, (1, 1, 1000))
    assert summary(table(guessing), resamples=10)["mean"].iloc[0] < 0.002
    assert np.maximum(guessing, 0).mean() > 0.01
    unlucky = summary(table(np.full((1, 1, 3), -0.1)), resamples=10).iloc[0]
    assert (unlucky["mean"], unlucky["low"], unlucky["high"]) == (0, 0, 0)


def test_guaranteed_coverage_at_ten_seeds() -> None:
    """At least 93 % of 1,000 bimodal leaderboards, per task and overall, for easy, middling and hard tasks."""
    rates = np.array([0.2, 0.5, 0.8, 0.95])
    skill = bimodal(np.random.default_rng(11), rates[:, None], (1000, 4, 10))
    truth = 0.975 * rates + 0.15 * (1 - rates)
    for tasks in ([0], [1], [2], [3], [0, 1, 2, 3]):
        ends = [guaranteed_interval({f"task{k}": skills[k] for k in tasks}, 1000) for skills in skill]
        covered = [low <= truth[tasks].mean() <= high for low, high in ends]
        assert np.mean(covered) >= 0.93


def test_censoring() -> None:
    """A run that never solves counts with the whole budget; one past a smaller budget of its task with that."""
    runs = table(np.ones((1, 1, 4)))
    runs["steps_to_solve"] = [100.0, 300.0, np.nan, 900.0]
    assert summary(runs, resamples=10)["steps"].iloc[0] == (100 + 300 + 1000 + 900) / 4
    runs.loc[0, "steps_budget"] = 500
    assert summary(runs, resamples=10)["steps"].iloc[0] == (100 + 300 + 500 + 500) / 4


# ---- ranks


def places(skill: np.ndarray) -> list[tuple[float, float, float]]:
    runs = table(skill)
    means = summary(runs, resamples=10).groupby("task").get_group("task0").set_index("architecture")["mean"]
    return list(ranks(means.to_dict(), compare(runs, "task0")).values())


def test_ranks_of_separated_architectures() -> None:
    skill = np.array([0.2, 0.9, 0.5])[:, None, None] + np.linspace(0, 0.05, 10)
    assert places(skill) == [(3, 3, 3), (1, 1, 1), (2, 2, 2)]


def test_a_tie_leaves_the_order_open() -> None:
    skill = np.array([0.9, 0.9, 0.5])[:, None, None] + np.linspace(0, 0.05, 10)
    assert places(skill) == [(1, 1, 2), (1, 1, 2), (3, 3, 3)]


def test_rank_intervals_say_what_the_letters_say(runs: pd.DataFrame) -> None:
    """Two architectures whose places do not overlap differ, and share no letter."""
    pairs = compare(runs)
    means = summary(runs, resamples=10).groupby("task").get_group(OVERALL).set_index("architecture")["mean"].to_dict()
    found, shown = ranks(means, pairs), groups(means, pairs)
    for first, second in pairs[["first", "second"]].to_numpy():
        apart = found[first][2] < found[second][1] or found[second][2] < found[first][1]
        assert not (apart and set(shown[first]) & set(shown[second]))


def test_two_intervals_can_lie_apart_and_share_a_letter_or_touch_and_differ() -> None:
    """What the guide to certainty says of printed intervals, which are neither paired nor adjusted."""

    def shown(skill: np.ndarray) -> tuple[bool, bool]:
        """Return whether the intervals of the first two lie apart, and whether the two share a letter."""
        runs = table(skill[:, None])
        rows = summary(runs, resamples=10).groupby("task").get_group("task0").set_index("architecture")
        first, second = rows.loc["arch0000"], rows.loc["arch0001"]
        letters = groups(rows["mean"].to_dict(), compare(runs, "task0"))
        apart = first["low"] > second["high"] or second["low"] > first["high"]
        return apart, bool(set(letters["arch0000"]) & set(letters["arch0001"]))

    scatter = np.random.default_rng(0).normal(0, 0.03, (9, 5))
    assert shown(0.5 + np.array([0.1, *8 * [0.0]])[:, None] + scatter) == (True, True)
    hard_seeds = np.linspace(0.2, 0.8, 10)
    assert shown(np.array([hard_seeds, hard_seeds + 0.1])) == (False, False)


# ---- comparisons


def test_holm_by_hand() -> None:
    """Sorted .01 .02 .03 .04, times 4 3 2 1: .04 .06 .06 .04, made monotone: .04 .06 .06 .06."""
    np.testing.assert_allclose(holm([0.04, 0.01, 0.03, 0.02]), [0.06, 0.04, 0.06, 0.06])
    np.testing.assert_allclose(holm([0.5, 0.9]), [1, 1])
    assert holm([]).size == 0


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm_lies_between_p_and_bonferroni(p: list[float]) -> None:
    adjusted = holm(p)
    assert (adjusted >= p).all()
    assert (adjusted <= np.minimum(1, np.multiply(len(p), p)) + 1e-12).all() or len(p) == 1
    assert adjusted.tolist() == [adjusted[i] for i in range(len(p))]


def test_paired_test_is_at_most_the_t_test_and_close_to_it_without_an_effect() -> None:
    rng = np.random.default_rng(0)
    for effect in (0.0, 0.05, 0.5):
        d = rng.normal(effect, 0.1, 10)
        expected = stats.ttest_1samp(d, 0)
        mean, low, high, p = paired_test([d])
        assert mean == pytest.approx(d.mean())
        assert p >= expected.pvalue
        assert low <= expected.confidence_interval().low
        assert high >= expected.confidence_interval().high
        assert (p < 0.05) == (low > 0 or high < 0)
    balanced = np.array([-0.3, -0.1, 0.1, 0.3, 0.0])
    expected = np.array(stats.ttest_1samp(balanced, 0).confidence_interval())
    assert paired_test([balanced], cautious=False)[1:3] == pytest.approx(tuple(expected))
    quantile = stats.t.ppf(0.975, 4)
    assert paired_test([balanced])[1:3] == pytest.approx(tuple(expected / np.sqrt(1 - quantile**2 / 24)))


@pytest.mark.parametrize("n", [2, 3, 5, 10])
def test_equal_differences_do_not_crash(n: int) -> None:
    _, _, _, p = paired_test([np.ones(n)])
    assert p == pytest.approx(2 * stats.t.sf(np.sqrt(n**2 - 1), n - 1))
    reach = np.inf if n < 4 else 0  # three pairs or fewer show nothing, not even a tie
    assert paired_test([np.zeros(n)]) == (0, -reach, reach, 1)
    assert paired_test([np.zeros(n), np.full(n, 0.5)])[0] == 0.25


def test_verdicts() -> None:
    rng = np.random.default_rng(2)
    level, spread = np.array([[0.9, 0.9, 0.5, 0.88], [0.005, 0.005, 0.005, 0.05]])[:, :, None, None]
    runs = table((level + spread * rng.uniform(-1, 1, (4, 1, 10))), ["a", "b", "c", "d"])
    verdicts = compare(runs, "task0").set_index(["first", "second"])["verdict"]
    assert verdicts["a", "b"] == "tied"
    assert verdicts["a", "c"] == "above"
    assert verdicts["c", "d"] == "below"
    assert verdicts["a", "d"] == "unresolved"
    reverse = compare(runs.replace({"architecture": {"a": "z"}}), "task0").set_index(["first", "second"])["verdict"]
    assert reverse["c", "z"] == "below"


@pytest.mark.parametrize("architectures", [2, 10])
def test_a_large_effect_is_found_at_ten_seeds(architectures: int) -> None:
    """Nearly always solved against nearly never, in one task, within a family of up to 45 pairs."""
    rates = np.array([0.98] + [0.02] * (architectures - 1))[:, None, None]
    rng = np.random.default_rng(8)
    found = [compare(table(bimodal(rng, rates, (architectures, 1, 10))), "task0")["verdict"].iloc[0] for _ in range(20)]
    assert found.count("above") >= 19


def false_families(skill: np.ndarray, margin: float) -> float:
    """The share of families, ``[families, architectures, tasks, seeds]``, in which some pair is found to differ."""
    adjusted = []
    for a, b in combinations(range(skill.shape[1]), 2):
        d = skill[:, a] - skill[:, b]
        mean = d.mean(axis=-1)
        squares = ((d - mean[..., None]) ** 2).sum(axis=-1)
        adjusted.append(mean_test(np.full_like(mean, d.shape[-1]), mean, squares, margin).p)
    return float((np.min(adjusted, axis=0) * len(adjusted) < 0.05).mean())


@pytest.mark.parametrize("seeds", [5, 10])
@pytest.mark.parametrize("rates", [[0.5], [0.9, 0.5, 0.1]])
def test_false_above_in_null_families(seeds: int, rates: list[float]) -> None:
    """Four equal architectures: somebody is above somebody in at most 5 % of families."""
    skill = bimodal(np.random.default_rng(21), np.array(rates)[:, None], (2000, 4, len(rates), seeds))
    assert false_families(skill, margin=0.02) <= 0.05


def test_a_difference_just_below_the_margin_is_hardly_ever_found_to_exceed_it() -> None:
    """A true 0.019, however sharply it is measured, is beyond 0.02 in at most 5 % of cases."""
    rng = np.random.default_rng(3)
    skill = 0.5 + np.array([0.019, 0])[:, None, None] + rng.normal(0, 0.004, (4000, 2, 1, 10))
    assert false_families(skill, margin=0.02) <= 0.05
    assert false_families(skill, margin=0.0) > 0.9  # while it is clearly not 0


@given(
    st.lists(st.lists(st.floats(-1, 1), min_size=2, max_size=8), min_size=1, max_size=3),
    st.sampled_from([0.0, 0.02]),
    st.booleans(),
)
def test_the_interval_lies_beyond_the_margin_exactly_if_the_test_says_so(samples, margin: float, cautious) -> None:
    difference, low, high, p = paired_test([np.array(sample) for sample in samples], margin, cautious)
    assert low <= difference <= high
    if abs(p - 0.05) > 1e-6 and abs(low - margin) > 1e-9 and abs(high + margin) > 1e-9:
        assert (p < 0.05) == (low > margin or high < -margin)


# ---- groups


def letters(means: dict[str, float], different: list[tuple[str, str]]) -> dict[str, str]:
    verdicts = ["above"] * len(different)
    first, second = zip(*different, strict=True) if different else ((), ())
    return groups(means, pd.DataFrame({"first": first, "second": second, "verdict": verdicts}))


def test_letters_of_known_graphs() -> None:
    means = {"low": 0.1, "high": 0.9, "middle": 0.5}
    assert letters(means, []) == {"high": "a", "middle": "a", "low": "a"}
    assert letters(means, [("high", "low")]) == {"high": "a", "middle": "ab", "low": "b"}
    assert letters(means, [("high", "low"), ("high", "middle")]) == {"high": "a", "middle": "b", "low": "b"}
    everything = [("high", "low"), ("high", "middle"), ("middle", "low")]
    assert letters(means, everything) == {"high": "a", "middle": "b", "low": "c"}
    assert list(letters(means, [])) == ["high", "middle", "low"]  # from the best
    assert letters({"a": 0.5, "b": np.nan}, []) == {"a": "a"}


@settings(max_examples=200, deadline=None)
@given(
    st.integers(1, 7).flatmap(lambda n: st.tuples(st.just(n), st.sets(st.sampled_from(range(21))))),
    st.randoms(use_true_random=False),
)
def test_a_letter_is_shared_exactly_when_not_different(graph: tuple[int, set[int]], random) -> None:
    n, chosen = graph
    pairs = list(combinations("abcdefg"[:n], 2))
    different = [pair for i, pair in enumerate(pairs) if i in chosen]
    means = {name: i / 10 for i, name in enumerate("abcdefg"[:n])}
    result = letters(means, different)
    for one, other in pairs:
        assert bool(set(result[one]) & set(result[other])) == ((one, other) not in different)
    columns = [{name for name in result if letter in result[name]} for letter in sorted(set("".join(result.values())))]
    assert not any(one < other for one in columns for other in columns)  # none is superfluous
    random.shuffle(different)
    assert letters(dict(reversed(means.items())), different) == result
