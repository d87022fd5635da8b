"""The database and the server of a running experiment are away for some seconds, and nothing is lost."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import servers
from tests.outages import outages

pytestmark = pytest.mark.slow


@servers.needs_postgresql
def test_an_experiment_survives_that_its_database_and_its_server_are_away(tmp_path: Path) -> None:
    """`python -m tests.outages` takes them away for a minute and for forty seconds."""
    found = outages(tmp_path, database_away=3, server_away=3, steps=250)
    assert found["exit code"] == 0, found
    assert found["same leaderboard"], found
    assert found["finished in the end"] == found["finished in MLflow"] == 16, found
    assert found["finished before the second outage"] < 16, found
    assert not any(found[name] for name in ("left running", "tracebacks", "passwords shown")), found
