"""One thread per test process, seeded global generators, and property tests that find the same thing every time."""

from __future__ import annotations

from collections.abc import Generator, Iterator

import pytest
import torch
from hypothesis import settings

from suite.store.environment import environment
from tests import servers

torch.set_num_threads(1)
settings.register_profile("memspan", deadline=None, derandomize=True, database=None, max_examples=20)
settings.load_profile("memspan")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the slow tests, so that at the end no process waits for the last of them."""
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Name the processor in every failure, because rounding depends on it."""
    report = yield
    if report.failed:
        here = environment()
        report.sections.append(("Processor", f"{here['processor']}, {here['cpu']}, {here['cpu_capability']}"))
    return report


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


@pytest.fixture(scope="session", autouse=True)
def _tables_of_mlflow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Let MLflow make its tables once, because that takes seconds, and copy them into every store of this process."""
    from suite.store import mlflow_tracking
    from tests import tables

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mlflow_tracking, "create_database", mlflow_tracking.create_database)
        patch.setenv(tables.MADE, str(tmp_path_factory.mktemp("tables") / "mlflow.db"))
        tables.copy_tables()
        yield


@pytest.fixture(scope="session")
def postgresql() -> Iterator[servers.PostgreSQL]:
    """A PostgreSQL server of this test process."""
    if servers.postgresql_programs() is None:
        pytest.skip("PostgreSQL is not installed")
    with servers.postgresql() as server:
        yield server


@pytest.fixture(scope="session")
def shared_store(
    postgresql: servers.PostgreSQL, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, servers.MLflow]]:
    """The address of a database for the ledger, and an MLflow server that has another one."""
    database = postgresql.create("mlflow")
    with servers.mlflow_server(database, tmp_path_factory.mktemp("mlflow")) as server:
        yield postgresql.create("memspan"), server


@pytest.fixture(scope="session")
def ray_cluster() -> Iterator[servers.RayCluster]:
    """Three nodes on this machine, one without cores and two with two each."""
    pytest.importorskip("ray")
    with servers.ray_cluster() as cluster:
        for node in ("127.0.0.3", "127.0.0.4"):
            cluster.start(node, "--num-cpus", "2")
        yield cluster
