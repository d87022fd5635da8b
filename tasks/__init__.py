"""What has to be remembered: one task per file, found by the file's name (``memspan list``)."""

from tasks._base import Batch, Task

__all__ = ["Batch", "Task"]
