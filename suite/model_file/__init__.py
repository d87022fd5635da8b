"""The old name of ``suite.model.model_file``: models that older stores list in MLflow are loaded through it."""

from suite.model.model_file import _load_pyfunc

__all__ = ["_load_pyfunc"]
