"""What a memory horizon promises."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from suite.errors import InputError
from suite.experiment.loading import parse
from suite.leaderboards.figures import figures
from suite.leaderboards.files import ALWAYS, write
from suite.leaderboards.leaderboard import build_leaderboard
from suite.leaderboards.text import render
from suite.leaderboards.text.sections import ladder_sections
from suite.planning.study_progress import StudyProgress
from suite.plots.style import save
from suite.results.horizon import EXTRAPOLATED, POINTS, TRAINED, Fit, fit, horizons
from suite.results.ladders import delay_ladders
from suite.results.wording import horizon_text
from suite.statistics.table import OVERALL
from tests.synthetic import made_up

DELAYS = (5, 10, 20, 40, 80, 160)


def points(
    skill: np.ndarray, delays: tuple[float, ...] = DELAYS, ladder: str = "task", name: str = "a"
) -> pd.DataFrame:
    """Points from skill [seeds, delays]; NaN: no such run."""
    s, d = (axis.ravel() for axis in np.indices(skill.shape))
    frame = pd.DataFrame({"seed": s, "delay": np.array(delays, dtype=float)[d], "skill": skill.ravel()})
    frame["rung"] = [f"{ladder} lag={delay:g}" for delay in frame["delay"]]
    return frame.assign(architecture=name, ladder=ladder, kind=TRAINED)[list(POINTS)].dropna()


# ---- known answers


def test_a_net_that_stores_perfectly_for_k_steps_has_horizon_k() -> None:
    """Skill 1 up to delay k and 0 beyond, on a ladder of all delays: k ≤ d₉₀ ≤ d₅₀ < k + 1."""
    delays = np.arange(1, 61)
    k = np.arange(1, 60)
    found = fit(delays.tolist(), (delays <= k[:, None]).astype(float))
    assert ((k <= found.d90) & (found.d90 <= found.d50) & (found.d50 < k + 1)).all()
    np.testing.assert_array_equal(found.lapse, 0)


@pytest.mark.parametrize("d50", [8.0, 30.0, 100.0])
@pytest.mark.parametrize("slope", [1.3, 2.0, 5.0])
@pytest.mark.parametrize("lapse", [0.0, 0.07])
def test_a_curve_without_noise_is_recovered(d50: float, slope: float, lapse: float) -> None:
    """As far as the grid allows, whose neighbours differ by 5 % in d₅₀ and 59 % in s."""
    truth = Fit(*(np.array([value]) for value in (d50, slope, lapse)))
    found = fit(DELAYS, truth.at(np.array(DELAYS)))
    assert found.d50[0] == pytest.approx(d50, rel=0.06)
    assert found.slope[0] == pytest.approx(slope, rel=0.65)  # one place of the grid, and a little
    assert np.abs(found.at(np.array(DELAYS)) - truth.at(np.array(DELAYS))).max() < 0.05


def test_the_horizon_of_a_constant_skill_is_beyond_an_end_of_the_ladder() -> None:
    rows = horizons(
        pd.concat([points(np.full((3, 6), skill), name=f"{skill}") for skill in (0.0, 0.3, 0.7, 0.95, 1.0)])
    ).set_index("architecture")
    assert rows["censored"].to_dict() == {"0.0": "left", "0.3": "left", "0.7": "right", "0.95": "right", "1.0": "right"}
    assert rows.loc["1.0", "d50"] == rows.loc["1.0", "longest"] == 160
    assert rows.loc["0.0", "d50"] == rows.loc["0.0", "shortest"] == 5
    assert horizon_text(rows.loc["1.0"]).startswith("≥ 160 [")
    assert horizon_text(rows.loc["0.0"]).startswith("< 5 [< 5, ")


def test_between_two_delays_the_interval_is_nearly_as_wide_as_the_gap() -> None:
    """Ten perfect runs at 50 steps and ten lost ones at 500: the horizon may be anywhere between."""
    row = horizons(points(np.array([[1.0, 1.0, 0.0]] * 10), (5, 50, 500))).iloc[0]
    assert row["d50"] == pytest.approx(np.sqrt(50 * 500))
    assert 5 <= row["d50_low"] <= 65
    assert 450 <= row["d50_high"] <= 500


@pytest.mark.parametrize("noise", ["binomial", "bimodal"])
@pytest.mark.parametrize(("d50", "slope"), [(30, 2), (30, 6)])
def test_coverage_at_ten_seeds(noise: str, d50: float, slope: float) -> None:
    """The interval holds the true d₅₀ and d₉₀ in at least 93 % of simulated ladders (`horizons` says more)."""
    rng = np.random.default_rng(4)
    p = 1 / (1 + (np.array(DELAYS) / d50) ** slope)
    drawn = rng.binomial(50, p, (30, 10, 6)) / 50 if noise == "binomial" else rng.random((30, 10, 6)) < p
    frame = pd.concat([points(skill.astype(float), name=f"{i}") for i, skill in enumerate(drawn)])
    found = horizons(frame, resamples=100)
    for name, truth in (("d50", d50), ("d90", d50 * 9 ** (-1 / slope))):
        covered = (found[f"{name}_low"] <= truth) & (truth <= found[f"{name}_high"])
        assert covered.mean() >= 0.93


# ---- what nothing may depend on, and what is missing


def test_rows_depend_on_their_own_points_alone() -> None:
    rng = np.random.default_rng(1)
    both = pd.concat([points(rng.random((5, 6)), name=name) for name in ("a", "b")])
    whole = horizons(both, resamples=50)
    shuffled = both.sample(frac=1, random_state=2)
    pd.testing.assert_frame_equal(whole, horizons(shuffled, resamples=50), check_exact=True)
    alone = horizons(both[both["architecture"] == "b"], resamples=50)
    pd.testing.assert_frame_equal(whole.iloc[1:].reset_index(drop=True), alone, check_exact=True)


def test_one_seed_has_no_interval_and_seeds_that_miss_a_delay_do_not_count() -> None:
    skill = np.tile([1.0, 1, 1, 0, 0, 0], (2, 1))
    skill[1, 3] = np.nan
    row = horizons(points(skill)).iloc[0]
    assert row["seeds"] == 1
    assert row[["d50_low", "d50_high", "d90_low", "d90_high"]].isna().all()
    assert "[" not in horizon_text(row)
    skill[0, 0] = np.nan
    row = horizons(points(skill)).iloc[0]
    assert row["seeds"] == 0
    assert horizon_text(row) == "–"


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (points(np.ones((3, 1)), (5,)), r"two delays or more; got \[5.0\]: give the task table a list"),
        (points(np.ones((3, 2)), (0, 5)), "above 0; got 0"),
        (points(np.ones((3, 2)), (2, 5)).drop(columns="rung"), "missing: rung"),
    ],
)
def test_what_is_no_ladder_is_refused(frame: pd.DataFrame, message: str) -> None:
    with pytest.raises(InputError, match=message):
        horizons(frame)


def test_overall_is_the_geometric_mean_and_says_when_it_is_a_bound() -> None:
    step = np.tile([1.0, 1, 1, 0, 0, 0], (4, 1))
    frame = pd.concat([points(step, ladder="one"), points(np.ones((4, 6)), ladder="two")])
    row = horizons(frame).set_index("ladder").loc[OVERALL]
    assert row["d50"] == pytest.approx(np.sqrt(np.sqrt(20 * 40) * 160))
    assert row["censored"] == "right"
    assert horizon_text(row).startswith("≥ 67 [")
    both = pd.concat([points(np.zeros((4, 6)), ladder="one"), points(np.ones((4, 6)), ladder="two")])
    assert horizon_text(horizons(both).set_index("ladder").loc[OVERALL]).startswith("~ 28 [")


# ---- ladders of an experiment


def tables(**tasks: object) -> dict[str, object]:
    return {
        "tasks": tasks,
        "architectures": {"gru": {}, "rnn": {}},
        "model": {"hidden_size": 8},
        "evaluation": {"seeds": 3},
    }


def test_ladders_are_levels_that_differ_in_delay_alone() -> None:
    n_back = {"length": 40, "lag": [4, 8], "train_size": [50, 100]}
    experiment = parse(
        tables(sequence_memory=n_back, copy_memory={"length": [9, 5]}, adding={"length": 8, "train_size": [5, 9]}), "x"
    )
    found = {ladder.label: ladder.rungs for ladder in delay_ladders(experiment.levels)}
    assert list(found) == ["sequence_memory train_size=50", "sequence_memory train_size=100", "copy_memory"]
    assert list(found["copy_memory"]) == ["copy_memory length=5", "copy_memory length=9"]
    assert list(found["sequence_memory train_size=50"].values()) == [4, 8]


def test_a_leaderboard_with_ladders(tmp_path) -> None:
    lengths = {"length": 10, "test_lengths": [20, 40]}
    horizon_of = {"gru": 16.0, "rnn": 6.0}

    def metrics(job) -> dict[str, float]:
        def skill(delay: float) -> float:
            return 1 / (1 + (delay / (horizon_of[job.variant] + job.config.seed)) ** 4)

        longer = {f"skill_at_length_{n}": skill(n) for n in job.config.task.test_lengths}
        return {"skill": skill(job.config.task.options.get("lag", job.config.task.length)), **longer}

    n_back = {"length": 40, "lag": [4, 8, 16, 32]}
    board = build_leaderboard(made_up(tables(sequence_memory=n_back, adding=lengths), metrics))
    assert set(zip(board.horizons["kind"], board.horizons["ladder"], strict=True)) == {
        (TRAINED, "sequence_memory"),
        (EXTRAPOLATED, "adding"),
    }
    overall = board.rows[board.rows["task"] == OVERALL].set_index("architecture")
    assert overall.loc["gru", "horizon_d50"] == pytest.approx(17, rel=0.1)
    assert overall.loc["rnn", "horizon_d50"] == pytest.approx(7, rel=0.15)
    assert board.rows.loc[board.rows["task"] != OVERALL, "horizon_d50"].isna().all()
    shown = board.horizon_curves.query("kind == 'trained' and architecture == 'gru' and delay == 8").iloc[0]
    row = board.rows.query("task == 'sequence_memory lag=8' and architecture == 'gru'").iloc[0]
    assert shown[["skill", "low", "high"]].tolist() == row[["mean", "low", "high"]].tolist()

    written = write(board, tmp_path)
    pictures = ["horizon_adding_extrapolated", "horizon_sequence_memory"]
    names = [*ALWAYS, "beyond.csv", "horizon.csv"]
    assert {path.name for path in written} == {*names, *(f"{p}.{k}" for p in pictures for k in ("png", "svg"))}
    name, figure = next(figures(board))
    again = save(figure, tmp_path / "again")
    assert [path.read_bytes() for path in again] == [(tmp_path / f"{name}{p.suffix}").read_bytes() for p in again]
    page = (tmp_path / "leaderboard.md").read_text(encoding="utf-8")
    assert "| d50 [95 %] |" in page.split("## sequence_memory lag=4")[0]
    assert "![" in page
    assert all(f"({picture}.png)" in page for picture in pictures)


def test_a_leaderboard_without_ladders_has_nothing_more(tmp_path) -> None:
    plain = {"adding": {"length": 8, "test_lengths": [12]}, "copy_memory": {"length": 5}}
    board = build_leaderboard(made_up(tables(**plain), lambda job: {"skill": 0.5, "skill_at_length_12": 0.4}))
    assert board.horizons.empty
    assert board.overfitting.empty
    assert board.clipping is None
    assert not list(ladder_sections(board))
    assert "horizon_d50" not in board.rows
    assert {path.name for path in write(board, tmp_path)} == {*ALWAYS, "beyond.csv"}
    assert "horizon" not in render.markdown(board) + render.as_json(board)


def test_a_ladder_of_which_one_rung_is_finished_is_not_shown_yet() -> None:
    both = {"sequence_memory": {"length": 20, "lag": [4, 8]}, "adding": {"length": 8, "train_size": [50, 100]}}
    plan = made_up(tables(**both), lambda job: {"skill": 0.5})
    for study in plan.studies:
        for job in StudyProgress(study, plan.finished).evaluations:
            if job.level in ("sequence_memory lag=8", "adding train_size=50"):
                del plan.finished[job.key]
    board = build_leaderboard(plan)
    assert board.notes[0].startswith("Incomplete: 12 of 24 runs")
    assert board.horizons.empty
    assert board.overfitting.empty
    assert not list(ladder_sections(board))


def test_a_figure_is_drawn_without_intervals_too(tmp_path) -> None:
    from suite.plots.horizon import horizon_plot
    from suite.results.horizon import curves

    frame = points(np.array([[1.0, 1, 1, 0, 0, 0]]))
    paths = save(horizon_plot("task", TRAINED, curves(frame), horizons(frame)), tmp_path / "one")
    assert all(path.stat().st_size > 1000 for path in paths)
