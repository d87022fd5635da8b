"""A leaderboard as files: the page, the tables, the pictures, the runs, and the manifest that proves them."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from suite.errors import InputError, shortened
from suite.leaderboards.figures import figures
from suite.leaderboards.leaderboard import Leaderboard
from suite.leaderboards.page.data import page_data
from suite.leaderboards.page.html import render
from suite.leaderboards.proof.manifest import (
    MANIFEST_FILE,
    RUNS_FILE,
    build_manifest,
    file_digest,
    manifest_text,
    origin_of,
    read_manifest,
)
from suite.leaderboards.text.latex import latex
from suite.leaderboards.text.render import as_json, markdown
from suite.results.record import as_plain

FROZEN = "FROZEN"
"""The file that keeps a folder from being written again; it holds the digest."""
PAGE = "index.html"
TABLES = ("leaderboard.md", "leaderboard.csv", "leaderboard.json", "leaderboard.tex")
ALWAYS = (PAGE, *TABLES, RUNS_FILE, MANIFEST_FILE)
"""The files that every written leaderboard has."""


def write(board: Leaderboard, folder: Path) -> list[Path]:
    """Write a leaderboard into a folder, and return the paths. The same runs give the same bytes.

    It writes the page ``index.html``, the tables ``leaderboard.md``, ``.csv``, ``.json`` and ``.tex``, every run as
    ``runs.parquet``, and ``manifest.json`` with a digest of each file. If a task has longer test lengths, it writes
    ``beyond.csv``, and if the steps of a task differ in lag or position, ``lags.csv``. If the experiment has ladders,
    it writes ``horizon.csv``, ``overfitting.csv`` and their pictures, and if enough trials search ``clip``,
    ``clipping.csv`` and a picture for each architecture.

    Raises:
        InputError: if the folder holds a frozen leaderboard, or a link to a file elsewhere.
    """
    from suite.plots.style import save

    record = board.record
    assert record is not None, "a leaderboard without a record cannot be written"
    manifest = build_manifest(record)
    if (folder / FROZEN).exists():
        raise InputError(
            f"{str(folder)!r} holds a frozen leaderboard, which is never written again; choose another folder"
        )
    folder.mkdir(parents=True, exist_ok=True)
    _check_links(folder)
    texts = dict(zip(TABLES, (markdown(board), _csv(board.rows), as_json(board), latex(board)), strict=True))
    tables = {
        "beyond": board.beyond,
        "lags": board.by_lag,
        "horizon": board.horizon_curves,
        "overfitting": board.overfitting_curves,
    }
    if board.clipping is not None:
        tables["clipping"] = board.clipping.cells
    texts |= {f"{name}.csv": _csv(frame) for name, frame in tables.items() if len(frame)}
    texts[PAGE] = render(page_data(board, manifest, [*texts, RUNS_FILE, MANIFEST_FILE]))
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")
    record.write(folder / RUNS_FILE, origin_of(manifest))
    pictures = [path for name, figure in figures(board) for path in save(figure, folder / name)]
    written = [folder / PAGE, *(folder / name for name in texts if name != PAGE), folder / RUNS_FILE, *pictures]
    manifest["outputs"] = {path.name: file_digest(path) for path in written}
    (folder / MANIFEST_FILE).write_text(manifest_text(manifest), encoding="utf-8")
    return [*written, folder / MANIFEST_FILE]


def _check_links(folder: Path) -> None:
    """Check that a folder, which may come from elsewhere, has no link through which a file outside would be written."""
    for path in sorted(folder.iterdir()):
        if path.is_symlink() and path.resolve().parent != folder.resolve():
            raise InputError(
                f"a leaderboard is written into its own folder alone; {str(path)!r} is a link to "
                f"{shortened(str(path.readlink()))}, so remove it, or choose another folder"
            )


def set_aside(folder: Path, board: Leaderboard) -> Path | None:
    """Move a written leaderboard of other settings out of the way of this one.

    Returns:
        The folder in which it is now; None if there is none, or if it is there already.
    """
    assert board.record is not None
    if not (folder / MANIFEST_FILE).is_file():
        return None
    manifest = read_manifest(folder)
    if as_plain(manifest.record.experiment) == as_plain(board.record.experiment):
        return None
    aside = folder.with_name(f"{folder.name}-{manifest.digest.removeprefix('sha256:')[:12]}")
    if aside.exists():
        return None
    return folder.rename(aside)


def freeze(board: Leaderboard, parent: Path) -> list[Path]:
    """Write a finished leaderboard into a folder of its own, which is never written again, and return the paths.

    The folder is named after the experiment and the beginning of the digest. If it is there already, it stays as it is.

    Raises:
        InputError: if runs are missing.
    """
    record = board.record
    assert record is not None
    if not record.complete:
        raise InputError(
            f"only a complete leaderboard can be frozen; {record.done} of {record.planned} runs are finished, so run "
            f"`memspan run {board.experiment}` first"
        )
    digest = build_manifest(record)["digest"]
    folder = parent / f"{board.experiment}-{digest.removeprefix('sha256:')[:12]}"
    if (folder / FROZEN).exists():
        return [path for path in sorted(folder.iterdir()) if path.name != FROZEN]
    written = write(board, folder)
    (folder / FROZEN).write_text(f"{digest}\n", encoding="utf-8")
    return written


def _csv(frame: pd.DataFrame) -> str:
    return frame.to_csv(index=False, lineterminator="\n", float_format="%.10g")
