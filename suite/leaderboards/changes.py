"""The changes between two leaderboards: results with intervals, and what may have caused them."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
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
from suite.results.early_ends import diverged_text
from suite.results.record import Record, as_plain
from suite.results.score_table import score_table
from suite.results.wording import UNKNOWN
from suite.statistics.paired_tests import MARGIN, holm, paired_test, verdict_of
from suite.statistics.table import OVERALL, Floats
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
"""The largest number of differing settings that are shown."""


@dataclass(frozen=True)
class Changes:
    """The changes from a first leaderboard to a second."""

    rows: pd.DataFrame
    """Per scope and architecture: ``before``, ``after``, ``difference``, ``low``, ``high``, ``seeds``, ``verdict``."""
    causes: list[str]
    """Settings, sources, versions and machines that differ."""


def compare_records(first: Record, second: Record, names: Sequence[str] = ("the first", "the second")) -> Changes:
    """Return what changed from the first leaderboard to the second, whose names stand in messages.

    Differences are paired over the seeds that both have, and over the tasks that both have. The p-values are adjusted
    over the architectures of a scope (Holm). The verdict is "better" or "worse" if the difference is shown to exceed
    0.02, and otherwise "tied" or "unresolved"; it is "same runs" where nothing was run anew.

    Raises:
        InputError: if the two have no task in common, or one has no finished row.
    """
    tables = [score_table(record) for record in (first, second)]
    if empty := [name for name, table in zip(names, tables, strict=True) if table.empty]:
        raise InputError(
            f"{' and '.join(empty)} cannot be compared without a finished row; `memspan run` an experiment first, "
            "or give the folder of a written leaderboard"
        )
    tasks = [task for task in tables[0]["task"].unique() if task in set(tables[1]["task"])]
    if not tasks:
        found = ["; ".join(table["task"].unique()) for table in tables]
        raise InputError(
            f"the two leaderboards have no task in common: {names[0]} has {found[0]}, and {names[1]} has {found[1]}"
        )
    scopes = [(OVERALL, tasks)] * (len(tasks) > 1) + [(task, [task]) for task in tasks]
    rows = pd.concat([_scope(tables, scope, inside) for scope, inside in scopes], ignore_index=True)
    return Changes(rows, list(_causes(first, second)))


def _scope(tables: list[pd.DataFrame], scope: str, tasks: list[str]) -> pd.DataFrame:
    """Return one row per architecture of a scope, the best of the second leaderboard first."""
    means = [_means(table, tasks) for table in tables]
    lines: list[dict[str, Any]] = []
    for name in sorted({*means[0].index, *means[1].index}):
        before, after = (float(side.get(name, math.nan)) for side in means)
        line: dict[str, Any] = {"task": scope, "architecture": name, "before": before, "after": after, "p": math.nan}
        line["remark"] = _remark(tables, name, tasks)
        if math.isnan(before) or math.isnan(after):
            line["verdict"] = GONE if math.isnan(after) else NEW
        else:
            differences, same = _differences(tables, name, tasks)
            line["seeds"] = min(map(len, differences))
            line["difference"], low, high, line["p"] = paired_test(differences, MARGIN)
            line["low"], line["high"] = max(-1.0, low), min(1.0, high)
            line["verdict"] = SAME if same else ""
        lines.append(line)
    columns = [
        "task",
        "architecture",
        "before",
        "after",
        "difference",
        "low",
        "high",
        "seeds",
        "p",
        "verdict",
        "remark",
    ]
    rows = pd.DataFrame(lines).reindex(columns=columns)
    tested = rows["verdict"] == ""
    adjusted = holm(rows.loc[tested, "p"])
    numbers = rows.loc[tested, ["difference", "low", "high"]].assign(p=adjusted).to_numpy(dtype=np.float64)
    verdicts = [verdict_of(*row) for row in numbers]
    rows.loc[tested, "verdict"] = [WORDS.get(verdict, verdict) for verdict in verdicts]
    return rows.drop(columns="p").sort_values(["after", "architecture"], ascending=[False, True])


def _means(table: pd.DataFrame, tasks: list[str]) -> pd.Series[float]:
    """Return the mean over tasks of each architecture that has them all."""
    per_task = table[table["task"].isin(tasks)].groupby(["architecture", "task"])["skill"].mean().unstack("task")
    return per_task.dropna().mean(axis=1).clip(lower=0)


def _remark(tables: list[pd.DataFrame], architecture: str, tasks: list[str]) -> str:
    """Return how many runs of an architecture diverged, before and after; empty where none did."""
    texts = []
    for when, table in zip(("before", "after"), tables, strict=True):
        diverged = table.loc[(table["architecture"] == architecture) & table["task"].isin(tasks), "diverged"]
        texts.append(f"{when}, {diverged_text(diverged.sum(), len(diverged))}" if diverged.any() else "")
    return "; ".join(filter(None, texts))


def _differences(tables: list[pd.DataFrame], architecture: str, tasks: list[str]) -> tuple[list[Floats], bool]:
    """Return second minus first on the seeds that both have, per task, and whether all of them are the same runs."""
    differences, same = [], True
    for task in tasks:
        sides = [
            table[(table["architecture"] == architecture) & (table["task"] == task)].set_index("seed")[["skill", "key"]]
            for table in tables
        ]
        both = sides[0].add_suffix("_before").join(sides[1], how="inner")
        differences.append((both["skill"] - both["skill_before"]).to_numpy(dtype=np.float64))
        same &= len(both) == len(sides[0]) == len(sides[1]) and bool(
            ((both["key"] == both["key_before"]) & (both["skill"] == both["skill_before"])).all()
        )
    return differences, same


def _causes(first: Record, second: Record) -> Iterator[str]:
    """Yield a sentence for each difference that may have caused a change."""
    settings = [dict(_flat(as_plain(record.experiment))) for record in (first, second)]
    names = [name for name in sorted({*settings[0], *settings[1]}) if settings[0].get(name) != settings[1].get(name)]
    for name in names[:MOST_SETTINGS]:
        before, after = (side.get(name, UNKNOWN) for side in settings)
        yield f"setting {name}: {before}, then {after}"
    if len(names) > MOST_SETTINGS:
        yield f"and {len(names) - MOST_SETTINGS} further settings"
    sources = [
        {row.name: row.evaluations[0][0].config.source for row in record.rows if row.evaluations}
        for record in (first, second)
    ]
    if moved := [name for name, source in sources[0].items() if sources[1].get(name, source) != source]:
        yield f"source of the architecture or of the task: {', '.join(moved)}"
    environments = [list(record.environments.values()) for record in (first, second)]
    for name in SAME_BITS:
        sides = [_values(side, name) for side in environments]
        for key in sorted({*sides[0], *sides[1]}):
            if sides[0].get(key, set()) != sides[1].get(key, set()):
                texts = [", ".join(sorted(side.get(key, set()))) or UNKNOWN for side in sides]
                yield f"{key}: {texts[0]}, then {texts[1]}"
    files = [_values(side, "files") for side in environments]
    # A file that was added or removed did nothing by itself: what uses it is another file, or the source of a row.
    yield from (f"code: {key}" for key in sorted({*files[0]} & {*files[1]}) if files[0][key] != files[1][key])


def _values(environments: list[Mapping[str, Any]], name: str) -> dict[str, set[str]]:
    """Return what environments say under a name; each entry of a table is a value of its own."""
    values: dict[str, set[str]] = {}
    for environment in environments:
        part = (environment if name == "files" else bits(environment)).get(name)
        for key, value in part.items() if isinstance(part, Mapping) else [(name, part)]:
            values.setdefault(key, set()).add(str(value))
    return values


def _flat(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Yield nested values as ``table.key`` and text."""
    if isinstance(value, Mapping):
        for key, part in value.items():
            yield from _flat(part, f"{path}.{key}" if path else str(key))
    else:
        yield path, json.dumps(value, ensure_ascii=False)


def show(changes: Changes, console: Console) -> None:
    """Print a table per scope, then what may have caused the changes."""
    for scope, rows in changes.rows.groupby("task", sort=False):
        console.print(columns_table(COLUMNS, records(rows), escape(str(scope))), "")
        for _, row in rows[rows["remark"] != ""].iterrows():
            remark = f"{row['architecture']} on {scope}: {row['remark']}"
            console.print(remark, style="yellow", highlight=False, markup=False)
    for cause in changes.causes:
        console.print(cause, highlight=False, markup=False)
    if not changes.causes:
        console.print("Settings, sources, versions and machines are the same.")


def as_json(changes: Changes) -> str:
    """Return the changes as JSON."""
    rows = json.loads(changes.rows.to_json(orient="records", double_precision=9))
    return json.dumps({"rows": rows, "causes": changes.causes}, indent=2, ensure_ascii=False)
