"""The tabs of the page: one ranking each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from suite.leaderboards.columns import BEYOND, COST, INTROS, MEMORY, OVERFITTING, Column, is_needed, terms


@dataclass(frozen=True)
class Tab:
    """A ranking in all its scopes."""

    name: str
    title: str
    source: str
    """The part of the page's data that has its rows."""
    columns: Sequence[Column]
    scopes: Sequence[str]
    rows: Sequence[Mapping[str, Any]]
    """The rows of the first scope."""

    @property
    def intro(self) -> str:
        return INTROS.get(self.name, "")

    @property
    def terms(self) -> list[tuple[str, str]]:
        return terms(self.columns)


def tabs(data: Mapping[str, Any]) -> list[Tab]:
    """Return the tabs that the data have rows for."""
    every_tab = [
        ("memory", "Long-term memory", "rankings", MEMORY),
        ("beyond", "Beyond the training length", "beyond", BEYOND),
        ("overfitting", "Overfitting", "overfitting", OVERFITTING),
        ("cost", "Cost", "rankings", COST),
    ]
    return [Tab(*tab[:3], *_shown(tab[3], data["scopes"], data[tab[2]])) for tab in every_tab if data[tab[2]]]


def _shown(
    columns: Sequence[Column], order: Sequence[str], rows: Mapping[str, Sequence[Mapping[str, Any]]]
) -> tuple[list[Column], list[str], Sequence[Mapping[str, Any]]]:
    """Return the columns that the rows need, the scopes in order, and the rows of the first scope."""
    scopes = [*(scope for scope in order if scope in rows), *(scope for scope in rows if scope not in order)]
    all_rows = [row for part in rows.values() for row in part]
    return [column for column in columns if is_needed(column, all_rows)], scopes, rows[scopes[0]]
