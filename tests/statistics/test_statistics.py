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
from suite.statistics.bootstrap import OVERALL, Bootstrap, ranks, summary, wilson_interval
from suite.statistics.paired_tests import compare, groups, holm, paired_test

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

    D = .5, .25; sums of squares 0 + .25 · 2/3 = 1/6 and 1/8 + 1/16 · 2/3 = 1/6; v = 1/12 each, over n (n − 1) = 2;
    error = √(1/6)/2; freedom = (1/6)²/(2 (1/12)²) = 2; t = .375/.20412 = 1.83712, p = 2 (1 − F_2(t)) = 0.20763.
    With two degrees of freedom, F is known in closed form: p = 1 − t/√(2 + t²).
    """
    row = compare(tiny()).iloc[0]
    t = 0.375 / (np.sqrt(1 / 6) / 2)
    assert (row["first"], row["second"], row["pairs"], row["difference"]) == ("a", "b", 2, 0.375)
    assert row["p"] == pytest.approx(1 - t / np.sqrt(2 + t**2), abs=1e-12)
    assert row["p_holm"] == row["p"]  # a family of one
    assert (row["low"], row["high"]) == (pytest.approx(0.375 - 4.30265273 * np.sqrt(1 / 6) / 2, abs=1e-8), 1.0)
    assert row["verdict"] == "unresolved"


def test_paired_and_own_seeds() -> None:
    bootstrap = Bootstrap.draw(tiny(), resamples=50)
    assert bootstrap.means.shape == bootstrap.paired.shape == (2, 2, 50)
    assert set(bootstrap.means[1, 0].round(9)) > {0.0, 0.5, 1.0}  # three seeds of its own
    assert set(bootstrap.paired[1, 0]) == {0.0, 0.25, 0.5}  # the two that "a" has as well
    np.testing.assert_array_equal(bootstrap.paired[0, 0] - bootstrap.paired[1, 0], 0.5)  # d = .5 in every resample


# ---- what nothing may depend on


def test_order_of_rows_and_columns_does_not_matter(runs: pd.DataFrame) -> None:
    shuffled = runs.sample(frac=1, random_state=3)[list(reversed(runs.columns))]
    for function in (summary, ranks, compare):
        pd.testing.assert_frame_equal(function(runs), function(shuffled), check_exact=True)


def test_global_generator_is_neither_read_nor_touched(runs: pd.DataFrame) -> None:
    np.random.seed(1)  # noqa: NPY002
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    first = summary(runs, resamples=100), ranks(runs, resamples=100)
    np.testing.assert_array_equal(before, np.random.get_state()[1])  # noqa: NPY002
    np.random.seed(2)  # noqa: NPY002
    for one, other in zip(first, (summary(runs, resamples=100), ranks(runs, resamples=100)), strict=True):
        pd.testing.assert_frame_equal(one, other, check_exact=True)


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
    bootstrap = Bootstrap.draw(same, resamples=100)
    assert bootstrap.architectures[:3] == ("copy of gru", "copy of lstm", "copy of rnn")
    np.testing.assert_array_equal(bootstrap.means[:3], bootstrap.means[3:])
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
    assert np.isnan(Bootstrap.draw(runs, resamples=10).overall[2]).all()
    places = ranks(runs, resamples=100).set_index(["architecture", "task"])
    assert np.isnan(places.loc[("rnn", OVERALL), "rank"])
    assert places.loc[("rnn", "task0"), "rank"] == 3
    assert compare(runs)[["first", "second"]].to_numpy().tolist() == [["gru", "lstm"]]
    assert len(compare(runs, "task0")) == 3


def test_without_shared_seeds_nothing_is_decided() -> None:
    skill = np.array([[[1.0, 1.0, np.nan, np.nan]], [[np.nan, np.nan, 0.0, 0.0]]])
    row = compare(table(skill)).iloc[0]
    assert row["pairs"] == 0
    assert np.isnan(row["difference"])
    assert row["verdict"] == "unresolved"
    assert ranks(table(skill), resamples=10)["rank"].isna().all()
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


def test_ten_of_ten_is_not_certainty() -> None:
    """The low end of the interval after n perfect scores is that of Clopper and Pearson, 0.025^(1/n) = 0.6915."""
    row = summary(table(np.ones((1, 1, 10)))).iloc[0]
    assert row["low"] == pytest.approx(0.025 ** (1 / 10), abs=0.01)
    assert row["high"] == 1
    many = summary(table(np.ones((1, 20, 10)))).iloc[-1]
    assert 0.97 < many["low"] < 0.99  # 200 perfect scores: 0.9817 if pooled


def test_coverage_at_ten_seeds() -> None:
    """At least 93 % of 1,000 bimodal leaderboards, per task and overall, for easy, middling and hard tasks.

    `Bootstrap.intervals` says what more simulations measured. Each architecture here is one leaderboard.
    """
    rates = np.array([0.2, 0.5, 0.8, 0.95])
    skill = bimodal(np.random.default_rng(11), rates[:, None], (1000, 4, 10))
    truth = 0.975 * rates + 0.15 * (1 - rates)
    bootstrap = Bootstrap.draw(table(skill), resamples=1000)
    for tasks in ([0], [1], [2], [3], [0, 1, 2, 3]):
        low, high = bootstrap.intervals(tasks).T
        assert np.mean((low <= truth[tasks].mean()) & (truth[tasks].mean() <= high)) >= 0.93


def test_censoring() -> None:
    """A run that never solves counts with the whole budget; one past a smaller budget of its task with that."""
    runs = table(np.ones((1, 1, 4)))
    runs["steps_to_solve"] = [100.0, 300.0, np.nan, 900.0]
    assert summary(runs, resamples=10)["steps"].iloc[0] == (100 + 300 + 1000 + 900) / 4
    runs.loc[0, "steps_budget"] = 500
    assert summary(runs, resamples=10)["steps"].iloc[0] == (100 + 300 + 500 + 500) / 4


# ---- ranks


def test_ranks_of_separated_architectures() -> None:
    skill = np.array([0.2, 0.9, 0.5])[:, None, None] + np.linspace(0, 0.05, 10)
    places = ranks(table(skill), resamples=200)
    for scope in ("task0", OVERALL):
        assert places.loc[places["task"] == scope, ["rank", "low", "high"]].to_numpy().tolist() == [
            [3, 3, 3],
            [1, 1, 1],
            [2, 2, 2],
        ]


def test_a_tie_leaves_the_order_open() -> None:
    skill = np.array([0.9, 0.9, 0.5])[:, None, None] + np.linspace(0, 0.05, 10)
    places = ranks(table(skill), resamples=200).head(3)
    assert places[["rank", "low", "high"]].to_numpy().tolist() == [[1, 1, 2], [1, 1, 2], [3, 3, 3]]


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
    balanced = np.array([-0.3, -0.1, 0.1, 0.3])
    assert paired_test([balanced])[1:3] == pytest.approx(stats.ttest_1samp(balanced, 0).confidence_interval())


@pytest.mark.parametrize("n", [2, 3, 5, 10])
def test_equal_differences_do_not_crash(n: int) -> None:
    _, _, _, p = paired_test([np.ones(n)])
    assert p == pytest.approx(2 * stats.t.sf(np.sqrt(n**2 - 1), n - 1))
    assert paired_test([np.zeros(n)]) == (0, 0, 0, 1)
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


@pytest.mark.parametrize("seeds", [5, 10])
@pytest.mark.parametrize("rates", [[0.5], [0.9, 0.5, 0.1]])
def test_false_above_in_null_families(seeds: int, rates: list[float]) -> None:
    """Four equal architectures: somebody is above somebody in at most 5 % of 500 families."""
    rng = np.random.default_rng(21)
    false = 0
    for _ in range(500):
        skill = bimodal(rng, np.array(rates)[:, None], (4, len(rates), seeds))
        pairs = [paired_test(list(skill[a] - skill[b])) for a, b in combinations(range(4), 2)]
        difference, _, _, p = np.array(pairs).T
        false += bool(((holm(p) < 0.05) & (abs(difference) > 0.02)).any())
    assert false / 500 <= 0.05


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
