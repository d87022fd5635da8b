"""Sequence architectures: one recurrence per file, found by the file's name (``memspan list``)."""

from suite.architectures._base import Cell

__all__ = ["Cell"]
