"""What the READMEs and the guides show works as written, and what they name is there."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from suite.claims import claim
from suite.claims.claim import Budget, Claim, Comparison
from suite.claims.evidence import MEASURES
from suite.experiment import loading
from suite.experiment.run_config import Training
from suite.experiment.search_space import Sweep
from suite.experiment.tables import ArchitectureTable, Evaluation, Size, TaskTable
from suite.leaderboards.columns import BEYOND, COST, MEMORY, OVERFITTING, glossary
from suite.leaderboards.page.data import FILES
from suite.planning.plan import studies

ROOT = Path(__file__).parent.parent
README, CHINESE = "README.md", "README.zh.md"
GUIDES = (
    "experiments/README.md",
    "experiments/claims/README.md",
    "suite/architectures/README.md",
    "suite/diagnostics/README.md",
    "suite/engines/README.md",
    "suite/kernels/README.md",
    "suite/leaderboards/GROWING.md",
    "suite/leaderboards/README.md",
    "suite/statistics/README.md",
    "tasks/README.md",
)
PAGES = (README, CHINESE, *GUIDES, "CONTRIBUTING.md", "mlruns/README.md")
LONGEST_README, LONGEST_GUIDE, WIDEST = 118, 150, 130
"""In lines, those of the README without its tables, and in characters."""
EXAMPLES = ("leaky.py", "first_symbol.py", "two_speeds.py")
"""Files that a page tells the reader to write."""

every_page = pytest.mark.parametrize("page", PAGES)


def text_of(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


def blocks(page: str, language: str) -> list[str]:
    """The fenced blocks of a language."""
    return re.findall(rf"^```{language}\n(.*?)^```", text_of(page), re.DOTALL | re.MULTILINE)


def prose(page: str) -> str:
    """A page without its fenced blocks."""
    return re.sub(r"^```.*?^```", "", text_of(page), flags=re.DOTALL | re.MULTILINE)


(CELL,) = blocks(README, "python")
CELL_OF_TWO_TENSORS, LAYER = blocks("suite/architectures/README.md", "python")
(TASK,) = blocks("tasks/README.md", "python")
(MODEL,) = blocks("suite/leaderboards/README.md", "python")
EXPERIMENT, EVERY_KEY = blocks("experiments/README.md", "toml")
(CLAIM,) = blocks("experiments/claims/README.md", "toml")


# what is shown runs --------------------------------------------------------------------------------------------------


def run(*arguments: str, cwd: Path) -> str:
    done = subprocess.run([sys.executable, *arguments], cwd=cwd, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_cell_and_the_task_run_from_ones_own_files_and_the_model_is_loaded(tmp_path: Path) -> None:
    (tmp_path / "my_cell.py").write_text(CELL, encoding="utf-8")
    (tmp_path / "my_task.py").write_text(TASK, encoding="utf-8")
    (tmp_path / "mine.toml").write_text(EXPERIMENT, encoding="utf-8")
    assert "leaky" in run(
        "-m", "memspan", "run", "mine.toml", "--steps", "60", "--workers", "1", "--keep-models", cwd=tmp_path
    )
    path = "mlruns/models/quick/adding/gru.pt"
    assert path in MODEL
    (tmp_path / "load.py").write_text(MODEL.replace(path, "mlruns/models/mine/first/leaky.pt"), encoding="utf-8")
    assert 0 <= float(run("load.py", cwd=tmp_path)) <= 1


def test_the_claim_can_be_run(tmp_path: Path) -> None:
    (tmp_path / "my_cell.py").write_text(CELL, encoding="utf-8")
    (tmp_path / "my_claim.toml").write_text(CLAIM, encoding="utf-8")
    assert "40 of 40 runs are missing" in run("-m", "memspan", "claims", "my_claim.toml", "--dry-run", cwd=tmp_path)


@pytest.mark.parametrize(
    ("text", "kind", "name"),
    [
        (CELL, "architectures", "leaky"),
        (CELL_OF_TWO_TENSORS, "architectures", "two_speeds"),
        (LAYER, "architectures", "small_transformer"),
        (TASK, "tasks", "first_symbol"),
    ],
    ids=["leaky", "two_speeds", "small_transformer", "first_symbol"],
)
def test_dropped_into_the_folder_they_are_found_and_keep_the_contract(
    text: str, kind: str, name: str, tmp_path: Path
) -> None:
    for folder in ("memspan", "suite", "tasks", "experiments", "tests"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    place = tmp_path / ("suite/architectures" if kind == "architectures" else "tasks")
    (place / f"{name}.py").write_text(text, encoding="utf-8")
    found = run("-m", "pytest", "-q", f"tests/{kind}/test_{kind}.py", "-k", name, cwd=tmp_path)
    assert re.search(r"[1-9]\d* passed", found)


def test_the_experiment_with_every_key_is_one_and_shows_the_defaults() -> None:
    tables = tomllib.loads(EVERY_KEY)
    assert studies(loading.parse(tables, "every_key"))
    assert tables["training"] == Training().model_dump()
    assert tables["sweep"].keys() | {"space"} == Sweep.model_fields.keys()
    changed = {"trials", "generation", "space"}
    assert {key: value for key, value in tables["sweep"].items() if key not in changed} == Sweep().model_dump(
        exclude=changed
    )
    assert tables["model"] == Size(parameters=5000).model_dump(exclude_none=True)
    assert f"default {Evaluation().seeds}." in EVERY_KEY


# what is named is there ----------------------------------------------------------------------------------------------


def commands(page: str) -> Iterator[tuple[str, bool]]:
    """The ``memspan`` commands of a page, without comments; and whether it is one to be typed, not only mentioned."""
    for line in re.findall(r"^ {4}(?:srun )?(memspan .*)$", prose(page), re.MULTILINE):
        yield re.sub(r"\s+#.*", "", line), True
    for span in re.findall(r"(?<!`)`([^`]+)`", re.sub(r"^ {4}.*$", "", prose(page), flags=re.MULTILINE)):
        for mention in re.findall(r"(?:^|')(memspan \w[^']*(?:'[^']*')*)", " ".join(span.split())):
            yield mention.removesuffix("'").removesuffix(" …"), False


@every_page
def test_every_command_is_there_with_its_arguments_and_options(page: str) -> None:
    from typer.main import get_command

    from suite.cli import app

    known: dict[str, Any] = get_command(app).commands  # type: ignore[attr-defined]
    for line, typed in commands(page):
        _, name, *arguments = shlex.split(line)
        assert name in known, line
        if typed or arguments:
            given = known[name].make_context(name, arguments).params  # a usage error says what is wrong
            check_names(given)


def check_names(given: dict[str, Any]) -> None:
    """The experiments, rows, tasks and claims that a command names are there."""
    name = given.get("experiment") or "DIR"
    if not name.endswith(".toml") and name not in ("DIR", "…"):
        labels = {key: given.get(key) or None for key in ("architectures", "tasks")}
        loading.load(name).select(**labels)
    for name in given.get("names") or ():
        assert name.endswith(".toml") or name in claim.available()


def test_commands_are_found() -> None:
    assert len([line for page in PAGES for line, _ in commands(page)]) > 60


@every_page
def test_every_link_and_picture_leads_somewhere(page: str) -> None:
    targets = [target.partition("#") for target in re.findall(r"\]\((?!https?:)([^)\s]+)\)", prose(page))]
    places = {path: (ROOT / page).parent / path if path else ROOT / page for path, _, _ in targets}
    assert not [path for path, place in places.items() if not place.exists()]
    assert not [
        f"{path}#{anchor}"
        for path, _, anchor in targets
        if anchor and anchor not in anchors(places[path].read_text(encoding="utf-8"))
    ]


def anchors(text: str) -> set[str]:
    """The anchors that GitHub makes of headings."""
    return {
        re.sub(r"[^\w\- ]", "", heading).strip().lower().replace(" ", "-")
        for heading in re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    }


@every_page
def test_every_file_and_make_target_is_there(page: str) -> None:
    for path in re.findall(r"`((?:suite|tasks|experiments|tests)/[\w/.]*)`", prose(page)):
        assert (ROOT / path).exists() or path.endswith(EXAMPLES), path
    makefile = text_of("Makefile")
    for target in re.findall(r"(?:^ {4}|`)make (\w+)", prose(page), re.MULTILINE):
        assert f"\n{target}:" in makefile


@pytest.mark.parametrize("page", [README, CHINESE])
def test_the_readmes_lead_to_every_guide_and_to_each_other(page: str) -> None:
    for guide in GUIDES:
        assert f"]({guide}" in text_of(page)
    other = CHINESE if page == README else README
    assert f"]({other})" in "\n".join(text_of(page).splitlines()[:5])


# both languages say the same -----------------------------------------------------------------------------------------


def numbers(page: str) -> list[list[str]]:
    """Of each row of each table."""
    rows = re.findall(r"^\|.*$", prose(page), re.MULTILINE)
    return [re.findall(r"[-−+]?\d[\d.,]*", row) for row in rows]


def test_the_readmes_have_the_same_commands_code_links_and_numbers() -> None:
    for language in ("python", "toml"):
        assert blocks(README, language) == blocks(CHINESE, language)
    typed = [
        [re.sub(r"\s+#.*", "", line) for line in re.findall(r"^ {4}(\S.*)$", prose(page), re.MULTILINE)]
        for page in (README, CHINESE)
    ]
    assert typed[0] == typed[1]
    assert numbers(README) == numbers(CHINESE)
    links = [set(re.findall(r"\]\(([^)\s]+)\)", prose(page))) - {README, CHINESE} for page in (README, CHINESE)]
    assert links[0] == links[1]
    marks = [re.findall(r"<!--.*?-->", text_of(page)) for page in (README, CHINESE)]
    assert marks[0] == marks[1]


def test_the_verdicts_of_the_readme_are_those_of_the_report() -> None:
    for letter, report in {"H": "claims", "F": "claims_field"}.items():
        summary = re.findall(rf"^\| {letter}\d.*$", text_of(f"experiments/report/{report}/claims.md"), re.MULTILINE)
        assert summary
        assert re.findall(rf"^\| {letter}\d.*$", text_of(README), re.MULTILINE) == summary


# nothing is left out -------------------------------------------------------------------------------------------------


def test_the_guides_to_experiments_and_claims_have_every_key_and_measure() -> None:
    guide = text_of("experiments/README.md") + text_of("experiments/claims/README.md")
    schemas = (TaskTable, ArchitectureTable, Size, Training, Sweep, Evaluation, Claim, Comparison, Budget)
    keys = {key for schema in schemas for key in schema.model_fields} - {"name"}
    for word in (*keys, *MEASURES):
        assert re.search(rf"\b{word}\b", guide), word


def test_the_guide_to_leaderboards_has_every_column_and_file() -> None:
    guide = text_of("suite/leaderboards/README.md")
    table = guide.partition("## The columns")[2].partition("\n\n**")[0]
    for column in (*MEMORY, *COST, *OVERFITTING, *BEYOND):
        assert column.key == "architecture" or column.label in table, column.label
    assert "\n".join(glossary()) in table
    for name in FILES:
        assert f"`{name}`" in guide


@every_page
def test_pages_are_short_and_their_lines_too(page: str) -> None:
    lines = text_of(page).splitlines()
    if page == README:
        assert len([line for line in lines if not line.startswith("|")]) <= LONGEST_README
    if page in GUIDES:
        assert len(lines) <= LONGEST_GUIDE
    assert not [line for line in lines if len(line) > WIDEST and not line.startswith("|")]
