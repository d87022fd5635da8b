"""How numbers are calculated during a run: threads, and what happens to the smallest ones."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def numerics(threads: int = 1) -> Iterator[None]:
    """So many threads inside one operation, and numbers below 1.2e-38 (denormal ones) taken for 0.

    A gradient that vanishes over a few hundred steps ends there, and processors take some hundred cycles for each such
    number: forward and back through 200 steps of a GRU took eight times as long.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    torch.set_flush_denormal(True)  # of this thread, in which autograd works as well
    try:
        yield
    finally:
        torch.set_flush_denormal(False)
        torch.set_num_threads(before)
