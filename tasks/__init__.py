"""What has to be remembered: one task per file, found by the file's name (``memspan list``)."""

from tasks._base import Batch, Task
from tasks._data_set import DataSet, Parts
from tasks._regression import Regression

__all__ = ["Batch", "DataSet", "Parts", "Regression", "Task"]
