"""The peak memory of a stretch of work."""

from __future__ import annotations

import resource
import sys
from contextlib import suppress
from pathlib import Path
from types import TracebackType

import torch


class PeakMemory:
    """Measures the peak memory while it is entered, in MiB (2²⁰ bytes), as ``peak_mb``.

    On a GPU: what torch allocated. On a CPU: the resident set of the process, whose recorded peak Linux lets us reset;
    elsewhere the peak of the process since its start.
    """

    def __init__(self, device: str) -> None:
        self.device = device
        self.peak_mb = float("nan")

    def __enter__(self) -> PeakMemory:
        if self.device == "cuda":
            torch.cuda.reset_peak_memory_stats()
        else:
            # Not Linux, or not allowed: the peak since the start of the process is what remains.
            with suppress(OSError):
                Path("/proc/self/clear_refs").write_text("5")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.peak_mb = (torch.cuda.max_memory_allocated() if self.device == "cuda" else _resident_peak()) / 2**20


def _resident_peak() -> int:
    try:
        status = Path("/proc/self/status").read_text()
        return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")) * 1024
    except (OSError, StopIteration):
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else peak * 1024  # bytes on macOS, KiB elsewhere
