"""The tabs of the page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from suite.leaderboards.columns import COST, MEMORY, OVERFITTING

FEW = 10
"""Fewer seeds than these are marked."""


def _tables(data: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The tabs that the data have: name, title, columns, scopes and the rows of the first."""
    found = [
        ("memory", "Long-term memory", MEMORY, data["memory"]),
        ("overfitting", "Overfitting", OVERFITTING, data["overfitting"]),
        ("cost", "Cost", COST, data["cost"]),
    ]
    tables = []
    for name, title, columns, scopes in found:
        if scopes:
            ordered = [scope for scope in data["scopes"] if scope in scopes]
            ordered += [scope for scope in scopes if scope not in ordered]
            some = any(row.get("horizon") for rows in scopes.values() for row in rows)
            shown = [column for column in columns if column.key != "horizon" or some]
            tables.append(
                {"name": name, "title": title, "columns": shown, "scopes": ordered, "rows": scopes[ordered[0]]}
            )
    return tables
