"""One store has one experiment of a name: neither its runs nor its leaderboard are mixed up with those of another."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from suite.errors import InputError
from suite.store.origin import check_origin
from suite.store.store import Store
from tests.store.conftest import TINY, Call

OTHER = TINY.replace("length = 6", "length = 7")


def test_a_second_file_of_the_same_name_is_refused_and_both_are_named(finished: Path, call: Call) -> None:
    other = finished / "elsewhere" / "tiny.toml"
    other.parent.mkdir()
    other.write_text(OTHER, encoding="utf-8")
    board = finished / "mlruns" / "leaderboards" / "tiny" / "manifest.json"
    before = board.read_bytes()
    for more in ((), ("--dry-run",)):
        code, _, said = call("run", other, "--workers", 1, *more)
        assert code == 2
        assert str(other) in said
        assert "/made" in said, "the first file is named"
        assert "differ in tasks" in said
        assert "give another --store" in said
    assert board.read_bytes() == before


def test_a_file_that_was_edited_or_moved_goes_on_and_no_leaderboard_is_lost(finished: Path, tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    first, second, third = (tmp_path / name / "tiny.toml" for name in ("first", "second", "third"))
    for file in (first, second, third):
        file.parent.mkdir()
    first.write_text(TINY, encoding="utf-8")
    check_origin(store, str(first), {})
    first.write_text(OTHER, encoding="utf-8")
    check_origin(store, str(first), {})
    second.write_text(OTHER, encoding="utf-8")
    check_origin(store, str(second), {})  # a copy
    first.unlink()
    second.write_text(TINY, encoding="utf-8")
    check_origin(store, str(second), {})  # moved, and edited
    third.write_text(OTHER, encoding="utf-8")
    with pytest.raises(InputError, match=r"second/tiny\.toml.*third/tiny\.toml"):
        check_origin(store, str(third), {})


def test_a_leaderboard_of_earlier_settings_is_kept_beside_the_new_one(finished: Path, call: Call) -> None:
    boards = finished / "mlruns" / "leaderboards"
    before = {path.name: path.read_bytes() for path in (boards / "tiny").iterdir()}
    digest = json.loads(before["manifest.json"])["digest"].removeprefix("sha256:")
    code, _, said = call("run", "tiny.toml", "--architectures", "rnn", "--workers", 1)
    assert code == 0, said
    earlier = boards / f"tiny-{digest[:12]}"
    assert str(earlier) in said
    assert {path.name: path.read_bytes() for path in earlier.iterdir()} == before
    assert json.loads((boards / "tiny" / "manifest.json").read_text())["counts"]["planned"] == 2
