"""Chaos: an experiment whose workers, command, database and server are killed at random, against an undisturbed one.

``python -m tests.chaos`` is small (40 runs, 20 kills; three minutes on two cores); ``--runs 400 --kills 200`` is not.
It needs PostgreSQL's programs on this machine. Everything is started on loopback and in a folder of its own.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

from suite.leaderboards.leaderboard import MEASURED
from suite.running.runner import open_plan
from suite.store.store import Store
from tests import servers

ROOT = Path(__file__).parent.parent
EXPERIMENT = """
title = "Chaos"
[tasks.adding]
length = 12
[architectures.rnn]
[architectures.gru]
[model]
hidden_size = 8
[training]
steps = {steps}
validate_every = 50
validation_size = 32
test_size = 32
stop_when_solved = false
[sweep]
trials = 5
sampler = "tpe"
generation = 3
pruner = "median"
space.learning_rate = {{ low = 1e-3, high = 1e-2, log = true }}
[evaluation]
seeds = {seeds}
"""


def children(pid: int) -> list[int]:
    """The workers of a command, which are copies of a server that it has started."""
    servers_and_workers = {}
    for path in Path("/proc").glob("[0-9]*"):
        try:
            if b"forkserver" in (path / "cmdline").read_bytes():
                servers_and_workers[int(path.name)] = int((path / "stat").read_text().rsplit(")", 1)[1].split()[1])
        except OSError:  # gone by now
            continue
    return [process for process, parent in servers_and_workers.items() if servers_and_workers.get(parent) == pid]


def memspan(*arguments: object, cwd: Path, **options: Any) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "MEMSPAN_CHECKPOINT_SECONDS": "0.3"}
    command = [sys.executable, "-P", "-m", "suite", *map(str, arguments)]
    return subprocess.Popen(command, cwd=cwd, env=environment, start_new_session=True, text=True, **options)


def leaderboard(cwd: Path, *arguments: object) -> list[dict[str, Any]]:
    """The rows without what is measured by a clock."""
    process = memspan("leaderboard", "chaos.toml", *arguments, "--json", cwd=cwd, stdout=subprocess.PIPE)
    text, _ = process.communicate(timeout=120)
    assert process.returncode == 0
    rows: list[dict[str, Any]] = json.loads(text)["rows"]
    return [{name: value for name, value in row.items() if name not in MEASURED} for row in rows]


def chaos(folder: Path, runs: int = 40, kills: int = 20, steps: int = 400, seed: int = 0) -> dict[str, Any]:
    """Do the experiment twice, once disturbed, and compare; what happened, in figures."""
    started = time.monotonic()
    (folder / "chaos.toml").write_text(EXPERIMENT.format(steps=steps, seeds=runs // 2 - 5), encoding="utf-8")
    undisturbed = memspan("run", "chaos.toml", "--store", "whole", "--quiet", cwd=folder, stdout=subprocess.DEVNULL)
    assert undisturbed.wait() == 0
    with (
        servers.postgresql() as database,
        servers.mlflow_server(database.create("mlflow"), folder / "server") as server,
    ):
        database.create("memspan")
        places = ("--store", "broken", "--storage", database.address("memspan"), "--tracking-uri", server.address)
        found = _disturb(folder, places, database, server, runs, kills, random.Random(seed))
        same = leaderboard(folder, "--store", "whole") == leaderboard(folder, *places)
        store = Store(folder / "broken", database.address("memspan"), server.address)
        finished = Counter(
            run.data.tags["key"]
            for run in store.tracking.runs("chaos", "attributes.status = 'FINISHED' and tags.key LIKE '%'")
        )
        running = list(store.tracking.runs("chaos", "attributes.status = 'RUNNING'"))
        keys = set(store.finished("chaos"))
        found |= {
            "same leaderboard": same,
            "finished runs": len(finished),
            "finished more than once": sum(count > 1 for count in finished.values()),
            "finished in MLflow and in the ledger alike": set(finished) == keys,
            "left running": len(running),
            "checkpoints left": len(list((folder / "broken" / "checkpoints").glob("*"))),
            "seconds": round(time.monotonic() - started),
        }
        store.ledger.engine.dispose()
    return found


def _disturb(
    folder: Path,
    places: tuple[object, ...],
    database: servers.PostgreSQL,
    server: servers.MLflow,
    runs: int,
    kills: int,
    chance: random.Random,
) -> dict[str, Any]:
    from suite.experiment.loading import load

    experiment = load(folder / "chaos.toml")
    told: Counter[str] = Counter()
    changed = 0
    recorded: dict[str, Any] = {}
    arguments = ("run", "chaos.toml", *places, "--workers", 4, "--attempts", 1000, "--quiet")
    log = (folder / "broken.log").open("w", encoding="utf-8")
    process = memspan(*arguments, cwd=folder, stdout=log, stderr=log)
    stops = [kills // 3, 2 * kills // 3]
    restarts = [kills // 2]
    while told["worker killed"] + told["command killed"] < kills:
        time.sleep(chance.uniform(0.2, 1.5))
        count = told["worker killed"] + told["command killed"]
        if stops and count >= stops[0]:
            stops.pop(0)
            database.stop(chance.choice(["fast", "immediate"]))
            time.sleep(2)
            database.start()
            told["database stopped"] += 1
        if restarts and count >= restarts[0]:
            restarts.pop(0)
            server.stop()
            threading.Thread(target=server.start).start()
            told["server restarted"] += 1
        if process.poll() is not None:
            assert process.returncode in (0, -signal.SIGKILL), (folder / "broken.log").read_text()[-3000:]
            if process.returncode == 0:
                told["finished before all kills"] += 1
                break
            store = Store(folder / "broken", database.address("memspan"), server.address)
            now = store.finished("chaos", curves=True)
            changed += sum(now.get(key) != outcome for key, outcome in recorded.items())
            recorded = now
            store.ledger.engine.dispose()
            process = memspan(*arguments, cwd=folder, stdout=log, stderr=log)
        workers = children(process.pid)
        if workers and chance.random() < 0.8:
            os.kill(chance.choice(workers), signal.SIGKILL)
            told["worker killed"] += 1
        elif workers:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            told["command killed"] += 1
    if process.poll() not in (None, 0):
        process = memspan(*arguments, cwd=folder, stdout=log, stderr=log)
    assert process.wait(timeout=1200) == 0, (folder / "broken.log").read_text()[-3000:]
    store = Store(folder / "broken", database.address("memspan"), server.address)
    plan = open_plan(experiment, store)
    now = store.finished("chaos", curves=True)
    changed += sum(now.get(key) != outcome for key, outcome in recorded.items())
    store.ledger.engine.dispose()
    return {"planned runs": plan.planned, "done": plan.done, **told, "recorded results that changed": changed}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=40)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for name, value in chaos(Path(folder), given.runs, given.kills, given.steps, given.seed).items():
            print(f"{name:45} {value}")


if __name__ == "__main__":
    main()
