"""Sequence memory: n-back, serial recall and reversed recall."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor

from tasks._base import Batch, Task, one_hot


@dataclass(frozen=True)
class SequenceMemory(Task):
    """Answer with symbols that were shown some steps ago.

    ``mode = "n_back"`` (the default): at each step answer the symbol shown exactly ``lag`` steps ago. ``length`` is the
    number of steps. With ``lag = 2`` and ``length = 6``::

        inputs    d a b b c a
        targets   – – d a b b      (scored from the step ``lag`` on)

    ``mode = "recall"``: ``length`` symbols are shown, then replayed while the input is the recall marker (2·length
    steps); ``mode = "reverse"``: replayed backwards. With ``length = 3``::

        inputs    d a b ! ! !
        recall    – – – d a b
        reverse   – – – b a d

    Sources: n-back is POPGym's repeat-previous (Morad et al. 2023, whose code scores lag − 1 although its text says
    lag; here it is lag); recall is the copy task of the Neural Turing Machine (Graves et al. 2014, §4.1).

    Score: accuracy over the scored steps, chance 1/``symbols``. Solved: n-back, accuracy above 0.95; recall and
    reverse, more than 0.95 of whole sequences right.
    """

    mode: Literal["n_back", "recall", "reverse"] = "n_back"
    lag: int | None = None
    """Steps between a symbol and its answer, n-back only; 4 unless given, the easiest rung of the published ladder."""
    symbols: int = 4

    solved_at: ClassVar[float] = 0.95

    def __post_init__(self) -> None:
        if self.mode not in ("n_back", "recall", "reverse"):
            raise ValueError(f"mode must be 'n_back', 'recall' or 'reverse'; got {self.mode!r}")
        if self.mode == "n_back":
            object.__setattr__(self, "lag", 4 if self.lag is None else self.lag)
        elif self.lag is not None:
            raise ValueError(f"lag is an option of mode 'n_back' only; got lag = {self.lag} with mode {self.mode!r}")
        if self.lag is not None and self.lag < 1:
            raise ValueError(f"lag must be at least 1; got {self.lag}")
        if self.symbols < 2:
            raise ValueError(f"symbols must be at least 2; got {self.symbols}")

    @property
    def input_size(self) -> int:
        return self.symbols if self.lag else self.symbols + 1  # recall has a marker

    @property
    def output_size(self) -> int:
        return self.symbols

    @property
    def chance(self) -> float:
        return 1 / self.symbols

    @property
    def shortest(self) -> int:
        return self.lag + 1 if self.lag else 1

    def delay(self, length: int) -> int:
        """n-back: the lag. Recall: ``length``, the same for all. Reverse: from the first symbol to the last answer."""
        if self.lag:
            return self.lag
        return length if self.mode == "recall" else 2 * length - 1

    def sample(self, batch_size: int, length: int, generator: torch.Generator) -> Batch:
        shown = torch.randint(self.symbols, (batch_size, length), generator=generator)
        if self.lag:
            tokens = shown
            targets = shown.roll(self.lag, dims=1)  # what wraps around is not scored
            first_scored = self.lag
        else:
            tokens = torch.cat([shown, torch.full_like(shown, self.symbols)], dim=1)
            answer = shown if self.mode == "recall" else shown.flip(1)
            targets = torch.cat([torch.zeros_like(shown), answer], dim=1)
            first_scored = length
        mask = torch.zeros_like(tokens, dtype=torch.bool)
        mask[:, first_scored:] = True
        return Batch(one_hot(tokens, self.input_size), targets, mask)

    def success(self, outputs: Tensor, batch: Batch) -> float:
        """n-back: the score. Recall and reverse: the share of sequences with every symbol right."""
        if self.lag:
            return self.score(outputs, batch)
        right = (outputs.argmax(-1) == batch.targets) | ~batch.mask
        return right.all(dim=1).double().mean().item()
