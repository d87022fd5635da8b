"""The contract of a task, check by check, on a few small batches."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from suite.contracts.checking import Check, Probe, calling, described
from suite.contracts.constant_answers import batch_size, constant_scores
from suite.errors import qualified_name
from tasks import Batch, Task

DRAWS = 8
"""The number of small batches whose lengths are compared."""
CLEAR = 0.02
"""A constant answer that is better than chance by no more than this does not count."""
ROUNDING = 1e-6
"""A score may lie outside of its range by this much."""


class TaskProbe(Probe):
    """A task under test at some lengths.

    Args:
        task: the task.
        lengths: its lengths. Everything is checked at the first, and the form of a batch at all of them.
        batch: the number of sequences in a batch; by default, as many as are quickly drawn.
    """

    def __init__(self, task: Task, lengths: Sequence[int], batch: int = 0) -> None:
        self.task = task
        self.batch = batch
        self.name = qualified_name(type(task))
        self.lengths = lengths

    def sample(self, size: int | None = None, seed: int = 0, length: int | None = None) -> Batch:
        """Draw a batch, by default of the first length."""
        length = self.lengths[0] if length is None else length
        size = size or self.size_at(length)
        with self.calling(f"sample({size}, {length}, …)"):
            return self.task.sample(size, length, torch.Generator().manual_seed(seed))

    def size_at(self, length: int) -> int:
        """Return the number of sequences in a batch of some length."""
        return self.batch or batch_size(self.task, length)

    def has_classes(self, batch: Batch) -> bool:
        """Tell whether the answers are classes, not numbers."""
        return batch.targets.dtype == torch.int64

    def right_answer(self, batch: Batch) -> Tensor:
        """Return the outputs that answer everything right."""
        if not self.has_classes(batch):
            return batch.targets.clone()
        classes = batch.targets.clamp(0, self.task.output_size - 1)  # A step that is not scored may hold anything.
        return 50.0 * F.one_hot(classes, self.task.output_size).float()

    def scores(self, outputs: Tensor, batch: Batch) -> tuple[Any, Any, Any]:
        """Return the score, the skill and the success of some outputs."""
        with self.calling("score"):
            score = self.task.score(outputs, batch)
        with self.calling("skill"):
            skill = self.task.skill(score)
        with self.calling("success"):
            return score, skill, self.task.success(outputs, batch)

    def calling(self, member: str) -> AbstractContextManager[None]:
        """Return a context in which an error of the task names this member of it."""
        return calling(f"{self.name}.{member}", type(self.task))


def the_delay_is_a_number_of_steps(probe: TaskProbe) -> Iterator[str]:
    """``delay`` is a whole number of steps, at least 0."""
    for length in probe.lengths:
        with probe.calling("delay"):
            delay = probe.task.delay(length)
        if not _is_whole(delay) or delay < 0:
            yield f"{probe.name}.delay({length}) is {delay!r}; it is a whole number of steps, at least 0"


def chance_leaves_something_to_learn(probe: TaskProbe) -> Iterator[str]:
    """``chance`` is at least 0 and below 1, and ``solved_at`` is a number."""
    with probe.calling("chance"):
        chance = probe.task.chance
    if not _is_number(chance) or not 0 <= chance < 1:
        yield f"{probe.name}.chance is {chance!r}; it is a score in [0, 1) that leaves something to learn"
    with probe.calling("solved_at"):
        solved_at = probe.task.solved_at
    if not _is_number(solved_at) or math.isnan(solved_at):
        yield f"{probe.name}.solved_at is {solved_at!r}; it is a number"


def a_batch_has_the_promised_form(probe: TaskProbe) -> Iterator[str]:
    """A batch has inputs, targets and a mask of the shapes and types of the contract, and all numbers are finite."""
    for length in probe.lengths:
        size = probe.size_at(length)
        batch = probe.sample(size, length=length)
        place = f"{probe.name}.sample({size}, {length}, …)"
        if not isinstance(batch, Batch) or not all(isinstance(part, Tensor) for part in batch):
            yield f"{place} gave {described(batch)}; it gives a Batch of three tensors"
        else:
            yield from (f"{place} gave {text}" for text in _faults(probe, batch, size))


def _faults(probe: TaskProbe, batch: Batch, size: int) -> Iterator[str]:
    inputs, targets, mask = batch
    task, time = probe.task, inputs.shape[1] if inputs.dim() == 3 else 0
    if inputs.dtype != torch.float32 or inputs.shape != (size, time, task.input_size) or not time:
        yield (
            f"inputs of {described(inputs)}; they are [{size}, time, {task.input_size}] float32, and input_size "
            f"is {task.input_size}"
        )
        return
    if not inputs.isfinite().all():
        yield "inputs that are not finite"
    if mask.dtype != torch.bool or mask.shape != (size, time):
        yield f"a mask of {described(mask)}; it is [{size}, {time}] bool"
        return
    if not mask.any():
        yield "a mask without any scored step"
        return
    forms = {torch.int64: (size, time), torch.float32: (size, time, task.output_size)}
    if targets.shape != forms.get(targets.dtype):
        yield (
            f"targets of {described(targets)}; they are classes, [{size}, {time}] int64, or numbers, "
            f"[{size}, {time}, {task.output_size}] float32, and output_size is {task.output_size}"
        )
        return
    asked = targets[mask]
    if not asked.isfinite().all():
        yield "targets that are not finite at scored steps"
    elif probe.has_classes(batch) and not 0 <= asked.min() <= asked.max() < task.output_size:
        low, high = asked.min(), asked.max()
        yield f"classes from {low} to {high} at scored steps; output_size says 0 to {task.output_size - 1}"


def batches_of_one_length_agree(probe: TaskProbe) -> Iterator[str]:
    """All batches of one ``length`` have the same number of steps, so that they can be put together."""
    for length in probe.lengths:
        steps = {probe.sample(2, seed, length).inputs.shape[1] for seed in range(DRAWS)}
        if len(steps) > 1:
            yield (
                f"{probe.name}.sample(2, {length}, …) gave sequences of {', '.join(map(str, sorted(steps)))} steps; "
                "all batches of one length have the same number of steps (fill up, and leave the rest out of the mask)"
            )


def a_batch_depends_on_its_generator_alone(probe: TaskProbe) -> Iterator[str]:
    """The same generator gives the same batch, and no global generator is touched."""
    before = _global_generators()
    first = probe.sample()
    if any(not same for same in map(_equal, before, _global_generators())):
        yield f"{probe.name}.sample uses a global generator; it draws everything from the generator that it is given"
    elif not all(map(torch.equal, first, probe.sample())):
        yield f"{probe.name}.sample gave two batches from the same generator; it draws everything from that generator"


def the_loss_can_be_trained(probe: TaskProbe) -> Iterator[str]:
    """The loss is one finite number, and has a gradient with respect to the outputs."""
    batch = probe.sample()
    outputs = torch.randn(*batch.mask.shape, probe.task.output_size).requires_grad_()
    with probe.calling("loss"):
        loss = probe.task.loss(outputs, batch)
    if not isinstance(loss, Tensor) or loss.shape != () or not loss.isfinite():
        value = loss if isinstance(loss, Tensor) and loss.shape == () else described(loss)
        yield f"{probe.name}.loss gave {value} for outputs of a standard normal distribution; it is one finite number"
    elif not loss.requires_grad:
        yield f"{probe.name}.loss has no gradient with respect to the outputs"


def scores_lie_between_zero_and_one(probe: TaskProbe) -> Iterator[str]:
    """``score`` and ``skill`` lie in [0, 1], ``success`` is a number, and the right answer scores above chance."""
    batch = probe.sample()
    right = probe.right_answer(batch)
    noise = torch.randn(right.shape, generator=torch.Generator().manual_seed(1))
    for outputs in (right, torch.zeros_like(right), noise, 100 * noise):
        fault = score_fault(probe.name, *probe.scores(outputs, batch))
        if fault:
            yield fault
            return
    score = probe.scores(right, batch)[0]
    if score <= probe.task.chance:
        yield (
            f"{probe.name}.score gave {float(score):.3g} for the right answers, and chance is {probe.task.chance}; "
            "the right answers score 1"
        )


def stated_lags_are_whole_numbers_of_steps(probe: TaskProbe) -> Iterator[str]:
    """If a task states ``lags``, they are whole numbers of each step, and lie in [1, delay] where a step is scored."""
    stated = getattr(probe.task, "lags", None)
    if stated is None:
        return
    for length in probe.lengths:
        batch = probe.sample(length=length)
        with probe.calling("lags"):
            lags = stated(batch)
        form = tuple(batch.mask.shape)
        if not isinstance(lags, Tensor) or lags.dtype != torch.int64 or lags.shape != form:
            yield f"{probe.name}.lags gave {described(lags)}; it gives {list(form)} int64"
            continue
        low, high, delay = lags[batch.mask].min(), lags[batch.mask].max(), probe.task.delay(length)
        if not 1 <= low <= high <= delay:
            yield (
                f"{probe.name}.lags gave {low} to {high} at scored steps of length {length}; they lie between 1 and "
                f"delay({length}) = {delay}"
            )


def no_constant_answer_beats_chance(probe: TaskProbe) -> Iterator[str]:
    """``chance`` is the best score without memory, so no answer that ignores all inputs is clearly better."""
    with probe.calling("score"):
        mean, error = constant_scores(probe.task, probe.lengths[0])
    probe.figure = f"best constant {mean:.3f} ± {error:.3f}, chance {probe.task.chance:.3f}"
    if mean - 4 * error > probe.task.chance + CLEAR:
        yield (
            f"{probe.name}.chance is {probe.task.chance}; the best constant answer scores {mean:.2f} (± {error:.2f}), "
            "and chance is the best score of a model that remembers nothing"
        )


TASK_CHECKS: tuple[tuple[Check[TaskProbe], ...], ...] = (
    (the_delay_is_a_number_of_steps, chance_leaves_something_to_learn),
    (a_batch_has_the_promised_form,),
    (batches_of_one_length_agree, a_batch_depends_on_its_generator_alone),
    (the_loss_can_be_trained, scores_lie_between_zero_and_one, stated_lags_are_whole_numbers_of_steps),
    (no_constant_answer_beats_chance,),
)
"""The contract of a task, in stages."""


def score_fault(name: str, score: Any, skill: Any, success: Any) -> str:
    """Say what is wrong with the scores of some outputs; empty if nothing is.

    Args:
        name: the name of the task, for the message.
        score: what ``score`` gave, which lies between 0 and 1.
        skill: what ``skill`` made of it, which lies there too.
        success: what ``success`` gave, which may be any number.
    """
    for member, value in (("score", score), ("skill", skill), ("success", success)):
        try:
            number = float(value)
        except (TypeError, ValueError, RuntimeError):
            return f"{name}.{member} gave {described(value)}; it gives one number"
        if member != "success" and not -ROUNDING <= number <= 1 + ROUNDING:
            return f"{name}.{member} gave {number:.6g}; it lies between 0 and 1"
        if math.isnan(number):
            return f"{name}.{member} gave {number}; it is a number"
    return ""


def _global_generators() -> list[Any]:
    return [torch.get_rng_state(), random.getstate(), np.random.get_state()]  # noqa: NPY002


def _equal(one: Any, other: Any) -> bool:
    if isinstance(one, Tensor):
        return torch.equal(one, other)
    return all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
