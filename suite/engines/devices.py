"""On what workers calculate."""

from __future__ import annotations

import os

from suite.errors import InputError

CPU = "cpu"


def cores() -> int:
    """Cores that this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not Linux
        return os.cpu_count() or 1


def available() -> str:
    """``"cuda"`` where this process sees a GPU, otherwise ``"cpu"``."""
    import torch

    return "cuda" if torch.cuda.is_available() else CPU


def slots(workers: int, devices: str | None) -> list[str | None]:
    """The CUDA_VISIBLE_DEVICES of each worker; None for one that calculates on the CPU.

    Args:
        workers: how many; 0 is one per device, or one per core where there is none.
        devices: ``"0,2,3"`` are these GPUs, shared evenly if there are more workers; ``"cpu"`` none; None all.

    Raises:
        InputError: if ``devices`` is neither, or names more of them than there are workers.
    """
    names = [name.strip() for name in devices.split(",")] if devices else _gpus()
    if names == [CPU]:
        names = []
    wrong = [name for name in names if not name.replace("-", "").isalnum() or name == CPU]
    if wrong or len(set(names)) < len(names):
        raise InputError(f"--devices must be 'cpu' or different GPUs such as '0,2,3'; got {devices!r}")
    if devices and workers and workers < len(names):
        raise InputError(
            f"--devices names {len(names)} GPUs for {workers} worker{'s' * (workers > 1)}; one each at least"
        )
    count = workers or len(names) or cores()
    return [names[i % len(names)] if names else None for i in range(count)]


def _gpus() -> list[str]:
    import torch

    visible = os.environ.get("CUDA_VISIBLE_DEVICES", "")
    count = torch.cuda.device_count()
    return visible.split(",")[:count] if visible else [str(index) for index in range(count)]
