"""Formal languages: even pairs, modular arithmetic and the depth of brackets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor

from tasks._base import Batch, Task, one_hot

MODULUS = 5
DEEPEST = 7
"""Brackets are open up to this depth, so that there are eight answers."""


@dataclass(frozen=True)
class FormalLanguage(Task):
    """Read a word of a formal language, and answer a question about it when a marker ends it.

    ``language = "even_pairs"``, the default, shows symbols a and b, and asks whether the word has an even number of
    pairs ab and ba. It does if its first and its last symbol are the same. With ``length = 5``, where ! is the marker::

        inputs    a b b a a !
        target              even      (scored at the marker only)

    ``"modular_arithmetic"`` shows a term without brackets, and asks for its value modulo 5. Each step shows an operator
    and a digit, so ``length`` counts the digits: 2 +4 ·3 −1 makes 2 + 4 · 3 − 1 = 13, and so 3. Products come before
    sums. A factor is never 0, so that every value is equally likely.

    ``"bracket_depth"`` shows a depth, then brackets or points, and asks how many brackets are open: 2 ( · ( ) ) makes
    2. A bracket that would lead below 0 or above 7 changes nothing, so that every depth is equally likely.

    ``length`` is the number of steps before the marker. Nets are trained at lengths up to 40 and tested up to 256 to
    see whether they have found the rule.

    Source: Delétang et al. 2023 (even pairs, and modular arithmetic without brackets, in which a factor may be 0); the
    depth of brackets in this form is memspan's own.

    The score is the accuracy, with a chance of 1/2, 1/5 or 1/8. The task is solved when it exceeds 0.99.
    """

    language: Literal["even_pairs", "modular_arithmetic", "bracket_depth"] = "even_pairs"

    solved_at: ClassVar[float] = 0.99

    def __post_init__(self) -> None:
        if self.language not in SIZES:
            raise ValueError(f"language must be one of {', '.join(SIZES)}; got {self.language!r}")

    @property
    def input_size(self) -> int:
        return SIZES[self.language][0] + 1  # and the marker

    @property
    def output_size(self) -> int:
        return SIZES[self.language][1]

    @property
    def chance(self) -> float:
        return 1 / self.output_size

    @property
    def shortest(self) -> int:
        return 2

    def delay(self, length: int) -> int:
        """The distance from the first symbol to the marker."""
        return length

    def sample(self, batch_size: int, length: int, generator: torch.Generator) -> Batch:
        word, answer = WORDS[self.language](batch_size, length, generator)
        inputs = torch.zeros(batch_size, length + 1, self.input_size)
        inputs[:, :length, :-1] = word
        inputs[:, length, -1] = 1.0
        mask = torch.zeros(batch_size, length + 1, dtype=torch.bool)
        mask[:, -1] = True
        targets = torch.zeros(batch_size, length + 1, dtype=torch.int64)
        targets[:, -1] = answer
        return Batch(inputs, targets, mask)


def _even_pairs(batch_size: int, length: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    symbols = torch.randint(2, (batch_size, length), generator=generator)
    return one_hot(symbols, 2), (symbols[:, 0] == symbols[:, -1]).long()


def _modular_arithmetic(batch_size: int, length: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    operators = torch.randint(3, (batch_size, length), generator=generator)  # plus, minus, times
    operators[:, 0] = 0
    digits = torch.randint(MODULUS, (batch_size, length), generator=generator)
    factors = torch.randint(1, MODULUS, (batch_size, length), generator=generator)
    digits = digits.where(operators < 2, factors)
    total, product = torch.zeros_like(digits[:, 0]), torch.zeros_like(digits[:, 0])
    for operator, digit in zip(operators.unbind(1), digits.unbind(1), strict=True):
        is_factor = operator == 2
        total = total.where(is_factor, total + product)
        product = (product * digit).where(is_factor, digit * (1 - 2 * operator)) % MODULUS
    return torch.cat([one_hot(operators, 3), one_hot(digits, MODULUS)], dim=2), (total + product) % MODULUS


def _bracket_depth(batch_size: int, length: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    start = torch.randint(DEEPEST + 1, (batch_size,), generator=generator)
    brackets = torch.randint(3, (batch_size, length - 1), generator=generator)  # closing, point, opening
    depth = start
    for change in (brackets - 1).unbind(1):
        depth = (depth + change).clamp(0, DEEPEST)
    word = torch.zeros(batch_size, length, DEEPEST + 4)
    word[:, 0, : DEEPEST + 1] = one_hot(start, DEEPEST + 1)
    word[:, 1:, DEEPEST + 1 :] = one_hot(brackets, 3)
    return word, depth


SIZES = {
    "even_pairs": (2, 2),
    "modular_arithmetic": (3 + MODULUS, MODULUS),
    "bracket_depth": (DEEPEST + 4, DEEPEST + 1),
}
"""The number of features of a symbol, and the number of answers."""
WORDS = {"even_pairs": _even_pairs, "modular_arithmetic": _modular_arithmetic, "bracket_depth": _bracket_depth}
