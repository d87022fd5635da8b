"""Gradient flow: against closed forms, against Jacobians taken another way, and in runs that it must not change."""

from __future__ import annotations

import io
import json
import math
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from torch import Tensor, nn
from torch.testing import assert_close

from suite.architectures import Cell
from suite.claims.claim import load as load_claim
from suite.cli import info as cli
from suite.console.gradient_table import as_json, show
from suite.diagnostics.gradient_survey import Arm, survey
from suite.diagnostics.gradients import (
    LARGEST_EXACT_STATE,
    effective_memory,
    exact_state_gradient,
    gradient_flow,
    loss_gradient,
    mean_log,
    state_gradient,
)
from suite.diagnostics.scan import Scan
from suite.diagnostics.survey_row import SurveyRow, Through, over_seeds
from suite.engines import Signals
from suite.errors import InputError
from suite.experiment.loading import load
from suite.experiment.run_config import ModelConfig, RunConfig, TaskConfig, Training
from suite.model.sequence_model import SequenceModel, build_model
from suite.model.states import leaves
from suite.planning.job import Job
from suite.plots.gradients import survey_figure
from suite.plots.style import save
from suite.registry import architectures, tasks
from suite.running.execute import execute
from suite.store.lease import Leases
from suite.store.mlflow_reading import finished_runs
from suite.store.store import Store
from suite.training.gradient_callback import HALF_FROM, as_data
from suite.training.train import train
from tasks import Batch
from tests.helpers import discovered, with_leaves

INPUT, HIDDEN, TIME, BATCH = 2, 3, 6, 2


class Orthogonal(Cell[Tensor]):
    """h_t = ρ Q h_{t−1} + W x_t: every singular value of the product of τ Jacobians is ρ^τ."""

    def __init__(self, input_size: int, hidden_size: int, *, rho: float) -> None:
        super().__init__(input_size, hidden_size)
        self.rho = rho
        self.Q = nn.Parameter(nn.init.orthogonal_(torch.empty(hidden_size, hidden_size, dtype=torch.float64)))
        self.W = nn.Parameter(torch.randn(hidden_size, input_size, dtype=torch.float64))

    def initial_state(self, batch_size: int) -> Tensor:
        return self.zeros(batch_size, self.hidden_size)

    def step(self, x: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        h = self.rho * state @ self.Q.T + x @ self.W.T
        return h, h


class Rotation(Cell[Tensor]):
    """h_t = ρ e^{iθ} h_{t−1} + x_t, with a complex state."""

    def __init__(self, input_size: int, hidden_size: int, *, rho: float) -> None:
        super().__init__(input_size, hidden_size)
        self.rho = rho
        self.theta = nn.Parameter(torch.rand(hidden_size, dtype=torch.float64))

    def initial_state(self, batch_size: int) -> Tensor:
        return torch.zeros(batch_size, self.hidden_size, dtype=torch.complex128)

    def step(self, x: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        h = torch.polar(torch.full_like(self.theta, self.rho), self.theta) * state + x.sum(1, keepdim=True)
        return h.real, h


class ShiftRegister(Cell[tuple[Tensor, ...]]):
    """The last k inputs and nothing else; it has no parameters."""

    k = 4

    def initial_state(self, batch_size: int) -> tuple[Tensor, ...]:
        return tuple(torch.zeros(batch_size) for _ in range(self.k))

    def step(self, x: Tensor, state: tuple[Tensor, ...]) -> tuple[Tensor, tuple[Tensor, ...]]:
        kept = (*state[1:], x[:, 0])
        return torch.stack(kept, dim=1).sum(1, keepdim=True).expand(-1, self.hidden_size), kept


class Stateless(Cell[tuple[()]]):
    """Nothing is carried."""

    def initial_state(self, batch_size: int) -> tuple[()]:
        return ()

    def step(self, x: Tensor, state: tuple[()]) -> tuple[Tensor, tuple[()]]:
        return x[:, :1].expand(-1, self.hidden_size), ()


class Counted(Cell[tuple[Tensor, Tensor]]):
    """The tanh net with a whole number beside its state, which counts steps."""

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__(input_size, hidden_size)
        self.rnn = architectures.get("rnn")(input_size, hidden_size)

    def initial_state(self, batch_size: int) -> tuple[Tensor, Tensor]:
        return self.rnn.initial_state(batch_size), torch.zeros(batch_size, 1, dtype=torch.long)

    def step(self, x: Tensor, state: tuple[Tensor, Tensor]) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        output, h = self.rnn.step(x, state[0])
        return output, (h, state[1] + 1)


class Counter(Counted):
    """Nothing is carried but the whole number."""

    def initial_state(self, batch_size: int) -> Any:
        return (super().initial_state(batch_size)[1],)

    def step(self, x: Tensor, state: Any) -> Any:
        return x[:, :1].expand(-1, self.hidden_size), (state[0] + 1,)


class Turning(Counter):
    """It begins with whole numbers and goes on with others."""

    def step(self, x: Tensor, state: Any) -> Any:
        return x[:, :1].expand(-1, self.hidden_size), (0.5 * state[0] + x[:, :1],)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def inputs_of(time: int = TIME, batch: int = BATCH) -> Tensor:
    return torch.randn(batch, time, INPUT)


def keeps_size(name: str) -> bool:
    """Whether a state keeps its size. Gradients through one that grows are not measured."""
    return architectures.get(name).family != "attention"


SMALL: dict[str, dict[str, Any]] = {
    "delta_net": {"heads": 1, "conv": 2},
    "linear_attention": {"heads": 1},
    "mamba": {"d_state": 2},
    "mlstm": {"heads": 1},
    "s4d": {"d_state": 2},
    "tcn": {"kernel": 2, "levels": 2},
}
"""Options with which states are so small that they have whole Jacobians."""


def random_model(name: str, options: dict[str, Any], **shape: Any) -> SequenceModel:
    """A model with every parameter random, so that none hides behind an initial value of zero."""
    model = build_model(name, {**options, **SMALL.get(name, {})}, INPUT, HIDDEN, 1, **shape)
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.5)
    return model.double()


def jacobian(model: SequenceModel, inputs: Tensor, start: int) -> Tensor:
    """∂s_T/∂s_start of the first sequence, by autograd through the whole stretch; forward directions."""
    features = inputs[:1].double()
    reached, backward = [], []
    for forward, *other in model.layers:
        reached.append(Cell.forward(forward, features[:, :start])[1] if start else forward.initial_state(1))
        said = [Cell.forward(cell, features.flip(1))[0].flip(1) for cell in other]
        backward.append([outputs[:, start:] for outputs in said])
        features = torch.cat([Cell.forward(forward, features)[0], *said], dim=2).detach()
    before = tuple(leaf.detach() for leaf in leaves(reached))

    def last(*given: Tensor) -> tuple[Tensor, ...]:
        features, after = inputs[:1, start:].double(), []
        for layer, state, said in zip(model.layers, with_leaves(reached, given), backward, strict=True):
            outputs, state = Cell.forward(layer[0], features, state)
            after.append(state)
            features = torch.cat([outputs, *said], dim=2)
        return tuple(leaves(after))

    blocks = torch.autograd.functional.jacobian(last, before)
    sizes = [leaf.numel() for leaf in before]
    rows = [[b.reshape(n, m) for b, m in zip(row, sizes, strict=True)] for row, n in zip(blocks, sizes, strict=True)]
    return torch.cat([torch.cat(row, dim=1) for row in rows])


@pytest.mark.parametrize("cell", [Orthogonal, Rotation])
@pytest.mark.parametrize("rho", [0.6, 1.0, 1.2])
@pytest.mark.parametrize("bidirectional", [False, True])
def test_a_scaled_rotation_gives_powers_of_rho(cell: type[Cell[Any]], rho: float, bidirectional: bool) -> None:
    model = SequenceModel(partial(cell, rho=rho), INPUT, 5, 1, bidirectional=bidirectional)  # type: ignore[call-arg]
    inputs = inputs_of(time=100)
    expected = rho ** torch.arange(101, dtype=torch.float64)
    norms = state_gradient(model, inputs, generator())
    assert_close(norms, expected[:, None].expand(-1, BATCH), rtol=1e-6, atol=0)
    values = exact_state_gradient(model, inputs)
    assert_close(values, expected[:, None, None].expand_as(values), rtol=1e-6, atol=0)
    decay = effective_memory(mean_log(norms))
    assert decay.slope == pytest.approx(math.log(rho), rel=1e-6, abs=1e-9)
    assert decay.memory == (pytest.approx(-1 / math.log(rho)) if rho < 1 else math.inf)


def test_a_shift_register_has_exactly_no_gradient_beyond_its_length() -> None:
    model = SequenceModel(ShiftRegister, INPUT, 3, 1)
    inputs = inputs_of(time=10)
    norms = state_gradient(model, inputs, generator())
    values = exact_state_gradient(model, inputs)
    k = ShiftRegister.k
    assert bool((norms[:k] > 0).all())
    assert not norms[k:].any()
    assert values[:, 0].tolist() == [[1.0] * max(0, k - tau) + [0.0] * min(k, tau) for tau in range(11)]
    decay = effective_memory(mean_log(norms))
    assert (math.isnan(decay.slope), decay.memory) == (True, k - 1)


@pytest.mark.parametrize(
    ("name", "options"), [case for case in discovered(architectures) if keeps_size(case.values[0])]
)
def test_random_projections_sample_the_frobenius_norm(name: str, options: dict[str, Any]) -> None:
    """E ‖vᵀJ‖² = ‖J‖²_F / S, for every τ and sequence, to five standard errors."""
    model = random_model(name, options, depth=2)
    inputs, projections = inputs_of(), 1000
    expected = exact_state_gradient(model, inputs).square().mean(2)
    squares = state_gradient(model, inputs, generator(), projections).square().unflatten(1, (projections, BATCH))
    error = squares.std(1) / math.sqrt(projections)
    assert bool(((squares.mean(1) - expected).abs() <= 5 * error + 1e-12).all())


@pytest.mark.parametrize("shape", [{}, {"depth": 2}, {"depth": 2, "bidirectional": True}], ids=str)
@pytest.mark.parametrize("name", filter(keeps_size, architectures.names()))
def test_the_product_of_jacobians_is_the_jacobian_of_the_whole_stretch(name: str, shape: dict[str, Any]) -> None:
    model = random_model(name, architectures.options(name, {}), **shape)
    inputs = inputs_of()
    values = exact_state_gradient(model, inputs)
    for tau in range(1, TIME + 1):
        expected = torch.linalg.svdvals(jacobian(model, inputs, TIME - tau))
        assert_close(values[tau, 0], expected, rtol=1e-7, atol=1e-12)


@pytest.mark.parametrize("shape", [{}, {"depth": 3}, {"depth": 2, "bidirectional": True}, {"delay": 3}], ids=str)
def test_a_scan_answers_as_the_model_does(shape: dict[str, Any]) -> None:
    model = random_model("lstm", {}, **shape)
    inputs = inputs_of()
    scan = Scan(model, inputs)
    assert_close(scan.model.decoder(scan.features), model(inputs.double())[0])
    assert len(scan.states) == TIME + 1 + shape.get("delay", 0)


@pytest.mark.parametrize(("task_name", "options"), [("adding", {}), ("sequence_memory", {"lag": 2})])
def test_the_gradient_of_the_loss_is_that_of_running_on_from_each_state(task_name: str, options: Any) -> None:
    task = tasks.get(task_name)(**options)
    batch = task.sample(BATCH, TIME, generator())
    model = build_model("lstm", {}, task.input_size, HIDDEN, task.output_size, depth=2).double()
    norms = loss_gradient(model, task, batch)
    steps = batch.inputs.shape[1]
    assert norms.shape == (steps, BATCH)
    targets = batch.targets.double() if batch.targets.is_floating_point() else batch.targets
    for row in range(BATCH):
        own = Batch(batch.inputs[row : row + 1].double(), targets[row : row + 1], batch.mask[row : row + 1])
        for t in range(steps):
            answered, state = model(own.inputs[:, :t]) if t else (own.inputs.new_zeros(1, 0, 0), model.initial_state(1))
            before = [leaf.detach().requires_grad_() for leaf in leaves(state)]
            outputs = model(own.inputs[:, t:], with_leaves(state, before))[0]
            loss = task.loss(torch.cat([answered.detach(), outputs], dim=1) if t else outputs, own)
            gradient = torch.cat([g.flatten() for g in torch.autograd.grad(loss, before)])
            assert norms[t, row].item() == pytest.approx(gradient.norm().item(), rel=1e-9)


def test_both_curves_come_from_one_pass() -> None:
    task = tasks.get("adding")()
    batch = task.sample(4, TIME, generator())
    model = build_model("gru", {}, 2, HIDDEN, 1)
    flow = gradient_flow(model, task, batch, generator())
    assert_close(flow.state, mean_log(state_gradient(model, batch.inputs, generator())))
    assert_close(flow.loss, mean_log(loss_gradient(model, task, batch.rows(slice(2)))).flip(0))


def test_model_and_generators_are_left_as_they_were() -> None:
    model = build_model("lstm", {}, INPUT, HIDDEN, 1)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    random = torch.get_rng_state()
    task = tasks.get("adding")()
    batch = task.sample(BATCH, TIME, generator())
    with torch.no_grad():  # as a caller may have it
        exact_state_gradient(model, batch.inputs)
        gradient_flow(model, task, batch, generator())
    assert torch.equal(torch.get_rng_state(), random)
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())
    assert model.training
    assert all(p.grad is None and p.requires_grad and p.dtype == torch.float32 for p in model.parameters())


def test_states_that_are_too_large_or_not_there_are_refused() -> None:
    large = build_model("rnn", {}, INPUT, LARGEST_EXACT_STATE + 1, 1)
    with pytest.raises(InputError, match="at most 128 numbers; got 129"):
        exact_state_gradient(large, inputs_of())
    for nothing in (Stateless, Counter, Turning):
        with pytest.raises(InputError, match="the model has none"):
            state_gradient(SequenceModel(nothing, INPUT, HIDDEN, 1), inputs_of(), generator())


def test_whole_numbers_in_a_state_are_carried_on_and_have_no_gradient() -> None:
    model = SequenceModel(Counted, INPUT, HIDDEN, 1)
    plain = SequenceModel(architectures.get("rnn"), INPUT, HIDDEN, 1)
    plain.load_state_dict({name.replace("rnn.", ""): tensor for name, tensor in model.state_dict().items()})
    inputs = inputs_of()
    assert_close(state_gradient(model, inputs, generator()), state_gradient(plain, inputs, generator()))
    assert Scan(model, inputs).state_size == HIDDEN
    with pytest.raises(InputError, match="states without whole numbers"):
        exact_state_gradient(model, inputs)


def test_a_state_that_changes_its_type_is_refused() -> None:
    class Both(Turning):
        def initial_state(self, batch_size: int) -> Any:
            return (*super().initial_state(batch_size), self.zeros(batch_size, 1))

        def step(self, x: Tensor, state: Any) -> Any:
            output, after = super().step(x, state[:1])
            return output, (*after, state[1])

    with pytest.raises(InputError, match="keeps its shapes and types"):
        state_gradient(SequenceModel(Both, INPUT, HIDDEN, 1), inputs_of(), generator())


def test_the_mean_logarithm_leaves_out_sequences_without_gradient() -> None:
    norms = torch.tensor([[math.e, math.e**3], [math.e, 0.0], [0.0, 0.0], [1.0, math.nan]])
    assert mean_log(norms).tolist() == pytest.approx([2.0, 1.0, -math.inf, math.nan], nan_ok=True)


@given(slope=st.floats(-3.0, 0.5).filter(lambda slope: abs(slope) > 1e-6), start=st.floats(-5.0, 5.0))
def test_the_slope_of_an_exponential_is_found(slope: float, start: float) -> None:
    decay = effective_memory(start + slope * np.arange(300))  # −900 is beyond float64's smallest number
    assert decay.slope == pytest.approx(slope, rel=1e-6)
    assert decay.memory == (pytest.approx(-1 / slope, rel=1e-6) if slope < 0 else math.inf)
    assert decay.residual == pytest.approx(0.0, abs=1e-6)


@pytest.mark.parametrize(
    ("logs", "slope", "memory"),
    [
        ([0.0, -1.0, -1.5, -math.inf, -math.inf], math.nan, 2.0),
        ([0.0, -math.inf], math.nan, 0.0),
        ([0.0, -2.0, -4.0, math.nan, 5.0], -2.0, 0.5),
        ([0.0, 300.0, 600.0, math.inf], 300.0, math.inf),
        ([0.0, -300.0, -600.0, -700.0, -math.inf], -300.0, 1 / 300),
        ([0.0, 0.0, 0.0], 0.0, math.inf),
        ([0.0, -1.0], math.nan, math.nan),
        ([math.nan] * 5, math.nan, math.nan),
    ],
)
def test_curves_that_are_cut_grow_or_end(logs: list[float], slope: float, memory: float) -> None:
    decay = effective_memory(logs)
    assert (decay.slope, decay.memory) == (
        pytest.approx(slope, abs=1e-12, nan_ok=True),
        pytest.approx(memory, nan_ok=True),
    )


def test_an_interval_over_seeds_is_students() -> None:
    found = over_seeds(np.array([1.0, 2.0, 3.0]))
    half = 4.302652729911275 / math.sqrt(3)  # t(0.975; 2), tabled
    assert (found.mean, found.low, found.high) == pytest.approx((2.0, 2.0 - half, 2.0 + half))
    assert math.isnan(over_seeds(np.array([1.0])).low)
    assert over_seeds(np.array([-math.inf, -math.inf])).mean == -math.inf


def test_an_effective_memory_has_the_interval_of_its_slope() -> None:
    slopes = np.array([-0.1, -0.2, -0.3])
    row = SurveyRow("x", 1, slopes[:, None] * np.arange(20))
    assert row.slope.mean == pytest.approx(-0.2)
    assert row.memory.mean == pytest.approx(5.0)
    assert row.memory.low == pytest.approx(-1 / row.slope.low)
    assert row.memory.high == math.inf  # the slope's interval reaches beyond 0


def test_a_survey_measures_labels_with_options_on_the_same_data() -> None:
    labels = ["rnn nonlinearity=relu init=identity", "rnn init=orthogonal", "rnn depth=2 bidirectional=true", "mlp"]
    rows = survey([*map(Arm.from_label, labels)], length=20, parameters=2000, seeds=2)
    assert [(row.through, row.label) for row in rows] == [(kind, x) for kind in ("state", "input") for x in labels]
    for its, shape in ((rows[:4], (2, 21)), (rows[4:], (2, 20))):
        _, orthogonal, deep, mlp = its
        assert all(row.logs.shape == shape for row in its)
        assert mlp.memory.mean == mlp.memory.low == mlp.memory.high == 9.0
        assert deep.hidden_size < orthogonal.hidden_size
        assert deep.memory.mean < orthogonal.memory.mean
    assert rows[1].memory.mean < rows[0].memory.mean
    alone = survey([Arm.from_label(labels[1])], length=20, parameters=2000, seeds=2)
    assert all(np.array_equal(row.logs, same.logs) for row, same in zip(alone, (rows[1], rows[5]), strict=True))


@pytest.mark.parametrize(
    ("labels", "options", "message"),
    [
        (["grru"], {}, "unknown architecture 'grru'.*did you mean 'gru'"),
        (["rnn init=orthogonl"], {}, "init of architecture 'rnn'"),
        (["rnn gian=2"], {}, "unknown option 'gian'"),
        (["rnn init"], {}, "an option is key=value; got 'init'"),
        (["rnn depth=0"], {}, "'rnn depth=0'.*depth.*greater than or equal to 1"),
        (["mlp window=0"], {}, "window must be at least 1"),
        (["rnn", "rnn"], {}, "each once; got rnn, rnn"),
        ([], {}, "each once; got none"),
        (["rnn", ""], {}, "unknown architecture ''"),
        (["rnn"], {"length": 9}, "length must be at least 10; got 9"),
        (["rnn"], {"parameters": 3}, "'rnn': no hidden_size gives 3 parameters"),
    ],
)
def test_a_wrong_survey_is_refused(labels: list[str], options: dict[str, int], message: str) -> None:
    with pytest.raises(InputError, match=message):
        survey([*map(Arm.from_label, labels)], **options)  # type: ignore[arg-type]


def test_a_survey_takes_the_rows_of_an_experiment_with_their_settings_and_sizes() -> None:
    experiment = load("quick").select(architectures="lstm_cell,rnn_stacked,gru")
    arms = Arm.from_experiment(experiment)
    assert [(arm.label, arm.architecture) for arm in arms] == [
        ("rnn_stacked", "rnn"),
        ("lstm_cell", "lstm"),
        ("gru", "gru"),
    ]
    rows = survey(arms, length=10, seeds=1)
    written = [Arm.from_label(label) for label in ("rnn depth=2", "lstm readout=cell", "gru")]
    for row, other in zip(rows, survey(written, length=10, parameters=5000, seeds=1), strict=True):
        assert row.hidden_size == other.hidden_size
        assert np.array_equal(row.logs, other.logs)
    assert {row.hidden_size for row in survey(arms, length=10, hidden_size=5, seeds=1)} == {5}


def test_the_rows_of_an_experiment_leave_out_what_only_training_needs() -> None:
    (arm,) = Arm.from_experiment(load_claim("H5_clipping").whole_experiment.select(architectures="irnn_sgd"))
    assert arm.settings["init"] == "identity"
    assert not {"optimizer", "clip", "learning_rate"} & set(arm.settings)


def test_a_turning_gradient_shows_neither_slope_nor_memory() -> None:
    falls_and_rises = np.abs(np.arange(21) - 10.0)[None] - 10.0
    page = io.StringIO()
    row = SurveyRow("gru", 64, falls_and_rises)
    show([row], Console(file=page, width=80))
    line = next(line for line in page.getvalue().splitlines() if line.startswith("gru "))
    assert line.split()[-4:] == ["–", "–", "64", "1"]
    assert "falls to 10^−4.3 at τ = 10 and rises again" in " ".join(page.getvalue().split())
    assert json.loads(as_json([row]))[0]["monotone"] is False


def rows_of_everything(through: Through = "state") -> list[SurveyRow]:
    names = architectures.names()
    slopes = np.linspace(-2.0, 0.1, len(names))
    noise = np.random.default_rng(0).normal(size=(5, 1)) / 100
    lags = np.arange(101 if through == "state" else 100)
    rows = [SurveyRow(n, 64, (s + noise) * lags, through) for n, s in zip(names, slopes, strict=True)]
    rows[0].logs[:, 10:] = -math.inf
    return rows


def test_the_table_fits_80_columns_and_the_json_is_valid() -> None:
    rows, page = rows_of_everything(), io.StringIO()
    show(rows, Console(file=page, width=80))
    lines = page.getvalue().splitlines()
    assert max(map(len, lines)) <= 80
    for row in rows:
        assert sum(line.startswith(f"{row.label} ") and "…" not in line for line in lines) == 1
    assert "∞" in page.getvalue()
    found = json.loads(as_json(rows), parse_constant=pytest.fail)
    assert found[-1]["memory"] == {"mean": None, "low": None, "high": None}
    assert found[1]["memory"]["mean"] == pytest.approx(rows[1].memory.mean)
    assert found[0]["log_norm"]["mean"][8:12] == [
        pytest.approx(rows[0].logs[:, 8].mean()),
        rows[0].curve[0][9],
        None,
        None,
    ]


def test_the_picture_has_every_architecture_and_the_same_bytes_every_time(tmp_path: Path) -> None:
    rows = rows_of_everything()
    rows[1].logs[:, 50:] = math.inf
    written = [save(survey_figure(rows), tmp_path / name) for name in ("first", "second")]
    for first, second in zip(*written, strict=True):
        assert first.read_bytes() == second.read_bytes()
    text = written[0][1].read_text(encoding="utf-8")
    assert all(text.count(f">{row.label}<") == 1 for row in rows[2:])
    assert "from output to input" not in text
    assert f"{rows[0].label} (0 from τ = 10)" in text
    assert f"{rows[1].label} (not finite from τ = 50)" in text
    _, both = save(survey_figure([*rows, *rows_of_everything("input")]), tmp_path / "both")
    assert both.read_text(encoding="utf-8").count(f"{rows[0].label} (0 from τ = 10)") == 2


def test_the_command_draws_and_prints(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    few: dict[str, Any] = {
        "experiment": "",
        "architectures": "rnn, mlp window=3",
        "length": 20,
        "hidden_size": 8,
        "parameters": None,
    }
    cli.gradients(**few, seeds=2, output=tmp_path / "new", as_json=True)
    found = [(row["architecture"], row["through"]) for row in json.loads(capsys.readouterr().out)]
    assert found == [(name, kind) for kind in ("state", "input") for name in ("rnn", "mlp window=3")]
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == ["gradients.png", "gradients.svg"]
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=r"--output .*cannot be written"):
        cli.gradients(**few, seeds=1, output=tmp_path / "file", as_json=True)


def config(**training: Any) -> RunConfig:
    return RunConfig(
        task=TaskConfig(name="adding", options={}, length=10),
        model=ModelConfig(architecture="gru", options=architectures.options("gru", {}), hidden_size=8),
        training=Training(**{"steps": 500, "validation_size": 32, "test_size": 32, "diagnostics": True, **training}),
        seed=0,
        source="",
    )


def test_a_run_measures_three_moments_and_trains_the_same() -> None:
    on, off = train(config()), train(config(diagnostics=False))
    assert [(moment, step) for moment, (step, _) in on.gradient_flow.items()] == [
        ("start", 0),
        ("half", 260),
        ("end", 500),
    ]
    assert not off.gradient_flow
    assert on.curves == off.curves
    kept = [name for name in off.metrics if not name.endswith(("_seconds", "_per_second", "_mb"))]
    assert {name: on.metrics[name] for name in kept} == {name: off.metrics[name] for name in kept}
    assert all(torch.equal(a, b) for a, b in zip(on.model.parameters(), off.model.parameters(), strict=True))
    measures = ("gradient_slope", "effective_memory", "gradient_log_norm")
    measures += ("input_gradient_slope", "input_gradient_memory", "input_gradient_log_norm")
    expected = {f"{measure}_{moment}" for measure in measures for moment in on.gradient_flow}
    assert {"diagnostics_seconds", *expected} == set(on.metrics) - set(off.metrics)
    start, end = on.gradient_flow["start"].flow, on.gradient_flow["end"].flow
    assert start.state is not None
    assert start.loss is not None
    assert end.state is not None
    assert on.metrics["gradient_log_norm_start"] == start.state[10].item() != end.state[10].item()
    assert on.metrics["input_gradient_log_norm_end"] == end.input[9].item()
    assert len(start.state) == 11
    assert len(start.loss) == 10


def test_a_short_run_measures_no_half_so_that_it_costs_little() -> None:
    assert list(train(config(steps=HALF_FROM - 1)).gradient_flow) == ["start", "end"]


def test_a_run_that_diverges_records_what_is_finite() -> None:
    result = train(config(learning_rate=1e30, clip=math.inf, optimizer="sgd"))
    assert result.metrics["diverged"] == 1.0
    assert "gradient_slope_start" in result.metrics
    assert "gradient_slope_end" not in result.metrics
    assert set(as_data(result.gradient_flow)["end"]["log_state_gradient"][1:]) == {None}


def test_a_recorded_run_has_the_curves_and_the_picture(tmp_path: Path) -> None:
    job = Job("key", config(), "study", "gru", "adding", "trial", 0)
    store = Store(tmp_path)
    with Leases(store.ledger, "e") as hand:
        hand.take(job)
        outcome = execute(job, store.location, "e", "", hand.owner, Signals())
    assert outcome is not None
    (run,) = store.tracking.runs("e", "")
    assert run.data.metrics["effective_memory_end"] == outcome.metrics["effective_memory_end"]
    (data,) = tmp_path.rglob("gradient_flow.json")
    found = json.loads(data.read_text(encoding="utf-8"), parse_constant=pytest.fail)
    assert [(moment, found[moment]["step"]) for moment in ("start", "half", "end")] == [
        ("start", 0),
        ("half", 260),
        ("end", 500),
    ]
    assert found["end"]["slope"] == outcome.metrics["gradient_slope_end"]
    assert found["end"]["input"]["slope"] == outcome.metrics["input_gradient_slope_end"]
    assert len(found["end"]["log_input_gradient"]) == 10
    (read,) = (outcome for _, outcome in finished_runs(store.tracking, "e", lambda environment: ""))
    assert read.curves == outcome.curves
    by_lag = {lag: set(point) for lag, point in read.curves if any("gradient/" in name for name in point)}
    both = {f"{name}/{moment}" for name in ("gradient", "input_gradient") for moment in ("start", "half", "end")}
    assert by_lag == {**dict.fromkeys((1, 2, 4, 8), both), 9: {n for n in both if "input" in n}, 10: both - by_lag[9]}
    assert (data.parent / "learning_curve.png").stat().st_size > 10_000
