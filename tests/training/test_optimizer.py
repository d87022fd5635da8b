"""A whole run against a plain loop with torch's own optimisers and schedulers, parameter by parameter."""

from __future__ import annotations

import copy
import math
from typing import Any

import pytest
import torch

from suite.data import Data
from suite.experiment.run_config import RunConfig, Training, derived_seed
from suite.model.sequence_model import SequenceModel, model_of
from suite.numerics import numerics
from suite.training.flat_parameters import FlatParameters
from suite.training.optimizer import make_optimizer
from suite.training.schedule import learning_rate
from suite.training.train import train
from tests.training.test_checkpoint import config

MARKED = "tests.training.test_checkpoint:Marked"


def fresh(run: RunConfig) -> tuple[SequenceModel, Data]:
    """The model of a run before its first step, and its data."""
    data = Data(run.task, run.seed, run.training.batch_size)
    return model_of(run.model, data.task, seed=derived_seed("weights", run.seed)), data


def by_hand(run: RunConfig, optimizer: torch.optim.Optimizer, model: SequenceModel, data: Data) -> None:
    """The loop that one would write with torch alone."""
    training = run.training
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: learning_rate(step, training) / training.learning_rate
    )
    trained = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    for step in range(training.steps):
        batch = data.train_batch(step)
        optimizer.zero_grad()
        data.task.loss(model(batch.inputs)[0], batch).backward()
        if training.clip < math.inf:
            norm = torch.cat([parameter.grad.flatten() for parameter in trained]).norm()
            for parameter in trained:
                parameter.grad.mul_((training.clip / (norm + 1e-6)).clamp(max=1.0))
        optimizer.step()
        schedule.step()


def of_torch(training: Training, groups: Any) -> torch.optim.Optimizer:
    given: dict[str, Any] = {"lr": training.learning_rate, "weight_decay": training.weight_decay}
    if training.optimizer == "rmsprop":
        return torch.optim.RMSprop(groups, alpha=training.alpha, **given)
    kinds: dict[str, Any] = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW, "sgd": torch.optim.SGD}
    optimizer: torch.optim.Optimizer = kinds[training.optimizer](groups, fused=True, **given)
    return optimizer


@pytest.mark.parametrize(
    "settings",
    [
        pytest.param({"optimizer": "adamw", "schedule": "cosine", "warmup": 10, "weight_decay": 0.5}, id="adamw"),
        pytest.param({"optimizer": "adamw", "schedule": "linear", "weight_decay": 0.5, "clip": 0.05}, id="clipped"),
        pytest.param({"optimizer": "adam", "schedule": "linear", "weight_decay": 0.05}, id="adam"),
        pytest.param({"optimizer": "rmsprop", "alpha": 0.7, "weight_decay": 0.05}, id="rmsprop"),
        pytest.param({"optimizer": "sgd", "schedule": "cosine", "weight_decay": 0.05}, id="sgd"),
        pytest.param({"optimizer": "adamw", "schedule": "cosine", "warmup": 10}, id="without decay"),
    ],
)
@pytest.mark.parametrize("architecture", ["lstm", MARKED])
def test_a_run_is_the_plain_loop(architecture: str, settings: dict[str, Any]) -> None:
    run = config(architecture, **{"steps": 40, "validate_every": 40, "clip": math.inf, **settings})
    found = train(run).model.state_dict()
    with numerics():
        model, data = fresh(run)
        own = dict(model.named_parameters())
        alone = {name for name in own if name.endswith((".leak", ".b")) and architecture == MARKED}
        decayed = [p for name, p in own.items() if name not in alone and p.requires_grad]
        groups = [{"params": decayed}, {"params": [own[name] for name in own if name in alone], "weight_decay": 0.0}]
        by_hand(run, of_torch(run.training, groups), model, data)
    for name, expected in model.state_dict().items():
        torch.testing.assert_close(found[name], expected, rtol=1e-6, atol=1e-7)


def test_alpha_is_a_setting_of_rmsprop_alone() -> None:
    short = {"steps": 20, "validate_every": 20}

    def weights(**settings: Any) -> list[Any]:
        return [tensor.tolist() for tensor in train(config(**short, **settings)).model.state_dict().values()]

    assert weights(optimizer="rmsprop") != weights(optimizer="rmsprop", alpha=0.7)
    assert weights(optimizer="adam") == weights(optimizer="adam", alpha=0.7)


def test_decay_pulls_what_has_no_gradient_towards_0_unless_it_is_marked_or_frozen() -> None:
    run = config(MARKED)
    model, _ = fresh(run)
    before = copy.deepcopy(dict(model.named_parameters()))
    flat = FlatParameters(model)
    optimizer = make_optimizer(flat, Training(optimizer="adamw", weight_decay=0.5, learning_rate=0.1))
    for _ in range(3):
        optimizer.step()
    for name, parameter in model.named_parameters():
        factor = 1.0 if name.endswith((".leak", ".b", ".U")) else (1 - 0.1 * 0.5) ** 3
        torch.testing.assert_close(parameter, factor * before[name], rtol=1e-6, atol=0.0)


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "rmsprop", "sgd"])
@pytest.mark.parametrize("weight_decay", [0.0, 0.1])
def test_a_frozen_parameter_is_the_same_after_training(optimizer: str, weight_decay: float) -> None:
    run = config(MARKED, steps=20, validate_every=20, optimizer=optimizer, weight_decay=weight_decay)
    before = fresh(run)[0].state_dict()
    after = train(run).model.state_dict()
    assert {name for name in before if torch.equal(before[name], after[name])} == {"cells.0.U"}
