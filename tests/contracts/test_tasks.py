"""The contract of a task finds what would mislead or fail, and lets pass what is only unusual."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import nn

from suite.contracts.constant_answers import batch_size, constant_scores
from suite.contracts.look import task_violations
from suite.errors import InputError
from suite.registry import make_task, tasks
from suite.training.lightning_module import evaluate
from tasks import Batch, Task
from tests.contracts.tasks import BAD, GOOD, Bits, NoNumber, Percent
from tests.helpers import discovered


def messages(cls: type[Task]) -> list[str]:
    return [violation.message for violation in task_violations(f"{cls.__module__}:{cls.__name__}", {}, (5,))]


@pytest.mark.parametrize("cls", GOOD)
def test_an_unusual_task_that_keeps_its_contract_passes(cls: type[Task]) -> None:
    assert messages(cls) == []


@pytest.mark.parametrize("cls", BAD)
def test_a_task_that_breaks_its_contract_is_named_with_the_rule(cls: type[Task]) -> None:
    found = messages(cls)
    assert any(message.startswith(f"tests.contracts.tasks:{BAD[cls]}") for message in found), found


@pytest.mark.parametrize(("name", "options"), discovered(tasks))
@pytest.mark.parametrize("longer", [0, 20, 100])
def test_every_task_passes_at_every_length(name: str, options: dict[str, Any], longer: int) -> None:
    task = make_task(name, options)
    length = min(task.shortest + longer, task.longest or math.inf)
    assert task_violations(name, tasks.options(name, options), (int(length),)) == []


def test_every_test_length_is_looked_at() -> None:
    class Short(Bits):
        def sample(self, batch_size: int, length: int, generator: torch.Generator) -> Batch:
            return super().sample(batch_size, length, generator) if length < 9 else None  # type: ignore[return-value]

    from suite.contracts.checking import violations
    from suite.contracts.tasks import TASK_CHECKS, TaskProbe

    assert violations(TASK_CHECKS, TaskProbe(Short(), (5,))) == []
    (violation,) = violations(TASK_CHECKS, TaskProbe(Short(), (5, 9)))
    assert "sample(64, 9, …) gave the type NoneType" in violation.message


def test_a_look_at_long_sequences_is_short() -> None:
    assert batch_size(Bits(), 5) == 64
    assert batch_size(Bits(), 100_000) < 10
    assert task_violations("tests.contracts.tasks:Bits", {}, (100_000,)) == []


def test_the_best_constant_answer_leans_on_all_steps_where_few_were_seen() -> None:
    class Somewhere(Bits):
        """Asks at one step out of many, and three of four answers are 1."""

        def sample(self, batch_size: int, length: int, generator: torch.Generator) -> Batch:
            batch = super().sample(batch_size, length, generator)
            steps = torch.randint(length, (batch_size, 1), generator=generator)
            answers = (torch.rand(batch_size, 1, generator=generator) < 0.75).long().expand(-1, length)
            return batch._replace(mask=torch.arange(length) == steps, targets=answers.contiguous())

    mean, error = constant_scores(Somewhere(), 2000)
    assert error < 0.05
    assert mean == pytest.approx(0.75, abs=4 * error)


class Silent(nn.Module):
    def __init__(self, value: float) -> None:
        super().__init__()
        self.value = value

    def forward(self, inputs: torch.Tensor) -> tuple[torch.Tensor, None]:
        return torch.full((*inputs.shape[:2], 2), self.value), None


@pytest.mark.parametrize(("task", "score"), [(Percent(), "100"), (NoNumber(), "nan")])
def test_a_score_that_is_none_is_an_error_of_its_task_during_a_run(task: Task, score: str) -> None:
    batch = task.sample(8, 5, torch.Generator())
    batch = batch._replace(targets=torch.zeros_like(batch.targets))
    with pytest.raises(InputError, match=f"{type(task).__name__}.score gave {score}; it lies between 0 and 1"):
        evaluate(Silent(0.0), task, [batch])
    evaluate(Silent(math.nan), task, [batch])  # The run has diverged, which is an outcome.
