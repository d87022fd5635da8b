"""The rows of every table under the keys of its columns. The page and the tables of text show the same rows."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd

from suite.leaderboards.columns import GROWTH, HORIZON, LONGER, MEMORY, STATE_AT_LENGTH, Column, remark
from suite.leaderboards.leaderboard import Leaderboard
from suite.results.wording import ends_text, horizon_text, is_unknown
from suite.statistics.resolution import MOST_SEEDS, OpenPair
from suite.statistics.table import OVERALL

TableRow = dict[str, Any]


def ranking_rows(board: Leaderboard, scope: str) -> list[TableRow]:
    """Return the rows of a scope, the best first, for the rankings by memory and by cost.

    ``front`` says that no other row is as good in both skill and speed, and better in one.
    """
    frame = board.rows[board.rows["task"] == scope]
    rows = records(frame, MEMORY)
    pairs = frame[["mean", "sequences_per_second"]].to_numpy(dtype=float)
    for row, pair in zip(rows, pairs, strict=True):
        beaten = any((other >= pair).all() and (other > pair).any() for other in pairs)
        row["guaranteed"] = ends_text(row["guaranteed_low"], row["guaranteed_high"])
        row["front"] = not is_unknown(row["mean"]) and not beaten
    return rows


def overfitting_rows(board: Leaderboard, ladder: str) -> list[TableRow]:
    """Return the rows of a ladder of training-set sizes, or of all ladders together, the best first."""
    return records(board.overfitting[board.overfitting["task"] == ladder])


def overfitting_ladders(board: Leaderboard) -> list[str]:
    """Return the ladders of training-set sizes, all of them together first where there are several."""
    return [str(ladder) for ladder in board.overfitting["task"].unique()] if len(board.overfitting) else []


def beyond_rows(board: Leaderboard, scope: str) -> list[TableRow]:
    """Return the rows of a task that was tested at longer lengths, or of all such tasks, the best first."""
    return records(board.beyond[board.beyond["task"] == scope])


def beyond_scopes(board: Leaderboard) -> list[str]:
    """Return the tasks that were tested at longer lengths, all of them together first where there are several."""
    return [str(scope) for scope in board.beyond["task"].unique()] if len(board.beyond) else []


def longer_columns(board: Leaderboard) -> tuple[Column, ...]:
    """Return the columns of the tables of longer lengths, with the size of the states if one grows."""
    return (*LONGER, STATE_AT_LENGTH) if len(board.rows) and (board.rows[GROWTH] > 0).any() else LONGER


def longer_rows(board: Leaderboard) -> list[TableRow]:
    """Return a row for each task, longer length and architecture, the best first."""
    ascending = {"task": True, "length": True, "skill": False, "architecture": True}
    return records(board.longer.sort_values(list(ascending), ascending=list(ascending.values())))


def horizon_rows(board: Leaderboard, kind: str, ladder: str) -> list[TableRow]:
    """Return the memory horizons of a ladder, the longest first."""
    frame = board.horizons[(board.horizons["kind"] == kind) & (board.horizons["ladder"] == ladder)]
    return records(frame.sort_values(["d50", "d90", "architecture"], ascending=[False, False, True]), HORIZON)


def records(frame: pd.DataFrame, columns: tuple[Column, ...] = ()) -> list[TableRow]:
    """Return the lines of a table, with the remark on their skill and the text of each horizon that they have."""
    rows: list[TableRow] = [{str(key): value for key, value in line.items()} for line in frame.to_dict("records")]
    for row in rows:
        row["remark"] = remark(row)
    for column in columns:
        if column.kind == "horizon" and column.key in frame:
            for row in rows:
                row[f"{column.key}_text"] = "" if is_unknown(row[column.key]) else horizon_text(row, column.key)
    return rows


def resolution_rows(board: Leaderboard) -> list[TableRow]:
    """Return one row per scope: the smallest difference that its seeds find, and the neighbours that stay open."""
    rows: list[TableRow] = []
    for found in board.resolutions:
        pairs = [f"{pair.first} – {pair.second} ({seeds_text(pair)})" for pair in found.open_pairs]
        smallest = found.smallest if math.isfinite(found.smallest) else None
        scope = "overall" if found.scope == OVERALL else found.scope
        open_text = ", ".join(pairs) or "none"
        rows.append(
            {"scope": scope, "seeds": found.seeds, "smallest": smallest, "open": open_text, "open_pairs": len(pairs)}
        )
    return rows


def seeds_text(pair: OpenPair) -> str:
    """Return how many seeds would probably decide between two neighbours."""
    return f"{pair.seeds}" if pair.seeds is not None else f"more than {MOST_SEEDS:,}"
