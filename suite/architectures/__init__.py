"""The architectures, one recurrence per file. The file's name is the public name (``memspan list`` shows them)."""

from suite.architectures._base import Cell, Layer

__all__ = ["Cell", "Layer"]
