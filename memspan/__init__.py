"""memspan: how far back can a sequence architecture remember, and how badly does it overfit?

``memspan.run("quick")`` does what is missing of an experiment, and ``memspan.leaderboard("quick")`` is its table.
`Cell` and `Task` are the contracts of an architecture and of a task of one's own; they and their helpers are loaded,
and torch with them, when they are first used.
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
