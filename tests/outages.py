"""Outages: an experiment whose database and whose MLflow server are away for a while, against an undisturbed one.

``python -m tests.outages`` takes PostgreSQL away for a minute and then kills the whole process group of the server for
forty seconds. It needs PostgreSQL's programs on this machine, and starts everything on loopback in a folder of its own.
"""

from __future__ import annotations

import argparse
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

from suite.store.store import Store
from tests import servers
from tests.chaos import EXPERIMENT, leaderboard, memspan


def outages(folder: Path, database_away: float = 60, server_away: float = 40, steps: int = 3000) -> dict[str, Any]:
    """Do the experiment twice, once with outages, and compare; what happened, in figures."""
    (folder / "chaos.toml").write_text(EXPERIMENT.format(steps=steps, seeds=3), encoding="utf-8")
    undisturbed = memspan("run", "chaos.toml", "--store", "whole", "--quiet", cwd=folder, stdout=subprocess.DEVNULL)
    assert undisturbed.wait() == 0
    with (
        servers.postgresql() as database,
        servers.mlflow_server(f"sqlite:///{folder / 'server.db'}", folder / "server") as server,
    ):
        storage = database.create("memspan")
        places = ("--store", "broken", "--storage", storage, "--tracking-uri", server.address)
        store = Store(folder / "broken", storage, server.address)
        log = (folder / "broken.log").open("w+", encoding="utf-8")
        process = memspan("run", "chaos.toml", *places, "--workers", 2, cwd=folder, stdout=log, stderr=log)
        counts = [_finished_after(store, process, 1)]
        store.ledger.engine.dispose()
        database.stop("immediate")
        time.sleep(database_away)
        database.start()
        counts.append(_finished_after(store, process, counts[-1] + 1))
        server.stop()
        time.sleep(server_away)
        server.start()
        code = process.wait(timeout=1200)
        said = (folder / "broken.log").read_text(encoding="utf-8")
        finished = store.tracking.runs("chaos", "attributes.status = 'FINISHED' and tags.key LIKE '%'")
        found = {
            "exit code": code,
            "same leaderboard": leaderboard(folder, "--store", "whole") == leaderboard(folder, *places),
            "finished before the first outage": counts[0],
            "finished before the second outage": counts[1],
            "finished in the end": len(store.finished("chaos")),
            "finished in MLflow": len({run.data.tags["key"] for run in finished}),
            "left running": len(list(store.tracking.runs("chaos", "attributes.status = 'RUNNING'"))),
            "said that the store does not answer": "the store does not answer, trying again" in said,
            "tracebacks": said.count("Traceback"),
            "passwords shown": said.count(database.password),
        }
        store.ledger.engine.dispose()
    return found


def _finished_after(store: Store, process: subprocess.Popen[str], count: int) -> int:
    """Wait until so many runs are finished, and return how many are."""
    while (now := len(store.ledger.outcomes("chaos"))) < count and process.poll() is None:
        time.sleep(0.2)
    return now


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--database-away", type=float, default=60, help="seconds")
    parser.add_argument("--server-away", type=float, default=40, help="seconds")
    parser.add_argument("--steps", type=int, default=3000)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for name, value in outages(Path(folder), given.database_away, given.server_away, given.steps).items():
            print(f"{name:45} {value}")


if __name__ == "__main__":
    main()
