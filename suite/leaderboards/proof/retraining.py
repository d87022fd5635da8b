"""Proof of a leaderboard, second part: rows trained again.

Where the platform, the versions and the threads are those of the manifest, every figure of a run but measured time and
memory must be equal, bit for bit. Elsewhere rounding differs, which training amplifies, so that single runs may end
elsewhere; there, a row holds unless its skill is shown to differ by more than 0.02: by the test of the leaderboard over
its seeds, paired, at 1 % for all rows together (Holm).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from suite.engines import Engine, Signals, TaskStatus
from suite.experiment.run_config import RunConfig, digest
from suite.leaderboards.proof.checks import CheckResult, exact_here
from suite.leaderboards.proof.manifest import Manifest, row_name
from suite.planning.job import Outcome
from suite.statistics.paired_tests import MARGIN, holm, paired_test

FIXED = ("parameters", "state_size")
"""Figures that are the same on every platform."""
CONFIDENCE = 0.995
"""Stricter than the 1 % that is promised: Student's p is too small for differences of few values. At 0.5 %, 27 honest
rows of ten seeds fail in 0.6 to 0.9 % of simulated leaderboards (normal, or −x, 0, x); at 1 %, in up to 5 %."""
WAIT_SECONDS = 1.0


@dataclass(frozen=True)
class RepeatedRun:
    """A run to be trained again, and what the manifest has of it."""

    row: str
    name: str
    config: RunConfig
    metrics: Mapping[str, float]
    curve: str
    exact: bool
    """Whether every bit must be equal here."""


def runs_again(manifest: Manifest, rows: Sequence[str], found: CheckResult, trials: bool = False) -> list[RepeatedRun]:
    """The runs to be trained again: those that were changed first, then the evaluations (and trials) of the rows."""
    first: list[RepeatedRun] = []
    rest: list[RepeatedRun] = []
    roles = ("evaluation", "trial", "finalist") if trials else ("evaluation",)
    pruned = manifest.data["experiment"]["sweep"]["pruner"] != "none"
    for row in manifest.rows:
        name = row_name(row)
        for place, role in enumerate(row["role"]):
            suspect = (name, place) in found.suspects
            if not suspect and (name not in rows or role not in roles or (role == "trial" and pruned)):
                continue
            config = RunConfig(**row["configs"][row["config"][place]], seed=row["seed"][place])
            metrics = {m: values[place] for m, values in row["metrics"].items() if values[place] is not None}
            exact = exact_here(manifest, row["environment"][place])
            label = f"{role} {row['number'][place]}"
            (first if suspect else rest).append(RepeatedRun(name, label, config, metrics, row["curve"][place], exact))
    return first + rest


def train_again(config: RunConfig, signals: Signals) -> Outcome:
    """In a worker: the run, recorded nowhere."""
    from suite.training.gradient_callback import lag_curves
    from suite.training.lightning_module import Watcher
    from suite.training.train import train

    result = train(config, Watcher(on_progress=signals.report, should_stop=signals.should_stop), signals.device)
    return Outcome(result.metrics, (*result.curves, *lag_curves(result.gradient_flow)))


def retrain(runs: Sequence[RepeatedRun], engine: Engine, told: Callable[[RepeatedRun, str], None]) -> list[str]:
    """Train runs again; what does not hold.

    Args:
        runs: see `runs_again`.
        engine: where they execute; it is left at the end.
        told: is called after each run with what differs, which is empty if nothing does.
    """
    waiting = dict(enumerate(runs))
    results: dict[int, Outcome] = {}
    wrong: dict[int, str] = {}
    with engine:
        while waiting or engine.pending:
            while waiting and engine.free > 0:
                place = next(iter(waiting))
                engine.submit(str(place), partial(train_again, waiting.pop(place).config))
            for key, end in engine.wait(WAIT_SECONDS):
                run = runs[int(key)]
                if end.kind is TaskStatus.DONE:
                    results[int(key)] = end.value
                    differs = _differs(run, end.value)
                else:
                    differs = f"it could not be trained: {end.reason}"
                if differs:
                    wrong[int(key)] = f"{run.row}, {run.name}: {differs}"
                told(run, differs)
    found = [wrong[place] for place in sorted(wrong)]
    return found + list(_rows_elsewhere(runs, results))


def _differs(run: RepeatedRun, again: Outcome) -> str:
    """What of a run is not what it must be."""
    before, after = Outcome(run.metrics).repeatable, again.repeatable
    for name in sorted({*before, *after}) if run.exact else FIXED:
        if before.get(name) != after.get(name):
            return f"{name} is {before.get(name)!r} in the manifest, and {after.get(name)!r} when it is trained again"
    if run.exact and digest(again.curves_text) != run.curve:
        return "its learning curve is another when it is trained again"
    return ""


def _rows_elsewhere(runs: Sequence[RepeatedRun], results: Mapping[int, Outcome]) -> Iterator[str]:
    """The rows that are shown to differ on another platform."""
    rows: dict[str, list[float]] = {}
    for place, again in results.items():
        run = runs[place]
        if not run.exact and run.name.startswith("evaluation"):
            rows.setdefault(run.row, []).append(again.metrics["test_skill"] - run.metrics["test_skill"])
    tests = {name: paired_test([np.array(differences)], cautious=False) for name, differences in rows.items()}
    judged = {name: test for name, test in tests.items() if math.isfinite(test[1])}
    adjusted = holm([p for *_, p in judged.values()])
    for (name, (mean, low, high, _)), p in zip(judged.items(), adjusted, strict=True):
        if p < 1 - CONFIDENCE and abs(mean) > MARGIN:
            yield f"{name}: trained again here, its skill differs by {mean:+.3f} [{low:.3f}, {high:.3f}]"
    for name in tests.keys() - judged.keys():
        yield f"{name}: on another platform a row is judged by its skill over two seeds or more; it has one"
