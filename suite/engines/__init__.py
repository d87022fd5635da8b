"""Where runs execute: in this process, in worker processes of this machine, or on a Ray cluster."""

from __future__ import annotations

from suite.engines._base import Engine, EngineTask, Signals, StepListener, TaskResult, TaskStatus
from suite.engines.devices import slots
from suite.engines.inline import Inline
from suite.engines.ray import Ray
from suite.engines.workers import Workers
from suite.errors import InputError, unknown

__all__ = [
    "NAMES",
    "Engine",
    "EngineTask",
    "Inline",
    "Ray",
    "Signals",
    "StepListener",
    "TaskResult",
    "TaskStatus",
    "Workers",
    "make",
]

NAMES = ("local", "ray")


def make(
    name: str = "local",
    *,
    workers: int = 0,
    devices: str | None = None,
    address: str | None = None,
    gpus: float | None = None,
) -> Engine:
    """The engine of this name.

    Args:
        workers: runs at a time; 0 is one per GPU, or per core where there is none. 1 stays in this process (``local``).
        devices: of ``local``, see `slots`.
        address, gpus: of ``ray``, see `Ray`.

    Raises:
        InputError: if something does not go together.
    """
    if name not in NAMES:
        raise unknown("engine", name, NAMES)
    for option, value, owner in (("address", address, "ray"), ("gpus", gpus, "ray"), ("devices", devices, "local")):
        if value is not None and owner != name:
            raise InputError(f"--{option} belongs to --engine {owner}; got it with --engine {name}")
    if name == "ray":
        return Ray(address, workers, gpus)
    found = slots(workers, devices)
    return Inline(found[0]) if len(found) == 1 else Workers(found)
