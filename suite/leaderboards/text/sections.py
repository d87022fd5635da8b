"""The tables of a leaderboard in the order in which text shows them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from suite.leaderboards.columns import (
    BEYOND,
    COST,
    CRITICAL,
    HORIZON,
    MEMORY,
    NAME,
    OVERFITTING,
    RESOLUTION,
    Column,
    shown_columns,
)
from suite.leaderboards.leaderboard import Leaderboard
from suite.leaderboards.tables import (
    TableRow,
    beyond_rows,
    beyond_scopes,
    horizon_rows,
    longer_columns,
    longer_rows,
    overfitting_ladders,
    overfitting_rows,
    ranking_rows,
    resolution_rows,
)
from suite.results import horizon
from suite.results.wording import delay_text, horizon_figure, stem
from suite.statistics.table import OVERALL

BEYOND_TITLE = "Beyond the training length"
SHOWN_BUDGETS = 6
"""The largest number of budgets in the table of the budget of tuning."""


@dataclass(frozen=True)
class Section:
    """A table with its title and what goes with it."""

    kind: str
    """Tables of one kind stand together and share a legend, see ``columns.INTROS``."""
    title: str
    columns: Sequence[Column] = ()
    rows: Sequence[TableRow] = ()
    note: str = ""
    """A sentence below the table."""
    figure: str = ""
    """The stem of the picture that shows the same."""
    terminal: bool = True
    """The terminal shows it too."""
    overall: bool = False
    """It is over all tasks or ladders, and there are others for single ones."""


def rankings(board: Leaderboard) -> Iterator[Section]:
    """Yield the ranking of each scope."""
    for scope in board.scopes:
        title = f"overall, {len(board.scopes) - 1} tasks" if scope == OVERALL else scope
        rows = ranking_rows(board, scope)
        yield Section("memory", title, shown_columns(MEMORY, rows), rows, overall=scope == OVERALL)


def ladder_sections(board: Leaderboard) -> Iterator[Section]:
    """Yield the memory horizons and the overfitting of a leaderboard; it has them where its experiment has ladders."""
    if len(board.horizons):
        for kind, ladder in board.horizons[["kind", "ladder"]].drop_duplicates().itertuples(index=False):
            yield _horizon(board, str(kind), str(ladder))
    for ladder in overfitting_ladders(board):
        yield _overfitting(board, ladder)


def summary_sections(board: Leaderboard) -> Iterator[Section]:
    """Yield what the page shows in plots, for those who read tables."""
    if board.scopes:
        rows = sorted(ranking_rows(board, board.scopes[0]), key=lambda row: -row["sequences_per_second"])
        yield Section("cost", f"Cost, {board.scopes[0]}", shown_columns(COST, rows), rows, terminal=False)
    if board.scopes and len(board.budget):
        yield _budget(board)
    if board.critical is not None:
        yield _critical(board)
    if board.resolutions:
        yield Section("resolution", "What these seeds can show", RESOLUTION, resolution_rows(board), terminal=False)


def beyond_sections(board: Leaderboard) -> Iterator[Section]:
    """Yield the ranking of each task by its skill beyond the training length, where any task was tested there."""
    for scope in beyond_scopes(board):
        rows = beyond_rows(board, scope)
        title = f"{BEYOND_TITLE}, {f'overall, {len(beyond_scopes(board)) - 1} tasks' if scope == OVERALL else scope}"
        yield Section("beyond", title, shown_columns(BEYOND, rows), rows, overall=scope == OVERALL)


def longer_sections(board: Leaderboard) -> Iterator[Section]:
    """Yield the skill at each length beyond the training length, where any were tested."""
    if len(board.longer):
        yield Section("longer", f"{BEYOND_TITLE}, by length", longer_columns(board), longer_rows(board), terminal=False)


def _horizon(board: Leaderboard, kind: str, ladder: str) -> Section:
    curves = board.horizon_curves
    delays = curves[(curves["kind"] == kind) & (curves["ladder"] == ladder)]["delay"].unique()
    hows = {horizon.TRAINED: "trained at each", horizon.EXTRAPOLATED: "trained at the shortest"}
    how = hows.get(kind, horizon.HOW[horizon.READ])
    span = (
        f"{len(delays)} delays from {delay_text(delays.min())} to {delay_text(delays.max())}, " if len(delays) else ""
    )
    return Section(
        kind="horizon",
        title=f"Memory horizon, {ladder} ({span}{how})",
        columns=HORIZON,
        rows=horizon_rows(board, kind, ladder),
        figure="" if ladder == OVERALL else horizon_figure(kind, ladder),
        overall=ladder == OVERALL,
    )


def _overfitting(board: Leaderboard, ladder: str) -> Section:
    curves = board.overfitting_curves
    sizes = curves[curves["ladder"] == ladder]["train_size"]
    span = f", {sizes.min():,.0f} to {sizes.max():,.0f} sequences" if len(sizes) else ""
    return Section(
        kind="overfitting",
        title=f"Overfitting, {ladder}{span}",
        columns=OVERFITTING,
        rows=overfitting_rows(board, ladder),
        figure="" if ladder == OVERALL else stem("overfitting", ladder),
        overall=ladder == OVERALL,
    )


def _budget(board: Leaderboard) -> Section:
    """Return the expected skill of the best of a few numbers of trials, from the default alone to all of them."""
    scopes = list(board.budget["task"].unique())
    scope = OVERALL if OVERALL in scopes else str(scopes[0])
    curves = board.budget[board.budget["task"] == scope]
    most = int(curves["trials"].max())
    budgets = sorted({round(1 + (most - 1) * i / (SHOWN_BUDGETS - 1)) for i in range(SHOWN_BUDGETS)})
    rows: list[TableRow] = []
    for name, curve in curves.groupby("architecture"):
        row = {"architecture": str(name)}
        for trials, point in curve.set_index("trials").loc[budgets].iterrows():
            row |= {f"{trials}": point["expected"], f"{trials}_low": point["low"], f"{trials}_high": point["high"]}
        rows.append(row)
    tuned = [Column(f"{n}", f"{n} trials", low=f"{n}_low", high=f"{n}_high", interval=True) for n in budgets[1:]]
    columns = [NAME, Column("1", "default"), *tuned]
    return Section("budget", f"Budget of tuning, {scope}", columns, rows, terminal=False)


def _critical(board: Leaderboard) -> Section:
    critical = board.critical
    assert critical is not None
    letters = {
        name: "".join(chr(ord("a") + i) for i, clique in enumerate(critical.cliques) if name in clique)
        for name in critical.ranks
    }
    rows = [{"architecture": name, "rank": rank, "group": letters[name]} for name, rank in critical.ranks.items()]
    title = f"Critical differences, {critical.tasks} tasks (Friedman p = {critical.p:.2g})"
    return Section("critical", title, CRITICAL, rows, terminal=False)
