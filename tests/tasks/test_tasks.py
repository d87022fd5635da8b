"""The contract of a task, held for everything in the folder; then each task's own definition."""

from __future__ import annotations

import dataclasses
import itertools
import math
import re
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.testing import assert_close

from suite.contracts.checking import Check, outcome
from suite.contracts.constant_answers import constant_scores
from suite.contracts.tasks import TASK_CHECKS, TaskProbe
from suite.contracts.thorough import THOROUGH_TASK_CHECKS
from suite.registry import tasks
from tasks import Batch, DataSet, Task
from tasks.adding import Adding
from tasks.associative_recall import AssociativeRecall
from tasks.copy_memory import CopyMemory
from tasks.counting import Counting
from tasks.delay_line import DelayLine
from tasks.delayed_match import DelayedMatch
from tasks.digits import Digits
from tasks.flip_flop import FlipFlop
from tasks.formal_language import FormalLanguage
from tasks.induction import Induction
from tasks.neighbours import Neighbours
from tasks.selective_copy import SelectiveCopy
from tasks.sequence_memory import SequenceMemory
from tasks.spike_delay import SpikeDelay
from tasks.state_tracking import StateTracking
from tasks.sunspots import Sunspots
from tasks.temporal_order import TemporalOrder
from tests.helpers import discovered, lacking

every_task = pytest.mark.parametrize(("name", "options"), discovered(tasks))
every_name = pytest.mark.parametrize("name", tasks.names())


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def make_task(name: str, options: dict[str, Any]) -> Task:
    return tasks.get(name)(**options)


def length_of(task: Task, longer: int) -> int:
    """``longer`` than the shortest length, as far as the task goes."""
    return min(task.shortest + longer, task.longest or math.inf)  # type: ignore[return-value]


def same(one: Batch, other: Batch) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


def one_hot(classes: Tensor, size: int) -> Tensor:
    """Logits sure of their answer."""
    return 50.0 * F.one_hot(classes, size).float()


def perfect(task: Task, batch: Batch) -> Tensor:
    """The outputs that answer everything right."""
    is_class = batch.targets.dtype == torch.int64
    return one_hot(batch.targets, task.output_size) if is_class else batch.targets.clone()


# every task ----------------------------------------------------------------------------------------------------------


@every_task
@pytest.mark.parametrize(
    "check",
    [check for stage in (*TASK_CHECKS, *THOROUGH_TASK_CHECKS) for check in stage],
    ids=lambda check: check.__name__,
)
def test_a_task_keeps_its_contract(name: str, options: dict[str, Any], check: Check[TaskProbe]) -> None:
    task = make_task(name, options)
    lengths = sorted({length_of(task, longer) for longer in (20, 0, 1, 7)}, reverse=True)
    assert outcome(check, TaskProbe(task, lengths)).messages == ()


@every_task
@given(seed=st.integers(0, 2**32), batch_size=st.integers(1, 5), longer=st.integers(0, 12))
def test_every_sequence_has_a_scored_step(
    name: str, options: dict[str, Any], seed: int, batch_size: int, longer: int
) -> None:
    task = make_task(name, options)
    batch = task.sample(batch_size, length_of(task, longer), generator(seed))
    assert len(batch.mask) == batch_size
    assert batch.mask.any(1).all()


@every_task
def test_other_seeds_and_later_draws_give_other_batches(name: str, options: dict[str, Any]) -> None:
    task, source = make_task(name, options), generator(1)
    length = length_of(task, 20)
    first, second = task.sample(8, length, source), task.sample(8, length, source)
    assert not torch.equal(first.inputs, second.inputs)
    assert not torch.equal(first.inputs, task.sample(8, length, generator(2)).inputs)


@every_task
def test_a_perfect_answer_scores_one(name: str, options: dict[str, Any]) -> None:
    task = make_task(name, options)
    batch = task.sample(16, length_of(task, 7), generator())
    outputs = perfect(task, batch)
    assert task.score(outputs, batch) == 1.0
    assert task.success(outputs, batch) == 1.0
    assert task.skill(task.score(outputs, batch)) == 1.0
    assert task.loss(outputs, batch) == pytest.approx(0.0, abs=1e-6)


@every_task
def test_the_best_constant_answer_scores_chance_and_not_less(name: str, options: dict[str, Any]) -> None:
    task = make_task(name, options)
    mean, error = constant_scores(task, length_of(task, 20))
    assert error < 0.04
    assert mean == pytest.approx(task.chance, abs=0.02 + 3 * error)


@every_task
def test_only_the_masked_steps_are_scored(name: str, options: dict[str, Any]) -> None:
    task = make_task(name, options)
    batch = task.sample(16, length_of(task, 7), generator())
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
    batch = task.sample(4, length_of(task, longer), generator())
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
    batch = task.sample(6, length_of(task, 3), generator())
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
    [
        (Adding(), 0),
        (AssociativeRecall(), 1 / 32),
        (CopyMemory(), 1 / 8),
        (DelayedMatch(), 1 / 2),
        (DelayLine(), 0),
        (FlipFlop(), 1 / 2),
        (FormalLanguage(language="bracket_depth"), 1 / 8),
        (Induction(), 1 / 16),
        (SelectiveCopy(), 1 / 16),
        (StateTracking(group="A5"), 1 / 60),
        (TemporalOrder(symbols=3), 1 / 8),
        (Counting(), 0),
        (Digits(), 1 / 10),
        (Neighbours(), 1 / 2),
        (SequenceMemory(), 1 / 4),
        (SequenceMemory(symbols=7), 1 / 7),
        (SpikeDelay(choices=4), 1 / 4),
        (Sunspots(), 0),
    ],
    ids=repr,
)
def test_chance_is_the_published_one(task: Task, chance: float) -> None:
    assert task.chance == chance


# delay ---------------------------------------------------------------------------------------------------------------


def ambiguous(task: Task, length: int, back: int, ahead: int) -> bool:
    """Whether sequences that agree from ``back`` steps before a scored step to ``ahead`` after have other targets."""
    batch = task.sample(5000, length, generator())
    bits = batch.inputs.contiguous().view(torch.int32).long()
    weights = torch.randint(-(2**63), 2**63 - 1, bits.shape[1:], generator=generator(1))
    targets = batch.targets.reshape(*batch.mask.shape, -1)
    for step in batch.mask.any(0).nonzero().flatten().tolist():
        scored = batch.mask[:, step]
        seen = slice(max(0, step - back), step + ahead + 1)
        key = (bits[scored, seen] * weights[seen]).sum((1, 2))  # modulo 2⁶⁴: a hash of the inputs
        group = key.unique(return_inverse=True)[1].unsqueeze(1).expand(-1, targets.shape[2])
        asked = targets[scored, step]
        of_group = torch.zeros_like(asked).scatter(0, group, asked)
        if not torch.equal(of_group.gather(0, group), asked):
            return True
    return False


@every_task
def test_no_input_further_than_the_delay_from_a_scored_step_changes_its_target(
    name: str, options: dict[str, Any]
) -> None:
    task = make_task(name, options)
    length = length_of(task, 6)
    steps = task.sample(1, length, generator()).inputs.shape[1]
    assert 1 <= task.delay(length) < steps
    assert task.delay(task.shortest) <= task.delay(length)
    if not isinstance(task, DataSet):  # what real data ask for does not follow from what they show
        assert not ambiguous(task, length, task.delay(length), ahead=getattr(task, "after", 0))


@pytest.mark.parametrize(
    ("task", "length", "delay"),
    [
        (Adding(), 10, 9),
        (AssociativeRecall(symbols=8), 3, 5),
        (AssociativeRecall(form="tokens", symbols=8, pairs=2), 9, 8),
        (CopyMemory(), 5, 15),
        (CopyMemory(variable=True), 5, 15),
        (DelayedMatch(), 6, 5),
        (DelayLine(), 40, 20),
        (FlipFlop(ignore=0.5), 6, 5),
        (FormalLanguage(), 5, 5),
        (Induction(symbols=3), 6, 4),
        (SelectiveCopy(symbols=3, recalled=2), 5, 5),
        (StateTracking(), 6, 5),
        (TemporalOrder(), 20, 20),
        (Counting(), 8, 7),
        (Digits(form="pixels"), 64, 63),
        (Neighbours(before=3, after=1), 9, 3),
        (Neighbours(before=1, after=3), 9, 3),
        (SequenceMemory(lag=3), 9, 3),
        (SequenceMemory(mode="recall"), 6, 6),
        (SequenceMemory(mode="reverse"), 6, 11),
        (SpikeDelay(gap=3, choices=3), 14, 5),
        (Sunspots(), 20, 19),
    ],
    ids=repr,
)
def test_the_delay_is_that_of_the_definition_and_no_shorter_one_would_do(task: Task, length: int, delay: int) -> None:
    assert task.delay(length) == delay
    field = DelayedMatch | FlipFlop | FormalLanguage | Induction | SelectiveCopy | StateTracking
    if isinstance(task, CopyMemory | Counting | SequenceMemory | field):
        assert ambiguous(task, length, delay - 1, ahead=0)
    if isinstance(task, SpikeDelay):  # that it was not one of the shorter intervals tells the longest from afar
        assert ambiguous(task, length, delay - 2, ahead=0)
    if isinstance(task, Neighbours):
        assert ambiguous(task, length, task.before - 1, task.after)
        assert ambiguous(task, length, task.before, task.after - 1)


@every_name
def test_the_docstring_has_a_worked_example_the_length_and_a_source(name: str) -> None:
    demands = {
        "a line that ends in '::', and below it an indented block with a worked example": r"::\n\n +\S",
        "the word length, which says what is counted": r"\blength\b",
        "a paragraph that begins with 'Source:' or 'Sources:'": r"^Sources?:",
    }
    assert lacking(tasks.get(name), demands) == []


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
    assert Adding().success(batch.targets + 0.0999, batch) > Adding.solved_at
    assert Adding().success(batch.targets + 0.1001, batch) < Adding.solved_at


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


# neighbours ----------------------------------------------------------------------------------------------------------


@given(before=st.integers(1, 5), after=st.integers(1, 5), longer=st.integers(0, 9), seed=st.integers(0, 2**32))
def test_neighbours_asks_whether_the_bits_on_either_side_differ(
    before: int, after: int, longer: int, seed: int
) -> None:
    task = Neighbours(before, after)
    batch = task.sample(3, task.shortest + longer, generator(seed))
    bits = batch.inputs.argmax(2).tolist()
    for row in range(3):
        for step in range(task.shortest + longer):
            exist = step - before >= 0 and step + after < len(bits[row])
            assert batch.mask[row, step].item() == exist
            if exist:
                assert batch.targets[row, step].item() == (bits[row][step - before] != bits[row][step + after])


def test_one_neighbour_alone_says_nothing() -> None:
    task = Neighbours(before=1, after=2)
    batch = task.sample(20_000, 4, generator())
    bits, answer = batch.inputs.argmax(2), batch.targets[:, 1]
    for step in range(4):
        assert (bits[:, step] == answer).double().mean().item() == pytest.approx(0.5, abs=0.015)


# counting ------------------------------------------------------------------------------------------------------------


@given(length=st.integers(3, 60), seed=st.integers(0, 2**32))
def test_counting_asks_for_the_standardised_number_of_ones(length: int, seed: int) -> None:
    batch = Counting().sample(6, length, generator(seed))
    assert ((batch.inputs == 0) | (batch.inputs == 1)).all()
    ones = torch.tensor([sum(row) for row in batch.inputs[:, :, 0].tolist()])
    assert_close(batch.targets[:, -1, 0] * math.sqrt(length / 4) + length / 2, ones, rtol=0, atol=1e-4)
    assert batch.mask.nonzero()[:, 1].tolist() == [length - 1] * 6


@pytest.mark.parametrize("length", [3, 50])
def test_countings_baseline_is_one(length: int) -> None:
    batch = Counting().sample(100_000, length, generator())
    assert Counting().loss(torch.zeros_like(batch.targets), batch).item() == pytest.approx(1.0, abs=0.02)


@pytest.mark.parametrize("length", [3, 50])
def test_counting_is_solved_below_half_a_count_which_no_constant_is(length: int) -> None:
    task, batch = Counting(), Counting().sample(2000, length, generator())
    one = 2 / math.sqrt(length)
    assert task.success(batch.targets + 0.49 * one, batch) > task.solved_at
    assert task.success(batch.targets - 0.51 * one, batch) < task.solved_at
    assert task.success(torch.zeros_like(batch.targets), batch) < task.solved_at - 0.1


# spike delay ---------------------------------------------------------------------------------------------------------


@given(gap=st.integers(1, 6), choices=st.integers(2, 5), longer=st.integers(0, 15), seed=st.integers(0, 2**32))
def test_spike_delay_asks_for_the_steps_since_the_last_spike(gap: int, choices: int, longer: int, seed: int) -> None:
    task = SpikeDelay(gap, choices)
    length = task.shortest + longer
    batch = task.sample(4, length, generator(seed))
    for row in range(4):
        spikes = batch.inputs[row, :, 0].nonzero().flatten().tolist()
        assert set(batch.inputs[row, :, 0].tolist()) == {0.0, 1.0}
        intervals = {later: later - earlier for earlier, later in itertools.pairwise(spikes)}
        assert set(intervals.values()) <= set(range(gap, gap + choices))
        assert spikes[0] < gap + choices - 1
        assert spikes[-1] > length - gap - choices
        scored = batch.mask[row].nonzero().flatten().tolist()
        assert scored == [spike for spike in spikes if spike >= gap + choices - 1]
        assert [batch.targets[row, spike].item() + gap for spike in scored] == [intervals[spike] for spike in scored]


def test_neither_the_place_nor_the_number_of_spikes_tells_an_interval() -> None:
    task = SpikeDelay(gap=2, choices=3)
    batch = task.sample(60_000, 12, generator())
    assert_close(batch.inputs.mean((0, 2)), torch.full((12,), 1 / 3), rtol=0, atol=0.01)  # the mean interval is 3
    for step in range(4, 12):
        asked = batch.targets[batch.mask[:, step], step]
        assert_close(torch.bincount(asked, minlength=3) / len(asked), torch.full((3,), 1 / 3), rtol=0, atol=0.025)


# digits --------------------------------------------------------------------------------------------------------------


PERMUTED = [
    *(1, 7, 3, 13, 0, 11, 0, 0, 5, 5, 0, 2, 0, 8, 11, 15, 0, 9, 5, 15, 0, 10, 0, 12, 0, 10, 0, 0, 0, 0, 0, 0),
    *(5, 0, 13, 2, 0, 13, 12, 1, 15, 0, 0, 0, 8, 14, 8, 4, 0, 0, 0, 4, 0, 9, 8, 0, 12, 10, 8, 0, 0, 0, 6, 0),
]
"""The first image, permuted, in sixteenths."""


def test_digits_are_those_of_scikit_learn_in_three_forms() -> None:
    from sklearn.datasets import load_digits

    data = load_digits()
    rows, pixels, permuted = (Digits(form=form) for form in ("rows", "pixels", "permuted"))  # type: ignore[arg-type]
    shown = rows.examples(8).inputs
    assert_close(shown.double(), torch.tensor(data.images) / 16)
    assert (shown.min(), shown.max()) == (0, 1)
    assert torch.equal(pixels.examples(64).inputs.flatten(1), shown.flatten(1))
    shuffled = permuted.examples(64).inputs
    assert not torch.equal(shuffled, pixels.examples(64).inputs)
    assert torch.equal(shuffled.sort(1).values, pixels.examples(64).inputs.sort(1).values)
    assert shuffled[0, :, 0].mul(16).int().tolist() == PERMUTED, "the order of the pixels is part of the task"
    for task, steps in ((rows, 8), (pixels, 64), (permuted, 64)):
        batch = task.examples(steps)
        assert batch.targets[:, -1].tolist() == data.target.tolist()
        assert batch.mask.nonzero()[:, 1].tolist() == [steps - 1] * 1797


# sunspots ------------------------------------------------------------------------------------------------------------


def test_sunspots_ask_at_every_step_for_the_next_of_statsmodels_years() -> None:
    from statsmodels.datasets import sunspots

    years = sunspots.load_pandas().data.SUNACTIVITY.tolist()
    batch = Sunspots().examples(4)
    learnt = torch.tensor(years[1:185], dtype=torch.float64)
    back = lambda values: values.double() * learnt.std(correction=0) + learnt.mean()  # noqa: E731
    assert batch.inputs.shape == (305, 4, 1)
    assert batch.mask.all()
    for first in (0, 100, 304):
        assert_close(back(batch.inputs[first, :, 0]).tolist(), years[first : first + 4], rtol=0, atol=1e-4)
        assert_close(back(batch.targets[first, :, 0]).tolist(), years[first + 1 : first + 5], rtol=0, atol=1e-4)
    assert learnt.mean().item() == pytest.approx(44.926, abs=0.01)
    assert learnt.std(correction=0).item() == pytest.approx(35.161, abs=0.01)


@pytest.mark.parametrize("length", [1, 30, 62])
def test_no_year_is_the_target_of_two_parts_of_the_sunspots(length: int) -> None:
    parts = Sunspots().parts(length)
    asked = [{1701 + first + step for first in part.tolist() for step in range(length)} for part in parts]
    assert asked == [set(range(1701, 1885)), set(range(1885, 1947)), set(range(1947, 2009))]


def test_what_the_docstring_of_sunspots_says_of_simpler_forecasts() -> None:
    task = Sunspots()
    series = torch.cat([task.examples(1).inputs[:1, 0, 0], task.examples(1).targets[:, 0, 0]]).double()
    train, validation, test = (task.examples(1).rows(part) for part in task.parts(1))
    for part, variance in ((train, 1.0), (validation, 0.7408), (test, 2.2540)):
        mean = part.targets.mean().expand_as(part.targets)
        assert task.score(mean, part) == pytest.approx(0.0, abs=1e-6)
        assert task.loss(mean, part).item() == pytest.approx(variance, abs=1e-3)
    assert task.score(validation.inputs, validation) == pytest.approx(0.5574, abs=1e-3)
    assert task.score(test.inputs, test) == pytest.approx(0.6026, abs=1e-3)
    for order, scores in ((2, (0.7921, 0.8145)), (9, (0.8306, 0.8578))):
        past = torch.cat([series.unfold(0, order, 1)[:-1], torch.ones(309 - order, 1)], dim=1)
        known = 185 - order
        weights = torch.linalg.lstsq(past[:known], series[order:185].unsqueeze(1)).solution
        forecast = (past @ weights).unsqueeze(1)[known:]
        assert task.score(forecast[:62], validation) == pytest.approx(scores[0], abs=1e-3)
        assert task.score(forecast[62:], test) == pytest.approx(scores[1], abs=1e-3)


# options -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "options", "message"),
    [
        (Digits, {"form": "columns"}, "form must be 'rows', 'pixels' or 'permuted'; got 'columns'"),
        (Digits, {"label_noise": 1.5}, "label_noise must be a share between 0 and 1; got 1.5"),
        (Neighbours, {"before": 0}, "before must be at least 1; got 0"),
        (Neighbours, {"after": -1}, "after must be at least 1; got -1"),
        (SpikeDelay, {"gap": 0}, "gap must be at least 1; got 0"),
        (SpikeDelay, {"choices": 1}, "choices must be at least 2; got 1"),
    ],
)
def test_options_that_make_no_sense_are_refused(make: type[Task], options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        make(**options)
