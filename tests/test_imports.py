"""The house: a room imports what stands on a lower floor, and never what stands beside it or above."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FLOORS = (
    ("cli",),
    ("console",),
    ("checkup", "templates"),
    ("claims", "timing"),
    ("leaderboards", "running"),
    ("plots",),
    ("results", "training"),
    ("store",),
    ("planning", "diagnostics"),
    ("contracts",),
    ("model", "data"),
    ("experiment",),
    ("registry",),
    ("options",),
    ("statistics", "architectures", "engines"),
    ("kernels", "tasks", "errors", "numerics", "surroundings", "imports"),
)
"""From the top down; CONTRIBUTING says in a sentence what each room is for."""
FLOOR_OF = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms}
IN_SUITE_ITSELF = {"__init__", "__main__", "data", "errors", "numerics", "options", "registry", "surroundings"}
ONLY_IMPORTER = {
    "mlflow": "suite/store/mlflow_",
    "optuna": "suite/planning/sweep.py",
    "ray": "suite/engines/ray.py",
    "sqlalchemy": "suite/store/",
    "psycopg": "suite/store/",
    "tenacity": "suite/store/retrying.py",
    "lightning": "suite/training/",
}
"""Whatever is heavy, or could be exchanged, has one place that imports it."""
MOST_LINES = 300
MOST_LINES_OF_A_FUNCTION = 60
FILES = [path.relative_to(ROOT) for folder in ("tasks", "suite") for path in sorted((ROOT / folder).rglob("*.py"))]


def tree(path: Path) -> ast.Module:
    return ast.parse((ROOT / path).read_text(encoding="utf-8"))


def imported(path: Path) -> set[str]:
    """The modules a file imports, anywhere in it."""
    found: set[str] = set()
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            assert node.module is not None
            found |= {node.module} if node.module != "suite" else {f"suite.{alias.name}" for alias in node.names}
    return found


def room_of(name: str) -> str | None:
    """The room of a module, or of a file by its path with dots; None for what is not of memspan."""
    parts = name.split(".")
    if parts[0] == "tasks":
        return "tasks"
    return parts[1] if parts[0] == "suite" and len(parts) > 1 else None


@pytest.mark.parametrize("path", FILES, ids=str)
def test_a_file_imports_only_what_stands_below_its_room(path: Path) -> None:
    room = room_of(".".join(path.with_suffix("").parts))
    if room not in FLOOR_OF:
        assert room in ("__init__", "__main__", "model_file"), f"{room} has no floor"
        return
    for name in imported(path):
        other = room_of(name)
        if other is not None and other != room:
            assert FLOOR_OF[other] > FLOOR_OF[room], f"{path} imports {name}, which does not stand below {room}"


@pytest.mark.parametrize("path", FILES, ids=str)
def test_a_heavy_library_has_one_importer(path: Path) -> None:
    for name in imported(path):
        place = ONLY_IMPORTER.get(name.split(".")[0])
        assert place is None or path.as_posix().startswith(place), f"{path} imports {name}, which only {place}… may"


def test_tasks_and_cells_stand_on_torch_alone() -> None:
    for path in FILES:
        room = room_of(".".join(path.with_suffix("").parts))
        allowed = {"tasks": ("torch", "tasks", "memspan"), "architectures": ("torch", "suite", "memspan")}.get(
            str(room)
        )
        names = {name.split(".")[0] for name in imported(path)} - set(sys.stdlib_module_names)
        assert allowed is None or names <= set(allowed), f"{path} imports {names - set(allowed)}"


def test_nothing_lies_loose_in_suite() -> None:
    assert {path.stem for path in (ROOT / "suite").glob("*.py")} == IN_SUITE_ITSELF


@pytest.mark.parametrize("path", FILES, ids=str)
def test_files_and_functions_can_be_read_in_one_sitting(path: Path) -> None:
    assert len((ROOT / path).read_text(encoding="utf-8").splitlines()) <= MOST_LINES
    if "kernels" in path.parts:
        return
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.FunctionDef):
            assert node.end_lineno is not None
            assert node.end_lineno - node.lineno < MOST_LINES_OF_A_FUNCTION, f"{path}: {node.name}"


def test_a_written_leaderboard_is_shown_without_what_takes_seconds_to_import() -> None:
    program = (
        "import sys\n"
        "from pathlib import Path\n"
        "from suite.results.record import Record\n"
        "from suite.leaderboards.text.render import as_json\n"
        "from suite.leaderboards.leaderboard import build_leaderboard\n"
        "assert as_json(build_leaderboard(Record.read(Path('experiments/report/quick/runs.parquet'))))\n"
        "print(sorted({'optuna', 'scipy.stats', 'matplotlib', 'mlflow', 'lightning'} & set(sys.modules)))"
    )
    found = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert found.stdout == "[]\n"
