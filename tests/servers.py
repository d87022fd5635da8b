"""Real servers for the tests, on loopback: PostgreSQL, MLflow, and a Ray cluster of several nodes."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

# Shared by the nodes of a cluster and by whoever sends them work; Ray reads it when it is imported.
os.environ |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": uuid.uuid4().hex}


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
def postgresql() -> Iterator[PostgreSQL]:
    """A server with a folder of its own: pytest closes its folders to other users whenever it starts."""
    with tempfile.TemporaryDirectory(prefix="memspan-postgresql-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        server = PostgreSQL(folder, free_port())
        (folder / "password").write_text(server.password, encoding="utf-8")
        if os.getuid() == 0:
            for path in (folder, folder / "password"):
                shutil.chown(path, "postgres", "postgres")
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


@dataclass
class RayCluster:
    """Nodes of one machine on loopback addresses of their own; 127.0.0.1 itself is rewritten by Ray."""

    folder: Path
    port: int
    nodes: dict[str, set[int]]
    """The processes of each node by its address."""

    @property
    def address(self) -> str:
        return f"127.0.0.2:{self.port}"

    def start(self, node: str, *resources: str) -> None:
        before = self._processes()
        head = ["--head", "--port", str(self.port), "--include-dashboard", "false"]
        arguments = head if node == "127.0.0.2" else ["--address", self.address]
        command = [str(Path(sys.executable).parent / "ray"), "start", "--node-ip-address", node, *arguments, *resources]
        ports = [f"--{name}-port={free_port()}" for name in ("node-manager", "object-manager")]
        workers = ["--min-worker-port", "30000", "--max-worker-port", "31999"]
        folder = [f"--temp-dir={self.folder}"] if head is arguments else []
        environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent)}
        done = subprocess.run(
            [*command, *ports, *workers, *folder, "--disable-usage-stats"],
            env=environment,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        self.nodes[node] = self._processes() - before

    def kill(self, node: str) -> None:
        self._kill(self.nodes.pop(node))

    def stop(self) -> None:
        """All nodes, and what they have left."""
        for node in list(self.nodes):
            self.kill(node)
        self._kill(self._processes())

    def _kill(self, processes: set[int]) -> None:
        for pid in processes:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def _processes(self) -> set[int]:
        """Those that are called with the folder: Ray's own, its monitors, and workers that have had nothing to do."""
        found = set()
        for path in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                if str(self.folder).encode() in (path / "cmdline").read_bytes():
                    found.add(int(path.name))
        return found


@contextmanager
def ray_cluster() -> Iterator[RayCluster]:
    """A head without cores, so that work goes to the nodes that are added."""
    with tempfile.TemporaryDirectory(prefix="ray", dir="/tmp") as folder:  # the paths of its sockets must be short
        cluster = RayCluster(Path(folder), free_port(), {})
        try:
            cluster.start("127.0.0.2", "--num-cpus", "0")
            yield cluster
        finally:
            cluster.stop()
