"""Processes, and the check that one still runs."""

from __future__ import annotations

import os
import platform
import uuid
from contextlib import suppress
from dataclasses import dataclass
from functools import cache


@cache
def machine() -> str:
    """Name this machine, or this container on it: within one name, a process number means one process."""
    namespace = ""
    with suppress(OSError):
        namespace = os.readlink("/proc/self/ns/pid").strip("pid:[]")
    return f"{platform.node()}/{namespace}"


@dataclass(frozen=True)
class Process:
    """A process of some machine."""

    machine: str
    pid: int

    @classmethod
    def current(cls) -> Process:
        return cls(machine(), os.getpid())

    @property
    def alive(self) -> bool:
        """True if the process may still run. A process of another machine, which cannot be checked, counts as alive."""
        if self.machine != machine():
            return bool(self.machine)
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return False
        except PermissionError:  # It belongs to another user.
            return True
        return True


@dataclass(frozen=True)
class Owner:
    """One command that takes runs: its process, and a token that tells it from a later process of the same number."""

    process: Process
    token: str

    @classmethod
    def new(cls) -> Owner:
        return cls(Process.current(), uuid.uuid4().hex[:8])

    @classmethod
    def parse(cls, text: str) -> Owner:
        """Read an owner from the text that the ledger keeps, see ``str(owner)``."""
        machine, pid, token = text.rsplit(":", 2)
        return cls(Process(machine, int(pid)), token)

    def __str__(self) -> str:
        return f"{self.process.machine}:{self.process.pid}:{self.token}"

    @property
    def host(self) -> str:
        """The name of its machine, without the container."""
        return self.process.machine.split("/")[0]
