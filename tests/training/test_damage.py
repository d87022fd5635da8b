"""Damaged files, in short; ``python -m tests.damage`` damages 600."""

from __future__ import annotations

from pathlib import Path

from tests.damage import damage_checkpoints, damage_model_files


def test_a_damaged_checkpoint_never_changes_a_result(tmp_path: Path) -> None:
    found = damage_checkpoints(tmp_path, count=10, seed=0)
    assert found["interrupted"] == found["damaged checkpoints"] == 10, found
    assert not found["another result"], found
    assert not found["notes missing or too many"], found


def test_a_damaged_model_file_is_refused_or_gives_the_same_model() -> None:
    found = damage_model_files(count=300, seed=0)
    assert found["damaged model files"] > 290, found
    assert found["refused model files"] > 150, found
    assert not found["another model"], found
