"""Real servers for the tests, on loopback: PostgreSQL, MLflow, and a Ray cluster of several nodes."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def postgresql_programs() -> Path | None:
    """The folder of ``initdb`` and ``pg_ctl``."""
    found = shutil.which("initdb")
    folders = [Path(found).parent] if found else sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return next((folder for folder in folders if (folder / "pg_ctl").exists()), None)


needs_postgresql = pytest.mark.skipif(postgresql_programs() is None, reason="PostgreSQL is not installed")


@dataclass
class PostgreSQL:
    """A server with a password, so that one can leak."""

    folder: Path
    port: int
    password: str = "s3cret-word"

    def address(self, database: str) -> str:
        return f"postgresql://postgres:{self.password}@127.0.0.1:{self.port}/{database}"

    def run(self, program: str, *arguments: str) -> None:
        programs = postgresql_programs()
        assert programs is not None
        command = [str(programs / program), *arguments]
        if os.getuid() == 0:  # it refuses root
            command = ["runuser", "-u", "postgres", "--", *command]
        subprocess.run(command, check=True, capture_output=True, cwd=self.folder, timeout=60)

    def start(self) -> None:
        options = (
            f"-p {self.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={self.folder} "
            "-c max_connections=200 -c fsync=off"
        )
        self.run(
            "pg_ctl", "-D", str(self.folder / "data"), "-w", "-l", str(self.folder / "log"), "-o", options, "start"
        )

    def stop(self, mode: str = "fast") -> None:
        self.run("pg_ctl", "-D", str(self.folder / "data"), "-m", mode, "stop")

    def create(self, database: str) -> str:
        """A new database; its address."""
        import psycopg

        with psycopg.connect(self.address("postgres"), autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{database}"')
        return self.address(database)


@contextmanager
def postgresql(folder: Path) -> Iterator[PostgreSQL]:
    folder.mkdir(parents=True, exist_ok=True)
    server = PostgreSQL(folder, free_port())
    (folder / "password").write_text(server.password, encoding="utf-8")
    if os.getuid() == 0:
        for path in (folder, folder / "password"):
            shutil.chown(path, "postgres", "postgres")
        for parent in folder.parents:  # pytest's folders are their owner's alone
            if parent.stat().st_uid == 0 and "pytest" in str(parent):
                parent.chmod(parent.stat().st_mode | 0o011)
    arguments = ["-A", "scram-sha-256", "-U", "postgres", f"--pwfile={folder / 'password'}", "-N"]
    server.run("initdb", "-D", str(folder / "data"), *arguments)
    server.start()
    try:
        yield server
    finally:
        server.stop("immediate")


@dataclass
class MLflow:
    """A tracking server."""

    store: str
    folder: Path
    port: int
    process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        arguments = ["--backend-store-uri", self.store, "--artifacts-destination", str(self.folder / "artifacts")]
        self.process = subprocess.Popen(
            [
                *(sys.executable, "-m", "mlflow", "server", *arguments),
                *("--host", "127.0.0.1", "--port", str(self.port), "--workers", "1"),
            ],
            cwd=self.folder,
            env={**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"},
            stdout=(self.folder / "server.log").open("ab"),
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        deadline = time.monotonic() + 120
        while True:
            try:
                urllib.request.urlopen(f"{self.address}/health", timeout=2).close()
                return
            except OSError:
                assert time.monotonic() < deadline, (self.folder / "server.log").read_text()
                assert self.process.poll() is None, (self.folder / "server.log").read_text()
                time.sleep(0.3)

    def stop(self) -> None:
        if self.process is not None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()


@contextmanager
def mlflow_server(store: str, folder: Path) -> Iterator[MLflow]:
    folder.mkdir(parents=True, exist_ok=True)
    server = MLflow(store.replace("postgresql://", "postgresql+psycopg://"), folder, free_port())
    server.start()
    try:
        yield server
    finally:
        server.stop()
