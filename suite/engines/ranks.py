"""The number that a launcher gives to each process, which libraries take for a place in one common training.

Launchers such as srun, torchrun, mpirun and jsrun start many processes, and tell each of them its number in environment
variables. Lightning would conclude that these processes train one model together. Those of memspan share the runs of an
experiment instead, and each of them trains its runs alone.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

RANKS = ("RANK", "LOCAL_RANK", "SLURM_PROCID", "JSM_NAMESPACE_RANK")
"""The variables from which Lightning takes the number of this process while it is imported."""


@contextmanager
def without_ranks() -> Iterator[None]:
    """Hide the variables of launchers in this context, in which Lightning or a process that imports it is started."""
    hidden = {name: os.environ.pop(name) for name in RANKS if name in os.environ}
    try:
        yield
    finally:
        os.environ.update(hidden)
