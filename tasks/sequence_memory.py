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

    ``mode = "n_back"``, the default, asks at each step for the symbol that was shown exactly ``lag`` steps ago.
    ``length`` is the number of steps. With ``lag = 2`` and ``length = 6``::

        inputs    d a b b c a
        targets   – – d a b b      (scored from the step ``lag`` on)

    ``mode = "recall"`` shows ``length`` symbols, and then asks for them again while the input is the recall marker, in
    2·length steps. ``mode = "reverse"`` asks for them backwards. With ``length = 3``::

        inputs    d a b ! ! !
        recall    – – – d a b
        reverse   – – – b a d

    Sources: n-back is POPGym's repeat-previous (Morad et al. 2023). Their code scores lag − 1 although their text says
    lag, and memspan scores lag. Recall is the copy task of the Neural Turing Machine (Graves et al. 2014, §4.1).

    The score is the accuracy over the scored steps, with a chance of 1/``symbols``. N-back is solved when the accuracy
    exceeds 0.95, and recall and reverse when more than 0.95 of whole sequences are right.
    """

    mode: Literal["n_back", "recall", "reverse"] = "n_back"
    lag: int | None = None
    """The steps between a symbol and its answer in n-back. The default is 4, as at the easiest published level."""
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
        return self.symbols if self.lag else self.symbols + 1  # Recall and reverse have a marker.

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
        """The lag in n-back, ``length`` in recall, and the distance from first symbol to last answer in reverse."""
        if self.lag:
            return self.lag
        return length if self.mode == "recall" else 2 * length - 1

    def sample(self, batch_size: int, length: int, generator: torch.Generator) -> Batch:
        shown = torch.randint(self.symbols, (batch_size, length), generator=generator)
        if self.lag:
            tokens = shown
            targets = shown.roll(self.lag, dims=1)  # The symbols that wrap around are not scored.
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
        """The score in n-back, and in recall and reverse the share of sequences with every symbol right."""
        if self.lag:
            return self.score(outputs, batch)
        right = (outputs.argmax(-1) == batch.targets) | ~batch.mask
        return right.all(dim=1).double().mean().item()
