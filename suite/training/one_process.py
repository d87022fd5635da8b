"""One run is one process on one device, whatever has started this process.

Launchers such as srun, torchrun, mpirun and jsrun start many processes, and tell each of them its number in environment
variables. Lightning would conclude that these processes train one model together. Those of memspan share the runs of an
experiment instead, and each of them trains its runs alone.
"""

from __future__ import annotations

import inspect
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

RANKS = ("RANK", "LOCAL_RANK", "SLURM_PROCID", "JSM_NAMESPACE_RANK")
"""The variables from which Lightning takes the number of this process while it is imported."""


@contextmanager
def _without_ranks() -> Iterator[None]:
    hidden = {name: os.environ.pop(name) for name in RANKS if name in os.environ}
    try:
        yield
    finally:
        os.environ.update(hidden)


with _without_ranks():
    import lightning.pytorch as pl
    from lightning.fabric.plugins.environments.lightning import LightningEnvironment


def make_trainer(device: str, callbacks: Sequence[pl.Callback]) -> pl.Trainer:
    """Make Lightning's trainer for one run, which keeps no files and shows nothing.

    Every option is given, because Lightning looks for the others in environment variables called ``PL_TRAINER_…``.

    Args:
        device: ``"cpu"`` or ``"cuda"``.
        callbacks: are called during the training.
    """
    defaults = {name: option.default for name, option in inspect.signature(pl.Trainer).parameters.items()}
    return pl.Trainer(
        **defaults
        | {
            "accelerator": "gpu" if device == "cuda" else device,
            "devices": 1,
            "plugins": [LightningEnvironment()],
            "max_epochs": 1,
            "callbacks": [*callbacks],
            "logger": False,
            "enable_checkpointing": False,
            "enable_progress_bar": False,
            "enable_model_summary": False,
            "num_sanity_val_steps": 0,
        }
    )
