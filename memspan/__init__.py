"""memspan: how far back can a sequence architecture remember, and how badly does it overfit?

``memspan.run("quick")`` executes the runs that an experiment lacks, and ``memspan.leaderboard("quick")`` returns its
leaderboard. `Cell` and `Task` are the contracts of your own architectures and tasks. They and their helpers are
imported on first use, and torch with them.
"""

from __future__ import annotations

from memspan._own_packages import call, own_packages

own_packages()

import suite  # noqa: E402
from suite.imports import search_path  # noqa: E402

search_path.first_call = call
search_path.name_what_is_hidden()

TYPE_CHECKING = False
if TYPE_CHECKING:
    from suite import (
        Batch,
        Cell,
        DataSet,
        InputError,
        Layer,
        Parts,
        Regression,
        Task,
        bias,
        gate_biases,
        input_weight,
        leaderboard,
        load_model,
        one_hot,
        recurrent_weight,
        run,
    )

    __version__: str

__all__ = [
    "Batch",
    "Cell",
    "DataSet",
    "InputError",
    "Layer",
    "Parts",
    "Regression",
    "Task",
    "__version__",
    "bias",
    "gate_biases",
    "input_weight",
    "leaderboard",
    "load_model",
    "one_hot",
    "recurrent_weight",
    "run",
]

if not TYPE_CHECKING:

    def __getattr__(name: str) -> object:
        if name not in __all__:
            raise AttributeError(f"module 'memspan' has no attribute {name!r}")
        return getattr(suite, name)

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})
