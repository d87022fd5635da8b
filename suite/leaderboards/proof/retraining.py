"""The second part of proving a leaderboard: rows are trained again.

If the platform, the versions and the threads are those of the manifest, every figure of a run but measured time and
memory must be equal, bit for bit. Elsewhere rounding differs, training amplifies the difference, and a single run may
end elsewhere. There, a row holds unless its skill is shown to differ by more than 0.02. The test is that of the
leaderboard: paired over seeds, at 1 % for all rows together (Holm).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from suite.engines import Engine, EngineTask, Signals, TaskResult, TaskStatus
from suite.engines.dispatch import Work, dispatch
from suite.experiment.run_config import RunConfig, digest
from suite.leaderboards.proof.checks import CheckResult, is_exact_here
from suite.leaderboards.proof.manifest import Manifest, row_name
from suite.planning.job import Outcome
from suite.results.schema import is_size
from suite.statistics.paired_tests import MARGIN, holm, paired_test

ADDED = ("chance", "score_at_length_", "score_at_lag_", "score_at_position_", "frozen_parameters")
"""The beginnings of the names of figures that an earlier memspan did not record."""
CONFIDENCE = 0.995
"""The confidence of the test is stricter than the 1 % that is promised, since Student's p is too small for differences
of few values. At 0.5 %, 27 honest rows of ten seeds fail in 0.6 to 0.9 % of simulated leaderboards (normal, or −x, 0,
x); at 1 %, they fail in up to 5 %."""


@dataclass(frozen=True)
class RepeatedRun:
    """A run that is trained again, with what the manifest says of it."""

    row: str
    name: str
    config: RunConfig
    metrics: Mapping[str, float]
    curve: str
    exact: bool
    """Every bit must be equal here."""


def runs_to_repeat(
    manifest: Manifest, rows: Sequence[str], checked: CheckResult, trials: bool = False
) -> list[RepeatedRun]:
    """Return the runs to train again: first those that were changed, then the evaluations of the rows.

    Args:
        manifest: the manifest that has the runs.
        rows: the names of the rows.
        checked: the result of `check_manifest`, which names the runs that were changed.
        trials: train the trials of the rows again, too.
    """
    suspects: list[RepeatedRun] = []
    others: list[RepeatedRun] = []
    roles = ("evaluation", "trial", "finalist") if trials else ("evaluation",)
    pruned = manifest.record.experiment.sweep.pruner != "none"
    for row in manifest.rows:
        name = row_name(row)
        if name in manifest.foreign_rows:
            continue
        for place, role in enumerate(row["role"]):
            suspect = (name, place) in checked.suspects
            if not suspect and (name not in rows or role not in roles or (role == "trial" and pruned)):
                continue
            config = RunConfig(**row["configs"][row["config"][place]], seed=row["seed"][place])
            metrics = {metric: values[place] for metric, values in row["metrics"].items() if values[place] is not None}
            exact = is_exact_here(manifest, row["environment"][place])
            label = f"{role} {row['number'][place]}"
            run = RepeatedRun(name, label, config, metrics, row["curve"][place], exact)
            (suspects if suspect else others).append(run)
    return suspects + others


def repeat_run(config: RunConfig, signals: Signals) -> Outcome:
    """Train a run in a worker, and record it nowhere."""
    from suite.training.gradient_callback import lag_curves
    from suite.training.lightning_module import Watcher
    from suite.training.train import train

    result = train(config, Watcher(on_step=signals.on_step, should_stop=signals.should_stop), signals.device)
    return Outcome(result.metrics, (*result.curves, *lag_curves(result.gradient_flow)))


def retrain(
    runs: Sequence[RepeatedRun],
    engine: Engine,
    on_repeated: Callable[[RepeatedRun, str], None],
    on_note: Callable[[str], None] = lambda text: None,
) -> list[str]:
    """Train runs again, and return a sentence for each that does not hold.

    Args:
        runs: see `runs_to_repeat`.
        engine: where they execute; it is left at the end.
        on_repeated: is called after each run with what differs, which is empty if nothing does.
        on_note: receives a sentence about a run that seems to hang, also from another thread.

    Raises:
        KeyboardInterrupt: after Ctrl-C or SIGTERM.
    """
    work = _RepeatedRuns(runs, on_repeated, on_note)
    if not dispatch(work, engine):
        raise KeyboardInterrupt
    sentences = [work.wrong[place] for place in sorted(work.wrong)]
    return sentences + list(differing_rows(runs, work.outcomes))


class _RepeatedRuns(Work):
    """Runs to be trained again, by their place in the list."""

    def __init__(
        self,
        runs: Sequence[RepeatedRun],
        on_repeated: Callable[[RepeatedRun, str], None],
        on_run_note: Callable[[str], None],
    ) -> None:
        self.runs = runs
        self.on_repeated = on_repeated
        self.on_run_note = on_run_note
        self.ready = list(range(len(runs)))
        self.outcomes: dict[int, Outcome] = {}
        self.wrong: dict[int, str] = {}

    def is_left(self) -> bool:
        return bool(self.ready)

    def next_task(self) -> tuple[str, EngineTask] | None:
        if not self.ready:
            return None
        place = self.ready.pop(0)
        return str(place), partial(repeat_run, self.runs[place].config)

    def on_result(self, key: str, result: TaskResult) -> None:
        place = int(key)
        run = self.runs[place]
        if result.status is TaskStatus.STOPPED:
            return
        if result.status is TaskStatus.DONE:
            self.outcomes[place] = result.value
            differs = _differs(run, result.value)
        else:
            differs = f"it could not be trained: {result.reason}"
        if differs:
            self.wrong[place] = f"{run.row}, {run.name}: {differs}"
        self.on_repeated(run, differs)

    def on_note(self, key: str, text: str) -> None:
        run = self.runs[int(key)]
        self.on_run_note(f"{run.row}, {run.name}: {text}")


def _differs(run: RepeatedRun, again: Outcome) -> str:
    """Return a sentence about the first figure of a run that is not what it must be; empty if all are."""
    before, after = Outcome(run.metrics).repeatable, again.repeatable
    # An earlier memspan did not record these.
    added = {name for name in after.keys() - before.keys() if name.startswith(ADDED)}
    compared = {*before, *after} - added
    for name in sorted(compared if run.exact else filter(is_size, compared)):
        if before.get(name) != after.get(name):
            return f"{name} is {before.get(name)!r} in the manifest, and {after.get(name)!r} when it is trained again"
    if run.exact and digest(again.curves_text) != run.curve:
        return "its learning curve differs when it is trained again"
    return ""


def differing_rows(runs: Sequence[RepeatedRun], outcomes: Mapping[int, Outcome]) -> Iterator[str]:
    """Yield a sentence for each row that is shown to differ on another platform."""
    rows: dict[str, list[float]] = {}
    for place, again in outcomes.items():
        run = runs[place]
        if not run.exact and run.name.startswith("evaluation"):
            rows.setdefault(run.row, []).append(again.metrics["test_skill"] - run.metrics["test_skill"])
    tests = {name: paired_test([np.array(found)], MARGIN, cautious=False) for name, found in rows.items()}
    tested = {name: test for name, test in tests.items() if math.isfinite(test[1])}
    adjusted = holm([p for *_, p in tested.values()])
    for (name, (mean, low, high, _)), p in zip(tested.items(), adjusted, strict=True):
        if p < 1 - CONFIDENCE:
            yield f"{name}: trained again here, its skill differs by {mean:+.3f} [{low:.3f}, {high:.3f}]"
    for name in tests.keys() - tested.keys():
        yield f"{name}: on another platform a row needs the skill of two seeds or more; it has one"
