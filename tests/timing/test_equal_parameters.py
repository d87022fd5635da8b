"""Layers of other packages, and the speed of ours beside them."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from suite.errors import InputError
from suite.timing import equal_parameters, peers
from suite.timing.cell_speed import forms
from suite.timing.peers import MAKERS, peer_of

FORMS = dict(forms())


@pytest.mark.parametrize("form", [form for form in FORMS if form in MAKERS or form.split()[0] in MAKERS])
def test_a_peer_has_the_outputs_and_the_gradients_of_a_layer_of_our_size(form: str) -> None:
    layer = FORMS[form](6, 12)
    try:
        peer = peer_of(form, layer, 6, 12)
    except InputError as error:
        pytest.skip(str(error))
    assert peer is not None
    inputs = torch.randn(2, 8, 6)
    outputs = peer.forward(inputs)
    assert outputs.shape == (2, 8, 12)
    outputs.sum().backward()
    assert any(parameter.grad is not None for parameter in peer.module.parameters())


def test_every_maker_belongs_to_a_form() -> None:
    assert set(MAKERS) <= set(FORMS) | {form.split()[0] for form in FORMS}


def test_a_package_that_is_missing_is_named_with_its_group(monkeypatch: pytest.MonkeyPatch) -> None:
    def import_module(name: str) -> Any:
        raise ImportError(name)

    monkeypatch.setattr(peers, "import_module", import_module)
    with pytest.raises(InputError, match="--peers needs torchrecurrent, which is in the dependency group 'oracles'"):
        peer_of("indrnn relu", FORMS["indrnn relu"](3, 4), 3, 4)


def test_the_table_has_a_row_for_each_form_at_about_equal_parameters(monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = {form: FORMS[form] for form in ("gru before", "lstm hidden", "attention rope")}
    monkeypatch.setattr(equal_parameters, "forms", chosen.items)
    heard: list[tuple[str, int, int]] = []
    rows = equal_parameters.equal_parameters_table(1, on_form=lambda *form: heard.append(form))
    assert heard == [("gru before", 0, 3), ("lstm hidden", 1, 3), ("attention rope", 2, 3)]
    assert [row["form"] for row in rows] == list(chosen)
    assert all(abs(row["parameters"] - 20_000) < 1000 for row in rows)
    assert all(row["to_lstm"] > 0 and row["to_peer"] is None for row in rows)
