"""The doctor ends with a verdict on all checks."""

from __future__ import annotations

from pathlib import Path

from typer.testing import CliRunner

from suite.cli import app
from suite.console.doctor import verdict


def test_a_verdict_names_what_fails() -> None:
    assert verdict([("Python", "3.11", True), ("store", "can be written", True)]) == (
        "Everything that memspan needs is there."
    )
    checks = [("Python", "3.11", True), ("ledger", "does not answer", False), ("MLflow", "does not answer", False)]
    assert verdict(checks) == "Not as it should be: ledger, MLflow."


def test_the_command_ends_with_the_verdict(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for store, code, line in (
        ("store", 0, "Everything that memspan needs is there."),
        ("file", 1, "Not as it should be: store."),
    ):
        shown = CliRunner().invoke(app, ["doctor", "--store", str(tmp_path / store)], standalone_mode=False)
        assert shown.return_value == code
        assert shown.output.splitlines()[-1] == line
