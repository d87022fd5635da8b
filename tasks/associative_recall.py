"""Associative recall: answer the value that was shown with a key."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor

from tasks._base import Batch, Task, one_hot

POWER = 0.01
"""A query stands at the gap-th place after the pairs with a probability in proportion to gap^(POWER − 1)."""


@dataclass(frozen=True)
class AssociativeRecall(Task):
    """Show pairs of a key and a value, then ask for the value of each key (multi-query associative recall).

    Half of the ``symbols`` are keys, and half are values. The keys of a sequence differ, and its values are drawn
    independently.

    ``form = "stacked"``, the default, shows key and value side by side in one step. ``length`` is the number of pairs
    n. Then the n keys come alone in another order. With ``length = 3``::

        key       f b d  d f b
        value     2 4 4  – – –
        targets          4 2 4      (scored at the queries only)

    ``form = "tokens"`` shows key and value in alternating steps. ``length`` is the number of steps, and ``pairs`` that
    of the pairs. The queries stand at even steps after them. Most come soon: the gap-th of these steps is drawn with a
    probability in proportion to gap^(0.01 − 1). All other steps hold random symbols, which are not scored. With
    ``pairs = 2`` and ``length = 10``::

        inputs    f 2 b 4  b 1 e f f 3
        targets            4       2        (scored at the two queries)

    In the tokens' form a net has to join a key with the value that comes one step later. A single layer without a short
    convolution may fail at that alone, while the stacked form only measures how much a state can hold.

    Source: Arora et al. 2023 (Zoology), their ``multiquery_ar`` and its stacked form. There the values of a sequence
    also differ. Here they may repeat, so that a value that was already answered says nothing about the next.

    The score is the accuracy over the queries, with a chance of 2/``symbols``. The task is solved when it exceeds 0.99.
    """

    form: Literal["stacked", "tokens"] = "stacked"
    symbols: int = 64
    pairs: int | None = None
    """The number of pairs in the tokens' form. The default is 4."""

    solved_at: ClassVar[float] = 0.99

    def __post_init__(self) -> None:
        if self.form not in ("stacked", "tokens"):
            raise ValueError(f"form must be 'stacked' or 'tokens'; got {self.form!r}")
        if self.symbols < 4 or self.symbols % 2:
            raise ValueError(f"symbols must be even and at least 4, half keys and half values; got {self.symbols}")
        if self.form == "tokens":
            object.__setattr__(self, "pairs", 4 if self.pairs is None else self.pairs)
        elif self.pairs is not None:
            raise ValueError(
                f"pairs is an option of form 'tokens' only, because length counts the pairs of form 'stacked'; "
                f"got pairs = {self.pairs}"
            )
        if self.pairs is not None and not 1 <= self.pairs <= self.keys:
            raise ValueError(
                f"pairs must be from 1 to {self.keys}, the number of keys among {self.symbols} symbols; "
                f"got {self.pairs}"
            )

    @property
    def keys(self) -> int:
        """The number of keys, which is also the number of values."""
        return self.symbols // 2

    @property
    def input_size(self) -> int:
        return self.symbols  # keys, then values

    @property
    def output_size(self) -> int:
        return self.keys

    @property
    def chance(self) -> float:
        return 1 / self.keys

    @property
    def shortest(self) -> int:
        """The smallest length: one pair, or room for each query."""
        return 4 * self.pairs if self.pairs else 1

    @property
    def longest(self) -> int | None:
        """In the stacked form, the number of keys."""
        return None if self.pairs else self.keys

    def delay(self, length: int) -> int:
        """The distance from the first pair to the last query; in the tokens' form to the last step, which is later."""
        return length - 1 if self.pairs else 2 * length - 1

    def sample(self, batch_size: int, length: int, generator: torch.Generator) -> Batch:
        pairs = self.pairs or length
        keys = torch.rand(batch_size, self.keys, generator=generator).topk(pairs).indices
        values = torch.randint(self.keys, (batch_size, pairs), generator=generator)
        return self._tokens(keys, values, length, generator) if self.pairs else self._stacked(keys, values, generator)

    def lags(self, batch: Batch) -> Tensor:
        """The distance of each query from the key of its pair: ``[batch, time]``, int64."""
        keys = batch.inputs[:, :, : self.keys]
        pairs = self.pairs or batch.mask.shape[1] // 2
        apart = 2 if self.pairs else 1
        shown = keys[:, : apart * pairs : apart]
        places = apart * (keys @ shown.mT).argmax(2)  # Each key stands in one pair.
        return torch.arange(batch.mask.shape[1]) - places

    def _stacked(self, keys: Tensor, values: Tensor, generator: torch.Generator) -> Batch:
        pairs = keys.shape[1]
        order = torch.rand(keys.shape, generator=generator).argsort()
        inputs = torch.zeros(len(keys), 2 * pairs, self.symbols)
        inputs.scatter_(2, torch.cat([keys, keys.gather(1, order)], dim=1).unsqueeze(2), 1.0)
        inputs[:, :pairs].scatter_(2, (values + self.keys).unsqueeze(2), 1.0)
        targets = torch.cat([torch.zeros_like(values), values.gather(1, order)], dim=1)
        mask = torch.zeros_like(targets, dtype=torch.bool)
        mask[:, pairs:] = True
        return Batch(inputs, targets, mask)

    def _tokens(self, keys: Tensor, values: Tensor, length: int, generator: torch.Generator) -> Batch:
        batch_size, pairs = keys.shape
        tokens = torch.randint(self.symbols, (batch_size, length), generator=generator)
        tokens[:, 0 : 2 * pairs : 2] = keys
        tokens[:, 1 : 2 * pairs : 2] = values + self.keys
        room = (length - 2 * pairs) // 2
        likely = torch.arange(1, room + 1, dtype=torch.float64) ** (POWER - 1)
        gaps = likely.expand(batch_size, -1).multinomial(pairs, replacement=False, generator=generator)
        places = 2 * pairs + 2 * gaps
        tokens.scatter_(1, places, keys)
        targets = torch.zeros_like(tokens).scatter_(1, places, values)
        mask = torch.zeros_like(tokens, dtype=torch.bool).scatter_(1, places, True)
        return Batch(one_hot(tokens, self.symbols), targets, mask)
