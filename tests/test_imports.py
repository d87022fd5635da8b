"""Imports go one way."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FILES = [path.relative_to(ROOT) for folder in ("tasks", "suite") for path in sorted((ROOT / folder).rglob("*.py"))]


def imported(path: Path) -> set[str]:
    """The modules a file imports, anywhere in it."""
    found: set[str] = set()
    for node in ast.walk(ast.parse((ROOT / path).read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            assert node.module is not None
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


def within(name: str, packages: tuple[str, ...]) -> bool:
    return any(name == package or name.startswith(f"{package}.") for package in packages)


@pytest.mark.parametrize("path", FILES, ids=str)
def test_a_file_imports_only_what_its_place_allows(path: Path) -> None:
    names = {name for name in imported(path) if name.split(".")[0] not in sys.stdlib_module_names}
    place = path.as_posix()
    if place.startswith("tasks/"):
        assert all(within(name, ("torch", "tasks")) for name in names)
    if place.startswith("suite/architectures/"):
        allowed = ("torch", "suite.architectures", "suite.kernels")
        assert all(name == "suite" or within(name, allowed) for name in names)
    if place.startswith("suite/kernels/") and not place.endswith("__init__.py"):  # it names Cell as a type
        assert not any(within(name, ("suite.architectures", "suite.registry", "tasks")) for name in names)
    if place != "suite/store/mlflow_tracking.py":
        assert not any(within(name, ("mlflow",)) for name in names)
    if place != "suite/planning/sweep.py":
        assert not any(within(name, ("optuna",)) for name in names)
    if place != "suite/engines/ray.py":
        assert not any(within(name, ("ray",)) for name in names)
    if place not in ("suite/store/ledger.py", "suite/store/addresses.py"):
        assert not any(within(name, ("sqlalchemy", "psycopg")) for name in names)
    if place != "suite/__main__.py" and not place.startswith("suite/cli/"):
        assert not any(within(name, ("suite.cli",)) for name in names)


def test_a_written_leaderboard_is_shown_without_what_takes_seconds_to_import() -> None:
    program = (
        "import sys\n"
        "from pathlib import Path\n"
        "from suite.results.record import Record\n"
        "from suite.leaderboards.text.render import as_json\n"
        "from suite.leaderboards.leaderboard import leaderboard\n"
        "assert as_json(leaderboard(Record.read(Path('experiments/report/quick/runs.parquet'))))\n"
        "print(sorted({'optuna', 'scipy.stats', 'matplotlib', 'mlflow', 'lightning'} & set(sys.modules)))"
    )
    found = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert found.stdout == "[]\n"
