"""The class that a name stands for, which is an architecture or a task, and its checkup."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from suite.checkup import architecture, task
from suite.checkup.report import Progress, Report
from suite.errors import unknown
from suite.registry import architectures, import_user_module, is_class_name, likely_class_name, tasks
from tasks import Task


def checkup(name: str, options: Mapping[str, Any], progress: Progress = lambda text: None) -> Report:
    """Hold an architecture or a task to its whole contract, and measure it.

    Args:
        name: its name from ``memspan list``, or ``package.module:Class``.
        options: its options; the others have their defaults.
        progress: is told what is done next.

    Raises:
        InputError: if there is no such class, it is neither an architecture nor a task, or it has no such option.
    """
    return task.checkup(name, options, progress) if _is_task(name) else architecture.checkup(name, options, progress)


def _is_task(name: str) -> bool:
    if not is_class_name(name):
        names = [*architectures.names(), *tasks.names()]
        if name not in names:
            raise unknown(
                "architecture or task", name, names, other="package.module:Class", likely=likely_class_name(name)
            )
        return name in tasks.names()
    found = vars(import_user_module("class", name)).get(name.partition(":")[2])
    return inspect.isclass(found) and issubclass(found, Task)
