"""The residual block is the one of its equations, and the plain one changes nothing."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.testing import assert_close

from suite.errors import InputError
from suite.experiment.loading import parse
from suite.model.sequence_model import SequenceModel, build_model
from suite.model.sizing import Budget, frozen_count, match_hidden_size, parameter_count, state_size
from suite.planning.plan import studies
from suite.planning.study import Study
from suite.registry import architectures
from tests.helpers import leaves

INPUT, HIDDEN, OUTPUT = 3, 6, 2


def by_hand(model: SequenceModel, inputs: Tensor, mixer: int) -> Tensor:
    """A stack of torch.nn.GRUs in pre-norm residual blocks, with the weights of a model."""
    weights = model.state_dict()

    def linear(name: str, x: Tensor) -> Tensor:
        return nn.functional.linear(x, weights[f"{name}.weight"], weights[f"{name}.bias"])

    def norm(name: str, x: Tensor) -> Tensor:
        root = (x.square().mean(-1, keepdim=True) + 1e-5).sqrt()
        return x / root * weights[f"{name}.weight"]

    x = linear("encoder", inputs)
    for number in range(len(model.blocks)):
        gru = nn.GRU(HIDDEN, HIDDEN, batch_first=True).double()
        W, U, b, b_h = (weights[f"cells.{number}.{name}"] for name in ("W", "U", "b", "b_h"))
        gru.load_state_dict(
            {
                "weight_ih_l0": W,
                "weight_hh_l0": U,
                "bias_ih_l0": b,
                "bias_hh_l0": torch.cat([torch.zeros(2 * HIDDEN).double(), b_h]),
            }
        )
        x = x + linear(f"blocks.{number}.project", gru(norm(f"blocks.{number}.norm", x))[0])
        if mixer:
            widened = linear(f"blocks.{number}.widen", norm(f"blocks.{number}.mixer_norm", x))
            x = x + linear(f"blocks.{number}.narrow", nn.functional.gelu(widened))
    return linear("decoder", norm("norm", x))


@pytest.mark.parametrize("mixer", [0, 2])
@pytest.mark.parametrize("depth", [1, 3])
def test_a_gru_in_the_residual_block_is_the_one_that_is_written_by_hand(mixer: int, depth: int) -> None:
    shape: dict[str, Any] = {"block": "residual", "depth": depth, "mixer": mixer}
    model = build_model("gru", {"reset": "after"}, INPUT, HIDDEN, OUTPUT, seed=1, **shape).double()
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.5)
    inputs = torch.randn(4, 9, INPUT, dtype=torch.float64)
    assert_close(model(inputs)[0], by_hand(model, inputs, mixer))


@pytest.mark.parametrize("name", architectures.names())
def test_every_cell_can_be_in_a_residual_block_and_a_sequence_be_cut(name: str) -> None:
    shape: dict[str, Any] = {"block": "residual", "norm": "layer", "mixer": 1.5, "depth": 2}
    model = build_model(name, {}, INPUT, 8, OUTPUT, seed=1, **shape)
    inputs = torch.randn(4, 9, INPUT)
    outputs, last = model(inputs)
    first, between = model(inputs[:, :4])
    second, end = model(inputs[:, 4:], between)
    assert_close(torch.cat([first, second], dim=1), outputs, rtol=1e-4, atol=1e-5)
    assert_close(leaves(end), leaves(last), rtol=1e-4, atol=1e-5)
    both = build_model(name, {}, INPUT, 8, OUTPUT, seed=1, bidirectional=True, **shape)
    assert both(inputs)[0].shape == (4, 9, OUTPUT)


def test_the_parameters_of_a_residual_block_are_those_counted_by_hand() -> None:
    D, m = HIDDEN, 2
    shape: dict[str, Any] = {"block": "residual", "mixer": m, "depth": 2, "bidirectional": True}
    rnn = D * D + D * D + D
    block = D + (2 * D * D + D) + D + (D * m * D + m * D) + (m * D * D + D)
    expected = (INPUT * D + D) + 2 * (2 * rnn + block) + D + (D * OUTPUT + OUTPUT)
    model = build_model("rnn", {}, INPUT, D, OUTPUT, **shape)
    assert parameter_count(model) == expected
    assert frozen_count(model) == 0


def test_dropout_only_acts_in_training_and_only_on_what_the_layers_give() -> None:
    for shape in ({}, {"block": "residual", "mixer": 1.0}):
        model = build_model("gru", {}, INPUT, HIDDEN, OUTPUT, seed=1, dropout=0.5, **shape)  # type: ignore[arg-type]
        without = build_model("gru", {}, INPUT, HIDDEN, OUTPUT, seed=1, **shape)  # type: ignore[arg-type]
        inputs = torch.randn(2, 5, INPUT)
        assert torch.equal(model.eval()(inputs)[0], without(inputs)[0])
        outputs, state = model.train()(inputs)
        assert not torch.equal(outputs, without(inputs)[0])
        assert torch.equal(leaves(state)[0], leaves(without(inputs)[1])[0]), (
            "the recurrence of the first layer is whole"
        )
        assert not torch.equal(model(inputs)[0], outputs)


def experiment(tables: dict[str, Any], model: dict[str, Any], **space: Any) -> list[Study]:
    file = {
        "tasks": {"adding": {"length": 8}},
        "architectures": {label: {"architecture": "gru", **table} for label, table in tables.items()},
        "model": model,
        "sweep": {"trials": 4 if space else 0, "space": space},
    }
    return studies(parse(file, "x"))


def test_what_only_residual_blocks_have_makes_no_other_run_of_a_plain_one() -> None:
    plain, residual = experiment(
        {"plain": {}, "residual": {"block": "residual"}},
        {"hidden_size": 4, "mixer": 2.0},
        mixer=[0.0, 2.0],
        clip=[0.5, 1.0],
    )
    assert "mixer" not in plain.space
    assert residual.defaults["mixer"] == 2.0
    (before,) = experiment({"plain": {}}, {"hidden_size": 4})
    assert plain.default_config.key == before.default_config.key


def test_blocks_can_be_searched() -> None:
    (study,) = experiment({"x": {}}, {"hidden_size": 4}, block=["plain", "residual"], mixer=[0.0, 1.0])
    configs = [
        study.config({"block": block, "mixer": mixer}, 0) for block in ("plain", "residual") for mixer in (0.0, 1.0)
    ]
    assert len({config.key for config in configs}) == 3
    assert [config.model.mixer for config in configs] == [0.0, 0.0, 0.0, 1.0]


@pytest.mark.parametrize("depth", [1, 2])
@pytest.mark.parametrize("name", ["rnn", "gru", "lstm"])
def test_a_state_is_matched_to_within_five_per_cent(name: str, depth: int) -> None:
    (study,) = experiment({"x": {"architecture": name, "depth": depth}}, {"state": 120})
    config = study.default_config.model
    model = build_model(name, {}, 2, config.hidden_size, 1, depth=depth)
    assert state_size(model, 8) == (120, 0)


def test_a_state_and_parameters_take_the_place_of_each_other() -> None:
    by_state, by_count = experiment({"state": {"state": 40}, "count": {}}, {"parameters": 3000})
    assert by_state.default_config.model.hidden_size == 40
    assert by_count.default_config.model.hidden_size != 40


def test_a_size_that_no_small_model_has_is_the_error_of_its_constructor() -> None:
    def refuse(size: int) -> SequenceModel:
        raise ValueError(f"no size is good enough; got {size}")

    with pytest.raises(
        InputError, match="hidden_size 1: no size is good enough; got 1; a size for a number of parameters"
    ):
        match_hidden_size(Budget("parameters", 100), refuse)


def test_a_scan_by_steps_is_the_model_in_residual_blocks_too() -> None:
    from suite.diagnostics.scan import Scan

    for bidirectional in (False, True):
        shape: dict[str, Any] = {"block": "residual", "mixer": 1.0, "depth": 2, "bidirectional": bidirectional}
        model = build_model("lstm", {}, INPUT, HIDDEN, OUTPUT, seed=3, delay=1, **shape)
        inputs = torch.randn(3, 7, INPUT)
        scan = Scan(model, inputs)
        outputs, last = model(inputs)
        assert_close(scan.model.decode(scan.features).float(), outputs, rtol=1e-4, atol=1e-5)
        forward_states = leaves([states[:1] for states in last])
        assert_close([leaf.float() for leaf in scan.states[-1]], forward_states, rtol=1e-4, atol=1e-5)
