"""Cost, the budget of tuning, and critical differences as tables of text."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from suite.leaderboards.leaderboard import Leaderboard
from suite.leaderboards.text.sections import Section
from suite.statistics.bootstrap import OVERALL

COST_LEGEND = """\
seq/s: sequences per second in training with Student's 95 % interval over seeds, at the load of the machine then.
seconds: of training to solve the task, of the whole budget where it was not solved. front: no other is as good in both
skill and speed and better in one."""
BUDGET_LEGEND = """\
The validation skill that the best of so many trials is expected to have, with its 95 % interval over resampled trials,
each of which is one seed. default: the first trial, which is not tuned."""
CRITICAL_LEGEND = """\
Average ranks over tasks, where a ladder is one. Those that share a letter are not shown to differ (Wilcoxon's
signed-rank test, Holm), and none are unless Friedman's test says so."""
SHOWN_BUDGETS = 6
"""Columns of the budget table at most."""


def cost(board: Leaderboard, scope: str) -> pd.DataFrame:
    """The rows of a scope with ``front``: whether no other is as good in both skill and speed, and better in one."""
    rows = board.rows[board.rows["task"] == scope].copy()
    pairs = rows[["mean", "sequences_per_second"]].to_numpy(dtype=float)
    beaten = [any((other >= own).all() and (other > own).any() for other in pairs) for own in pairs]
    rows["front"] = rows["mean"].notna() & ~pd.Series(beaten, index=rows.index, dtype=bool)
    return rows


def summaries(board: Leaderboard) -> Iterator[Section]:
    """What the page shows in plots, for those who read tables."""
    if board.scopes:
        yield _cost(board)
    if board.scopes and len(board.budget):
        yield _budget(board)
    if board.critical is not None:
        yield _critical(board)


def _cost(board: Leaderboard) -> Section:
    scope = board.scopes[0]
    rows = []
    for _, row in cost(board, scope).sort_values("sequences_per_second", ascending=False).iterrows():
        known = pd.notna(row["mean"])
        speed = f"{row['sequences_per_second']:,.0f}"
        if pd.notna(row["sequences_per_second_low"]):
            speed += f" [{row['sequences_per_second_low']:,.0f}, {row['sequences_per_second_high']:,.0f}]"
        rows.append(
            [
                row["architecture"],
                speed,
                f"{row['mean']:.2f} [{row['low']:.2f}, {row['high']:.2f}]" if known else "–",
                f"{row['parameters']:,.0f}",
                f"{row['state_size']:,.0f}",
                f"{row['seconds_to_solve']:.2g}",
                "yes" if row["front"] else "",
                f"{row['seeds']:.0f}",
            ]
        )
    columns = ["architecture", "seq/s [95 %]", "skill [95 %]", "params", "state", "seconds", "front", "seeds"]
    return Section(f"cost, {scope}", columns, rows, COST_LEGEND, terminal=False)


def _budget(board: Leaderboard) -> Section:
    known = list(board.budget["task"].unique())
    scope = OVERALL if OVERALL in known else str(known[0])
    here = board.budget[board.budget["task"] == scope]
    last = int(here["trials"].max())
    shown = sorted({round(1 + (last - 1) * i / (SHOWN_BUDGETS - 1)) for i in range(SHOWN_BUDGETS)})
    rows = []
    for name, curve in here.groupby("architecture"):
        by_trials = curve.set_index("trials")
        texts = [f"{p['expected']:.2f} [{p['low']:.2f}, {p['high']:.2f}]" for _, p in by_trials.loc[shown].iterrows()]
        rows.append([str(name), f"{curve['default'].iloc[0]:.2f}", *texts])
    columns = ["architecture", "default", *(f"{n} trial{'s' * (n > 1)}" for n in shown)]
    return Section(f"budget of tuning, {scope}", columns, rows, BUDGET_LEGEND, terminal=False)


def _critical(board: Leaderboard) -> Section:
    found = board.critical
    assert found is not None
    letters = {
        name: "".join(chr(ord("a") + i) for i, clique in enumerate(found.cliques) if name in clique)
        for name in found.ranks
    }
    rows = [[name, f"{rank:.2f}", letters[name]] for name, rank in found.ranks.items()]
    title = f"critical differences, {found.tasks} tasks (Friedman p = {found.p:.2g})"
    return Section(title, ["architecture", "average rank", "group"], rows, CRITICAL_LEGEND, terminal=False)
