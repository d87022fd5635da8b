"""A row that somebody sends to the repository, checked: ``python -m tests.contribution BOARD WITH_THE_ROW``.

BOARD is the leaderboard as the repository has it, and WITH_THE_ROW is what `memspan add` made of it. Nothing may have
changed but for new rows. Their architectures are files of memspan, keep their contract, and give the recorded figures
again when they are trained.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from suite import engines
from suite.checkup.subject import checkup
from suite.errors import InputError
from suite.leaderboards.joining import joined, read_board
from suite.leaderboards.proof.checks import check_manifest
from suite.leaderboards.proof.manifest import read_manifest
from suite.leaderboards.proof.retraining import retrain, runs_to_repeat
from suite.registry import architectures
from suite.results.record import Record


def new_rows(board: Record, grown: Record) -> list[str]:
    """Return the names of the rows that a leaderboard has beside those of another one."""
    known = {row.name for row in board.rows}
    return [row.name for row in grown.rows if row.name not in known and row.runs]


def faults(board_folder: Path, grown_folder: Path) -> Iterator[str]:
    """Yield a sentence for each reason why a leaderboard cannot take the place of another one."""
    board, grown = read_board(board_folder), read_board(grown_folder)
    try:
        together = joined({str(board_folder): board, str(grown_folder): grown})
    except InputError as error:
        yield str(error)
        return
    if together.done > grown.done:
        yield f"{together.done - grown.done} runs of {str(board_folder)!r} are not in {str(grown_folder)!r}"
    if not grown.complete:
        yield f"{grown.planned - grown.done} runs are missing"
    rows = new_rows(board, grown)
    if not rows:
        yield "there is no new row"
        return
    added = {row.study.variant.architecture for row in grown.rows if row.name in rows}
    for name in sorted(added):
        if name not in architectures.names():
            yield f"{name!r} is no file of suite/architectures/, which a row of the repository needs"
        elif failed := checkup(name, {}).failed:
            yield f"{name!r} does not keep its contract: {', '.join(row.name for row in failed)}"
    if added <= set(architectures.names()):
        yield from _proof(grown_folder, rows)


def _proof(folder: Path, rows: Sequence[str]) -> Iterator[str]:
    """Yield a sentence for whatever does not follow from the runs, or does not come out again."""
    manifest = read_manifest(folder)
    checked = check_manifest(manifest, rows)
    yield from checked.wrong
    if not checked.wrong:
        yield from retrain(
            runs_to_repeat(manifest, rows, checked), engines.make(devices="cpu"), lambda run, differs: None
        )


def main() -> int:
    if len(sys.argv) != 3:
        print("usage: python -m tests.contribution BOARD WITH_THE_ROW", file=sys.stderr)
        return 2
    board, grown = map(Path, sys.argv[1:])
    try:
        found = list(faults(board, grown))
    except InputError as error:
        found = [str(error)]
    for fault in found:
        print(f"wrong: {fault}")
    if not found:
        print(f"accepted: {', '.join(new_rows(read_board(board), read_board(grown)))}")
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main())
