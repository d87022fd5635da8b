"""The tasks, one per file. The file's name is the task's name, and ``memspan list`` shows them all."""

from tasks._base import Batch, Task
from tasks._data_set import DataSet, Parts
from tasks._regression import Regression

__all__ = ["Batch", "DataSet", "Parts", "Regression", "Task"]
