"""What changed between two leaderboards: results with intervals, and what may have caused it."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from rich.console import Console
from rich.markup import escape

from suite.errors import InputError
from suite.leaderboards.columns import NAME, SEEDS, Column
from suite.leaderboards.tables import records
from suite.leaderboards.text.table_styles import columns_table
from suite.results.record import Record, as_plain
from suite.results.score_table import score_table
from suite.statistics.bootstrap import OVERALL, Floats
from suite.statistics.paired_tests import holm, paired_test, verdict_of
from suite.store.environment import SAME_BITS, bits

WORDS = {"above": "better", "below": "worse"}
COLUMNS = (
    NAME,
    Column("before", "before"),
    Column("after", "after"),
    Column("difference", "difference", "signed", "low", "high", interval=True),
    SEEDS,
    Column("verdict", "verdict", "text"),
)
SAME, NEW, GONE = "same runs", "new", "gone"
MOST_SETTINGS = 20
"""Differences of settings that are shown."""


@dataclass(frozen=True)
class Changes:
    """From a first leaderboard to a second."""

    rows: pd.DataFrame
    """Per scope and architecture: ``before``, ``after``, ``difference``, ``low``, ``high``, ``seeds``, ``verdict``."""
    causes: list[str]
    """Settings, sources, versions and machines that differ."""


def changes(first: Record, second: Record) -> Changes:
    """What of the second is not as in the first.

    Differences are paired over the seeds that both have, and over the tasks that both have; the p-values are adjusted
    (Holm) over the architectures of a scope. The verdict is "better" or "worse" where the difference is shown to exceed
    0.02, "tied", "unresolved", or "same runs" where nothing was run anew.

    Raises:
        InputError: if they have no task in common.
    """
    tables = [score_table(record) for record in (first, second)]
    if any(table.empty for table in tables):
        raise InputError("a leaderboard without a finished row cannot be compared")
    tasks = [task for task in tables[0]["task"].unique() if task in set(tables[1]["task"])]
    if not tasks:
        names = ["; ".join(table["task"].unique()) for table in tables]
        raise InputError(
            f"the two leaderboards have no task in common: the first has {names[0]}, the second {names[1]}"
        )
    scopes = [(OVERALL, tasks)] * (len(tasks) > 1) + [(task, [task]) for task in tasks]
    rows = pd.concat([_scope(tables, scope, inside) for scope, inside in scopes], ignore_index=True)
    return Changes(rows, list(_causes(first, second)))


def _scope(tables: list[pd.DataFrame], scope: str, tasks: list[str]) -> pd.DataFrame:
    means = [_means(table, tasks) for table in tables]
    lines: list[dict[str, Any]] = []
    for name in sorted({*means[0].index, *means[1].index}):
        before, after = (float(found.get(name, math.nan)) for found in means)
        line: dict[str, Any] = {"task": scope, "architecture": name, "before": before, "after": after, "p": math.nan}
        if math.isnan(before) or math.isnan(after):
            line["verdict"] = GONE if math.isnan(after) else NEW
        else:
            apart, same = _apart(tables, name, tasks)
            line["seeds"] = min(map(len, apart))
            line["difference"], low, high, line["p"] = paired_test(apart)
            line["low"], line["high"] = max(-1.0, low), min(1.0, high)
            line["verdict"] = SAME if same else ""
        lines.append(line)
    columns = ["task", "architecture", "before", "after", "difference", "low", "high", "seeds", "p", "verdict"]
    found = pd.DataFrame(lines).reindex(columns=columns)
    open_ = found["verdict"] == ""
    adjusted = holm(found.loc[open_, "p"])
    numbers = found.loc[open_, ["difference", "low", "high"]].assign(p=adjusted).to_numpy(dtype=np.float64)
    verdicts = [verdict_of(*row) for row in numbers]
    found.loc[open_, "verdict"] = [WORDS.get(verdict, verdict) for verdict in verdicts]
    return found.drop(columns="p").sort_values(["after", "architecture"], ascending=[False, True])


def _means(table: pd.DataFrame, tasks: list[str]) -> pd.Series[float]:
    """The mean of the means of these tasks, of the architectures that have them all."""
    per_task = table[table["task"].isin(tasks)].groupby(["architecture", "task"])["skill"].mean().unstack("task")
    return per_task.dropna().mean(axis=1)


def _apart(tables: list[pd.DataFrame], architecture: str, tasks: list[str]) -> tuple[list[Floats], bool]:
    """Second minus first on the seeds that both have, per task; and whether all are the same runs."""
    found, same = [], True
    for task in tasks:
        mine = [
            table[(table["architecture"] == architecture) & (table["task"] == task)].set_index("seed")[["skill", "key"]]
            for table in tables
        ]
        both = mine[0].add_suffix("_before").join(mine[1], how="inner")
        found.append((both["skill"] - both["skill_before"]).to_numpy(dtype=np.float64))
        same &= len(both) == len(mine[0]) == len(mine[1]) and bool(
            ((both["key"] == both["key_before"]) & (both["skill"] == both["skill_before"])).all()
        )
    return found, same


def _causes(first: Record, second: Record) -> Iterator[str]:
    settings = [dict(_flat(as_plain(record.experiment))) for record in (first, second)]
    names = [name for name in sorted({*settings[0], *settings[1]}) if settings[0].get(name) != settings[1].get(name)]
    for name in names[:MOST_SETTINGS]:
        before, after = (found.get(name, "–") for found in settings)
        yield f"setting {name}: {before}, then {after}"
    if len(names) > MOST_SETTINGS:
        yield f"and {len(names) - MOST_SETTINGS} further settings"
    sources = [
        {row.name: row.evaluations[0][0].config.source for row in r.rows if row.evaluations} for r in (first, second)
    ]
    if moved := [name for name, source in sources[0].items() if sources[1].get(name, source) != source]:
        yield f"source of the architecture or of the task: {', '.join(moved)}"
    here = [list(record.environments.values()) for record in (first, second)]
    for name in SAME_BITS:
        sides = [_values(environments, name) for environments in here]
        for key in sorted({*sides[0], *sides[1]}):
            if sides[0].get(key, set()) != sides[1].get(key, set()):
                texts = [", ".join(sorted(side.get(key, set()))) or "–" for side in sides]
                yield f"{key}: {texts[0]}, then {texts[1]}"
    files = [_values(environments, "files") for environments in here]
    # A file that has come or gone did nothing by itself: what uses it is another file, or the source of a row.
    yield from (f"code: {key}" for key in sorted({*files[0]} & {*files[1]}) if files[0][key] != files[1][key])


def _values(environments: list[Mapping[str, Any]], name: str) -> dict[str, set[str]]:
    """What an environment says under a name, over all of them; a table by its own names."""
    found: dict[str, set[str]] = {}
    for environment in environments:
        value = (environment if name == "files" else bits(environment)).get(name)
        for key, one in value.items() if isinstance(value, Mapping) else [(name, value)]:
            found.setdefault(key, set()).add(str(one))
    return found


def _flat(value: Any, where: str = "") -> Iterator[tuple[str, str]]:
    """Nested values as ``table.key`` and text."""
    if isinstance(value, Mapping):
        for key, one in value.items():
            yield from _flat(one, f"{where}.{key}" if where else str(key))
    else:
        yield where, json.dumps(value, ensure_ascii=False)


def show(found: Changes, console: Console) -> None:
    """Print a table per scope, then what may have caused it."""
    for scope, rows in found.rows.groupby("task", sort=False):
        console.print(columns_table(COLUMNS, records(rows), escape(str(scope))), "")
    for cause in found.causes:
        console.print(cause, highlight=False, markup=False)
    if not found.causes:
        console.print("Settings, sources, versions and machines are the same.")


def as_json(found: Changes) -> str:
    """For programs."""
    rows = json.loads(found.rows.to_json(orient="records", double_precision=9))
    return json.dumps({"rows": rows, "causes": found.causes}, indent=2, ensure_ascii=False)
