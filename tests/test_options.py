"""The options of constructors as people write them."""

from __future__ import annotations

import math
import sys
import types
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import pytest
import torch
from torch import Tensor

from suite.errors import InputError
from suite.experiment.run_config import canonical_json
from suite.options import option_types
from suite.registry import architectures, make_task, tasks
from tasks import Task
from tasks.adding import Adding
from tests.contracts.cells import Plain
from tests.contracts.tasks import Bits

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Unannotated(Plain):
    def __init__(self, input_size, hidden_size, rate=0.5, order=1, name="x", fast=False, none=None):  # type: ignore[no-untyped-def]
        super().__init__(input_size, hidden_size)
        self.given = (rate, order, name, fast, none)


class Keywords(Plain):
    def __init__(self, *sizes: int, rate: float = 0.5, **more: Any) -> None:
        super().__init__(*sizes, **more)
        self.given = rate


class Function(Plain):
    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        activation: Callable[[Tensor], Tensor] = torch.tanh,
        kind: torch.dtype = torch.float32,
        rate: float = 0.5,
    ) -> None:
        super().__init__(input_size, hidden_size)
        self.given = (activation, rate)


class ByPosition(Plain):
    def __init__(self, input_size: int, hidden_size: int, rate: float = 0.5, /) -> None:
        super().__init__(input_size, hidden_size)
        self.given = rate


class SizesWithDefaults(Plain):
    def __init__(self, input_size: int = 1, hidden_size: int = 1, rate: float = 0.5) -> None:
        super().__init__(input_size, hidden_size)
        self.given = rate


class OddNames(Plain):
    """Its options have names that a pydantic model would refuse or warn of."""

    def __init__(
        self, input_size: int, hidden_size: int, *, model_dim: int = 2, copy: int = 3, _hidden: int = 4
    ) -> None:
        super().__init__(input_size, hidden_size)
        self.given = (model_dim, copy, _hidden)


class UnknownType(Plain):
    def __init__(self, input_size: int, hidden_size: int, *, initial: Tensor | None = None) -> None:
        super().__init__(input_size, hidden_size)
        self.given = initial


class NoDefault(Plain):
    def __init__(self, input_size: int, hidden_size: int, rate: float) -> None:
        super().__init__(input_size, hidden_size)


class NotImported(Plain):
    def __init__(self, input_size: int, hidden_size: int, *, weights: NDArray[Any] | None = None) -> None:
        super().__init__(input_size, hidden_size)


@dataclass(frozen=True)
class WithFactory(Bits):
    values: list[int] = field(default_factory=lambda: [1, 2])
    table: dict[str, float] = field(default_factory=dict)
    draw: Callable[[], float] = field(default=math.e.__float__)
    lag: int = 3


class NotDataclass(Bits):
    def __init__(self, lag: int = 2) -> None:
        if lag > 9:
            raise KeyError("no such lag")
        self.lag = lag


class Halved(Bits):
    input_size = 1.5  # type: ignore[assignment]


class Unbounded(Bits):
    @property
    def longest(self) -> Any:
        return math.inf


class Incomplete(Bits):
    @property
    def output_size(self) -> int:  # type: ignore[override]
        return len(self.symbols)  # type: ignore[attr-defined]


class Quitting(Bits):
    def __init__(self) -> None:
        raise SystemExit(3)


class NoDelay(Task):
    """Lacks most of the contract."""


def name_of(cls: type) -> str:
    return f"{cls.__module__}:{cls.__name__}"


@pytest.mark.parametrize(
    ("cls", "settings", "given"),
    [
        (Unannotated, {}, (0.5, 1, "x", False, None)),
        (Unannotated, {"rate": 1, "order": 2, "name": "y", "fast": True, "none": 7}, (1.0, 2, "y", True, 7)),
        (Keywords, {"rate": 0.25}, 0.25),
        (Function, {"rate": 0.25}, (torch.tanh, 0.25)),
        (ByPosition, {}, 0.5),
        (SizesWithDefaults, {"rate": 0.25}, 0.25),
        (OddNames, {"model_dim": 5, "copy": 6}, (5, 6, 4)),
        (UnknownType, {}, None),
    ],
)
def test_a_constructor_works_as_people_write_it(cls: Any, settings: dict[str, Any], given: Any) -> None:
    options = architectures.options(name_of(cls), settings)
    canonical_json(options)
    cell = cls(2, 4, **options)
    assert cell.given == given
    assert (cell.input_size, cell.hidden_size) == (2, 4)


@pytest.mark.parametrize(
    ("cls", "settings", "message"),
    [
        (Unannotated, {"rate": "fast"}, "rate of {}: input should be a valid number; got 'fast'"),
        (Unannotated, {"order": 0.5}, "order of {}: input should be a valid integer; got 0.5"),
        (Keywords, {"gian": 1}, "unknown option 'gian' of {}; available: rate"),
        (Keywords, {"more": 1}, "unknown option 'more' of {}; available: rate"),
        (
            Function,
            {"activation": "relu"},
            "activation of {} cannot be set, because its default is <built-in method",
        ),
        (
            Function,
            {"kind": "float64"},
            "kind of {} cannot be set, because its default is torch.float32; an option",
        ),
        (ByPosition, {"rate": 1.0}, "rate of {} cannot be set, because the constructor takes it by position only"),
        (UnknownType, {"initial": 1.0}, "initial of {} cannot be set, because its type is "),
        (
            NoDefault,
            {"rate": 1.0},
            "tests.test_options:NoDefault: every option needs a default; parameter 'rate' has",
        ),
        (NotImported, {}, "tests.test_options:NotImported: the annotation of 'weights' cannot be evaluated"),
    ],
)
def test_a_parameter_that_cannot_be_set_is_named_in_one_message(cls: type, settings: Any, message: str) -> None:
    with pytest.raises(InputError) as caught:
        architectures.options(name_of(cls), settings)
    assert str(caught.value).startswith(message.format(f"architecture '{name_of(cls)}'"))


def test_a_factory_of_a_dataclass_gives_each_task_a_default_of_its_own() -> None:
    name = name_of(WithFactory)
    assert list(option_types(WithFactory)) == ["values", "table", "lag"]
    first, second = (make_task(name, {"lag": 5}) for _ in range(2))
    assert (first.values, first.table, first.lag) == ([1, 2], {}, 5)
    assert first.values is not second.values
    assert tasks.without_defaults(name, {"values": (1, 2), "table": {}, "lag": 5}) == {"lag": 5}


@pytest.mark.parametrize(
    ("cls", "settings", "reason"),
    [
        (NotDataclass, {"lag": 10}, "KeyError: 'no such lag'"),
        (NoDelay, {}, "TypeError: Can't instantiate abstract class NoDelay"),
        (Halved, {}, "input_size must be a whole number, at least 1; got 1.5"),
        (Unbounded, {}, "longest must be a whole number, at least 1; got inf"),
        (Incomplete, {}, "AttributeError: 'Incomplete' object has no attribute 'symbols'"),
        (Quitting, {}, "SystemExit: 3"),
    ],
)
def test_a_task_that_cannot_be_made_says_why(cls: type, settings: dict[str, Any], reason: str) -> None:
    with pytest.raises(InputError) as caught:
        make_task(name_of(cls), settings)
    assert str(caught.value).startswith(f"task '{name_of(cls)}': {reason}")


def test_an_option_that_is_inherited_keeps_the_type_that_it_has_in_its_own_module(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The subclass is made in a module that imports nothing, not even the names of the annotations."""
    module = types.ModuleType("lone_task")
    monkeypatch.setitem(sys.modules, "lone_task", module)
    vars(module).update(Adding=Adding, dataclass=dataclass)
    code = "from __future__ import annotations\n@dataclass(frozen=True)\nclass Mine(Adding):\n    extra: int = 3\n"
    exec(compile(code, "lone_task.py", "exec"), vars(module))
    assert option_types(module.Mine) == {"marks": (Literal["halves", "anywhere"], "halves"), "extra": (int, 3)}


def test_a_task_need_not_be_a_dataclass() -> None:
    assert make_task(name_of(NotDataclass), {"lag": 3}).lag == 3
