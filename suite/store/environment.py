"""The environment of a run: the versions, the processor, the threads and the code on which its result depends."""

from __future__ import annotations

import hashlib
import json
import os
import platform
from collections.abc import Iterator, Mapping
from contextlib import suppress
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from suite.experiment.run_config import PROTOCOL, digest

PACKAGES = ("memspan", "torch", "lightning", "mlflow", "optuna", "numba", "llvmlite", "numpy", "scipy", "pandas")
"""The packages whose versions are recorded."""
FILES = ("suite/data.py", "suite/numerics.py", "suite/registry.py")
FOLDERS = (
    *("suite/experiment", "suite/model", "suite/planning", "suite/diagnostics", "suite/training"),
    *("suite/architectures", "suite/kernels", "tasks"),
)
"""The files and folders of the code that trains, chooses and measures runs, relative to the folder of the project."""
VARIABLES = ("ATEN_", "MKL_", "OMP_", "NUMBA_", "MEMSPAN_KERNELS")
"""Environment variables whose names begin like this can change the bits of a result."""
SAME_BITS = ("python", "system", "processor", "cpu", "cpu_capability", "threads", "device", "packages", "variables")
"""If two environments agree in all of these fields, the same configuration gives the same bits."""
BITS_PACKAGES = ("torch", "lightning", "numba", "llvmlite", "numpy")
"""The packages whose versions must agree for the same bits."""


@cache
def environment(device: str = "cpu") -> Mapping[str, Any]:
    """Describe this process as plain values."""
    import torch

    name = torch.cuda.get_device_name() if device == "cuda" else device
    return {
        "protocol": PROTOCOL,
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()} {' '.join(platform.libc_ver())}".strip(),
        "processor": _processor(),
        "cpu": _instructions(),
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "threads": 1,
        "device": name,
        "packages": {name: version for name in PACKAGES if (version := _version(name))},
        "variables": {
            name: value
            for name, value in sorted(os.environ.items())
            if name.startswith(VARIABLES) and not name.endswith(("_DIR", "_SECONDS"))
        },
        "files": {str(path): file_digest(path) for path in training_files()},
    }


def environment_digest(environment: Mapping[str, Any]) -> str:
    """Return sixteen digits that stand for an environment."""
    return digest(json.dumps(environment, sort_keys=True))


def bits(environment: Mapping[str, Any]) -> dict[str, Any]:
    """Return those fields of an environment on which the bits of a result depend."""
    fields = {name: environment.get(name) for name in SAME_BITS}
    return {**fields, "packages": {name: (fields["packages"] or {}).get(name) for name in BITS_PACKAGES}}


def training_files() -> Iterator[Path]:
    """Yield every file of the code that trains runs, relative to the folder of the project."""
    yield from map(Path, FILES)
    for folder in FOLDERS:
        yield from sorted(path.relative_to(_root()) for path in (_root() / folder).glob("*.py"))


def file_digest(path: Path) -> str:
    """Return sixteen digits that stand for a file of the project."""
    return hashlib.sha256((_root() / path).read_bytes()).hexdigest()[:16]


def _root() -> Path:
    """Return the folder of the project."""
    return Path(__file__).parents[2]


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def _instructions() -> str:
    """Return the name of the processor for which Numba compiles; empty without Numba."""
    with suppress(ImportError):
        import llvmlite.binding

        return str(llvmlite.binding.get_host_cpu_name())
    return ""


def _processor() -> str:
    """Return the name of the processor as its maker gives it, if the system tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor()
