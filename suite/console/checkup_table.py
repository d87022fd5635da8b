"""The report of a checkup in a terminal."""

from __future__ import annotations

from collections.abc import Mapping

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from suite.checkup.report import Report, Row
from suite.errors import many

STYLES = {"passed": "green", "failed": "bold red", "measured": "cyan"}


def show(report: Report, console: Console) -> None:
    """Print a line for each rule and each measurement, and then what is known of each rule that is broken."""
    options = " ".join(f"{key}={value}" for key, value in report.options.items())
    console.print(f"{report.kind} {report.name} {options}".strip(), style="bold", highlight=False, markup=False)
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    for no_wrap in (True, True, False):
        table.add_column(no_wrap=no_wrap)
    for row in report.rows:
        figure = row.figure if row.state != "failed" else ""  # That of a failure stands below, beside its rule.
        table.add_row(f"[{STYLES.get(row.state, 'dim')}]{row.state}", escape(row.name), escape(figure))
    console.print(table, highlight=False)
    for row in report.failed:
        console.print()
        _show_failure(row, console)
    console.print()
    kept = sum(row.state == "passed" for row in report.rows)
    if report.failed:
        text = f"{many(len(report.failed), 'rule')} broken, {kept} kept."
    else:
        text = f"All {kept} rules that apply are kept."
    console.print(text, style="red" if report.failed else "green", highlight=False)


def _show_failure(row: Row, console: Console) -> None:
    lines = [("rule", row.rule), *(("received", text) for text in row.received)]
    if row.figure:
        lines.append(("figure", row.figure))
    if row.smallest:
        lines.append(("shown by", _sizes(row.smallest)))
    console.print(row.name, style="bold red", highlight=False, markup=False)
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 2))
    for heading, text in lines:
        table.add_row(heading, escape(text))
    console.print(table, highlight=False)


def _sizes(sizes: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {value}" for name, value in sizes.items())
