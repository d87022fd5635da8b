"""Which parameters of a model weight decay leaves alone."""

from __future__ import annotations

from collections.abc import Iterator

from torch import nn

from suite.errors import InputError, shortened, unknown

MARK = "without_weight_decay"
"""The attribute in which a module names those of its own parameters that weight decay leaves alone.

It holds names, because an attribute of a parameter does not survive a copy of the model."""


def by_weight_decay(model: nn.Module) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
    """Return the trainable parameters of a model in two lists: those with weight decay, and those without.

    Any module of the model may have ``without_weight_decay = ("A_log", "D")``, such as a cell or a norm. A parameter
    that two modules share is left alone if one of them names it.

    Raises:
        InputError: if a module names what is no parameter of its own.
    """
    left_alone = {id(parameter) for module in model.modules() for parameter in _named_by(module)}
    trainable = [parameter for parameter in model.parameters() if parameter.requires_grad]
    return (
        [parameter for parameter in trainable if id(parameter) not in left_alone],
        [parameter for parameter in trainable if id(parameter) in left_alone],
    )


def _named_by(module: nn.Module) -> Iterator[nn.Parameter]:
    """Yield the parameters that a module names. A name whose parameter an option has set to None stands for none."""
    names, where = getattr(module, MARK, ()), f"{type(module).__name__}.{MARK}"
    if not (isinstance(names, tuple | list) and all(isinstance(name, str) for name in names)):
        raise InputError(f'{where} must be a tuple of names, such as ("A_log",); got {shortened(names)}')
    own = dict(module.named_parameters(recurse=False, remove_duplicate=False))
    for name in names:
        if name in own:
            yield own[name]
        elif getattr(module, name, module) is not None:
            raise unknown("parameter", name, own, of=where)
