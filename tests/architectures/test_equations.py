"""Every cell against an oracle of its own: torch.nn, onnxruntime, or a loop written by hand in NumPy."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import onnxruntime
import pytest
import scipy.stats
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper
from torch import Tensor, nn
from torch.testing import assert_close

from suite.architectures import Cell
from suite.architectures._base import gate_biases
from suite.architectures.gru import GRU
from suite.architectures.lstm import LSTM
from suite.architectures.lstm_coupled import CoupledLSTM
from suite.architectures.lstm_peephole import PeepholeLSTM
from suite.architectures.mlp import MLP
from suite.architectures.rnn import RNN
from suite.model.sequence_model import SequenceModel
from suite.options import option_types
from suite.registry import architectures
from tests.helpers import discovered, leaves

Array = NDArray[np.float64]

BATCH, TIME, INPUT, HIDDEN = 3, 9, 4, 5

TORCH_CELLS = {
    "rnn_tanh": (lambda i, h: RNN(i, h), nn.RNN, {"nonlinearity": "tanh"}),
    "rnn_relu": (lambda i, h: RNN(i, h, nonlinearity="relu"), nn.RNN, {"nonlinearity": "relu"}),
    "lstm": (lambda i, h: LSTM(i, h), nn.LSTM, {}),
    "gru_after": (lambda i, h: GRU(i, h, reset="after"), nn.GRU, {}),
}


def randomised(module: Any) -> Any:
    """The module with every parameter random, biases and peepholes too."""
    for parameter in module.parameters():
        nn.init.normal_(parameter, std=0.5)
    return module


# torch.nn ------------------------------------------------------------------------------------------------------------


def load_from_torch(cell: Cell[Any], reference: nn.RNNBase, suffix: str) -> None:
    """Copy one layer and direction of ``reference`` over. Its two biases become one, but for the GRU's b_h."""
    W, U, b_input, b_hidden = (
        getattr(reference, f"{key}_{suffix}").detach() for key in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    )
    state = {"W": W, "U": U, "b": b_input + b_hidden}
    if isinstance(cell, GRU):
        h = cell.hidden_size
        state |= {"b": torch.cat([(b_input + b_hidden)[: 2 * h], b_input[2 * h :]]), "b_h": b_hidden[2 * h :]}
    cell.load_state_dict(state)


def assert_gradients_are_torchs(cell: Cell[Any], reference: nn.RNNBase, suffix: str) -> None:
    expected = {"W": "weight_ih", "U": "weight_hh", "b": "bias_ih"}
    for key, theirs in expected.items():
        assert_close(cell.get_parameter(key).grad, getattr(reference, f"{theirs}_{suffix}").grad, rtol=1e-5, atol=1e-5)
    b_hidden = getattr(reference, f"bias_hh_{suffix}").grad
    if isinstance(cell, GRU):
        assert_close(cell.b_h.grad, b_hidden[2 * cell.hidden_size :], rtol=1e-5, atol=1e-5)
    else:
        assert_close(cell.get_parameter("b").grad, b_hidden, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("kind", TORCH_CELLS)
@pytest.mark.parametrize("bidirectional", [False, True], ids=["one_way", "both_ways"])
@pytest.mark.parametrize("depth", [1, 2])
def test_stacks_equal_those_of_torch_with_all_gradients(kind: str, depth: int, bidirectional: bool) -> None:
    make_cell, torch_class, settings = TORCH_CELLS[kind]
    ways = 2 if bidirectional else 1
    reference = randomised(
        torch_class(INPUT, HIDDEN, num_layers=depth, bidirectional=bidirectional, batch_first=True, **settings)
    )
    model = SequenceModel(make_cell, INPUT, HIDDEN, ways * HIDDEN, depth=depth, bidirectional=bidirectional)
    model.decoder = nn.Identity()
    suffixes = [f"l{layer}{way}" for layer in range(depth) for way in ("", "_reverse")[:ways]]
    for cell, suffix in zip(model.cells, suffixes, strict=True):
        load_from_torch(cell, reference, suffix)

    inputs = torch.randn(BATCH, TIME, INPUT)
    states = [torch.randn(depth * ways, BATCH, HIDDEN) for _ in range(2 if kind == "lstm" else 1)]
    ours, theirs = ([tensor.clone().requires_grad_() for tensor in (inputs, *states)] for _ in range(2))

    before = [  # by layer and direction, h or (h, c)
        [tuple(s[layer * ways + way] for s in ours[1:]) if kind == "lstm" else ours[1][layer * ways + way]
         for way in range(ways)]
        for layer in range(depth)
    ]  # fmt: skip
    outputs, after = model(ours[0], before)
    last = [torch.stack(parts) for parts in zip(*(leaves(s) for layer in after for s in layer), strict=True)]
    expected, expected_last = reference(theirs[0], tuple(theirs[1:]) if kind == "lstm" else theirs[1])
    results = list(zip([outputs, *last], [expected, *leaves(expected_last)], strict=True))
    for one, other in results:
        assert_close(one, other, rtol=1e-5, atol=1e-5)

    weights = [torch.randn_like(one) for one, _ in results]
    for side in range(2):
        sum((pair[side] * weight).mean() for pair, weight in zip(results, weights, strict=True)).backward()
    for one, other in zip(ours, theirs, strict=True):
        assert_close(one.grad, other.grad, rtol=1e-5, atol=1e-5)
    for cell, suffix in zip(model.cells, suffixes, strict=True):
        assert_gradients_are_torchs(cell, reference, suffix)


# onnxruntime ---------------------------------------------------------------------------------------------------------


def run_onnx(op: str, inputs: dict[str, Tensor], **attributes: int) -> list[Tensor]:
    """Run one recurrent operator. ``inputs`` are by the operator's own names; returns Y and the last states."""
    order = ["X", "W", "R", "B", "sequence_lens", "initial_h", *(["initial_c", "P"] if op == "LSTM" else [])]
    results = ["Y", "Y_h", *(["Y_c"] if op == "LSTM" else [])]
    node = helper.make_node(
        op, [key if key in inputs else "" for key in order], results, hidden_size=HIDDEN, **attributes
    )
    graph = helper.make_graph(
        [node],
        op,
        [helper.make_tensor_value_info(key, TensorProto.FLOAT, value.shape) for key, value in inputs.items()],
        [helper.make_tensor_value_info(key, TensorProto.FLOAT, None) for key in results],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 14)], ir_version=8)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return [torch.from_numpy(array) for array in session.run(results, {k: v.numpy() for k, v in inputs.items()})]


def by_gate(cell: Cell[Any], ours: str, theirs: str, negated: str = "") -> dict[str, Tensor]:
    """W, R and B of the operator from a cell: gates put in another order, absent gates and biases zero."""
    blocks: dict[str, Tensor] = {}
    for target, key in (("W", "W"), ("R", "U"), ("B", "b")):
        source = torch.zeros(len(ours) * HIDDEN) if getattr(cell, key) is None else getattr(cell, key).detach()
        gates = dict(zip(ours, source.chunk(len(ours)), strict=True))
        absent = torch.zeros_like(gates[ours[0]])
        parts = [-gates[gate] if gate in negated else gates.get(gate, absent) for gate in theirs]
        blocks[target] = torch.cat(parts).unsqueeze(0)
    blocks["B"] = torch.cat([blocks["B"], torch.zeros_like(blocks["B"])], dim=1)  # their second bias
    return blocks


@pytest.mark.parametrize(
    ("cell", "ours", "attributes"),
    [
        pytest.param(LSTM(INPUT, HIDDEN), "ifgo", {}, id="lstm"),
        pytest.param(PeepholeLSTM(INPUT, HIDDEN, peephole="diagonal"), "ifgo", {}, id="diagonal_peephole"),
        pytest.param(CoupledLSTM(INPUT, HIDDEN), "igo", {"input_forget": 1}, id="coupled"),
    ],
)
def test_lstms_equal_onnxruntimes(cell: Cell[Any], ours: str, attributes: dict[str, int]) -> None:
    randomised(cell)
    inputs, h, c = torch.randn(BATCH, TIME, INPUT), torch.randn(BATCH, HIDDEN), torch.randn(BATCH, HIDDEN)
    given = {"X": inputs.transpose(0, 1), **by_gate(cell, ours, "iofg"), "initial_h": h[None], "initial_c": c[None]}
    if isinstance(cell, PeepholeLSTM):
        given["P"] = cell.P.detach()[[0, 2, 1]].reshape(1, -1)  # ours i, f, o; theirs i, o, f
    with torch.no_grad():
        outputs, (last_h, last_c) = cell(inputs, (h, c))
    expected, expected_h, expected_c = run_onnx("LSTM", given, **attributes)
    assert_close(outputs, expected[:, 0].transpose(0, 1), rtol=1e-5, atol=1e-5)
    assert_close(last_h, expected_h[0], rtol=1e-5, atol=1e-5)
    assert_close(last_c, expected_c[0], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("reset", ["before", "after"])
def test_grus_equal_onnxruntimes(reset: Any) -> None:
    cell = randomised(GRU(INPUT, HIDDEN, reset=reset))
    inputs, h = torch.randn(BATCH, TIME, INPUT), torch.randn(BATCH, HIDDEN)
    # their z = 1 keeps, as ours does only in "after": σ(−x) = 1 − σ(x)
    given = by_gate(cell, "rzn", "zrn", negated="z" if reset == "before" else "")
    if reset == "after":
        given["B"][0, -HIDDEN:] = cell.b_h.detach()
    with torch.no_grad():
        outputs, last = cell(inputs, h)
    expected, expected_last = run_onnx(
        "GRU",
        {"X": inputs.transpose(0, 1), **given, "initial_h": h[None]},
        linear_before_reset=int(reset == "after"),
    )
    assert_close(outputs, expected[:, 0].transpose(0, 1), rtol=1e-5, atol=1e-5)
    assert_close(last, expected_last[0], rtol=1e-5, atol=1e-5)


# by hand -------------------------------------------------------------------------------------------------------------


def sigmoid(x: Array) -> Array:
    return 1 / (1 + np.exp(-x))


def arrays(cell: Cell[Any]) -> dict[str, Array]:
    return {key: parameter.detach().numpy() for key, parameter in cell.named_parameters()}


def random_array(*shape: int) -> Array:
    return torch.randn(*shape, dtype=torch.float64).numpy()


def assert_equals_the_loop(
    cell: Cell[Any], x: Array, state: Any, outputs: list[Array], last: tuple[Array, ...]
) -> None:
    with torch.no_grad():
        actual, actual_last = cell(torch.from_numpy(x), state)
    np.testing.assert_allclose(actual.numpy(), np.stack(outputs, axis=1), rtol=1e-10, atol=1e-12)
    for one, other in zip(leaves(actual_last), last, strict=True):
        np.testing.assert_allclose(one.numpy(), other, rtol=1e-10, atol=1e-12)


def test_full_peepholes_let_all_three_gates_see_the_cell_state_before() -> None:
    cell = randomised(PeepholeLSTM(INPUT, HIDDEN, peephole="full").double())
    p = arrays(cell)
    (W_i, W_f, W_g, W_o), (U_i, U_f, U_g, U_o), (b_i, b_f, b_g, b_o) = (np.split(p[key], 4) for key in "WUb")
    P_i, P_f, P_o = np.split(p["P"], 3)
    x, h, c = random_array(BATCH, TIME, INPUT), random_array(BATCH, HIDDEN), random_array(BATCH, HIDDEN)
    start, outputs = (torch.from_numpy(h), torch.from_numpy(c)), []
    for t in range(TIME):
        i = sigmoid(x[:, t] @ W_i.T + h @ U_i.T + c @ P_i.T + b_i)
        f = sigmoid(x[:, t] @ W_f.T + h @ U_f.T + c @ P_f.T + b_f)
        o = sigmoid(x[:, t] @ W_o.T + h @ U_o.T + c @ P_o.T + b_o)
        g = np.tanh(x[:, t] @ W_g.T + h @ U_g.T + b_g)
        c = f * c + i * g
        h = o * np.tanh(c)
        outputs.append(h)
    assert_equals_the_loop(cell, x, start, outputs, (h, c))


def test_the_cell_readout_gives_c_and_carries_h() -> None:
    cell = randomised(LSTM(INPUT, HIDDEN, readout="cell").double())
    p = arrays(cell)
    x, h, c = random_array(BATCH, TIME, INPUT), random_array(BATCH, HIDDEN), random_array(BATCH, HIDDEN)
    start, outputs = (torch.from_numpy(h), torch.from_numpy(c)), []
    for t in range(TIME):
        i, f, g, o = np.split(x[:, t] @ p["W"].T + h @ p["U"].T + p["b"], 4, axis=1)
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        h = sigmoid(o) * np.tanh(c)
        outputs.append(c)
    assert_equals_the_loop(cell, x, start, outputs, (h, c))


@pytest.mark.parametrize("readout", ["hidden", "cell"])
@pytest.mark.parametrize("without", ["input", "forget", "output"])
def test_a_gate_that_is_left_out_is_one(without: Any, readout: Any) -> None:
    cell = randomised(LSTM(INPUT, HIDDEN, without=without, readout=readout).double())
    p = arrays(cell)
    present = [gate for gate in ("input", "forget", "candidate", "output") if gate != without]
    weights = {gate: [np.split(p[key], 3)[n] for key in "WUb"] for n, gate in enumerate(present)}

    def drive(gate: str, x: Array, h: Array) -> Array:
        W, U, b = weights[gate]
        return x @ W.T + h @ U.T + b

    def opened(gate: str, x: Array, h: Array) -> Any:
        return 1.0 if gate == without else sigmoid(drive(gate, x, h))

    x, h, c = random_array(BATCH, TIME, INPUT), random_array(BATCH, HIDDEN), random_array(BATCH, HIDDEN)
    start, outputs = (torch.from_numpy(h), torch.from_numpy(c)), []
    for t in range(TIME):
        now = x[:, t], h
        c = opened("forget", *now) * c + opened("input", *now) * np.tanh(drive("candidate", *now))
        h = opened("output", *now) * np.tanh(c)
        outputs.append(h if readout == "hidden" else c)
    assert_equals_the_loop(cell, x, start, outputs, (h, c))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["kernel", "definition"])
def test_without_forget_gate_and_feedback_the_cell_state_is_a_constant_error_carousel(dtype: torch.dtype) -> None:
    cell = LSTM(INPUT, HIDDEN, without="forget", gain=0.0).to(dtype)
    inputs, h, c = (torch.randn(1, *shape, dtype=dtype) for shape in ((50, INPUT), (HIDDEN,), (HIDDEN,)))
    jacobian = torch.autograd.functional.jacobian(lambda c: cell(inputs, (h, c))[1][1][0], c)
    assert torch.equal(jacobian[:, 0], torch.eye(HIDDEN, dtype=dtype))


def test_the_gru_without_reset_gate_is_a_leaky_rnn_with_a_learnt_leak() -> None:
    cell = randomised(GRU(INPUT, HIDDEN, reset="none").double())
    p = arrays(cell)
    (W_z, W_n), (U_z, U_n) = np.split(p["W"], 2), np.split(p["U"], 2)
    x, h = random_array(BATCH, TIME, INPUT), random_array(BATCH, HIDDEN)
    start, outputs = torch.from_numpy(h), []
    for t in range(TIME):
        z = sigmoid(x[:, t] @ W_z.T + h @ U_z.T)
        h = h + z * (np.tanh(x[:, t] @ W_n.T + h @ U_n.T) - h)
        outputs.append(h)
    assert_equals_the_loop(cell, x, start, outputs, (h,))


def test_a_new_irnn_adds_what_it_sees() -> None:
    cell = RNN(INPUT, HIDDEN, nonlinearity="relu", init="identity").double()
    p = arrays(cell)
    x, h = random_array(BATCH, TIME, INPUT), random_array(BATCH, HIDDEN)
    start, outputs = torch.from_numpy(h), []
    for t in range(TIME):
        h = np.maximum(0, x[:, t] @ p["W"].T + h)
        outputs.append(h)
    assert_equals_the_loop(cell, x, start, outputs, (h,))


def test_the_mlp_is_two_tanh_layers_on_the_window_oldest_first() -> None:
    cell = randomised(MLP(INPUT, HIDDEN, window=3).double())
    A, a, B, b = (tensor.detach().numpy() for tensor in cell.parameters())
    x, before = random_array(BATCH, TIME, INPUT), random_array(BATCH, 3, INPUT)
    padded = np.concatenate([before, x], axis=1)
    outputs = [np.tanh(np.tanh(padded[:, t + 1 : t + 4].reshape(BATCH, -1) @ A.T + a) @ B.T + b) for t in range(TIME)]
    assert_equals_the_loop(cell, x, torch.from_numpy(before), outputs, (x[:, -3:],))


@pytest.mark.parametrize("window", [1, 4, 20])
def test_the_mlp_sees_exactly_the_last_window_inputs(window: int) -> None:
    cell = MLP(INPUT, HIDDEN, window=window).double()
    inputs = torch.randn(1, TIME, INPUT, dtype=torch.float64)
    jacobian = torch.autograd.functional.jacobian(lambda x: cell(x)[0][0].sum(1), inputs)  # [time, 1, time, input]
    seen = jacobian[:, 0].abs().sum(2) > 0
    lag = torch.arange(TIME)[:, None] - torch.arange(TIME)
    assert torch.equal(seen, (lag >= 0) & (lag < window))


def test_the_mlps_window_is_ten_and_at_least_one() -> None:
    assert MLP(INPUT, HIDDEN).window == 10
    with pytest.raises(ValueError, match="window must be at least 1; got 0"):
        MLP(INPUT, HIDDEN, window=0)


# initial values ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [LSTM, PeepholeLSTM])
def test_the_forget_bias_is_one_on_the_forget_gate_only(make: Any) -> None:
    expected = torch.zeros(4, HIDDEN)
    expected[1] = 1.0
    assert torch.equal(make(INPUT, HIDDEN).b, expected.flatten())
    expected[1] = -2.5
    assert torch.equal(make(INPUT, HIDDEN, forget_bias=-2.5).b, expected.flatten())


def test_the_coupled_lstms_forget_bias_is_its_negative_on_the_input_gate_only() -> None:
    expected = torch.zeros(3, HIDDEN)
    expected[0] = -1.0
    assert torch.equal(CoupledLSTM(INPUT, HIDDEN).b, expected.flatten())
    expected[0] = 2.5
    assert torch.equal(CoupledLSTM(INPUT, HIDDEN, forget_bias=-2.5).b, expected.flatten())


def test_other_biases_and_diagonal_peepholes_start_at_zero() -> None:
    gru = GRU(INPUT, HIDDEN, reset="after")
    for tensor in (RNN(INPUT, HIDDEN).b, gru.b, gru.b_h, PeepholeLSTM(INPUT, HIDDEN, peephole="diagonal").P):
        assert not tensor.any()


@pytest.mark.parametrize("reset", ["before", "none"])
def test_the_gru_has_no_biases_unless_the_reset_comes_after(reset: Any) -> None:
    assert [key for key, _ in GRU(INPUT, HIDDEN, reset=reset).named_parameters()] == ["W", "U"]


@pytest.mark.parametrize(("without", "expected"), [("input", [1, 0, 0]), ("output", [0, 1, 0]), ("forget", [0, 0, 0])])
def test_the_forget_bias_stays_with_its_gate(without: Any, expected: list[int]) -> None:
    assert LSTM(INPUT, HIDDEN, without=without).b.view(3, HIDDEN).tolist() == [[value] * HIDDEN for value in expected]


@pytest.mark.parametrize(("setting", "got"), [({"forget_bias": 2.0}, "2.0 and 0"), ({"chrono": 9}, "1.0 and 9")])
def test_a_forget_gate_that_is_left_out_cannot_be_initialised(setting: Any, got: str) -> None:
    with pytest.raises(ValueError, match=f"forget_bias must stay at 1.0 and chrono at 0; got {got}"):
        LSTM(INPUT, HIDDEN, without="forget", **setting)


def test_identity_is_the_identity() -> None:
    assert torch.equal(RNN(INPUT, HIDDEN, init="identity").U, torch.eye(HIDDEN))


def discovered_with(init: str) -> list[Any]:
    return [case for case in discovered(architectures) if case.values[1].get("init") == init]


@pytest.mark.parametrize(("name", "options"), discovered_with("orthogonal"))
def test_orthogonal_blocks_are_orthogonal_and_differ(name: str, options: dict[str, Any]) -> None:
    cell = architectures.get(name)(INPUT, HIDDEN, **options).double()
    blocks = cell.get_parameter("U").detach().split(HIDDEN)
    for block in blocks:
        assert_close(block @ block.T, torch.eye(HIDDEN, dtype=torch.float64), rtol=0, atol=1e-6)
    assert len({tuple(block.flatten().tolist()) for block in blocks}) == len(blocks)


@pytest.mark.parametrize(("name", "options"), discovered_with("uniform"))
def test_uniform_weights_fill_plus_minus_one_over_root_hidden(name: str, options: dict[str, Any]) -> None:
    cell, bound = architectures.get(name)(64, 64, **options), 64**-0.5
    for weight in (cell.get_parameter("W"), cell.get_parameter("U")):
        assert 0.99 * bound < weight.abs().max() <= bound
        assert abs(weight.mean()) < 0.05 * bound
        assert_close(weight.std().item(), bound / 3**0.5, rtol=0.03, atol=0)


def discovered_with_option(option: str) -> list[Any]:
    return [case for case in discovered(architectures) if option in option_types(architectures.get(case.values[0]))]


@pytest.mark.parametrize(("name", "options"), discovered_with_option("gain"))
def test_the_gain_multiplies_the_recurrent_matrices_and_nothing_else(name: str, options: dict[str, Any]) -> None:
    torch.manual_seed(1)
    plain = architectures.get(name)(INPUT, HIDDEN, **options)
    torch.manual_seed(1)
    scaled = architectures.get(name)(INPUT, HIDDEN, **options, gain=1.5)
    for key, parameter in plain.named_parameters():
        recurrent = key == "U" or (key == "P" and parameter.shape[1] == HIDDEN)
        assert torch.equal(scaled.get_parameter(key), 1.5 * parameter if recurrent else parameter)


@pytest.mark.parametrize("init", ["orthogonal", "identity"])
@pytest.mark.parametrize("gain", [0.5, 1.0, 2.0])
def test_the_jacobians_of_a_linearised_rnn_shrink_and_grow_with_the_gain(gain: float, init: Any) -> None:
    cell = RNN(INPUT, HIDDEN, init=init, gain=gain).double()
    rest = torch.zeros(1, HIDDEN, dtype=torch.float64)  # where tanh' = 1
    jacobian = torch.autograd.functional.jacobian(lambda h: cell(torch.zeros(1, 20, INPUT).double(), h)[1][0], rest)
    values = torch.linalg.svdvals(jacobian[:, 0])
    assert_close(values, torch.full_like(values, gain**20), rtol=4e-5, atol=0)


@pytest.mark.parametrize("t_max", [3, 100])
def test_chrono_spreads_the_time_constants_evenly_from_two_steps_to_t_max(t_max: int) -> None:
    b_i, b_f = gate_biases(20_000, 1.0, t_max)
    assert torch.equal(b_i, -b_f)
    steps = 1 / (1 - torch.sigmoid(b_f.double()))
    assert scipy.stats.kstest(steps.numpy(), scipy.stats.uniform(2, t_max - 2).cdf).pvalue > 0.01


CHRONO: list[tuple[Any, list[float]]] = [  # the multiple of b_f that each gate's bias starts at
    (LSTM, [-1, 1, 0, 0]),
    (partial(LSTM, without="input"), [1, 0, 0]),
    (partial(LSTM, without="output"), [-1, 1, 0]),
    (PeepholeLSTM, [-1, 1, 0, 0]),
    (partial(PeepholeLSTM, peephole="diagonal"), [-1, 1, 0, 0]),
    (CoupledLSTM, [-1, 0, 0]),
    (partial(GRU, reset="after"), [0, 1, 0]),
]


@pytest.mark.parametrize(("make", "multiples"), CHRONO)
def test_chrono_sets_the_gates_that_keep_and_write(make: Any, multiples: list[float]) -> None:
    torch.manual_seed(1)
    plain = make(INPUT, HIDDEN)
    torch.manual_seed(1)
    cell = make(INPUT, HIDDEN, chrono=50)
    gates = cell.b.detach().view(len(multiples), HIDDEN)
    b_f = gates.abs().amax(0)
    assert (b_f >= 0).all()
    assert (b_f <= np.log(49)).all()
    assert len(b_f.unique()) == HIDDEN
    assert torch.equal(gates, torch.tensor(multiples)[:, None] * b_f)
    for key, parameter in plain.named_parameters():
        assert key == "b" or torch.equal(parameter, cell.get_parameter(key))


@pytest.mark.parametrize("make", [make for make, _ in CHRONO])
@pytest.mark.parametrize("t_max", [-1, 1, 2])
def test_chrono_is_off_or_at_least_three_steps(make: Any, t_max: int) -> None:
    with pytest.raises(ValueError, match=rf"chrono must be 0 \(off\) or T_max, .* at least 3; got {t_max}"):
        make(INPUT, HIDDEN, chrono=t_max)


@pytest.mark.parametrize("reset", ["before", "none"])
def test_chrono_needs_the_biases_of_the_gru(reset: Any) -> None:
    with pytest.raises(ValueError, match="chrono needs the biases of reset = 'after'; got chrono = 50"):
        GRU(INPUT, HIDDEN, reset=reset, chrono=50)
