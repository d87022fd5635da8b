"""What surrounds a process of memspan: a user who may have no home, and streams that may not take what is written.

A stream may be closed, its disk may be full, whoever reads it may be gone, and its encoding may lack a character. None
of this is a reason to lose a run.
"""

from __future__ import annotations

import io
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TextIO

ESCAPED = "memspan.escaped"
"""The treatment of characters that an encoding lacks: they are written as in JSON, where ``\\u2212`` is a minus."""


def _escape(error: UnicodeError) -> tuple[str, int]:
    import json

    if not isinstance(error, UnicodeEncodeError):
        raise error
    return json.dumps(error.object[error.start : error.end])[1:-1], error.end


class _Output(io.FileIO):
    """A file that keeps the first error of writing to it, and drops what is written after it."""

    failure: OSError | None = None

    def write(self, data: Any, /) -> int:
        if self.failure is None:
            try:
                return super().write(data)
            except OSError as error:
                self.failure = error
        return len(data)


def give_home() -> None:
    """Give this process a home if its user has none, as in a container whose user is only a number.

    MLflow cannot be imported without a home, and the kernels would not be used.
    """
    if os.path.expanduser("~") != "~":
        return
    user = os.getuid()  # Only a system with numbers for users can lack the home of one.
    home = os.path.join(os.environ.get("TMPDIR") or "/tmp", f"memspan-{user}")
    try:
        os.mkdir(home, 0o700)
    except FileExistsError:
        if os.stat(home, follow_symlinks=False).st_uid != user:  # What lies there is not to be trusted.
            return
    os.environ["HOME"] = home


def protect_streams() -> None:
    """Let nothing that is written to stdout or stderr raise an error from now on."""
    import codecs

    codecs.register_error(ESCAPED, _escape)
    _open_standard_files()
    sys.stdout, sys.stderr = _protected(sys.stdout), _protected(sys.stderr)


def failure_of_stdout() -> OSError | None:
    """Return the error that kept stdout from being written whole; None without one, or if its reader has left."""
    sys.stdout.flush()
    output = _file_of(sys.stdout)
    failure = output.failure if isinstance(output, _Output) else None
    return None if isinstance(failure, BrokenPipeError) else failure


def _open_standard_files() -> None:
    """Open the standard files that are closed, because the next file to be opened would take the place of stdout."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # It gets the lowest number that is free.


def _protected(stream: TextIO | None) -> TextIO:
    if stream is None:  # It was closed when Python started.
        return open(os.devnull, "w", encoding="utf-8")
    file = _file_of(stream)
    if type(file) is not io.FileIO or not isinstance(stream, io.TextIOWrapper):  # Somebody has replaced it already.
        return stream
    stream.flush()
    by_line = stream.line_buffering or stream.write_through
    output = io.BufferedWriter(_Output(file.fileno(), "wb", closefd=False))
    return io.TextIOWrapper(output, stream.encoding, ESCAPED, line_buffering=by_line)


def _file_of(stream: TextIO) -> object:
    """Return the file at the bottom of a stream. An unbuffered one (PYTHONUNBUFFERED) has nothing between."""
    buffer = getattr(stream, "buffer", None)
    return getattr(buffer, "raw", buffer)
