"""The settings under which a run calculates: its threads, and the treatment of the smallest numbers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def numerics(threads: int = 1) -> Iterator[None]:
    """Use ``threads`` threads inside one operation, and treat denormal numbers (below 1.2e-38) as 0.

    A gradient that vanishes over a few hundred steps becomes denormal, and processors need some hundred cycles for each
    denormal number. With them, forward and backward through 200 steps of a GRU took eight times as long.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    torch.set_flush_denormal(True)  # This holds for this thread alone, in which autograd works too.
    try:
        yield
    finally:
        torch.set_flush_denormal(False)
        torch.set_num_threads(before)
