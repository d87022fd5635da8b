"""The fingerprint of the data of a level, by which everybody can see that two leaderboards have the same data."""

from __future__ import annotations

import hashlib
from typing import Any

from suite.data import Data
from suite.experiment.levels import Level


def fingerprint(level: Level, seed: int) -> dict[str, Any]:
    """Return digests of the data of a level for a seed: of the first batch of training, and of the other splits."""
    training = level.training
    data = Data(level.task, seed, training.batch_size)
    batches = {
        "train": [data.train_batch(0)],
        "validation": data.held_out("validation", training.validation_size),
        "test": data.held_out("test", training.test_size),
    }
    digests: dict[str, Any] = {"seed": seed}
    if ":" in level.task.name:  # Whoever looks at the file does not import this task.
        delays = {length: level.delay(length) for length in (level.task.longest, *level.task.test_lengths)}
        digests["delays"] = {str(length): delay for length, delay in delays.items() if delay is not None}
    for split, parts in batches.items():
        sha = hashlib.sha256()
        for tensor in (tensor for batch in parts for tensor in batch):
            sha.update(tensor.contiguous().numpy().tobytes())
        digests[split] = sha.hexdigest()[:16]
    return digests
