"""Files that are complete or absent, whatever happens while they are written."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import IO


def write_whole(path: Path, content: bytes | Callable[[IO[bytes]], object]) -> None:
    """Write a file to the disk beside its place, and move it there.

    `remove` deletes the half-written files that killed processes leave.

    Args:
        path: the file; its folder is made when it is not there.
        content: the bytes, or a function that writes them into an open file.

    Raises:
        OSError: if the file cannot be written. An earlier file stays.
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
    except FileNotFoundError:  # Another process has written the same file, and deleted this one.
        if not path.exists():
            raise


def remove(path: Path, *, itself: bool = True) -> None:
    """Delete the half-written files that killed processes have left, and the file ``itself``, as far as that works."""
    for file in (*([path] if itself else []), *path.parent.glob(f"{path.name}.*")):
        with suppress(OSError):  # Something else may lie in its place. Nobody needs it to be gone.
            file.unlink()
