"""Every setting of a run has a name of its own in MLflow, whatever a task and an architecture call their options."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from suite.errors import InputError
from suite.experiment.loading import parse
from suite.experiment.run_config import OF_RESIDUAL_BLOCKS, ModelConfig, RunConfig, Source, TaskConfig, Training
from suite.planning.plan import studies
from suite.store.mlflow_recorder import flat_config

CLASH = '''
from dataclasses import dataclass

from torch.nn import Linear

from memspan import Cell
from tasks.adding import Adding


@dataclass(frozen=True)
class Noisy(Adding):
    """Noisy."""

    {task_option}: float = 0.1


class Leaky(Cell):
    """Leaky."""

    def __init__(self, input_size, hidden_size, *, {cell_option}: float = 0.2):
        super().__init__(input_size, hidden_size)
        self.input = Linear(input_size, hidden_size)

    def initial_state(self, batch_size):
        return self.zeros(batch_size, self.hidden_size)

    def step(self, x, state):
        h = self.input(x) + 0.5 * state
        return h, h
'''


def test_a_task_and_a_cell_with_an_option_of_one_name_show_both() -> None:
    config = RunConfig(
        task=TaskConfig(name="my_task:Noisy", options={"noise": 0.1, "delay": 3}, length=8),
        model=ModelConfig(architecture="my_cell:Leaky", options={"noise": 0.2}, hidden_size=4, delay=1),
        training=Training(),
        seed=7,
        source=Source(task="", architecture=""),
    )
    flat = flat_config(config)
    assert (flat["task.noise"], flat["architecture.noise"]) == ("0.1", "0.2")
    assert (flat["task.delay"], flat["delay"]) == ("3", "1")
    settings = sum(len(part) for part in (config.task.options, config.model.options))
    fields = (*TaskConfig.model_fields, *ModelConfig.model_fields, *Training.model_fields, "seed")
    idle = len(OF_RESIDUAL_BLOCKS)
    assert len(flat) == settings + len(fields) - 2 - idle, "each setting once; the options stand one by one"


def test_the_form_of_the_blocks_is_shown_and_nothing_that_plain_ones_have_not() -> None:
    def flat(**shape: Any) -> dict[str, str]:
        return flat_config(
            RunConfig(
                task=TaskConfig(name="adding", options={}, length=8),
                model=ModelConfig(architecture="gru", options={}, hidden_size=4, **shape),
                training=Training(),
                seed=0,
                source=Source(task="", architecture=""),
            )
        )

    plain = flat(dropout=0.1, norm="layer")
    assert (plain["block"], plain["dropout"]) == ("plain", "0.1")
    assert not {"norm", "mixer"} & plain.keys()
    residual = flat(block="residual", norm="layer", mixer=2.0)
    assert [residual[name] for name in ("block", "norm", "mixer", "dropout")] == ["residual", "layer", "2.0", "0.0"]


@pytest.mark.parametrize(("task", "cell"), [("noise", "clip"), ("noise", "depth"), ("test_lengths", "noise")])
def test_an_option_with_the_name_of_a_setting_is_refused(
    task: str, cell: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = f"clash_{task}_{cell}"
    text = CLASH.format(task_option=task, cell_option=cell)
    (tmp_path / f"{module}.py").write_text(text, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    tables = {
        "tasks": {"noisy": {"task": f"{module}:Noisy", "length": 8}},
        "architectures": {"leaky": {"architecture": f"{module}:Leaky"}},
        "model": {"hidden_size": 4},
    }
    with pytest.raises(InputError, match="an option must not have the name of a setting"):
        studies(parse(tables, "clash"))
