"""What a user would install instead of a cell of memspan: a layer of the same size, to compare the speed.

Most packages bring a whole layer. Those of the mLSTM and of flash-linear-attention bring the recurrence alone as
something that a CPU can run, and it gets the matrix products of our layer.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from importlib import import_module
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import linear, logsigmoid, normalize, pad, silu

from suite.errors import InputError

GROUP = "oracles"
"""The dependency group with the packages."""


class Peer(NamedTuple):
    """A layer of another package."""

    package: str
    module: nn.Module
    """The module whose parameters get gradients."""
    forward: Callable[[Tensor], Tensor]
    """The pass forward, from inputs ``[batch, time, input]`` to outputs."""


Maker = Callable[[Any, int, int], Peer]
"""It receives our layer, its input size and its hidden size."""


def peer_of(form: str, cell: nn.Module, input_size: int, hidden_size: int) -> Peer | None:
    """Return the layer beside a form of one of our architectures, such as ``"gru after"``; None if there is none.

    Args:
        form: the name of the architecture, followed by its options.
        cell: our layer of that form.
        input_size: the size of each input.
        hidden_size: the size of our layer.

    Raises:
        InputError: if the package is not installed.
    """
    make = MAKERS.get(form) or MAKERS.get(form.split()[0])
    return None if make is None else make(cell, input_size, hidden_size)


def _layer(package: str, module: str, name: str, **options: Any) -> Maker:
    """Return the maker of a recurrent layer that is built as torch's are, and returns its outputs first."""

    def make(cell: Any, input_size: int, hidden_size: int) -> Peer:
        layer = getattr(_imported(module, package), name)(input_size, hidden_size, batch_first=True, **options)
        return Peer(package, layer, lambda inputs: layer(inputs)[0])

    return make


def _minimal(name: str) -> Maker:
    def make(cell: Any, input_size: int, hidden_size: int) -> Peer:
        module = _imported(f"minGRU_pytorch.{name}", "minGRU-pytorch")
        layer = getattr(module, name)(input_size, expansion_factor=hidden_size / input_size, proj_out=False)
        return Peer("minGRU-pytorch", layer, layer)

    return make


def _lru(cell: Any, input_size: int, hidden_size: int) -> Peer:
    layer = _imported("LRU_pytorch", "LRU-pytorch").LRU(input_size, hidden_size, hidden_size)
    return Peer("LRU-pytorch", layer, layer)


def _s5(cell: Any, input_size: int, hidden_size: int) -> Peer:
    layer = _imported("s5", "s5-pytorch").S5(hidden_size)
    return Peer("s5-pytorch", layer, lambda inputs: layer(_widened(inputs, hidden_size)))


def _mamba(cell: Any, input_size: int, hidden_size: int) -> Peer:
    """Make the block of mambapy, which has an output matrix too."""
    module = _imported("mambapy.mamba", "mambapy")
    layer = module.MambaBlock(module.MambaConfig(d_model=hidden_size, n_layers=1, d_state=cell.d_state))
    return Peer("mambapy", layer, lambda inputs: layer(_widened(inputs, hidden_size)))


def _attention(cell: Any, input_size: int, hidden_size: int) -> Peer:
    module = _imported("x_transformers.x_transformers", "x-transformers")
    layer = module.Attention(dim=input_size, dim_head=hidden_size // cell.heads, heads=cell.heads, causal=True)
    layer.to_out = nn.Identity()
    return Peer("x-transformers", layer, layer)


def _tcn(cell: Any, input_size: int, hidden_size: int) -> Peer:
    levels, kernel = len(cell.convolutions) // 2, cell.convolutions[0].v.shape[1]
    layer = _imported("pytorch_tcn", "pytorch-tcn").TCN(
        input_size, [hidden_size] * levels, kernel_size=kernel, dropout=0.0, causal=True, input_shape="NLC"
    )
    return Peer("pytorch-tcn", layer, layer)


def _mlstm(cell: Any, input_size: int, hidden_size: int) -> Peer:
    native = _imported("mlstm_kernels.torch.recurrent.native_sequence", "mlstm_kernels")

    def forward(inputs: Tensor) -> Tensor:
        q, k, v = (part.transpose(1, 2) for part in _by_head(cell, inputs))
        i, f = linear(inputs, cell.W_if, cell.b_if).transpose(1, 2).chunk(2, dim=1)
        h: Tensor = native.mlstm_recurrent_sequence__native_fw(q, k, v, i, f).transpose(1, 2).flatten(2)
        return torch.sigmoid(linear(inputs, cell.W_o, cell.b_o)) * h

    return Peer("mlstm_kernels", cell, forward)


def _linear_attention(operation: str, function: str, cell: Any, input_size: int, hidden_size: int) -> Peer:
    run = getattr(_naive(operation), function)

    def forward(inputs: Tensor) -> Tensor:
        q, k, v = _by_head(cell, inputs)
        if cell.decay == "fixed":
            outputs: Tensor = run(*(part.transpose(1, 2) for part in (q, k, v))).transpose(1, 2)
        else:
            into = linear(linear(inputs, cell.W_1), cell.W_2, cell.b) if cell.decay == "gated" else None
            g = logsigmoid(linear(inputs, cell.W_step) if into is None else into.view(q.shape))
            outputs = run(q, k, v, g)[0]
        return outputs.flatten(2)

    return Peer("fla-core", cell, forward)


def _delta_net(cell: Any, input_size: int, hidden_size: int) -> Peer:
    gated = cell.A_log is not None
    module = _naive("gated_delta_rule" if gated else "delta_rule")

    def forward(inputs: Tensor) -> Tensor:
        q, k, v = _by_head(cell, inputs)
        q, k, beta = normalize(silu(q), dim=-1), normalize(silu(k), dim=-1), torch.sigmoid(linear(inputs, cell.W_beta))
        if gated:
            g = logsigmoid(linear(inputs, cell.W_alpha))
            outputs: Tensor = module.naive_recurrent_gated_delta_rule(q, k, v, beta=beta, g=g)[0]
        else:
            turned = (part.transpose(1, 2) for part in (q, k, v, beta))
            outputs = module.delta_rule_recurrence(*turned)[0].transpose(1, 2)
        return outputs.flatten(2)

    return Peer("fla-core", cell, forward)


def _widened(inputs: Tensor, size: int) -> Tensor:
    """Return inputs with zeros beside them, for a layer whose inputs have the size of its outputs."""
    return pad(inputs, (0, size - inputs.shape[2]))


def _by_head(cell: Any, inputs: Tensor) -> list[Tensor]:
    """Return q, k and v, each ``[batch, time, heads, d]``."""
    q, k, v = linear(inputs, cell.W).view(*inputs.shape[:2], 3, cell.heads, -1).unbind(2)
    return [q, k, v]


def _imported(module: str, package: str) -> Any:
    try:
        return import_module(module)
    except ImportError as error:
        raise _missing(package) from error


def _naive(operation: str) -> ModuleType:
    """Return the reference loops of an operation, whose file is run alone, because the package imports Triton."""
    package = find_spec("fla")
    if package is None or not package.submodule_search_locations:
        raise _missing("fla-core")
    file = Path(package.submodule_search_locations[0]) / "ops" / operation / "naive.py"
    spec = spec_from_file_location(f"naive_{operation}", file)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _missing(package: str) -> InputError:
    return InputError(
        f"--peers needs {package}, which is in the dependency group {GROUP!r}; in a checkout of memspan, "
        f"install it with `pip install --group {GROUP}`"
    )


MAKERS: dict[str, Maker] = {
    "rnn": _layer("torch", "torch.nn", "RNN"),
    "rnn relu": _layer("torch", "torch.nn", "RNN", nonlinearity="relu"),
    "lstm": _layer("torch", "torch.nn", "LSTM"),
    "lstm_coupled": _layer("torch", "torch.nn", "LSTM"),
    "gru": _layer("torch", "torch.nn", "GRU"),
    "lstm_peephole": _layer("torchrecurrent", "torchrecurrent", "PeepholeLSTM"),
    "lem": _layer("torchrecurrent", "torchrecurrent", "LEM"),
    "indrnn": _layer("torchrecurrent", "torchrecurrent", "IndRNN"),
    "min_gru": _minimal("minGRU"),
    "min_lstm": _minimal("minLSTM"),
    "lru": _lru,
    "s4d": _s5,
    "mamba": _mamba,
    "attention": _attention,
    "tcn": _tcn,
    "mlstm": _mlstm,
    "linear_attention fixed": partial(_linear_attention, "retention", "naive_retention"),
    "linear_attention gated": partial(_linear_attention, "gla", "naive_recurrent_gla"),
    "linear_attention scalar": partial(_linear_attention, "simple_gla", "naive_recurrent_simple_gla"),
    "delta_net": _delta_net,
}
"""The makers of peers, by the form of an architecture or by its name."""
