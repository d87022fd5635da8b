"""The doctor, which checks what memspan needs before any work starts."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import torch

from suite import kernels
from suite.engines.devices import cores
from suite.errors import DamagedError, InputError, redacted
from suite.registry import architectures
from suite.store.addresses import shown
from suite.store.environment import PACKAGES
from suite.store.store import Store, read_only_part

EXTRAS = {"data": ("sklearn", "statsmodels"), "ray": ("ray",), "postgresql": ("psycopg",)}
"""The modules of each extra of memspan."""
USES = {"data": "digits and sunspots", "ray": "many machines", "postgresql": "a shared store"}
"""The purpose of each extra."""


def run_checks(folder: Path, storage: str | None, tracking: str | None) -> Iterator[tuple[str, str, bool]]:
    """Check packages, devices, kernels and the store.

    Args:
        folder: the folder of the store.
        storage: the address of a database, see `Store`.
        tracking: the address of MLflow, see `Store`.

    Yields:
        The name of each check, its result in words, and True if it is as it should be.
    """
    yield "Python", sys.version.split()[0], True
    for name in PACKAGES:
        yield name, version(name), True
    for extra, modules in EXTRAS.items():
        missing = any(find_spec(name) is None for name in modules)
        text = f"missing: pip install 'memspan[{extra}]' for {USES[extra]}" if missing else "installed"
        yield f"extra {extra}", text, True
    gpus = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
    yield "GPUs", ", ".join(gpus) or "none", True
    yield "workers by default", f"{len(gpus)}, one per GPU" if gpus else f"{cores()}, one per core", True
    for name in architectures.names():
        yield f"path of {name}", kernels.path(architectures.get(name)(4, 8)), True
    yield from _check_store(folder, storage, tracking)


def verdict(checks: Iterable[tuple[str, str, bool]]) -> str:
    """Return the sentence about all checks: everything is there, or the names of those that fail."""
    failed = [name for name, _, good in checks if not good]
    if not failed:
        return "Everything that memspan needs is there."
    return f"Not as it should be: {', '.join(failed)}."


def _check_store(folder: Path, storage: str | None, tracking: str | None) -> Iterator[tuple[str, str, bool]]:
    try:
        store = Store(folder, storage, tracking, reads_only=True)
    except (InputError, DamagedError) as error:
        yield "store", str(error), False
        return
    part = read_only_part(store.folder)
    yield "store", f"{store.folder}: " + (f"you may only read {part}" if part else "can be written"), part is None
    questions: list[tuple[str, str | None, Callable[[], str]]] = [
        ("ledger", store.location.storage, lambda: f"{store.ledger.engine.dialect.name} {store.ledger.version()}"),
        ("MLflow", store.location.tracking, lambda: store.tracking.version()),
    ]
    for name, address, ask in questions:
        where = f"{shown(address)}: " if address else ""
        try:
            yield name, f"{where}answers, {ask()}", True
        except Exception as error:  # A server can fail in many ways, and the text of the error tells how.
            yield name, f"{where}{redacted(str(error))}", False
    if (storage is None) != (tracking is None):
        missing_option = "--storage" if storage is None else "--tracking-uri"
        yield "sharing", f"only commands on this machine can share the store, because {missing_option} is missing", True
