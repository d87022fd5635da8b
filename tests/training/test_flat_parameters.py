"""The parameters of a model as one vector, against the parameters one by one."""

from __future__ import annotations

import pytest
import torch

from suite.experiment.run_config import Training
from suite.model.sequence_model import build_model
from suite.training.flat_parameters import FlatParameters
from suite.training.optimizer import OPTIMIZERS, make_optimizer
from tests.training.test_optimizer import MARKED


def test_gradients_are_clipped_to_the_threshold_and_measured_before() -> None:
    model = torch.nn.Linear(3, 1, bias=False)
    for threshold, after in ((1.0, 1.0), (float("inf"), 5.0), (10.0, 5.0)):
        flat = FlatParameters(model)
        assert model.weight.grad is not None
        model.weight.grad.copy_(torch.tensor([[3.0, 4.0, 0.0]]))
        assert flat.clip_gradient(threshold).item() == pytest.approx(5.0)
        assert model.weight.grad.norm().item() == pytest.approx(after, rel=1e-5)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("clip", [0.05, float("inf")])
def test_training_one_vector_is_training_every_parameter(optimizer: str, clip: float) -> None:
    """Against torch's own optimisers and clipping, parameter by parameter."""
    ours, theirs = (build_model("lstm", {}, 2, 9, 1, depth=2, seed=1) for _ in range(2))
    inputs = torch.randn(8, 12, 2, generator=torch.Generator().manual_seed(0))
    flat = FlatParameters(ours)
    settings = Training(optimizer=optimizer, learning_rate=0.01, weight_decay=0.1)
    optimizers = (
        make_optimizer(flat, settings),
        OPTIMIZERS[optimizer](theirs.parameters(), lr=0.01, weight_decay=0.1),
    )
    for _ in range(5):
        flat.clear_gradient()
        ours(inputs)[0].square().sum().backward()
        norm = flat.clip_gradient(clip)
        optimizers[1].zero_grad()
        theirs(inputs)[0].square().sum().backward()
        torch.testing.assert_close(norm, torch.nn.utils.clip_grad_norm_(theirs.parameters(), clip))
        for step in optimizers:
            step.step()
    for one, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    ("architecture", "weight_decay", "decays"),
    [("lstm", 0.0, [0.0]), ("lstm", 0.1, [0.1]), (MARKED, 0.0, [0.0]), (MARKED, 0.1, [0.1, 0.0])],
)
def test_there_are_two_groups_only_if_a_part_of_the_vector_decays(
    architecture: str, weight_decay: float, decays: list[float]
) -> None:
    model = build_model(architecture, {}, 2, 8, 1, seed=1)
    flat = FlatParameters(model)
    groups = make_optimizer(flat, Training(optimizer="adamw", weight_decay=weight_decay)).param_groups
    assert [group["weight_decay"] for group in groups] == decays
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    assert sum(parameter.numel() for group in groups for parameter in group["params"]) == len(flat.values)
    assert len(flat.values) == sum(parameter.numel() for parameter in trained)
    for (parameter,) in (group["params"] for group in groups):
        assert parameter.untyped_storage().data_ptr() == flat.values.untyped_storage().data_ptr()
        assert parameter.grad.untyped_storage().data_ptr() == flat.gradient.untyped_storage().data_ptr()


def test_a_vector_in_which_nothing_decays_is_one_group_without_decay() -> None:
    class Free(torch.nn.Linear):
        without_weight_decay = ("weight", "bias")

    (group,) = FlatParameters(Free(3, 2)).groups(0.1)
    assert group["weight_decay"] == 0.0
    assert len(group["params"][0]) == 8
