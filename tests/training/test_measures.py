"""The measures of a run are those of its nets: of the one after the last step, and of the one with the best weights."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from suite.data import Data
from suite.experiment.lengths import LengthRange
from suite.experiment.run_config import ModelConfig, RunConfig, Source, TaskConfig, Training
from suite.training import train as training
from suite.training.lightning_module import answers, evaluate

RANGE = LengthRange(low=3, high=9)
CASES: dict[str, tuple[TaskConfig, dict[str, Any]]] = {
    "overfits": (TaskConfig(name="sequence_memory", options={"lag": 2}, length=8, train_size=8), {}),
    "lengths from a range": (TaskConfig(name="adding", options={}, length=RANGE), {"steps": 40}),
    "dropout": (TaskConfig(name="adding", options={}, length=6), {"steps": 40}),
}


def config(case: str) -> RunConfig:
    task, settings = CASES[case]
    block: dict[str, Any] = {"block": "residual", "dropout": 0.3} if case == "dropout" else {}
    options: dict[str, Any] = {"steps": 200, "validate_every": 10, "learning_rate": 1e-2, "batch_size": 8, **settings}
    return RunConfig(
        task=task,
        model=ModelConfig(architecture="gru", options={}, hidden_size=16, **block),
        training=Training(validation_size=20, test_size=30, stop_when_solved=False, **options),
        seed=0,
        source=Source(task="", architecture=""),
    )


@pytest.mark.parametrize("case", CASES)
def test_each_measure_is_that_of_the_weights_it_is_named_after(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    last: list[nn.Module] = []
    measure = training._measure

    def keep_the_last(module: Any, device: str) -> dict[str, float]:
        last.append(copy.deepcopy(module.model))
        return measure(module, device)

    monkeypatch.setattr(training, "_measure", keep_the_last)
    made = config(case)
    result = training.train(made)
    data = Data(made.task, made.seed, made.training.batch_size)
    splits = {
        "train": data.train_sample(made.training.validation_size),
        "validation": data.held_out("validation", made.training.validation_size),
        "test": data.held_out("test", made.training.test_size),
    }
    for prefix, model in (("", result.model), ("final_", last[0])):
        for split, batches in splits.items():
            loss, score, skill, _ = evaluate(model.eval(), data.task, batches)
            found = {name: result.metrics[f"{prefix}{split}_{name}"] for name in ("loss", "score", "skill")}
            assert found == {"loss": loss, "score": score, "skill": skill}, f"{prefix}{split}"
    if case == "overfits":
        assert result.metrics["best_step"] < result.metrics["steps"]
        assert result.metrics["validation_loss"] < result.metrics["final_validation_loss"]


def test_a_finished_run_does_not_answer_the_validation_set_again(monkeypatch: pytest.MonkeyPatch) -> None:
    made = config("overfits")
    data = Data(made.task, made.seed, made.training.batch_size)
    validation = data.held_out("validation", 20)[0].inputs
    judged: list[Tensor] = []

    def watch(model: nn.Module, batches: Any) -> list[Tensor]:
        judged.extend(batch.inputs for batch in batches)
        return answers(model, batches)

    monkeypatch.setattr(training, "answers", watch)
    training.train(made)
    assert judged
    assert not any(torch.equal(inputs, validation) for inputs in judged)
