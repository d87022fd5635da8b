"""The peak memory of a part of a run."""

from __future__ import annotations

import resource
import sys
from contextlib import suppress
from pathlib import Path
from types import TracebackType

import torch


class PeakMemory:
    """A context that measures the peak memory in it, ``peak_mb``, in MiB (2²⁰ bytes).

    On a GPU, it is the memory that torch has allocated. On a CPU, it is the resident set of the process. Linux lets a
    process reset the recorded peak; elsewhere, the peak counts from the start of the process.
    """

    def __init__(self, device: str) -> None:
        self.device = device
        self.peak_mb = float("nan")

    def __enter__(self) -> PeakMemory:
        if self.device == "cuda":
            torch.cuda.reset_peak_memory_stats()
        else:
            with suppress(OSError):  # This is not Linux, or the process may not write there.
                Path("/proc/self/clear_refs").write_text("5")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.peak_mb = (torch.cuda.max_memory_allocated() if self.device == "cuda" else _resident_peak()) / 2**20


def _resident_peak() -> int:
    """Return the largest resident set of this process, in bytes."""
    try:
        status = Path("/proc/self/status").read_text()
        return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")) * 1024
    except (OSError, StopIteration):
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else peak * 1024  # The unit is bytes on macOS, and KiB elsewhere.
