"""Files that are whole or not there, whatever happens while they are written."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import IO


def write_whole(path: Path, content: bytes | Callable[[IO[bytes]], object]) -> None:
    """Write a file beside its place, down to the disk, and move it there.

    What a killed process has left half-written of the same file is cleared away by `remove`.

    Args:
        path: the file; its folder is made when it is not there.
        content: the bytes, or a function that writes them into an open file.

    Raises:
        OSError: if the file cannot be written; what was there stays.
    """
    unfinished = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with unfinished.open("wb") as file:
            content(file) if callable(content) else file.write(content)
            file.flush()
            os.fsync(file.fileno())
        _move(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)


def _move(unfinished: Path, path: Path) -> None:
    try:
        unfinished.replace(path)
    except FileNotFoundError:  # another process has cleared it away, after it had written the same file
        if not path.exists():
            raise


def remove(path: Path, *, itself: bool = True) -> None:
    """Delete what killed processes have left half-written of a file, and the file ``itself``."""
    for file in (*([path] if itself else []), *path.parent.glob(f"{path.name}.*")):
        file.unlink(missing_ok=True)
