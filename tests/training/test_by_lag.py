"""The answers of one net are taken apart by the lag that a task states, or by position."""

from __future__ import annotations

import json
from typing import Any

import pytest
import torch
from torch import Tensor

from suite.contracts.look import task_violations
from suite.errors import InputError
from suite.experiment.loading import parse
from suite.leaderboards.leaderboard import build_leaderboard
from suite.leaderboards.text.render import as_json, markdown
from suite.planning.plan import studies
from suite.registry import make_task, tasks
from suite.results.horizon import READ
from suite.results.schema import AT_LAG, AT_POSITION, check_metrics
from suite.training.by_lag import by_lag, grid
from suite.training.train import train
from tasks import Batch
from tasks.state_tracking import StateTracking
from tests.synthetic import BASE, made_up

STATING = [
    ("state_tracking", {}, 12),
    ("flip_flop", {}, 60),
    ("associative_recall", {}, 6),
    ("associative_recall", {"form": "tokens", "pairs": 3}, 24),
    ("selective_copy", {}, 40),
    ("induction", {}, 20),
]


def drawn(name: str, options: dict[str, Any], length: int, size: int = 20) -> tuple[Any, Batch]:
    task = make_task(name, options)
    return task, task.sample(size, length, torch.Generator().manual_seed(0))


def right(task: Any, batch: Batch) -> Tensor:
    return 9.0 * torch.nn.functional.one_hot(batch.targets, task.output_size).float()


def test_the_grid_has_two_numbers_in_each_octave() -> None:
    assert grid(30) == [1, 2, 3, 4, 6, 8, 12, 16, 24]
    assert grid(1) == grid(0) == [1]


@pytest.mark.parametrize(("name", "options", "length"), STATING)
def test_an_input_farther_than_the_lag_never_changes_an_answer_and_that_at_the_lag_does(
    name: str, options: dict[str, Any], length: int
) -> None:
    """What the task states is checked on what the answer is: the symbol that stands at the lag."""
    task, batch = drawn(name, options, length)
    lags = task.lags(batch)
    rows, steps = batch.mask.nonzero(as_tuple=True)
    source = batch.inputs[rows, steps - lags[rows, steps]]
    answer = batch.targets[rows, steps]
    if name == "state_tracking":
        assert torch.equal(lags[0], torch.arange(length))
    elif name == "flip_flop":
        assert (source[:, 0] == 1).all()  # a write
        assert torch.equal(source[:, 3:].argmax(1), answer)
        written = batch.inputs[:, :, 0] > 0
        for row, step, lag in zip(rows.tolist(), steps.tolist(), lags[rows, steps].tolist(), strict=True):
            assert not written[row, step - lag + 1 : step].any()
    elif name == "associative_recall":
        keys = batch.inputs[rows, steps][:, : task.keys]
        assert torch.equal(source[:, : task.keys], keys)
    else:
        assert torch.equal(source.argmax(1), answer)
    assert task_violations(name, tasks.options(name, options), (length,)) == []


def test_scores_are_those_of_the_steps_of_each_lag() -> None:
    task, batch = drawn("state_tracking", {}, 12, size=200)
    outputs = right(task, batch)
    outputs[:, 6:] = -outputs[:, 6:]  # wrong from lag 6 on
    assert by_lag(task, [outputs], [batch]) == {
        **{f"score_at_lag_{n}": 1.0 for n in (1, 2, 3)},
        "score_at_lag_4": 1.0,  # 4 alone: √(4 · 6) is 4.9
        "score_at_lag_6": 0.5,  # 5 and 6, of which 6 is wrong
        "score_at_lag_8": 0.0,
    }
    short, long = (drawn("state_tracking", {}, length, size)[1] for length, size in ((3, 10), (12, 30)))
    both = by_lag(task, [right(task, short), -right(task, long)], [short, long])
    assert both["score_at_lag_1"] == both["score_at_lag_2"] == 10 / 40
    assert both["score_at_lag_3"] == 0


def test_without_lags_steps_are_taken_by_position_and_one_place_gives_nothing() -> None:
    task, batch = drawn("sequence_memory", {"lag": 2}, 8)
    found = by_lag(task, [right(task, batch)], [batch])
    assert found == {f"score_at_position_{n}": 1.0 for n in (3, 4, 6, 8)}
    for name in ("adding", "temporal_order"):
        task, batch = drawn(name, {}, 10)
        outputs = batch.targets if name == "adding" else right(task, batch)
        assert not any("lag" in key for key in by_lag(task, [outputs], [batch]))
    task, batch = drawn("adding", {}, 10)
    assert by_lag(task, [batch.targets], [batch]) == {}


class Wild(StateTracking):
    def score(self, outputs: Tensor, batch: Batch) -> float:
        return 1.5 if batch.mask.sum() < 40 else 0.5


class Late(StateTracking):
    def lags(self, batch: Batch) -> Tensor:
        return super().lags(batch) + 1


class Floating(StateTracking):
    def lags(self, batch: Batch) -> Tensor:
        return super().lags(batch).float()


def test_what_a_task_states_is_held_to_its_rule() -> None:
    _, batch = drawn("state_tracking", {}, 12)
    with pytest.raises(InputError, match=r"Wild\.score gave 1\.5; it lies between 0 and 1"):
        by_lag(Wild(), [right(Wild(), batch)], [batch])
    where = "tests.training.test_by_lag"
    (broken,) = task_violations(f"{where}:Late", tasks.options(f"{where}:Late", {}), (12,))
    assert broken.message.endswith("at scored steps of length 12; they lie between 1 and delay(12) = 11")
    (broken,) = task_violations(f"{where}:Floating", tasks.options(f"{where}:Floating", {}), (12,))
    assert broken.message.endswith("Floating.lags gave [64, 12] float32; it gives [64, 12] int64")


TABLES: dict[str, Any] = {
    "tasks": {
        "state_tracking": {"length": {"low": 3, "high": 12}, "test_lengths": [20, 40]},
        "sequence_memory": {"length": 12, "lag": 2},
    },
    "architectures": {"gru": {}, "rnn": {}},
    "model": {"hidden_size": 4},
    "training": {"steps": 4, "batch_size": 8, "validate_every": 4, "validation_size": 16, "test_size": 64},
    "evaluation": {"seeds": 3},
}


def test_a_run_records_scores_at_the_longest_test_sequences_and_little_more() -> None:
    first, *_, other = studies(parse(TABLES, "x"))
    metrics = train(first.config({}, 0)).metrics
    places = [int(name.removeprefix(AT_LAG)) for name in metrics if name.startswith(AT_LAG)]
    assert places == [1, 2, 3, 4, 6, 8, 12, 16, 24, 32]
    assert not any(name.startswith(AT_POSITION) for name in metrics)
    steps = train(other.config({}, 0)).metrics
    assert [name for name in steps if name.startswith(AT_POSITION)] == [f"{AT_POSITION}{n}" for n in (3, 4, 6, 8, 12)]
    size = len(json.dumps({name: value for name, value in metrics.items() if name.startswith(AT_LAG)}))
    assert size < 0.2 * len(json.dumps(metrics)) + 100


def test_a_leaderboard_reads_a_horizon_from_one_net_and_keeps_it_apart(tmp_path: Any) -> None:
    def metrics(job: Any) -> dict[str, float]:
        if job.level == "sequence_memory":
            return {"skill": 0.5, "chance": 0.25, **{f"{AT_POSITION}{n}": 0.5 + n / 24 for n in (3, 6, 12)}}
        half = {"gru": 12.0, "rnn": 4.0}[job.variant] + job.config.seed / 10
        scores = {f"{AT_LAG}{n}": 0.5 + 0.5 / (1 + (n / half) ** 4) for n in grid(39)}
        if job.config.seed == 1:
            del scores[f"{AT_LAG}32"]  # No step of this seed had this lag.
        return {"skill": 0.5, "chance": 0.5, **scores}

    board = build_leaderboard(made_up(TABLES, metrics))
    read = board.horizons.set_index("architecture")
    assert set(read["kind"]) == {READ}
    assert read.loc["gru", "d50"] == pytest.approx(12, rel=0.1)
    assert read.loc["rnn", "d50"] == pytest.approx(4, rel=0.1)
    assert read.loc["gru", "longest"] == 24
    assert "horizon_d50" not in board.rows, "the overall horizon is that of nets trained at each delay"
    assert "Memory horizon, state_tracking (9 delays from 1 to 24, read from one trained net by lag)" in markdown(board)
    table = board.by_lag.set_index(["axis", "task", "architecture", "place"])
    point = table.loc[("position", "sequence_memory", "gru", 12)]
    assert point["skill"] == pytest.approx((1 - 0.25) / 0.75)
    assert point["low"] <= point["skill"] <= point["high"]
    assert len(json.loads(as_json(board))["by_lag"]) == 2 * (9 + 3)


def test_the_metrics_of_a_file_have_the_names_and_bounds_of_a_score() -> None:
    import pandas as pd

    always = {**BASE, "objective": 0.5, "validation_skill": 0.5, "test_skill": 0.5}
    for name, value, message in (
        ("score_at_lag_x", 0.5, "the score at a lag is called score_at_lag_N, with N from 1"),
        ("score_at_position_0", 0.5, "the score at a position is called score_at_position_N, with N from 1"),
        ("score_at_position_3", 1.5, "score_at_position_3 lies between 0 and 1; got 1.5"),
    ):
        with pytest.raises(InputError, match=message):
            check_metrics(pd.DataFrame([{**always, name: value}]))
