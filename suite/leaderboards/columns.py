"""The columns of the tables of the page."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Column:
    """What a column of a table shows; `scripts/tables.js` reads the same."""

    key: str
    label: str
    kind: str = "number"
    """One of rank, name, skill, text, number, percent, count, short, horizon, flag."""
    low: str = ""
    high: str = ""
    sort: str = ""
    """What it is sorted by, ``key`` where this is empty."""
    best: str = ""
    """"high" or "low": that way up first when its heading is pressed; "" has no better end, and starts low."""
    help: str = ""


def _interval(key: str, label: str, kind: str = "number", best: str = "", help: str = "", stem: str = "") -> Column:
    return Column(key, label, kind, f"{stem or key}_low", f"{stem or key}_high", best=best, help=help)


_RANK = Column("rank", "rank", "rank", "rank_low", "rank_high", "rank_low", "low", "where resampling the seeds puts it")
_NAME = Column("architecture", "architecture", "name")
_SKILL = Column("mean", "skill [95 %]", "skill", "low", "high", best="high", help="0 remembers nothing, 1 is perfect")
_GROUP = Column("group", "group", "text", help="who shares a letter is not shown to differ")
_SEEDS = Column("seeds", "seeds", "count", best="high")
_SIZE = (
    Column("parameters", "params", "count", best="low", help="trained parameters"),
    Column("state_size", "state", "count", best="low", help="numbers carried from step to step"),
)
_HORIZON = Column(
    "horizon", "d50", "horizon", sort="horizon_d50", best="high", help="delay at which half of the skill is left"
)

MEMORY = (
    _RANK,
    _NAME,
    _SKILL,
    _GROUP,
    _interval("iqm", "IQM", best="high", help="interquartile mean over runs: the middle half"),
    _SEEDS,
    _interval("solve_rate", "solved", "percent", "high", "runs that met the task's criterion", "solve"),
    _interval("steps", "steps", "count", "low", "training steps to solve it; the budget where it was not solved"),
    _interval("gap", "gap", "number", "low", "skill on the training data minus skill on the test data"),
    _HORIZON,
    *_SIZE,
    Column("speed", "seq/s", "count", best="high", help="sequences per second while training"),
)
COST = (
    _NAME,
    _SKILL,
    _interval("speed", "seq/s", "count", "high", "sequences per second while training"),
    *_SIZE,
    Column("steps", "steps", "count", best="low", help="training steps to solve it; the budget where it was not"),
    Column(
        "seconds_to_solve",
        "seconds to solve",
        "short",
        best="low",
        help="of training; for the whole budget where it was not solved",
    ),
    Column("front", "front", "flag", best="high", help="no other is both faster and better"),
)
OVERFITTING = (
    Column(
        "rank_low", "rank", "rank", "rank_low", "rank_high", "rank_low", "low", "where resampling the seeds puts it"
    ),
    _NAME,
    _SKILL,
    _GROUP,
    _SEEDS,
    _interval("test_loss", "test loss", "number", "low", "early-stopped, on test data"),
    Column("gap", "gap", best="low", help="skill on the training data minus skill on the test data, early-stopped"),
    Column("final_gap", "gap at end", best="low", help="the same after the last step"),
)
