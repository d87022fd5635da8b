"""The learning rate of each step, against torch's own schedulers."""

from __future__ import annotations

import math
import warnings
from typing import Any

import pytest
import torch
from torch.optim.lr_scheduler import CosineAnnealingLR, LambdaLR, LinearLR, LRScheduler, SequentialLR

from suite.experiment.run_config import Training
from suite.training.schedule import learning_rate

RATE = 3e-3
SHAPES = [(50, 0), (50, 1), (50, 20), (50, 49), (1, 0)]


def rates(**settings: Any) -> list[float]:
    training = Training(learning_rate=RATE, **settings)
    return [learning_rate(step, training) for step in range(training.steps)]


def rates_of_torch(make: Any, steps: int) -> list[float]:
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=RATE)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # SequentialLR warns of its own way to call its schedulers.
        scheduler: LRScheduler = make(optimizer)
        found = []
        for _ in range(steps):
            found.append(optimizer.param_groups[0]["lr"])
            optimizer.step()
            scheduler.step()
    return found


def test_by_default_every_step_has_the_rate_itself() -> None:
    assert rates(steps=50) == [RATE] * 50


@pytest.mark.parametrize(("steps", "warmup"), SHAPES)
@pytest.mark.parametrize("schedule", ["constant", "cosine", "linear"])
def test_it_is_the_rate_of_one_lambda_to_the_bit(schedule: str, steps: int, warmup: int) -> None:
    def factor(step: int) -> float:
        if step < warmup:
            return (step + 1) / warmup
        p = (step - warmup) / (steps - warmup)
        return {"constant": 1.0, "cosine": 0.5 * (1 + math.cos(math.pi * p)), "linear": 1 - p}[schedule]

    found = rates(steps=steps, warmup=warmup, schedule=schedule)
    assert found == rates_of_torch(lambda optimizer: LambdaLR(optimizer, factor), steps)


@pytest.mark.parametrize(("steps", "warmup"), [(50, 2), (50, 20), (50, 48)])
@pytest.mark.parametrize("schedule", ["constant", "cosine", "linear"])
def test_it_is_the_rate_of_torchs_own_schedulers_in_a_row(schedule: str, steps: int, warmup: int) -> None:
    def make(optimizer: torch.optim.Optimizer) -> LRScheduler:
        rise = LinearLR(optimizer, start_factor=1 / warmup, total_iters=warmup - 1)
        rest = {
            "constant": lambda: LinearLR(optimizer, start_factor=1.0),
            "cosine": lambda: CosineAnnealingLR(optimizer, T_max=steps - warmup),
            "linear": lambda: LinearLR(optimizer, start_factor=1.0, end_factor=0.0, total_iters=steps - warmup),
        }[schedule]()
        return SequentialLR(optimizer, [rise, rest], milestones=[warmup])

    found = rates(steps=steps, warmup=warmup, schedule=schedule)
    assert found == pytest.approx(rates_of_torch(make, steps), rel=1e-12, abs=1e-15)


@pytest.mark.parametrize(("steps", "warmup"), SHAPES)
@pytest.mark.parametrize("schedule", ["constant", "cosine", "linear"])
def test_it_rises_to_the_rate_and_no_step_is_in_vain(schedule: str, steps: int, warmup: int) -> None:
    found = rates(steps=steps, warmup=warmup, schedule=schedule)
    assert all(0 < rate <= RATE for rate in found)
    assert found[max(0, warmup - 1)] == RATE, "the last step of the warm-up has the whole rate"
    assert found[:warmup] == sorted(found[:warmup])
    assert found[warmup:] == sorted(found[warmup:], reverse=True)
