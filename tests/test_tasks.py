"""The contract of a task, held for everything in the folder; then each task's own definition."""

from __future__ import annotations

import dataclasses
import inspect
import math
import random
import re
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.testing import assert_close

from suite.registry import tasks
from tasks import Batch, Task
from tasks.adding import Adding
from tasks.copy_memory import CopyMemory
from tasks.sequence_memory import SequenceMemory
from tests.helpers import discovered

every_task = pytest.mark.parametrize(("name", "options"), discovered(tasks))
every_name = pytest.mark.parametrize("name", tasks.names())


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def make_task(name: str, options: dict[str, Any]) -> Task:
    return tasks.get(name)(**options)


def same(one: Batch, other: Batch) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


def one_hot(classes: Tensor, size: int) -> Tensor:
    """Logits sure of their answer."""
    return 50.0 * F.one_hot(classes, size).float()


def perfect(task: Task, batch: Batch) -> Tensor:
    """The outputs that answer everything right."""
    is_class = batch.targets.dtype == torch.int64
    return one_hot(batch.targets, task.output_size) if is_class else batch.targets.clone()


def best_constant(task: Task, batch: Batch) -> Tensor:
    """The best answer for each step that ignores all inputs, fitted to ``batch``: ``[time, output_size]``."""
    is_class = batch.targets.dtype == torch.int64
    targets = F.one_hot(batch.targets, task.output_size).float() if is_class else batch.targets
    scored = batch.mask.unsqueeze(2).float()
    mean = (targets * scored).sum(0) / scored.sum(0).clamp(min=1)
    return one_hot(mean.argmax(1), task.output_size) if is_class else mean


# every task ----------------------------------------------------------------------------------------------------------


@every_task
@given(seed=st.integers(0, 2**32), batch_size=st.integers(1, 5), longer=st.integers(0, 12))
def test_the_same_generator_gives_the_same_batch_of_the_promised_shape(
    name: str, options: dict[str, Any], seed: int, batch_size: int, longer: int
) -> None:
    task = make_task(name, options)
    batch = task.sample(batch_size, task.shortest + longer, generator(seed))
    assert same(batch, task.sample(batch_size, task.shortest + longer, generator(seed)))

    time = batch.inputs.shape[1]
    assert batch.inputs.shape == (batch_size, time, task.input_size)
    assert batch.inputs.dtype == torch.float32
    assert batch.inputs.isfinite().all()
    assert batch.mask.shape == (batch_size, time)
    assert batch.mask.dtype == torch.bool
    assert batch.mask.any(1).all()
    if batch.targets.dtype == torch.int64:
        assert batch.targets.shape == (batch_size, time)
        assert 0 <= batch.targets.min() <= batch.targets.max() < task.output_size
    else:
        assert batch.targets.dtype == torch.float32
        assert batch.targets.shape == (batch_size, time, task.output_size)


@every_task
def test_other_seeds_and_later_draws_give_other_batches(name: str, options: dict[str, Any]) -> None:
    task, source = make_task(name, options), generator(1)
    length = task.shortest + 20
    first, second = task.sample(8, length, source), task.sample(8, length, source)
    assert not torch.equal(first.inputs, second.inputs)
    assert not torch.equal(first.inputs, task.sample(8, length, generator(2)).inputs)


@every_task
def test_sampling_leaves_the_global_generators_alone(name: str, options: dict[str, Any]) -> None:
    task = make_task(name, options)
    before = torch.get_rng_state(), random.getstate()
    task.sample(4, task.shortest + 5, generator())
    assert torch.equal(torch.get_rng_state(), before[0])
    assert random.getstate() == before[1]


@every_task
def test_a_perfect_answer_scores_one(name: str, options: dict[str, Any]) -> None:
    task = make_task(name, options)
    batch = task.sample(16, task.shortest + 7, generator())
    outputs = perfect(task, batch)
    assert task.score(outputs, batch) == 1.0
    assert task.success(outputs, batch) == 1.0
    assert task.skill(task.score(outputs, batch)) == 1.0
    assert task.loss(outputs, batch) == pytest.approx(0.0, abs=1e-6)


@every_task
def test_the_best_constant_answer_scores_chance(name: str, options: dict[str, Any]) -> None:
    task = make_task(name, options)
    length = task.shortest + 20
    constant = best_constant(task, task.sample(20_000, length, generator(1)))
    batch = task.sample(20_000, length, generator(2))
    score = task.score(constant.expand(len(batch.inputs), -1, -1), batch)
    assert score == pytest.approx(task.chance, abs=0.03)
    assert task.skill(score) == pytest.approx(0.0, abs=0.06)


@every_task
@given(seed=st.integers(0, 2**32), scale=st.floats(0, 1e3))
def test_scores_lie_between_zero_and_one(name: str, options: dict[str, Any], seed: int, scale: float) -> None:
    task, source = make_task(name, options), generator(seed)
    batch = task.sample(6, task.shortest + 5, source)
    outputs = scale * torch.randn(6, batch.inputs.shape[1], task.output_size, generator=source)
    assert 0 <= task.score(outputs, batch) <= 1
    assert 0 <= task.success(outputs, batch) <= 1
    assert 0 <= task.skill(task.score(outputs, batch)) <= 1


@every_task
def test_only_the_masked_steps_are_scored(name: str, options: dict[str, Any]) -> None:
    task = make_task(name, options)
    batch = task.sample(16, task.shortest + 7, generator())
    right, wrong = perfect(task, batch), -perfect(task, batch) - 1.0
    mask = batch.mask.unsqueeze(2)
    only_scored_right = torch.where(mask, right, wrong)
    assert task.score(only_scored_right, batch) == 1.0
    assert task.success(only_scored_right, batch) == 1.0
    only_scored_wrong = torch.where(mask, wrong, right)
    assert task.score(only_scored_wrong, batch) == 0.0
    assert task.success(only_scored_wrong, batch) == 0.0


@every_task
@pytest.mark.parametrize("longer", [0, 9])
def test_the_loss_is_finite_and_differentiable_from_the_shortest_length_on(
    name: str, options: dict[str, Any], longer: int
) -> None:
    task = make_task(name, options)
    batch = task.sample(4, task.shortest + longer, generator())
    outputs = torch.randn(4, batch.inputs.shape[1], task.output_size, requires_grad=True)
    loss = task.loss(outputs, batch)
    assert loss.shape == ()
    assert loss.isfinite()
    (gradient,) = torch.autograd.grad(loss, outputs)
    assert gradient.isfinite().all()
    assert gradient[batch.mask].any()


@every_task
def test_a_slice_of_a_batch_is_a_batch_of_those_sequences(name: str, options: dict[str, Any]) -> None:
    task = make_task(name, options)
    batch = task.sample(6, task.shortest + 3, generator())
    part = batch.rows(torch.tensor([4, 1]))
    assert isinstance(part, Batch)
    assert same(part, Batch(*(torch.stack([tensor[4], tensor[1]]) for tensor in batch)))
    assert same(batch.rows(slice(2, 4)), Batch(batch.inputs[2:4], batch.targets[2:4], batch.mask[2:4]))


@every_task
def test_a_task_is_a_frozen_value(name: str, options: dict[str, Any]) -> None:
    task = make_task(name, options)
    assert task == make_task(name, options)
    assert hash(task) == hash(make_task(name, options))
    with pytest.raises(dataclasses.FrozenInstanceError):
        task.anything = 1  # type: ignore[attr-defined]


@every_task
def test_chance_leaves_something_to_remember_and_solved_lies_above_it(name: str, options: dict[str, Any]) -> None:
    task = make_task(name, options)
    assert 0 <= task.chance < task.solved_at < 1
    assert task.skill(task.chance) == 0.0
    assert task.skill(0.0) == 0.0
    assert task.skill((1 + task.chance) / 2) == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("task", "chance"),
    [(Adding(), 0), (CopyMemory(), 1 / 8), (SequenceMemory(), 1 / 4), (SequenceMemory(symbols=7), 1 / 7)],
    ids=repr,
)
def test_chance_is_the_published_one(task: Task, chance: float) -> None:
    assert task.chance == chance


@every_name
def test_the_docstring_has_a_worked_example_the_length_and_a_source(name: str) -> None:
    text = inspect.cleandoc(vars(tasks.get(name)).get("__doc__") or "")
    assert re.search(r"::\n\n +\S", text), "a worked example: an indented block after '::'"
    assert "``length``" in text
    assert re.search(r"^Sources?: ", text, re.MULTILINE)


# adding --------------------------------------------------------------------------------------------------------------


@given(length=st.integers(2, 31), seed=st.integers(0, 2**32))
def test_adding_marks_one_step_in_each_half_and_asks_for_the_sum(length: int, seed: int) -> None:
    batch = Adding().sample(8, length, generator(seed))
    value, mark = batch.inputs.unbind(2)
    assert ((mark == 0) | (mark == 1)).all()
    assert (mark[:, : length // 2].sum(1) == 1).all()
    assert (mark[:, length // 2 :].sum(1) == 1).all()
    assert ((value >= 0) & (value < 1)).all()
    assert_close(batch.targets[:, -1, 0], (value * mark).sum(1))
    assert batch.mask.nonzero()[:, 1].tolist() == [length - 1] * 8


def test_adding_marks_every_step_of_a_half_equally_often() -> None:
    marks = Adding().sample(30_000, 7, generator()).inputs[:, :, 1].mean(0)
    assert_close(marks, torch.tensor([1 / 3] * 3 + [1 / 4] * 4), rtol=0, atol=0.015)


def test_addings_baseline_is_one_sixth() -> None:
    batch = Adding().sample(200_000, 4, generator())
    always_one = torch.ones(200_000, 4, 1)
    assert Adding().loss(always_one, batch).item() == pytest.approx(1 / 6, abs=2e-3)


def test_adding_is_solved_below_a_squared_error_of_one_hundredth() -> None:
    batch = Adding().sample(8, 10, generator())
    assert Adding().score(batch.targets + 0.0999, batch) > Adding.solved_at
    assert Adding().score(batch.targets + 0.1001, batch) < Adding.solved_at


# copy memory ---------------------------------------------------------------------------------------------------------


@given(delay=st.integers(1, 40), seed=st.integers(0, 2**32))
def test_copy_memory_has_the_published_layout(delay: int, seed: int) -> None:
    batch = CopyMemory().sample(5, delay, generator(seed))
    blank, marker, steps = 8, 9, delay + 20
    assert batch.inputs.shape == (5, steps, 10)
    assert torch.equal(batch.inputs.sum(2), torch.ones(5, steps))  # one-hot
    tokens = batch.inputs.argmax(2)
    shown = tokens[:, :10]
    assert shown.max() < 8
    assert (tokens[:, 10 : delay + 9] == blank).all()
    assert (tokens[:, delay + 9] == marker).all()
    assert (tokens[:, delay + 10 :] == blank).all()
    assert (batch.targets[:, :-10] == blank).all()
    assert torch.equal(batch.targets[:, -10:], shown)
    assert batch.mask.nonzero()[:, 1].unique().tolist() == list(range(steps - 10, steps))


@pytest.mark.parametrize("delay", [1, 30, 1000])
def test_copy_memorys_loss_without_memory_is_the_published_one(delay: int) -> None:
    batch = CopyMemory().sample(16, delay, generator())
    outputs = torch.zeros(16, delay + 20, 9)
    outputs[:, :-10, 8] = 100.0  # sure of the blanks
    outputs[:, -10:, 8] = -100.0  # then any of the eight symbols
    assert CopyMemory().loss(outputs, batch).item() == pytest.approx(10 * math.log(8) / (delay + 20), rel=1e-5)


def test_always_answering_blank_scores_nothing_in_copy_memory() -> None:
    batch = CopyMemory().sample(16, 100, generator())
    outputs = one_hot(torch.full_like(batch.targets, 8), 9)
    assert CopyMemory().score(outputs, batch) == 0.0


# sequence memory -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("task", "length", "layout"),
    [
        (SequenceMemory(lag=2), 6, ("abcdef", "..abcd")),
        (SequenceMemory(), 6, ("abcdef", "....ab")),
        (SequenceMemory(mode="recall"), 3, ("abc!!!", "...abc")),
        (SequenceMemory(mode="reverse"), 3, ("abc!!!", "...cba")),
    ],
    ids=["two_back", "four_back_by_default", "recall", "reverse"],
)
def test_sequence_memory_asks_for_what_was_shown(task: SequenceMemory, length: int, layout: tuple[str, str]) -> None:
    shown, asked = layout
    batch = task.sample(50, length, generator())
    tokens = batch.inputs.argmax(2)
    assert torch.equal(batch.inputs.sum(2), torch.ones(50, len(shown)))
    for step, letter in enumerate(shown):
        assert (letter == "!") == bool((tokens[:, step] == 4).all()), "the marker is a token of its own"
    for step, letter in enumerate(asked):
        assert batch.mask[:, step].tolist() == [letter != "."] * 50
        if letter != ".":
            assert torch.equal(batch.targets[:, step], tokens[:, shown.index(letter)])
    assert (task.input_size, task.output_size) == (5 if "!" in shown else 4, 4)


def test_the_symbol_in_view_says_nothing_about_the_one_asked_for() -> None:
    task = SequenceMemory(lag=1, symbols=3)
    batch = task.sample(5000, 12, generator())
    pairs = torch.stack([batch.inputs.argmax(2), batch.targets], dim=2)[batch.mask]
    share = torch.bincount(pairs[:, 0] * 3 + pairs[:, 1], minlength=9) / len(pairs)
    assert_close(share, torch.full((9,), 1 / 9), rtol=0, atol=0.01)


@pytest.mark.parametrize("mode", ["n_back", "recall", "reverse"])
def test_the_loss_of_sequence_memory_counts_the_scored_steps_only(mode: Any) -> None:
    task = SequenceMemory(mode=mode)
    batch = task.sample(16, 9, generator())
    wrong = one_hot((batch.targets + 1) % 4, 4)
    outputs = torch.where(batch.mask.unsqueeze(2), perfect(task, batch), wrong)
    assert task.loss(outputs, batch).item() == pytest.approx(0.0, abs=1e-6)


@pytest.mark.parametrize("mode", ["recall", "reverse"])
def test_one_wrong_symbol_spoils_a_whole_recalled_sequence(mode: Any) -> None:
    task = SequenceMemory(mode=mode)
    batch = task.sample(4, 5, generator())
    answers = batch.targets.clone()
    answers[0, 7] = (answers[0, 7] + 1) % 4
    outputs = one_hot(answers, 4)
    assert task.score(outputs, batch) == pytest.approx(19 / 20)
    assert task.success(outputs, batch) == 3 / 4


def test_n_back_counts_single_answers_as_success() -> None:
    task = SequenceMemory(lag=1)
    batch = task.sample(4, 6, generator())
    answers = batch.targets.clone()
    answers[0, 3] = (answers[0, 3] + 1) % 4
    assert task.success(one_hot(answers, 4), batch) == pytest.approx(19 / 20)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"lag": 0}, "lag must be at least 1; got 0"),
        ({"symbols": 1}, "symbols must be at least 2; got 1"),
        ({"mode": "recall", "lag": 3}, "lag is an option of mode 'n_back' only; got lag = 3 with mode 'recall'"),
        ({"mode": "recal"}, "mode must be 'n_back', 'recall' or 'reverse'; got 'recal'"),
    ],
)
def test_sequence_memory_refuses_options_that_make_no_sense(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        SequenceMemory(**options)
