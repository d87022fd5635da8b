"""The rooms of memspan, and the names that users need of them, which ``import memspan`` re-exports.

Every name is imported on first use, so that ``memspan --help`` is instant.
"""

from __future__ import annotations

from suite.imports.exports import ORIGINS
from suite.surroundings import give_home

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

    import pandas as pd

    from suite.architectures._base import Cell, Layer, bias, gate_biases, input_weight, recurrent_weight
    from suite.errors import InputError
    from suite.model.sequence_model import SequenceModel
    from tasks._base import Batch, Task, one_hot
    from tasks._data_set import DataSet, Parts
    from tasks._regression import Regression

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


give_home()


def run(
    experiment: str | Path, *, store: str | Path = "mlruns", workers: int = 1, check: bool = True, **selection: Any
) -> pd.DataFrame:
    """Execute every run of an experiment that the store lacks, and return its leaderboard.

    An experiment of a notebook may name a class of one of its cells as ``__main__:Mine``. It is written into
    ``notebook/`` of the store, from where workers import it. A notebook shows the progress in one line.

    Args:
        experiment: the name of an experiment (see ``memspan list``), or the path of a TOML file.
        store: the folder of the store.
        workers: the number of runs at a time. 0 means as many as the command takes: one per GPU, or one per core
            without GPUs. The default is 1, which needs no other process: with more, a script must call this below
            ``if __name__ == "__main__":``.
        check: whether to look first if its cells and tasks keep their contracts.
        selection: ``architectures`` and ``tasks`` (labels), ``seeds``, ``trials`` and ``steps``; see
            ``Experiment.select``.

    Raises:
        InputError: if an argument, the experiment, a cell or a task breaks a rule, or the script needs that line. No
            run has been started then.
        RuntimeError: if runs have failed three times. All others are done.
    """
    from suite import engines
    from suite.errors import many

    engines.end_while_importing_script()
    from pathlib import Path

    from suite.console.notebook_line import NotebookLine, notebook_display
    from suite.contracts.look import check_contracts
    from suite.experiment.loading import available, load
    from suite.leaderboards.frame import RankedFrame
    from suite.leaderboards.leaderboard import build_leaderboard
    from suite.planning.plan import studies
    from suite.running import notebook, runner
    from suite.store.origin import check_origin
    from suite.store.store import Store

    selected = notebook.with_files(load(experiment).select(**selection), Path(store))
    if check:
        check_contracts(study.default_config for study in studies(selected))
    opened_store = Store(store)
    check_origin(opened_store, str(experiment), available())
    plan = runner.open_plan(selected, opened_store)
    engine, display = engines.make(workers=workers), notebook_display()
    listener = NotebookLine(plan, engine.free, display) if display and plan.done < plan.planned else None
    given_up = runner.run(plan, opened_store, engine, listener)
    if given_up:
        raise RuntimeError(f"{many(len(given_up), 'run')} failed: {'; '.join(sorted(set(given_up.values())))}")
    return RankedFrame.of(build_leaderboard(plan))


def leaderboard(experiment: str | Path, *, store: str | Path = "mlruns", **selection: Any) -> pd.DataFrame:
    """Return the leaderboard of the finished runs of an experiment: a row per architecture, on each task and overall.

    A notebook shows it as tables with intervals, also a selection of its rows.

    The arguments are those of `run`.

    Raises:
        InputError: if an argument or the experiment breaks a rule, or the store has nothing to rank.
    """
    from pathlib import Path

    from suite.errors import InputError
    from suite.experiment.loading import load
    from suite.leaderboards.frame import RankedFrame
    from suite.leaderboards.leaderboard import build_leaderboard
    from suite.running import notebook, runner
    from suite.store.store import Store

    selected = notebook.with_files(load(experiment).select(**selection), Path(store), reads_only=True)
    board = build_leaderboard(runner.open_plan(selected, Store(store, reads_only=True)))
    if not board.scopes:
        raise InputError(f"nothing to rank in store {str(store)!r}: {' '.join(board.notes)}")
    return RankedFrame.of(board)


def load_model(path: str | Path) -> tuple[SequenceModel, Task]:
    """Return the model of a file that ``memspan run EXPERIMENT --keep-models`` has written, and its task.

    The model is a ``torch.nn.Module`` in eval mode, on the CPU. It takes inputs ``[batch, time, input_size]``, float32,
    and returns outputs ``[batch, time, output_size]`` and the states after the last step. This is its skill on a new
    batch::

        model, task = memspan.load_model("mlruns/models/quick/adding/gru.pt")
        batch = task.sample(64, 30, torch.Generator().manual_seed(0))  # 64 sequences of length 30
        with torch.no_grad():
            outputs, state = model(batch.inputs)
        task.skill(task.score(outputs, batch))  # 0 remembers nothing, 1 is perfect

    You get a warning if the source of the architecture or of the task has changed since the model was made, or if the
    file is too old to tell.

    Raises:
        InputError: if the file is missing, is not a model file that this memspan can read, or needs an architecture or
            a task that cannot be imported.
    """
    from suite.model import model_file

    return model_file.load(path)


if not TYPE_CHECKING:

    def __getattr__(name: str) -> object:
        from importlib import import_module

        if name == "__version__":
            value = import_module("importlib.metadata").version("memspan")
        elif name in ORIGINS:
            value = getattr(import_module(ORIGINS[name]), name)
        else:
            raise AttributeError(f"module 'suite' has no attribute {name!r}")
        globals()[name] = value
        return value

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})
