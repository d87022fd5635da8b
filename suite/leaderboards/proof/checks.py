"""The first part of proving a leaderboard: everything in a manifest that can be checked without training."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import chain
from typing import Any

from suite.errors import InputError, named
from suite.experiment.run_config import PROTOCOL, RunConfig
from suite.experiment.source_hash import definitions_of, source_of
from suite.leaderboards.proof.fingerprint import fingerprint
from suite.leaderboards.proof.manifest import Manifest, row_name
from suite.leaderboards.proof.outputs import notes_on_files, wrong_files
from suite.leaderboards.proof.trust import own_part, own_rows
from suite.planning.choosing import best_first, mean_objective
from suite.planning.plan import Plan, studies
from suite.registry import architectures
from suite.results.record import Record
from suite.store.environment import bits, environment

SEARCHING = ("optuna", "scipy", "numpy")
"""The packages that decide which trials a sweep asks for."""
MOST_FILES = 3
"""The largest number of files whose names a note has."""


@dataclass
class CheckResult:
    """The result of checks."""

    wrong: list[str] = field(default_factory=list)
    """Sentences about what does not hold."""
    notes: list[str] = field(default_factory=list)
    """Sentences about what a reader should know."""
    suspects: list[tuple[str, int]] = field(default_factory=list)
    """The runs whose figures were changed, as row and place. They are trained again first."""


def check_manifest(manifest: Manifest, rows: Sequence[str]) -> CheckResult:
    """Check digests, sources, versions, keys, the choice made by tuning, data, completeness, and tables.

    Args:
        manifest: the manifest to check.
        rows: the names of the rows that will be trained again. A changed source is wrong for these, and a note for
            others.

    Raises:
        InputError: if the runs were trained by another protocol.
    """
    if manifest.record.protocol != PROTOCOL:
        raise InputError(
            f"{str(manifest.path)!r} holds runs of protocol {manifest.record.protocol}, and this memspan trains by "
            f"protocol {PROTOCOL}; verify it with the memspan that wrote it ({manifest.data.get('memspan', 'unknown')})"
        )
    result = CheckResult()
    if manifest.foreign_rows or manifest.foreign_sweep:
        left = ", ".join(manifest.foreign_rows) or "the choice of trials"
        result.notes.append(
            f"not checked, for it needs code from outside memspan: {left}. It would import "
            f"{', '.join(manifest.outside)}; read that, and give --trust if you trust it"
        )
    for row, place, sentence in manifest.changes():
        result.wrong.append(f"changed after it was written: {sentence}")
        if place is not None and row not in manifest.foreign_rows:
            result.suspects.append((row, place))
    changed = _changed_sources(manifest)
    for row, sentence in changed.items():
        if row in rows or any(row == suspect for suspect, _ in result.suspects):
            result.wrong.append(sentence)
        else:
            result.notes.append(sentence)
    result.notes += _versions(manifest, rows)
    result.wrong += _keys(manifest)
    result.wrong += _families(manifest, changed)
    result.wrong += _choices(manifest)
    if result.wrong:
        return result
    for part in (_check_data, _check_plan, _check_outputs):
        try:
            part(manifest, changed, result)
        except InputError as error:  # about something that cannot be had here, such as somebody else's cell
            result.notes.append(f"not everything can be checked here: {error}")
    return result


def _keys(manifest: Manifest) -> list[str]:
    """Return a sentence for each key that is not that of its run, and each seed that is not the experiment's."""
    wrong = []
    pruned = manifest.record.experiment.sweep.pruner != "none"
    seeds = manifest.record.experiment.evaluation.seed_list
    for row in own_rows(manifest):
        for place, role in enumerate(row["role"]):
            seed, number = row["seed"][place], row["number"][place]
            try:
                key = RunConfig(**row["configs"][row["config"][place]], seed=seed).key
            except InputError:  # its class cannot be imported, which another check says
                continue
            if key != row["key"][place] and not (pruned and role == "trial"):  # its key depends on earlier trials too
                wrong.append(f"{row_name(row)}, {role} {number}: its key is not that of its configuration and seed")
            if role == "evaluation" and (seed not in seeds or number != seed):
                wrong.append(f"{row_name(row)}, {role} {number}: its seed {seed} is not one of the experiment's")
    return wrong


def _families(manifest: Manifest, changed: Collection[str]) -> list[str]:
    """Return a sentence for each row whose family is not that of its architecture, unless its source has changed."""
    wrong = []
    for row in own_rows(manifest):
        if "family" in row and row_name(row) not in changed:
            stated = architectures.get(row["configs"][0]["model"]["architecture"]).family
            if stated != row["family"]:
                wrong.append(f"{row_name(row)}: its family is {row['family']!r}, and its architecture says {stated!r}")
    return wrong


def _choices(manifest: Manifest) -> list[str]:
    """Return a sentence for each row whose evaluations do not have the settings that its tuning chose."""
    wrong = []
    sweep = manifest.record.experiment.sweep
    for row in manifest.rows:
        trials, reruns, evaluations = (
            [place for place, role in enumerate(row["role"]) if role == wanted]
            for wanted in ("trial", "finalist", "evaluation")
        )
        if not evaluations or not trials or len(trials) < sweep.trials:
            continue
        finalists = sorted(trials, key=lambda place: best_first(_metrics(row, place), row["number"][place]))
        best = max(finalists[: sweep.finalists], key=partial(_mean_objective, row, reruns))
        if any(row["params"][place] != row["params"][best] for place in evaluations):
            wrong.append(f"{row_name(row)}: its evaluations do not have the settings that its tuning chose")
    return wrong


def _mean_objective(row: Mapping[str, Any], reruns: Sequence[int], trial: int) -> float:
    """Return the mean objective of the trial at a place of a row and of its runs on further tuning seeds."""
    own = [place for place in reruns if row["number"][place] == row["number"][trial]]
    return mean_objective(_metrics(row, place) for place in (trial, *own))


def _metrics(row: Mapping[str, Any], place: int) -> dict[str, Any]:
    """Return the metrics of the run at a place of a row."""
    return {name: values[place] for name, values in row["metrics"].items()}


def _changed_sources(manifest: Manifest) -> dict[str, str]:
    """Return a sentence for each row whose source has changed, with the definitions that differ."""
    sentences = {}
    for row in own_rows(manifest):
        config, name = row["configs"][0], row_name(row)
        try:
            classes = config["task"]["name"], config["model"]["architecture"]
            if source_of(*classes).model_dump() == row.get("source"):
                continue
            now = definitions_of(*classes)
        except InputError as error:
            sentences[name] = f"{name}: {error}"
            continue
        then = row["definitions"]
        changed = [definition for definition in sorted({*now, *then}) if now.get(definition) != then.get(definition)]
        sentences[name] = f"{name}: its source has changed since it was trained: {', '.join(changed)}"
    return sentences


def _versions(manifest: Manifest, rows: Collection[str]) -> list[str]:
    """Return a sentence for each difference of code, versions and platform from where these rows were trained."""
    used = {name for row in manifest.rows if row_name(row) in rows for name in row["environment"]}
    sentences = (_differences(then) for name, then in manifest.data["environments"].items() if name in used)
    return list(dict.fromkeys(chain.from_iterable(sentences)))


def _differences(then: Mapping[str, Any]) -> Iterator[str]:
    """Yield a sentence for each difference of code, versions and platform between an environment and this one."""
    now = environment()
    files = {**then.get("files", {})}
    names = sorted({*files, *now["files"]})
    if changed := [name for name in names if files.get(name) != now["files"].get(name)]:
        yield f"code of memspan differs here: {named(changed, MOST_FILES)}"
    before, after = ({**bits(side), "packages": side.get("packages", {})} for side in (then, now))
    for name, old in before.items():
        new = after[name]
        if old == new:
            continue
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            keys = [key for key in sorted({*old, *new}) if old.get(key) != new.get(key)]
            old, new = (_pairs({key: side.get(key, "none") for key in keys}) for side in (old, new))
        yield f"{name}: {old} there, {new} here"


def _pairs(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in values.items())


def is_exact_here(manifest: Manifest, environment_digest: str) -> bool:
    """Return whether a run of that environment must give the same figures here, bit for bit."""
    there = manifest.data["environments"].get(environment_digest)
    return there is not None and bits(there) == bits(environment())  # of a CPU: a GPU adds in any order


def _check_data(manifest: Manifest, changed: Mapping[str, str], result: CheckResult) -> None:
    """Check that the tasks give the data of the manifest."""
    exact = all(is_exact_here(manifest, name) for name in manifest.data["environments"])
    tables = manifest.data["experiment"]["tasks"]
    own = [label for label, table in tables.items() if manifest.trusted or ":" not in (table.get("task") or "")]
    for level in manifest.record.experiment.select(tasks=own).levels if own else ():
        recorded = manifest.data["data"].get(level.label)
        if recorded is None or (exact and not _agrees(recorded, fingerprint(level, recorded["seed"]))):
            seed = (recorded or {}).get("seed", "?")
            result.wrong.append(f"{level.label}: its data are not those of the manifest (seed {seed})")


def _agrees(recorded: Mapping[str, Any], now: Mapping[str, Any]) -> bool:
    """Tell whether a recorded fingerprint is that of now. An older one may say less."""
    return all(now.get(name) == value for name, value in recorded.items())


def _check_plan(manifest: Manifest, changed: Mapping[str, str], result: CheckResult) -> None:
    """Check that the recorded runs are all those that the experiment asks for, given the recorded trials."""
    record = manifest.record
    experiment = record.experiment
    packages = environment()["packages"]
    environments = manifest.data["environments"].values()
    if experiment.sweep.pruner != "none":
        result.notes.append("the trials of a pruned sweep are not checked, since they depend on curves")
        return
    if manifest.foreign_sweep:
        return  # A note says so.
    if any(there.get("packages", {}).get(name) != packages.get(name) for there in environments for name in SEARCHING):
        versions = f"since the versions of {', '.join(SEARCHING)} differ here"
        result.notes.append(f"the trials that the sweep asks for are not checked, {versions}")
        return
    finished = {job.key: outcome for row in record.rows for job, outcome in row.runs}
    own = own_part(manifest)
    if own is None:
        return
    asked = Record.of(Plan(own, studies(own), finished))
    asked_rows = {row.name: row for row in asked.rows}
    for row in record.rows:
        asked_row = asked_rows.get(row.name)
        if asked_row is None or row.name in changed:
            continue  # another source has other keys
        for kind in ("trials", "evaluations"):
            asked_keys, keys = ([job.key for job, _ in getattr(side, kind)] for side in (asked_row, row))
            if asked_keys != keys:
                others = len(set(keys) - set(asked_keys))
                result.wrong.append(
                    f"{row.name}: its {kind} are not those that the experiment asks for, given its trials; "
                    f"{others} of {len(keys)} have other settings"
                )
    counts = {"planned": asked.planned, "done": asked.done}
    recorded = {name: manifest.data["counts"][name] for name in counts}
    if counts != recorded and not changed and own == experiment:
        result.wrong.append(
            f"the manifest says that {recorded['done']} of {recorded['planned']} runs are done, but it has "
            f"{asked.done} of {asked.planned}"
        )


def _check_outputs(manifest: Manifest, changed: Mapping[str, str], result: CheckResult) -> None:
    """Check that the files beside the manifest follow from its runs."""
    from suite.leaderboards.leaderboard import build_leaderboard

    board = build_leaderboard(manifest.record)
    result.wrong += wrong_files(manifest, board)
    result.notes += notes_on_files(manifest, board)
