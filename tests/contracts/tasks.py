"""Tasks as people write them, each of which breaks one rule of the contract."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from tasks import Batch, Regression, Task


@dataclass(frozen=True)
class Bits(Task):
    """Answer the first bit at the last step; the others change it."""

    solved_at: ClassVar[float] = 0.95
    input_size = 1
    output_size = 2
    chance = 0.5

    def delay(self, length: int) -> int:
        return length - 1

    def sample(self, batch_size: int, length: int, generator: torch.Generator) -> Batch:
        bits = torch.randint(2, (batch_size, length), generator=generator)
        mask = torch.zeros(batch_size, length, dtype=torch.bool)
        mask[:, -1] = True
        return Batch(bits.unsqueeze(2).float(), bits[:, :1].expand(-1, length).contiguous(), mask)


@dataclass(frozen=True)
class Numbers(Regression):
    """Answer the first number at the last step."""

    solved_at: ClassVar[float] = 0.95
    input_size = 1
    output_size = 1
    delay = Bits.delay

    def sample(self, batch_size: int, length: int, generator: torch.Generator) -> Batch:
        numbers = torch.randn(batch_size, length, 1, generator=generator)
        mask = torch.zeros(batch_size, length, dtype=torch.bool)
        mask[:, -1] = True
        return Batch(numbers, numbers[:, :1].expand(-1, length, -1).contiguous(), mask)


class Ignoring(Bits):
    """Marks the steps without an answer by −100, which is not a class."""

    def sample(self, batch_size: int, length: int, generator: torch.Generator) -> Batch:
        batch = super().sample(batch_size, length, generator)
        return batch._replace(targets=batch.targets.where(batch.mask, -100))


class Uneven(Bits):
    """Every second sequence asks for nothing."""

    def sample(self, batch_size: int, length: int, generator: torch.Generator) -> Batch:
        batch = super().sample(batch_size, length, generator)
        batch.mask[1::2] = False
        return batch


GOOD = (Bits, Numbers, Ignoring, Uneven)


class DoubleInputs(Bits):
    def sample(self, *given: Any) -> Batch:
        batch = super().sample(*given)
        return batch._replace(inputs=batch.inputs.double())


class OtherWidth(Bits):
    input_size = 3


class Endless(Bits):
    def sample(self, *given: Any) -> Batch:
        batch = super().sample(*given)
        return batch._replace(inputs=batch.inputs / 0)


class ShortLabels(Bits):
    def sample(self, *given: Any) -> Batch:
        batch = super().sample(*given)
        return batch._replace(targets=batch.targets.int())


class FromOne(Bits):
    def sample(self, *given: Any) -> Batch:
        batch = super().sample(*given)
        return batch._replace(targets=batch.targets + 1)


class FloatMask(Bits):
    def sample(self, *given: Any) -> Batch:
        batch = super().sample(*given)
        return batch._replace(mask=batch.mask.float())


class RowMask(Bits):
    def sample(self, *given: Any) -> Batch:
        batch = super().sample(*given)
        return batch._replace(mask=batch.mask.any(1))


class NothingAsked(Bits):
    def sample(self, *given: Any) -> Batch:
        batch = super().sample(*given)
        return batch._replace(mask=batch.mask & False)


class Broadcasting(Numbers):
    def sample(self, *given: Any) -> Batch:
        batch = super().sample(*given)
        return batch._replace(targets=batch.targets[:, :, 0])


class Triple(Bits):
    def sample(self, *given: Any) -> Any:
        return tuple(super().sample(*given))


class AnyLength(Bits):
    def sample(self, batch_size: int, length: int, generator: torch.Generator) -> Batch:
        drawn = int(torch.randint(1, length + 1, (), generator=generator))
        return super().sample(batch_size, drawn, generator)


class GlobalDraw(Bits):
    def sample(self, batch_size: int, length: int, generator: torch.Generator) -> Batch:
        return super().sample(batch_size, length, torch.Generator().manual_seed(int(torch.randint(99, ()))))


class OwnGenerator(Bits):
    source: ClassVar[torch.Generator] = torch.Generator()

    def sample(self, batch_size: int, length: int, generator: torch.Generator) -> Batch:
        return super().sample(batch_size, length, self.source)


class Sure(Bits):
    chance = 1.0


class Unsolvable(Bits):
    solved_at: ClassVar[Any] = None


class Unhurried(Bits):
    def delay(self, length: int) -> Any:
        return length / 2


class Percent(Bits):
    def score(self, outputs: Tensor, batch: Batch) -> float:
        return 100 * super().score(outputs, batch)


class Perplexity(Bits):
    def score(self, outputs: Tensor, batch: Batch) -> float:
        return math.exp(min(20.0, self.loss(outputs, batch).item()))


class Errors(Bits):
    def score(self, outputs: Tensor, batch: Batch) -> float:
        return 1 - super().score(outputs, batch)


class NoNumber(Bits):
    def score(self, outputs: Tensor, batch: Batch) -> float:
        return math.nan


class ManyNumbers(Bits):
    def score(self, outputs: Tensor, batch: Batch) -> Any:
        return (outputs.argmax(-1) == batch.targets)[batch.mask]


class LossByRow(Bits):
    def loss(self, outputs: Tensor, batch: Batch) -> Tensor:
        return torch.nn.functional.cross_entropy(outputs[batch.mask], batch.targets[batch.mask], reduction="none")


class LossCut(Bits):
    def loss(self, outputs: Tensor, batch: Batch) -> Tensor:
        return super().loss(outputs, batch).detach()


class Lopsided(Bits):
    """19 of 20 answers are the same."""

    def sample(self, batch_size: int, length: int, generator: torch.Generator) -> Batch:
        batch = super().sample(batch_size, length, generator)
        rare = (torch.rand(batch_size, 1, generator=generator) < 0.05).long().expand(-1, length).contiguous()
        return batch._replace(targets=rare)


class Missing(Bits):
    def sample(self, *given: Any) -> Batch:
        raise FileNotFoundError("no corpus.txt")


BAD = {
    DoubleInputs: "DoubleInputs.sample(64, 5, …) gave inputs of [64, 5, 1] float64; they are [64, time, 1] float32",
    OtherWidth: "OtherWidth.sample(64, 5, …) gave inputs of [64, 5, 1] float32; they are [64, time, 3] float32, and "
    "input_size is 3",
    Endless: "Endless.sample(64, 5, …) gave inputs that are not finite",
    ShortLabels: "ShortLabels.sample(64, 5, …) gave targets of [64, 5] int32; they are classes, [64, 5] int64, or",
    FromOne: "FromOne.sample(64, 5, …) gave classes from 1 to 2 at scored steps; output_size says 0 to 1",
    FloatMask: "FloatMask.sample(64, 5, …) gave a mask of [64, 5] float32; it is [64, 5] bool",
    RowMask: "RowMask.sample(64, 5, …) gave a mask of [64] bool; it is [64, 5] bool",
    NothingAsked: "NothingAsked.sample(64, 5, …) gave a mask without any scored step",
    Broadcasting: "Broadcasting.sample(64, 5, …) gave targets of [64, 5] float32; they are classes, [64, 5] int64, or",
    Triple: "Triple.sample(64, 5, …) gave the type tuple; it gives a Batch of three tensors",
    AnyLength: "AnyLength.sample(2, 5, …) gave sequences of ",
    GlobalDraw: "GlobalDraw.sample uses a global generator",
    OwnGenerator: "OwnGenerator.sample gave two batches from the same generator",
    Sure: "Sure.chance is 1.0; it is a score in [0, 1) that leaves something to learn",
    Unsolvable: "Unsolvable.solved_at is None; it is a number",
    Unhurried: "Unhurried.delay(5) is 2.5; it is a whole number of steps, at least 0",
    Percent: "Percent.score gave 100; it lies between 0 and 1",
    Perplexity: "Perplexity.score gave ",
    Errors: "Errors.score gave 0 for the right answers, and chance is 0.5; the right answers score 1",
    NoNumber: "NoNumber.score gave nan; it lies between 0 and 1",
    ManyNumbers: "ManyNumbers.s",
    LossByRow: "LossByRow.loss gave [64] float32 for outputs of a standard normal distribution; it is one finite",
    LossCut: "LossCut.loss has no gradient with respect to the outputs",
    Lopsided: "Lopsided.chance is 0.5; the best constant answer scores 0.9",
    Missing: "Missing.sample(64, 5, …) raised FileNotFoundError: no corpus.txt (line ",
}
"""What is said of each of them."""
