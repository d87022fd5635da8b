"""What memspan exports for cells and tasks of one's own, and where it is defined."""

from __future__ import annotations

ORIGINS = {
    "Batch": "tasks._base",
    "Cell": "suite.architectures._base",
    "DataSet": "tasks._data_set",
    "InputError": "suite.errors",
    "Layer": "suite.architectures._base",
    "Parts": "tasks._data_set",
    "Regression": "tasks._regression",
    "Task": "tasks._base",
    "bias": "suite.architectures._base",
    "gate_biases": "suite.architectures._base",
    "input_weight": "suite.architectures._base",
    "one_hot": "tasks._base",
    "recurrent_weight": "suite.architectures._base",
}
"""The module that defines each name that is loaded when it is first used."""
