"""The devices on which workers calculate."""

from __future__ import annotations

import os

from suite.errors import InputError

CPU = "cpu"


def cores() -> int:
    """Count the cores that this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # Only Linux has this function.
        return os.cpu_count() or 1


def available() -> str:
    """Return ``"cuda"`` if this process sees a GPU, and ``"cpu"`` otherwise."""
    import torch

    return "cuda" if torch.cuda.is_available() else CPU


def slots(workers: int, devices: str | None) -> list[str | None]:
    """Return the CUDA_VISIBLE_DEVICES of each worker, with None for a worker that calculates on the CPU.

    Args:
        workers: the number of workers. 0 means one per GPU, or one per core if there is no GPU.
        devices: the GPUs to use, as in ``"0,2,3"``, which are shared evenly if there are more workers. ``"cpu"`` means
            no GPU, and None means all of them.

    Raises:
        InputError: if ``devices`` has another form, repeats a GPU, or names more GPUs than there are workers.
    """
    names = [name.strip() for name in devices.split(",")] if devices else _gpus()
    if names == [CPU]:
        names = []
    wrong = [name for name in names if not name.replace("-", "").isalnum() or name == CPU]
    if wrong or len(set(names)) < len(names):
        raise InputError(f"--devices must be 'cpu' or different GPUs such as '0,2,3'; got {devices!r}")
    if devices and workers and workers < len(names):
        raise InputError(
            f"--devices needs a worker for each GPU; got {len(names)} GPUs and {workers} worker{'s' * (workers > 1)}"
        )
    count = workers or len(names) or cores()
    return [names[i % len(names)] if names else None for i in range(count)]


def _gpus() -> list[str]:
    import torch

    visible = os.environ.get("CUDA_VISIBLE_DEVICES", "")
    count = torch.cuda.device_count()
    return visible.split(",")[:count] if visible else [str(index) for index in range(count)]
