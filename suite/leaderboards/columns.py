"""The columns of every table, each declared once.

The terminal, Markdown, LaTeX, the page and the glossary of the guide all read these declarations. A new column is one
line here, and a value under its key in the rows of `suite.leaderboards.tables`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from suite.results.early_ends import diverged_text
from suite.results.wording import NOT_STATED, UNKNOWN, ends_text, growth_text, is_unknown, number_text
from suite.statistics.paired_tests import MARGIN
from suite.statistics.table import FEW_SEEDS

WORDS = ("name", "skill", "text", "flag")
"""The kinds of columns that stand on the left; numbers stand on the right."""


GROWTH = "state_growth"
"""The name of the numbers that each step adds to a state."""


@dataclass(frozen=True)
class Column:
    """A column of a table."""

    key: str
    """The name of its value in a row."""
    label: str
    kind: str = "number"
    """How its values are shown: as "rank", "name", "skill", "horizon", "text" or "flag", or as a number of one of the
    kinds of `number_text`; a "state" is a count with what each step adds to it."""
    low: str = ""
    high: str = ""
    """The names of the ends of its interval, where it has one."""
    sort: str = ""
    """The name of the value by which the page sorts it; its own where this is empty."""
    best: str = ""
    """The better end, "high" or "low", which the page shows first; empty where neither is better."""
    help: str = ""
    interval: bool = False
    """Tables of text show the interval too. The page always shows it."""
    obvious: bool = False
    """The label says enough, and legends leave the column out."""
    optional: str = ""
    """The rows without which the column is left out: "any" with a value, "some" with a number above 0, or "several"
    that differ."""
    dispensable: int = 0
    """Where a terminal is too narrow for a table, its columns with the largest numbers here are left out first."""
    only_page: bool = False

    @property
    def heading(self) -> str:
        return f"{self.label} [95 %]" if self.interval else self.label

    @property
    def left(self) -> bool:
        return self.kind in WORDS

    @property
    def keys(self) -> list[str]:
        """The names of all the values that its cells are made from."""
        beside = {"horizon": f"{self.key}_text", "state": GROWTH}.get(self.kind, "")
        return [name for name in (self.key, self.low, self.high, self.sort, beside) if name]


def _interval(key: str, label: str, kind: str = "number", stem: str = "", **more: Any) -> Column:
    """Declare a column whose interval has the names ``STEM_low`` and ``STEM_high``."""
    return Column(key, label, kind, f"{stem or key}_low", f"{stem or key}_high", **more)


def _without_interval(column: Column, **changes: Any) -> Column:
    return replace(column, low="", high="", interval=False, **changes)


# fmt: off
RANK = Column("rank", "rank", "rank", "rank_low", "rank_high", best="low",
              help="The places that the test leaves possible. At 2–4 of nine, one architecture is above this one and "
              "five are below it.")
NAME = Column("architecture", "architecture", "name", obvious=True)
FAMILY = Column("family", "family", "text", optional="several", dispensable=3,
                help="The kind of memory that the architecture has, such as gated, linear or attention.")
SKILL = Column("mean", "skill", "skill", "low", "high", best="high", interval=True,
               help="0 remembers nothing, and 1 is perfect. The number is a mean over seeds, with the 95 % interval of "
               "the mean of more seeds like these, at the settings that tuning chose.")
GUARANTEED = Column("guaranteed", "guaranteed", "text", sort="guaranteed_low", best="high", only_page=True,
                    help="The 95 % interval of the mean skill that also allows for a failure or a success that no seed "
                    "has shown yet.")
GROUP = Column("group", "group", "text",
               help="The test: architectures that share a letter do not differ significantly (paired over seeds, "
               f"adjusted after Holm within this table): no difference is shown to exceed {MARGIN}.")
IQM = _interval("iqm", "IQM", best="high", only_page=True, obvious=True,
                help="The interquartile mean, which is the mean of the middle half of all runs.")
SEEDS = Column("seeds", "seeds", "count", best="high", obvious=True,
               help=f"The seeds that were evaluated; overall, the fewest of any task. Fewer than {FEW_SEEDS} are an "
               "indication and not a result.")
SOLVED = _interval("solve_rate", "solved", "percent", "solve", best="high",
                   help="The share of runs that met the task's criterion on validation data.")
STEPS = _interval("steps", "steps", "count", best="low",
                  help="The training steps until the task was solved. A run that never solved it counts with its whole "
                  "budget.")
GAP = _interval("gap", "gap", best="low", dispensable=1,
                help="Skill on the training data minus skill on the test data, at the best validation point.")
D50 = Column("horizon_d50", "d50", "horizon", best="high", interval=True, optional="any", dispensable=4,
             help="The memory horizon, which is the delay at which half of the skill is left.")
PARAMETERS = Column("parameters", "params", "count", best="low", obvious=True, dispensable=1,
                    help="The trained parameters.")
FROZEN = Column("frozen_parameters", "frozen", "count", best="low", optional="some", dispensable=2,
                help="The numbers that no training changes, such as the random weights of an echo state net.")
STATE = Column("state_size", "state", "state", best="low", dispensable=1,
               help="The numbers that are carried from one step to the next. Where each step adds some, as in "
               "attention, they are counted after a training sequence. Those of a layer without a step are not stated.")
SPEED = _interval("sequences_per_second", "seq/s", "count", best="high", interval=True,
                  help="Sequences per second while training. They depend on the machine, its load and the version of "
                  "memspan, so compare rows that were trained together.")
SECONDS = Column("seconds_to_solve", "seconds to solve", "short", best="low",
                 help="The seconds of training until the task was solved, or of the whole budget where it was not.")
FRONT = Column("front", "front", "flag", best="high",
               help="No other architecture is at least as good in both skill and speed, and better in one of them.")
TEST_LOSS = _interval("test_loss", "test loss", best="low", interval=True,
                      help="The loss of the early-stopped nets on test data.")
GAP_AT_END = Column("final_gap_skill", "gap at end", best="low", dispensable=1,
                    help="The same gap after the last step of training.")

MEMORY = (
    RANK, NAME, FAMILY, SKILL, GUARANTEED, GROUP, IQM, SEEDS, SOLVED, STEPS, GAP, D50, PARAMETERS, FROZEN, STATE,
    _without_interval(SPEED, obvious=True, dispensable=2),
)
COST = (NAME, FAMILY, SKILL, SPEED, PARAMETERS, FROZEN, STATE, _without_interval(STEPS), SECONDS, FRONT, SEEDS)
OVERFITTING = (
    RANK, NAME, SKILL, GROUP, SEEDS, TEST_LOSS, _without_interval(GAP, key="gap_skill", dispensable=0), GAP_AT_END,
)
BEYOND = (
    RANK, NAME, FAMILY, SKILL, GROUP, SEEDS,
    Column("trained_skill", "when trained", best="high", dispensable=1,
           help="The skill on test data that are as long as those of training."),
)
LONGER = (
    Column("task", "task", "text"), Column("trained", "trained at", "text"), Column("length", "length", "count"), NAME,
    replace(SKILL, key="skill", obvious=True), SEEDS,
)
STATE_AT_LENGTH = replace(STATE, obvious=True, help="")
"""The column of the tables of longer lengths that shows how far a state has grown, if one does."""
HORIZON = (
    NAME,
    Column("d50", "d50", "horizon", interval=True,
           help="The delay at which the fitted curve keeps half of its plateau. The plateau is at least 0.9 of skill, "
           "so that a net that never learned has a short horizon."),
    Column("d90", "d90", "horizon", interval=True, help="The delay at which it keeps nine tenths of its plateau."),
    SEEDS,
)
RESOLUTION = [
    Column("scope", "task", "text", obvious=True),
    SEEDS,
    Column("smallest", "found from", help="The smallest true difference in skill that is found with "
           "a probability of 0.8."),
    Column("open", "open neighbours (seeds that would decide)", "text", obvious=True),
]
CRITICAL = (
    NAME, Column("rank", "average rank"),
    Column("group", "group", "text",
           help="Architectures that share a letter do not differ significantly (Wilcoxon's signed-rank test, adjusted "
           "after Holm). Nobody differs unless Friedman's test says so."),
)
# fmt: on

INTROS = {
    "overfitting": "Every number is a mean over the logarithm of the size of the training set. The skill is that of "
    "early-stopped nets on test data, which a net that has learned nothing cannot win.",
    "beyond": "Every skill is a mean over the lengths beyond that of training at which the same nets were tested. A "
    "net whose skill stays what it was when trained has learned the task and not its length.",
    "cost": "Speeds are those of the machine and its load at the time of training.",
    "horizon": "“≥” and “<” mark a horizon beyond the longest or the shortest delay that was tried. The overall "
    "horizon is the geometric mean over ladders; “~” marks one that was cut off at both ends. A horizon that is read "
    "from one trained net takes its answers apart by their lags, and no net was trained at each delay.",
    "budget": "The validation skill that the best of so many trials is expected to have. The first is the default, "
    "which is not tuned, and the others are drawn from those that were made. The interval holds 95 % of the draws, so "
    "it closes where all are drawn. It does not contain the luck of the seed, of which each trial has one.",
    "critical": "Ranks are averaged over tasks, and a ladder counts as one task.",
    "resolution": "A true difference of the size that is found would be shown with a probability of 0.8, between two "
    "architectures whose differences vary as those of the median pair do. Neighbours in the ranking are open if the "
    "test left them unresolved. The seeds that would probably decide are estimated from those that there are. "
    "A dash says that these seeds would show no difference, however large it is.",
    "recommended": "Each range spans the trials that come within 0.05 of the validation skill of the best one. Every "
    "trial has one seed. The overall range is what the tasks have in common.",
    "importances": "The share of each hyper-parameter in what sets the best quarter of the trials apart (PED-ANOVA), "
    "with its 95 % interval over resampled trials.",
}
"""The first sentences of the legend of each table, before it explains the columns."""


def cell(row: Mapping[str, Any], column: Column) -> tuple[str, str]:
    """Return the text of a cell, and the text of its interval, which is empty where there is none."""
    value = row.get(column.key)
    low, high = row.get(column.low), row.get(column.high)
    if column.kind == "rank":
        if is_unknown(low):
            return UNKNOWN, ""
        return (f"{low:.0f}" if low == high else f"{low:.0f}–{high:.0f}"), ""
    if column.kind in ("name", "text"):
        return str(value or ""), ""
    if column.kind == "flag":
        return ("yes" if value else ""), ""
    if column.kind == "horizon":
        point, bracket, ends = str(row.get(f"{column.key}_text") or UNKNOWN).partition(" [")
        return point, bracket.strip() + ends
    if column.kind == "skill" and is_unknown(value) and row.get("missing"):
        return f"{UNKNOWN} (no {row['missing']})", ""
    if column.kind == "state":
        return (NOT_STATED, "") if is_unknown(value) else (number_text(value, "count"), growth_text(row.get(GROWTH)))
    if is_unknown(value):
        return UNKNOWN, ""
    return number_text(value, column.kind), ends_text(low, high, column.kind)


def cell_text(row: Mapping[str, Any], column: Column, before_remark: str = " ") -> str:
    """Return the text of a cell of a table of text, with its interval where the column asks for it.

    A skill has its remark behind it, in parentheses, and a state what each step adds.
    """
    text, ends = cell(row, column)
    if column.kind == "state" and ends:
        return f"{text}{before_remark}{ends}"
    number = f"{text} {ends}" if column.interval and ends else text
    said = row.get("remark") if column.kind == "skill" else ""
    return f"{number}{before_remark}({said})" if said else number


def remark(row: Mapping[str, Any]) -> str:
    """Return what a reader has to know of the skill of a row, such as ``3 of 3 runs diverged``; mostly empty."""
    diverged = row.get("diverged_runs")
    return "" if diverged is None or is_unknown(diverged) else diverged_text(diverged, row["runs"])


def shown_columns(columns: Iterable[Column], rows: Sequence[Mapping[str, Any]]) -> list[Column]:
    """Return the columns of a table of text that has these rows."""
    return [column for column in columns if not column.only_page and is_needed(column, rows)]


def is_needed(column: Column, rows: Iterable[Mapping[str, Any]]) -> bool:
    """Return False for an optional column without the rows that it is for, see `Column.optional`."""
    values = [row.get(column.key) for row in rows] if column.optional else []
    match column.optional:
        case "any":
            return any(not is_unknown(value) for value in values)
        case "some":
            return any(not is_unknown(value) and value for value in values)
        case "several":
            return len(set(filter(None, values))) > 1
    return True


def terms(columns: Iterable[Column]) -> list[tuple[str, str]]:
    """Return the label and the explanation of each column whose label does not say enough."""
    return [(column.label, column.help) for column in columns if column.help and not column.obvious]


def variant_terms(rows: Iterable[Mapping[str, Any]], variants: Mapping[str, str]) -> list[tuple[str, str]]:
    """Return a sentence on each architecture of some rows whose label does not say what it is.

    Args:
        rows: the rows of tables.
        variants: the architecture and the settings of such labels, such as ``lstm readout=cell``.
    """
    labels = dict.fromkeys(str(row["architecture"]) for row in rows)
    parts = [(label, *variants[label].partition(" ")) for label in labels if label in variants]
    return [(label, f"The architecture {name}{f' with {own}' if own else ''}.") for label, name, _, own in parts]


def explained() -> dict[str, str]:
    """Return the explanation of every column of every table, by its label."""
    words: dict[str, str] = {}
    for column in (*MEMORY, *COST, *OVERFITTING, *BEYOND, *HORIZON, *CRITICAL, *LONGER):
        if column.help:
            words.setdefault(column.label, column.help)
    return words


def glossary() -> list[str]:
    """Return the lines of the glossary of the guide, a Markdown table of every column of the four rankings."""
    helps = {column.label: column.help for column in (*BEYOND, *OVERFITTING, *COST, *MEMORY)}
    ordered = dict.fromkeys(column.label for column in (*MEMORY, *COST, *OVERFITTING, *BEYOND) if column is not NAME)
    return ["| column | what it says |", "|---|---|", *(f"| {label} | {helps[label]} |" for label in ordered)]
