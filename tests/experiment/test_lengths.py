"""A length may be a range, from which each batch draws its own."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from suite.contracts.look import check_contracts
from suite.data import LENGTHS, Data
from suite.errors import InputError
from suite.experiment.lengths import LengthRange
from suite.experiment.loading import parse
from suite.experiment.run_config import RunConfig, TaskConfig
from suite.experiment.tables import settings_text
from suite.leaderboards.leaderboard import build_leaderboard
from suite.leaderboards.proof.manifest import fingerprint
from suite.planning.plan import studies
from suite.results.ladders import delay_ladders, delay_points
from suite.store.mlflow_recorder import flat_config
from suite.training.lightning_module import evaluate
from suite.training.train import train
from tests.synthetic import made_up

RANGE = LengthRange(low=3, high=20)
PARITY = {"length": {"low": 3, "high": 20}, "test_lengths": [40, 60, 80]}


def tables(**table: Any) -> dict[str, Any]:
    return {
        "tasks": {"parity": {"task": "state_tracking", **PARITY, **table}},
        "architectures": {"gru": {}, "attention": {}},
        "model": {"hidden_size": 4},
        "training": {
            "steps": 4,
            "batch_size": 4,
            "validate_every": 2,
            "validation_size": 40,
            "test_size": 40,
            "diagnostics": True,
        },
        "evaluation": {"seeds": 2},
    }


def data(length: int | LengthRange = RANGE, seed: int = 0, **options: Any) -> Data:
    return Data(TaskConfig(name="state_tracking", options=options, length=length), seed, batch_size=4)


def lengths(batches: list[Any]) -> list[int]:
    return [batch.inputs.shape[1] for batch in batches]


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"length": {"low": 20, "high": 3}}, "parity.length: low must be below high; got low = 20, high = 3"),
        ({"length": {"low": 3, "high": 3}}, "low must be below high; got low = 3, high = 3"),
        ({"length": {"low": 3}}, "parity.length.high: field required"),
        ({"length": {"low": 3, "high": 20, "log": True}}, "unknown key 'log' of [tasks.parity.length]"),
        ({"length": {"low": 0, "high": 20}}, "parity.length.low: input should be greater than or equal to 1; got 0"),
        ({"length": {"low": 1, "high": 20}}, "length must be at least 2 for state_tracking; got 1"),
        ({"length": [{"low": 3, "high": 20}]}, "parity.length.0: input should be a valid integer; got {'low': 3"),
        ({"length": 3.5}, "parity.length: input should be a valid integer; got 3.5"),
        ({"test_lengths": [40, 20]}, "longer than the training length, which is 3 … 20; got 20"),
        ({"train_size": 50}, "got length = 3 … 20 with train_size, which takes one number"),
        (
            {"task": "digits", "length": {"low": 8, "high": 9}, "test_lengths": []},
            "length must be at most 8 for digits",
        ),
        (
            {"task": "sunspots", "length": {"low": 8, "high": 20}, "test_lengths": []},
            "lengths from a range are for tasks whose batches are always new; got length = 8 … 20 with a data set",
        ),
    ],
)
def test_one_message_says_what_is_wrong_before_anything_runs(table: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError) as error:
        studies(parse(tables(**table), "x"))
    assert message in str(error.value)


def test_each_batch_draws_its_length_and_every_architecture_sees_the_same() -> None:
    drawn = lengths([data().train_batch(step) for step in range(400)])
    assert set(drawn) == set(range(3, 21))
    assert sum(drawn) / 400 == pytest.approx(11.5, abs=1.0)
    for split, size in (("validation", 40), ("test", 50)):
        held_out, again = data().held_out(split, size), data().held_out(split, size)
        assert sum(len(batch.inputs) for batch in held_out) == size
        assert len(held_out) == LENGTHS
        assert len(set(lengths(held_out))) > 4
        for one, other in zip(held_out, again, strict=True):
            assert all(map(torch.equal, one, other))
    assert lengths(data().held_out("validation", 40)) != lengths(data().held_out("test", 40))
    assert lengths(data().held_out("test", 40)) != lengths(data(seed=1).held_out("test", 40))
    assert lengths(data().held_out("test", 40)) != lengths(data(group="Z5").held_out("test", 40))
    assert len(data().held_out("test", 3)) == 3


def test_one_length_gives_one_batch_as_ever() -> None:
    made = data(8)
    (held_out,) = made.held_out("test", 40)
    assert all(map(torch.equal, held_out, made.sample("test", 40)))
    (trained,) = made.train_sample(10)
    streamed = torch.cat([made.train_batch(step).inputs for step in range(3)])[:10]
    assert torch.equal(trained.inputs, streamed)
    (first, *_) = data().train_sample(10)
    assert len(first.inputs) == 4
    assert [len(batch.inputs) for batch in data().train_sample(10)] == [4, 4, 2]


def test_a_mean_over_batches_counts_each_sequence_alike() -> None:
    made = data()
    short, long = made.sample("test", 2, 3), made.sample("test", 6, 12)
    model = torch.nn.Linear(2, 2)

    def answers(inputs: torch.Tensor) -> tuple[torch.Tensor, None]:
        return model(inputs), None

    found = evaluate(answers, made.task, [short, long])  # type: ignore[arg-type]
    one, other = (evaluate(answers, made.task, [batch]) for batch in (short, long))  # type: ignore[arg-type]
    assert found.score == pytest.approx((2 * one.score + 6 * other.score) / 8)
    assert found.loss == pytest.approx((2 * one.loss + 6 * other.loss) / 8)
    assert found.skill == made.task.skill(found.score)


def test_a_run_trains_on_a_range_and_names_it_everywhere() -> None:
    experiment = parse(tables(), "x")
    gru, attention = studies(experiment)
    config = gru.config({}, 0)
    assert config.task.longest == 20
    assert flat_config(config)["task.length"] == "3 … 20"
    assert settings_text("parity", experiment.tasks["parity"]).startswith("state_tracking length=3 … 20 ")
    assert RunConfig.model_validate_json(config.json_text).key == config.key
    assert config.key != gru.config({}, 1).key
    check_contracts([config])
    metrics = train(config).metrics
    assert {
        "skill_at_length_40",
        "test_skill",
        "validation_skill",
        "train_skill",
        "gradient_slope_end",
    } <= metrics.keys()
    grown = train(attention.config({}, 0)).metrics
    assert grown["state_size"] == 20 * grown["state_growth"], "at the steps of the longest sequence"
    level = experiment.levels[0]
    assert fingerprint(level, 0) == fingerprint(level, 0)
    assert fingerprint(level, 0)["test"] != fingerprint(parse(tables(length=20), "x").levels[0], 0)["test"]


def test_ladders_take_a_range_for_no_delay_of_its_own() -> None:
    def metrics(job: Any) -> dict[str, float]:
        return {"skill": 1.0, **{f"skill_at_length_{n}": 20 / n for n in job.config.task.test_lengths}}

    plan = made_up(tables(group=["Z2", "Z5"]), metrics)
    levels = plan.experiment.levels
    assert not delay_ladders(levels)
    board = build_leaderboard(plan)
    assert set(board.horizon_curves["delay"]) == {39, 59, 79}
    points = delay_points(board.runs, levels)
    assert set(points["rung"]) == {f"parity group={g}, tested at {n}" for g in ("Z2", "Z5") for n in (40, 60, 80)}
