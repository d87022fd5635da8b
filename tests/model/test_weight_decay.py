"""Which parameters weight decay leaves alone."""

from __future__ import annotations

import copy
import re
from typing import Any

import pytest
from torch import nn

from suite.errors import InputError
from suite.model.sequence_model import build_model
from suite.model.weight_decay import by_weight_decay
from suite.registry import architectures


class Scaled(nn.Linear):
    """A linear map with a factor, and a bias that can be left out."""

    without_weight_decay: Any = ("scale", "bias")

    def __init__(self, bias: bool = True) -> None:
        super().__init__(2, 3, bias=bias)
        self.scale = nn.Parameter(self.weight.new_ones(3))


def names(model: nn.Module) -> list[list[str]]:
    """The names of the parameters with weight decay, and of those without."""
    name_of = {id(parameter): name for name, parameter in model.named_parameters()}
    return [[name_of[id(parameter)] for parameter in kind] for kind in by_weight_decay(model)]


def test_without_a_mark_every_parameter_decays_in_the_order_of_the_model() -> None:
    model = nn.Sequential(nn.Linear(2, 3), nn.GRU(3, 4))
    assert names(model) == [[name for name, _ in model.named_parameters()], []]


def test_any_module_of_a_model_can_name_its_own_parameters_and_so_can_its_copy() -> None:
    model = nn.Sequential(nn.Linear(2, 2), Scaled(), Scaled(bias=False))
    expected = [["0.weight", "0.bias", "1.weight", "2.weight"], ["1.bias", "1.scale", "2.scale"]]
    assert names(model) == names(copy.deepcopy(model)) == expected


def test_what_is_frozen_is_in_neither_list() -> None:
    model = Scaled()
    model.scale.requires_grad_(False)
    model.weight.requires_grad_(False)
    assert names(model) == [[], ["bias"]]


def test_a_parameter_that_two_modules_share_is_left_alone_if_one_names_it() -> None:
    first, second = nn.Linear(2, 3), Scaled()
    first.bias = second.bias
    assert names(nn.Sequential(first, second))[1] == ["0.bias", "1.scale"]


@pytest.mark.parametrize(
    ("marked", "message"),
    [
        (("scael",), "unknown parameter 'scael' of Scaled.without_weight_decay; available: bias, scale, weight (did"),
        (("training",), "unknown parameter 'training' of Scaled.without_weight_decay"),
        (("0.weight",), "unknown parameter '0.weight' of Scaled.without_weight_decay"),
        ("scale", "Scaled.without_weight_decay must be a tuple of names, such as (\"A_log\",); got 'scale'"),
        ((1,), 'Scaled.without_weight_decay must be a tuple of names, such as ("A_log",); got (1,)'),
        (True, 'Scaled.without_weight_decay must be a tuple of names, such as ("A_log",); got True'),
    ],
)
def test_what_is_no_name_of_a_parameter_is_one_clear_message(marked: Any, message: str) -> None:
    model = nn.Sequential(nn.Linear(2, 2), Scaled())
    model[1].without_weight_decay = marked
    with pytest.raises(InputError, match=re.escape(message)):
        by_weight_decay(model)


@pytest.mark.parametrize(("norm", "parts"), [("rms", ["weight"]), ("layer", ["weight", "bias"])])
def test_the_norms_of_residual_blocks_do_not_decay(norm: str, parts: list[str]) -> None:
    model = build_model("gru", {}, 2, 4, 1, block="residual", norm=norm, mixer=1.0)
    places = ["blocks.0.norm", "blocks.0.mixer_norm", "norm"]
    assert names(model)[1] == [f"{place}.{part}" for place in places for part in parts]


@pytest.mark.parametrize("name", architectures.names())
def test_every_architecture_names_parameters_of_its_own(name: str) -> None:
    model = build_model(name, {}, 2, 16, 1)
    decayed, left_alone = by_weight_decay(model)
    assert model.decoder.weight in set(decayed)
    assert len(decayed) + len(left_alone) == sum(parameter.requires_grad for parameter in model.parameters())
