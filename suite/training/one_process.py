"""One run is one process on one device, whatever has started this process."""

from __future__ import annotations

import inspect
from collections.abc import Sequence

from suite.engines.ranks import without_ranks

with without_ranks():
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
