"""One page over several leaderboards, so that a folder of them can be put on the web as it is."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

from suite.errors import InputError, many
from suite.leaderboards.columns import FAMILY, GROUP, NAME, PARAMETERS, RANK, SEEDS, SKILL, cell
from suite.leaderboards.leaderboard import build_leaderboard
from suite.leaderboards.page.html import asset, template
from suite.leaderboards.proof.manifest import MANIFEST_FILE, is_board, read_manifest
from suite.leaderboards.tables import ranking_rows
from suite.statistics.table import OVERALL

GENERATOR = "memspan index"
"""What the page says of its origin, by which it is known when it is written again."""
PAGE = "index.html"
BEST = 5
"""The number of rows that are shown of each leaderboard."""
COLUMNS = (RANK, NAME, FAMILY, SKILL, GROUP, SEEDS, PARAMETERS)


def boards_in(paths: Iterable[Path]) -> list[Path]:
    """Return the folders of leaderboards: those that are given, and those that lie in other folders that are given.

    Raises:
        InputError: if a path is no folder, or there is no leaderboard in it.
    """
    found: list[Path] = []
    for path in paths:
        inside = [path] if is_board(path) else sorted(filter(is_board, path.glob("*")))
        if not inside:
            raise InputError(f"there is no leaderboard in {str(path)!r}: no {MANIFEST_FILE}, and no folder with one")
        found += [folder for folder in inside if folder not in found]
    return found


def write_index(folders: Sequence[Path], output: Path, title: str) -> None:
    """Write the page over some leaderboards. The pages of the leaderboards are linked by their relative paths.

    Raises:
        InputError: if a manifest cannot be read or was changed, or ``output`` is a file that is no such page.
    """
    if output.exists() and f'content="{GENERATOR}"' not in _beginning(output):
        raise InputError(f"{str(output)!r} is there and is no index of memspan; give another --output")
    boards = [_board(folder, output) for folder in folders]
    text = template("index.html").render(
        title=title, boards=boards, columns=COLUMNS, cell=cell, css=asset("page.css"), generator=GENERATOR
    )
    try:
        output.write_text(text, encoding="utf-8")
    except OSError as error:
        raise InputError(f"{str(output)!r} cannot be written: {error.strerror}") from error


def _beginning(path: Path) -> str:
    with path.open("rb") as file:
        return file.read(2000).decode("utf-8", errors="replace")


def _board(folder: Path, output: Path) -> dict[str, Any]:
    """Return what the page shows of a leaderboard."""
    manifest = read_manifest(folder)
    wrong = next(manifest.changes(), None)
    if wrong is not None:
        raise InputError(f"{str(manifest.path)!r} was changed after it was written: {wrong[2]}")
    record = manifest.record
    board = build_leaderboard(record)
    page = folder / PAGE
    scope = board.scopes[0] if board.scopes else ""
    rows = ranking_rows(board, scope) if board.scopes else []
    link = Path(os.path.relpath(str(page), str(output.parent))).as_posix() if page.is_file() else ""
    return {
        "title": board.title or board.experiment,
        "anchor": re.sub(r"\W+", "-", str(folder)),
        "description": " ".join(record.experiment.description.split()),
        "link": quote(link),
        "facts": list(_facts(board.rows, record, manifest.path)),
        "digest": manifest.digest,
        "scope": "overall" if scope == OVERALL else scope,
        "rows": rows[:BEST],
        "more": max(0, len(rows) - BEST),
    }


def _facts(rows: Any, record: Any, manifest: Path) -> Iterator[str]:
    written = datetime.fromtimestamp(manifest.stat().st_mtime, UTC)
    yield record.experiment.name
    yield many(len(record.experiment.architectures), "architecture")
    yield many(len({row.study.level.label for row in record.rows}), "task")
    if len(rows):
        yield many(int(rows["seeds"].min()), "seed")
    planned = many(record.planned, "run")
    yield f"{planned}, complete" if record.complete else f"{record.done:,} of {planned}, not complete"
    yield f"written on {written:%Y-%m-%d}"
