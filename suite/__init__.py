"""memspan: how far back can a sequence architecture remember, and how badly does it overfit?

``suite.run("quick")`` does what is missing of an experiment; ``suite.leaderboard("quick")`` is its table.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from suite.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

    from suite.model.sequence_model import SequenceModel
    from tasks import Task


def run(experiment: str | Path, *, store: str | Path = "mlruns", workers: int = 1, **selection: Any) -> pd.DataFrame:
    """Do every run of an experiment that the store lacks, and return its leaderboard.

    Args:
        experiment: a name (``memspan list``) or the path of a TOML file.
        store: the folder of the tracking store.
        workers: runs at a time; with more than one, call this below ``if __name__ == "__main__":``.
        selection: ``architectures``, ``tasks`` (labels), ``seeds``, ``trials``, ``steps``: see ``Experiment.select``.

    Raises:
        InputError: if anything that was given is wrong; nothing has been started then.
        RuntimeError: if runs have failed three times; the others are done.
    """
    from suite import engines
    from suite.experiment.loading import load
    from suite.leaderboards.leaderboard import build_leaderboard
    from suite.running import runner
    from suite.store.store import Store

    opened = Store(store)
    plan = runner.open_plan(load(experiment).select(**selection), opened)
    failed = runner.run(plan, opened, engines.make(workers=workers))
    if failed:
        raise RuntimeError(f"{len(failed)} runs failed: {'; '.join(sorted(set(failed.values())))}")
    return build_leaderboard(plan).rows


def leaderboard(experiment: str | Path, *, store: str | Path = "mlruns", **selection: Any) -> pd.DataFrame:
    """The leaderboard of what an experiment has recorded: one row per (task or overall, architecture)."""
    from suite.experiment.loading import load
    from suite.leaderboards.leaderboard import build_leaderboard
    from suite.running import runner
    from suite.store.store import Store

    board = build_leaderboard(runner.open_plan(load(experiment).select(**selection), Store(store)))
    if not board.scopes:
        raise InputError(f"nothing to rank in store {str(store)!r}: {' '.join(board.notes)}")
    return board.rows


def load_model(path: str | Path) -> tuple[SequenceModel, Task]:
    """The model of a file that ``memspan run EXPERIMENT --keep-models`` has written, and its task.

    The model is a ``torch.nn.Module`` in eval mode, on the CPU; it gives outputs ``[batch, time, output_size]`` and the
    states after the last step for inputs ``[batch, time, input_size]``, float32. How well it does on a new batch::

        model, task = suite.load_model("mlruns/models/quick/adding/gru.pt")
        batch = task.sample(64, 30, torch.Generator().manual_seed(0))  # 64 sequences of length 30
        with torch.no_grad():
            outputs, state = model(batch.inputs)
        task.skill(task.score(outputs, batch))  # 0 remembers nothing, 1 is perfect

    Warns if the source of its architecture or task has changed since the model was made.

    Raises:
        InputError: if there is no such file, it is none of this memspan, or what it needs is not to be had.
    """
    from suite.model import model_file

    return model_file.load(path)
