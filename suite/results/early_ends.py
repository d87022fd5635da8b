"""Runs that ended before their last step: those that diverged, and those that had solved their task."""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd

from suite.errors import many, named
from suite.statistics.table import OVERALL

ROW = ["architecture", "task"]


def with_diverged(rows: pd.DataFrame, runs: pd.DataFrame) -> pd.DataFrame:
    """Return the rows with the number of their ``runs``, and of those among them that diverged (``diverged_runs``)."""
    both = pd.concat([runs, runs.assign(task=OVERALL)])
    counts = both.groupby(ROW, as_index=False).agg(runs=("diverged", "size"), diverged_runs=("diverged", "sum"))
    return rows.merge(counts.astype({"diverged_runs": int}), on=ROW, how="left")


def diverged_text(diverged: float, runs: float) -> str:
    """Return what must stand beside a skill, such as ``3 of 3 runs diverged``; empty where none did."""
    return f"{diverged:.0f} of {many(round(runs), 'run')} diverged" if diverged else ""


def diverged_note(runs: pd.DataFrame) -> Iterable[str]:
    """Yield a sentence that names the rows of which runs diverged, where there are any."""
    if rows := _counted(runs, runs["diverged"] > 0):
        shown = named(rows, separator="; ")
        yield f"The loss of some runs was not finite. They diverged, and each counts as a skill of 0: {shown}."


def stopped_note(runs: pd.DataFrame) -> Iterable[str]:
    """Yield a sentence that names the rows whose nets were not trained to the end, where a longer length was tested."""
    longer = runs.filter(like="skill_at_length_").notna().any(axis=1)
    if rows := _counted(runs[longer], runs["stopped"][longer]):
        shown = named(rows, separator="; ")
        yield (
            "The nets of some rows stopped as soon as they had solved their task, and at longer lengths they are "
            f"compared with nets that were trained to the end: {shown}. With stop_when_solved = false, all of "
            "them are trained alike."
        )


def _counted(runs: pd.DataFrame, chosen: pd.Series[bool]) -> list[str]:
    """Return the rows that have chosen runs, with their number: ``gru on adding (3 of 10 runs)``."""
    counts = chosen.groupby([runs[name] for name in ROW], sort=False).agg(["sum", "size"])
    rows = counts[counts["sum"] > 0].itertuples()
    return [
        f"{architecture} on {task} ({some:.0f} of {many(all_, 'run')})" for (architecture, task), some, all_ in rows
    ]
