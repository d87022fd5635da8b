"""State tracking: the running product of elements of a finite group."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from itertools import permutations
from typing import ClassVar, Literal

import torch
from torch import Tensor

from tasks._base import Batch, Task, one_hot

GROUPS = ("Z2", "Z5", "Z60", "S3", "A5", "S5")


@dataclass(frozen=True)
class StateTracking(Task):
    """Multiply elements of a group, and answer the product so far (the word problem of the group).

    Each step shows an element x_t, drawn uniformly, and the answer is the state s_t = s_{t−1} · x_t. It begins with the
    neutral element. The groups are Z2 (parity), Z5 and Z60 (counting modulo 5 and 60), S3 and S5 (all permutations of 3
    and 5 things) and A5 (the even ones of 5, the smallest group that is not solvable). In Z2, with ``length = 6``::

        inputs    1 0 1 1 0 1
        targets     1 0 1 1 0      (scored from the second step on)

    ``length`` is the number of steps. The first step is not scored, because its answer is its input. A permutation p is
    written as (p(0), p(1), …), the elements of a group are numbered in the order of these tuples, and p · q is the
    permutation that does q first: i → p(q(i)).

    A recurrent net whose state changes by a diagonal matrix with eigenvalues in [0, 1] cannot do parity, and one whose
    matrices commute cannot do S3 at every length (Merrill et al. 2024; Grazzi et al. 2024). Test it at lengths beyond
    those of the training: the sources train up to 40 steps and test up to 256.

    Source: Merrill, Petty & Sabharwal 2024; Delétang et al. 2023 (parity and cycle navigation).

    The score is the accuracy over the scored steps, with a chance of 1/(size of the group): from the second step on the
    product is uniform whatever the step shows. The task is solved when it exceeds 0.99.
    """

    group: Literal["Z2", "Z5", "Z60", "S3", "A5", "S5"] = "Z2"

    solved_at: ClassVar[float] = 0.99

    def __post_init__(self) -> None:
        if self.group not in GROUPS:
            raise ValueError(f"group must be one of {', '.join(GROUPS)}; got {self.group!r}")

    @property
    def size(self) -> int:
        """The number of elements of the group."""
        return len(products(self.group))

    @property
    def input_size(self) -> int:
        return self.size

    @property
    def output_size(self) -> int:
        return self.size

    @property
    def chance(self) -> float:
        return 1 / self.size

    @property
    def shortest(self) -> int:
        return 2

    def delay(self, length: int) -> int:
        """The distance from the first step to the last."""
        return length - 1

    def sample(self, batch_size: int, length: int, generator: torch.Generator) -> Batch:
        elements = torch.randint(self.size, (batch_size, length), generator=generator)
        mask = torch.ones_like(elements, dtype=torch.bool)
        mask[:, 0] = False
        return Batch(one_hot(elements, self.size), running_products(elements, self.group), mask)

    def lags(self, batch: Batch) -> Tensor:
        """The distance of each step from the first one, on which every answer depends: ``[batch, time]``, int64."""
        return torch.arange(batch.mask.shape[1]).expand(batch.mask.shape)


@cache
def products(group: str) -> Tensor:
    """Return the table of a group: the element p · q in row p and column q, ``[size, size]``, int64."""
    kind, count = group[0], int(group[1:])
    if kind == "Z":
        numbers = torch.arange(count)
        return (numbers[:, None] + numbers) % count
    elements = [p for p in permutations(range(count)) if kind == "S" or _is_even(p)]
    number = {p: place for place, p in enumerate(elements)}
    return torch.tensor([[number[tuple(p[i] for i in q)] for q in elements] for p in elements])


def _is_even(p: tuple[int, ...]) -> bool:
    return sum(p[i] > p[j] for i in range(len(p)) for j in range(i + 1, len(p))) % 2 == 0


def running_products(elements: Tensor, group: str) -> Tensor:
    """Return s_t = x_1 · x_2 · … · x_t for elements ``[batch, time]``, in log₂ T steps."""
    table, states, reach = products(group), elements.clone(), 1
    while reach < elements.shape[1]:
        # After this, each state is the product of the last 2 · reach elements, or of all.
        states[:, reach:] = table[states[:, :-reach], states[:, reach:]]
        reach *= 2
    return states
