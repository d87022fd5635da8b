"""Proof of a leaderboard, first part: what a manifest says, checked without training."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from suite.errors import InputError, unknown
from suite.experiment.experiment import Evaluation, Experiment
from suite.experiment.run_config import PROTOCOL, RunConfig, digest
from suite.experiment.source_hash import definitions_of, source_of
from suite.leaderboards.proof.manifest import RUNS, Manifest, file_digest, fingerprint, row_name, run_table
from suite.planning.plan import Plan, studies
from suite.results.record import Record
from suite.store.environment import bits, environment

Looked = tuple[list[str], list[str]]
"""What is wrong, and what is to be known."""

SEARCHING = ("optuna", "scipy", "numpy")
"""The packages on which it depends which trials a sweep asks for."""
CLOSE = 1e-6
"""Figures of tables that were made elsewhere agree to this."""


@dataclass
class CheckResult:
    """What was found: what does not hold, and what is to be known."""

    wrong: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    suspects: list[tuple[str, int]] = field(default_factory=list)
    """Runs whose figures were changed, as row and place: to be trained again first."""


def chosen(manifest: Manifest, wanted: str, everything: bool = False) -> list[str]:
    """The names of rows: so many of them spread over the manifest, those named, or all.

    Raises:
        InputError: if a row is not there.
    """
    names = [row_name(row) for row in manifest.rows if "evaluation" in row["role"]]
    if not names:
        raise InputError(
            f"the manifest {str(manifest.path)!r} has no row with results: there is nothing to train again"
        )
    if everything:
        return names
    if wanted.isascii() and wanted.isdecimal():
        if int(wanted) < 1:
            raise InputError("--rows must be at least 1; got 0")
        # By the digest: others train other rows of another leaderboard, and everybody the same of this one.
        order = sorted(names, key=lambda name: digest(f"{manifest.digest} {name}"))
        return [name for name in names if name in order[: int(wanted)]]
    listed = [name.strip() for name in wanted.split(",")]
    for name in listed:
        if name not in names:
            raise unknown("row", name, names)
    return listed


def check(manifest: Manifest, rows: Sequence[str]) -> CheckResult:
    """Everything that can be said before training: changes, sources, versions, data, the choice by tuning, tables."""
    if manifest.data["protocol"] != PROTOCOL:
        raise InputError(
            f"{str(manifest.path)!r} holds runs of protocol {manifest.data['protocol']}, and this memspan trains by "
            f"protocol {PROTOCOL}: verify it with the memspan that wrote it ({manifest.data.get('memspan', 'unknown')})"
        )
    found = CheckResult()
    for row, place, text in manifest.changes():
        found.wrong.append(f"changed after it was written: {text}")
        if place is not None:
            found.suspects.append((row, place))
    changed = _changed_sources(manifest)
    for row, what in changed.items():
        if row in rows or any(row == suspect for suspect, _ in found.suspects):
            found.wrong.append(what)
        else:
            found.notes.append(what)
    found.notes += list(_versions(manifest))
    found.wrong += _keys(manifest)
    found.wrong += _choices(manifest)
    if found.wrong:
        return found
    for look in (_data, _plan, _outputs):
        try:
            wrong, notes = look(manifest, changed)
        except InputError as error:  # of something that cannot be had here, such as somebody else's cell
            wrong, notes = [], [f"not all can be checked here: {error}"]
        found.wrong += wrong
        found.notes += notes
    return found


def _keys(manifest: Manifest) -> list[str]:
    """A run's key must be that of its configuration and seed, and the seed of an evaluation one of the experiment's."""
    wrong = []
    pruned = manifest.data["experiment"]["sweep"]["pruner"] != "none"
    seeds = Evaluation(**manifest.data["experiment"]["evaluation"]).seed_list
    for row in manifest.rows:
        for place, role in enumerate(row["role"]):
            seed, number = row["seed"][place], row["number"][place]
            try:
                key = RunConfig(**row["configs"][row["config"][place]], seed=seed).key
            except InputError:  # its class cannot be imported, which is said elsewhere
                continue
            except (ValidationError, IndexError) as error:
                wrong.append(f"{row_name(row)}, {role} {number}: its configuration is none: {error}")
                continue
            if key != row["key"][place] and not (pruned and role == "trial"):  # whose key knows earlier trials too
                wrong.append(f"{row_name(row)}, {role} {number}: its key is not that of its configuration and seed")
            if role == "evaluation" and (seed not in seeds or number != seed):
                wrong.append(f"{row_name(row)}, {role} {number}: its seed {seed} is none of the experiment's")
    return wrong


def _choices(manifest: Manifest) -> list[str]:
    """What was evaluated must be what tuning found best, by the recorded trials."""
    wrong = []
    sweep = manifest.data["experiment"]["sweep"]
    for row in manifest.rows:
        trials = [place for place, role in enumerate(row["role"]) if role == "trial"]
        evaluated = [row["params"][place] for place, role in enumerate(row["role"]) if role == "evaluation"]
        if not evaluated or not trials or sweep["finalists"] > 1 or len(trials) < sweep["trials"]:
            continue
        metrics = row["metrics"]
        losses = metrics.get("validation_loss", [None] * len(row["role"]))

        def rank(place: int, row: Mapping[str, Any] = row, losses: Sequence[float | None] = losses) -> tuple[Any, ...]:
            loss, objective = losses[place], row["metrics"]["objective"][place]
            return bool(row["metrics"]["pruned"][place]), -objective, math.inf if loss is None else loss, place

        best = row["params"][min(trials, key=rank)]
        if any(params != best for params in evaluated):
            wrong.append(f"{row_name(row)}: its evaluations are not those of its best trial")
    return wrong


def _changed_sources(manifest: Manifest) -> dict[str, str]:
    """The rows whose task or architecture is not what it was, with the definitions that differ."""
    found = {}
    for row in manifest.rows:
        config, name = row["configs"][0], row_name(row)
        try:
            used = config["task"]["name"], config["model"]["architecture"]
            if source_of(*used).model_dump() == row["source"]:
                continue
            now = definitions_of(*used)
        except InputError as error:
            found[name] = f"{name}: {error}"
            continue
        then = row["definitions"]
        changed = [name for name in sorted({*now, *then}) if now.get(name) != then.get(name)]
        found[name] = f"{name}: its source is another than when it was trained: {', '.join(changed)}"
    return found


def _versions(manifest: Manifest) -> Iterator[str]:
    """What of the code and of the platform is not what it was."""
    here = environment()
    for there in manifest.data["environments"].values():
        files = {**there.get("files", {})}
        names = sorted({*files, *here["files"]})
        if changed := [name for name in names if files.get(name) != here["files"].get(name)]:
            yield f"code of memspan that differs here: {', '.join(changed)}"
        before, now = bits(there) | {"packages": there["packages"]}, bits(here) | {"packages": here["packages"]}
        for name in before:
            if before[name] != now[name]:
                old, new = before[name], now[name]
                if isinstance(old, Mapping) and isinstance(new, Mapping):
                    keys = [key for key in sorted({*old, *new}) if old.get(key) != new.get(key)]
                    old, new = ({key: side.get(key, "none") for key in keys} for side in (old, new))
                    yield f"{name}: {_pairs(old)} there, {_pairs(new)} here"
                else:
                    yield f"{name}: {old} there, {new} here"


def _pairs(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in values.items())


def exact_here(manifest: Manifest, environment_digest: str) -> bool:
    """Whether a run of that environment must come out the same here, bit for bit."""
    there = manifest.data["environments"].get(environment_digest)
    return there is not None and bits(there) == bits(environment())  # which is the CPU: a GPU adds in any order


def _data(manifest: Manifest, changed: Mapping[str, str]) -> Looked:
    wrong = []
    exact = all(exact_here(manifest, name) for name in manifest.data["environments"])
    for level in Experiment(**manifest.data["experiment"]).levels:
        kept = manifest.data["data"].get(level.label)
        if kept is None or (exact and fingerprint(level, kept["seed"]) != kept):
            seed = (kept or {}).get("seed", "?")
            wrong.append(f"{level.label}: its data are not those of the manifest (seed {seed})")
    return wrong, []


def _plan(manifest: Manifest, changed: Mapping[str, str]) -> Looked:
    """The runs that the experiment asks for, given the recorded trials, must be the recorded ones, and be all there."""
    record = manifest.record()
    experiment = record.experiment
    here = environment()["packages"]
    environments = manifest.data["environments"].values()
    if experiment.sweep.pruner != "none":
        return [], ["which trials a pruned sweep asks for is not checked: that depends on curves"]
    if any(there["packages"].get(name) != here.get(name) for there in environments for name in SEARCHING):
        return [], [f"which trials the sweep asks for is not checked: {', '.join(SEARCHING)} are other versions here"]
    finished = {job.key: outcome for row in record.rows for job, outcome in row.runs}
    asked = Record.of(Plan(experiment, studies(experiment), finished))
    wrong = []
    for mine, theirs in zip(asked.rows, record.rows, strict=True):
        if theirs.name in changed:
            continue  # another source has other keys
        for kind in ("trials", "evaluations"):
            want, have = ([job.key for job, _ in getattr(row, kind)] for row in (mine, theirs))
            if want != have:
                wrong.append(
                    f"{theirs.name}: its {kind} are not those that the experiment asks for, given its trials; "
                    f"{len(set(have) - set(want))} of {len(have)} have other settings"
                )
    counts = {"planned": asked.planned, "done": asked.done}
    said = {name: manifest.data["counts"][name] for name in counts}
    if counts != said and not changed:
        wrong.append(f"it says {said['done']} of {said['planned']} runs; there are {asked.done} of {asked.planned}")
    return wrong, []


def _outputs(manifest: Manifest, changed: Mapping[str, str]) -> Looked:
    """What lies beside the manifest must follow from its runs."""
    from suite.leaderboards.leaderboard import build_leaderboard
    from suite.leaderboards.text.latex import latex
    from suite.leaderboards.text.render import as_json, markdown

    wrong, notes = [], []
    folder = manifest.path.parent
    for name, kept in manifest.data.get("outputs", {}).items():
        path = folder / name
        if path.exists() and file_digest(path) != kept:
            wrong.append(f"changed after it was written: {name}")
    board = build_leaderboard(manifest.record())
    if (folder / RUNS).exists():
        rows = {row.name: run_table(row, {}) for row in Record.read(folder / RUNS).rows if row.runs}
        names = [row_name(row) for row in manifest.rows if rows.get(row_name(row), {}).get("digests") != row["digests"]]
        wrong += [f"{RUNS} has other runs of {name}" for name in names]
    if (folder / "leaderboard.json").exists():
        there = json.loads((folder / "leaderboard.json").read_text(encoding="utf-8"))
        if place := difference(there, json.loads(as_json(board))):
            wrong.append(f"leaderboard.json does not follow from the runs: {place}")
    for name, text in {"leaderboard.md": markdown(board), "leaderboard.tex": latex(board)}.items():
        if (folder / name).exists() and (folder / name).read_text(encoding="utf-8") != text:
            notes.append(f"{name} is not what memspan makes of these runs here")
    return wrong, notes


def difference(there: Any, here: Any, where: str = "") -> str:
    """Where two nested values first differ by more than `CLOSE`; empty if nowhere."""
    if isinstance(there, dict) and isinstance(here, dict) and set(there) == set(here):
        parts = (difference(there[key], here[key], f"{where}.{key}" if where else key) for key in there)
        return next(filter(None, parts), "")
    if isinstance(there, list) and isinstance(here, list) and len(there) == len(here):
        parts = (difference(a, b, f"{where}[{i}]") for i, (a, b) in enumerate(zip(there, here, strict=True)))
        return next(filter(None, parts), "")
    numbers = isinstance(there, float | int) and isinstance(here, float | int)
    same = math.isclose(there, here, rel_tol=CLOSE, abs_tol=CLOSE) if numbers else there == here
    return "" if same else f"{where} is {there!r}, and {here!r} when it is worked out again"
