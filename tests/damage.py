"""Damage: checkpoints and model files with flipped bits, cut or replaced. No damage may change a result without a word.

``python -m tests.damage`` damages 300 checkpoints and 300 model files, at random and by a seed. A run that finds a
damaged checkpoint must give the result of one that was never interrupted, after one note. A damaged model file must be
refused by one message, or give the same model.
"""

from __future__ import annotations

import argparse
import random
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from suite.errors import InputError, StoppedError
from suite.model.model_file import SavedModel, pack, unpack
from suite.training.lightning_module import Watcher
from suite.training.train import train
from tests.training.test_checkpoint import config, facts

RUN = config(steps=100)
"""A run of five blocks, with three validations."""


def flipped(data: bytes, chance: random.Random) -> bytes:
    """One to four bits are others."""
    changed = bytearray(data)
    for place in chance.sample(range(8 * len(data)), chance.randint(1, 4)):
        changed[place // 8] ^= 1 << place % 8
    return bytes(changed)


def cut(data: bytes, chance: random.Random) -> bytes:
    return data[: chance.randrange(len(data))]


def blank(data: bytes, chance: random.Random) -> bytes:
    """A sector is lost, which some file systems fill with zeros."""
    start = chance.randrange(0, len(data), 512)
    return data[:start] + bytes(min(512, len(data) - start)) + data[start + 512 :]


def replaced(data: bytes, chance: random.Random) -> bytes:
    return chance.choice([b"", b"hello", b"PK\x03\x04", chance.randbytes(len(data))])


DAMAGES: tuple[Callable[[bytes, random.Random], bytes], ...] = (flipped, flipped, cut, blank, replaced)


def damage_checkpoints(folder: Path, count: int, seed: int) -> dict[str, Any]:
    """Go on from as many damaged checkpoints, and count what happened."""
    chance, found = random.Random(seed), Counter[str]()
    path, whole = folder / "run.pt", facts(train(RUN))
    for number in range(count):
        damage = DAMAGES[number % len(DAMAGES)]
        blocks = iter(range(chance.randint(1, 4)))
        try:
            train(RUN, Watcher(should_stop=lambda blocks=blocks: next(blocks, None) is None), checkpoint=path)
        except StoppedError:
            found["interrupted"] += 1
        data = path.read_bytes()
        path.write_bytes(damage(data, chance))
        is_damaged = path.read_bytes() != data
        notes: list[str] = []
        same = facts(train(RUN, Watcher(on_note=notes.append), checkpoint=path)) == whole
        found["damaged checkpoints"] += is_damaged
        found["another result"] += not same
        found["notes missing or too many"] += len(notes) != int(is_damaged)
        path.unlink(missing_ok=True)
    return dict(found)


def damage_model_files(count: int, seed: int) -> dict[str, Any]:
    """Read as many damaged model files, and count what happened."""
    chance, found = random.Random(seed), Counter[str]()
    result = train(RUN)
    weights = result.model.state_dict()
    data = pack(SavedModel(RUN, "experiment", "gru", "adding", weights, result.metrics, {"memspan": "0"}))
    for number in range(count):
        damaged = DAMAGES[number % len(DAMAGES)](data, chance)
        found["damaged model files"] += damaged != data
        try:
            saved = unpack(damaged)
        except InputError:
            found["refused model files"] += 1
            continue
        same = all(saved.weights[name].equal(weights[name]) for name in weights) and saved.metrics == result.metrics
        found["another model"] += not (same and saved.config == RUN and set(saved.weights) == set(weights))
    return dict(found)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = damage_checkpoints(Path(folder), given.count, given.seed)
    for name, value in {**found, **damage_model_files(given.count, given.seed)}.items():
        print(f"{name:45} {value}")


if __name__ == "__main__":
    main()
