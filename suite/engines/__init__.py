"""The places where runs execute: this process, worker processes of this machine, or a Ray cluster."""

from __future__ import annotations

from suite.engines._base import Engine, EngineTask, Signals, StepListener, TaskResult, TaskStatus
from suite.engines.devices import cores, slots
from suite.engines.inline import Inline
from suite.engines.ray import Ray
from suite.engines.starting import start_server, starting
from suite.engines.workers import Workers, end_while_importing_script
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
    "end_while_importing_script",
    "make",
    "prepare",
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
    """Make the engine called ``name``, which is one of `NAMES`.

    Args:
        workers: the number of runs at a time. 0 means one per GPU, or one per core if there is no GPU. With 1, the
            engine ``local`` stays in this process.
        devices: the devices of ``local``; see `slots`.
        address, gpus: the cluster of ``ray`` and the GPUs of each run; see `Ray`.

    Raises:
        InputError: if the name is unknown, or an option does not belong to the engine.
    """
    if name not in NAMES:
        raise unknown("engine", name, NAMES)
    for option, value, owner in (("address", address, "ray"), ("gpus", gpus, "ray"), ("devices", devices, "local")):
        if value is not None and owner != name:
            raise InputError(f"--{option} belongs to --engine {owner}; got it with --engine {name}")
    if name == "ray":
        return Ray(address, workers, gpus)
    visible_devices = slots(workers, devices)
    return Inline(visible_devices[0]) if len(visible_devices) == 1 else Workers(visible_devices)


def prepare(name: str, workers: int) -> None:
    """Begin with what the engine called ``name`` needs for its workers, if it is likely to have some.

    A command calls this first, so that the server of the workers imports the libraries while the command does.
    """
    if name == "local" and workers != 1 and cores() > 1:
        with starting():
            start_server()
