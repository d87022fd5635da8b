"""The files beside a manifest, which must follow from its runs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from suite.errors import InputError
from suite.experiment.plain_data import read_json
from suite.leaderboards.proof.difference import difference
from suite.leaderboards.proof.manifest import RUNS_FILE, Manifest, file_digest, row_columns, row_name, run_digests
from suite.results.record import Record
from suite.results.recorded import MOST_BYTES

if TYPE_CHECKING:
    from suite.leaderboards.leaderboard import Leaderboard


def wrong_files(manifest: Manifest, board: Leaderboard) -> Iterator[str]:
    """Yield a sentence for each file beside a manifest that was changed, or does not follow from its runs.

    Args:
        manifest: the manifest.
        board: the leaderboard of its runs.
    """
    from suite.leaderboards.text.render import as_json

    folder = manifest.path.parent
    for name, recorded in manifest.data.get("outputs", {}).items():
        if not (folder / name).is_file():
            continue
        if (size := (folder / name).stat().st_size) > MOST_BYTES:
            yield f"{name} is too large: a file of a leaderboard has at most 1 GiB; got {size / 2**30:,.0f} GiB"
        elif file_digest(folder / name) != recorded:
            yield f"changed after it was written: {name}"
    try:
        if (folder / RUNS_FILE).is_file():
            yield from _other_runs(manifest, Record.read(folder / RUNS_FILE))
        if (folder / "leaderboard.json").is_file():
            there = read_json(folder / "leaderboard.json", "leaderboard.json")
            if sentence := difference(there, json.loads(as_json(board))):
                yield f"leaderboard.json does not follow from the runs: {sentence}"
    except InputError as error:  # A file of runs or of tables cannot be read.
        yield str(error)


def _other_runs(manifest: Manifest, record: Record) -> Iterator[str]:
    """Yield a sentence for each row of which a file of runs has others than the manifest.

    Both are read first. So a setting that an earlier memspan did not know has its default in both.
    """
    there, here = (
        {row.name: row_columns(row, {}, "") for row in each.rows if row.runs} for each in (record, manifest.record)
    )
    for row in manifest.rows:
        name = row_name(row)
        digests = run_digests({**here[name], "curve": row["curve"]})  # The manifest has no curves, but their digests.
        if there.get(name, {}).get("digests") != digests:
            yield f"{RUNS_FILE} has other runs of {name}"


def notes_on_files(manifest: Manifest, board: Leaderboard) -> Iterator[str]:
    """Yield a sentence about the files that are not there, and one for each text that memspan writes otherwise here."""
    from suite.leaderboards.files import ALWAYS
    from suite.leaderboards.text.latex import latex
    from suite.leaderboards.text.render import markdown

    folder = manifest.path.parent
    names = dict.fromkeys((*ALWAYS, *manifest.data.get("outputs", {})))
    if missing := [name for name in names if name != manifest.path.name and not (folder / name).is_file()]:
        yield f"not here: {', '.join(missing)}"
    for name, text in {"leaderboard.md": markdown(board), "leaderboard.tex": latex(board)}.items():
        content = text.encode()
        if (folder / name).is_file() and _content(folder / name, len(content)) != content:
            yield f"{name} is not what memspan makes of these runs here"


def _content(path: Path, size: int) -> bytes:
    """Return the content of a file as far as it has this size, and one byte more."""
    with path.open("rb") as file:
        return file.read(size + 1)
