"""How a leaderboard was measured, in sentences; on what; and how to cite it."""

from __future__ import annotations

from collections.abc import Iterator

from suite.experiment.run_config import PROTOCOL
from suite.results.record import Record
from suite.statistics.bootstrap import CONFIDENCE, FEW_SEEDS, RESAMPLES
from suite.statistics.paired_tests import MARGIN

PACKAGES = ("memspan", "torch", "lightning", "numba")
"""Named on the page; the manifest has all."""


def sentences(record: Record) -> Iterator[str]:
    """The protocol, as it was for this experiment."""
    experiment = record.experiment
    sweep, seeds = experiment.sweep, len(experiment.evaluation.seed_list)
    size = experiment.model.parameters
    if size:
        yield f"Architectures have {size:,} parameters to 5 %, unless their row says otherwise."
    if sweep.trials:
        searched = ", ".join(sweep.space)
        yield (
            f"Each architecture was tuned on each task by itself, with {sweep.trials} trials of as many steps "
            f"({searched}; sampler {sweep.sampler}, pruner {sweep.pruner}); trial 0 is the untuned default. "
            "Hyper-parameters were chosen on validation data."
        )
    else:
        yield "Nothing was tuned: every architecture was trained with the settings of the experiment."
    yield (
        f"The configuration that was chosen was trained on {seeds} seeds that tuning had not used; each varies "
        "initialisation, data and their order together. Data depend on the task and the seed alone, so that "
        "architectures are compared in pairs. Scores are those on test data, at the best validation point."
    )
    yield (
        "Skill is (score − chance)/(1 − chance): 0 remembers nothing, 1 is perfect. A diverged run has skill 0. "
        "Overall is the mean of the means of the tasks."
    )
    yield (
        f"Intervals hold with {CONFIDENCE:.0%}: a bootstrap over seeds, stratified by task and paired over "
        f"architectures ({RESAMPLES:,} resamples), that counts one unseen seed. Ranks are those inside each resample. A is above B "
        f"where the paired difference, adjusted after Holm, excludes 0 and exceeds {MARGIN}; A and B are tied where "
        f"the whole interval lies within ±{MARGIN}; otherwise unresolved. Fewer than {FEW_SEEDS} seeds are an "
        "indication."
    )
    yield (
        "Solve rates have Wilson's interval. Steps to solve are restricted means: a run that never solved the task "
        "counts with its whole budget. Sequences per second are those of training, at the load of the machine then."
    )


def facts(record: Record) -> dict[str, str]:
    """Versions and machines, each once."""
    found: dict[str, list[str]] = {}
    for environment in record.environments.values():
        values = {
            "processor": environment.get("processor", ""),
            "instructions": environment.get("cpu_capability", ""),
            "device": environment.get("device", ""),
            "threads per run": str(environment.get("threads", "")),
            "system": environment.get("system", ""),
            "Python": environment.get("python", ""),
            **{
                name: environment.get("packages", {}).get(name, "")
                for name in ("memspan", "torch", "lightning", "numba")
            },
        }
        for name, value in values.items():
            if value and value not in found.setdefault(name, []):
                found[name].append(value)
    return {name: ", ".join(sorted(values)) for name, values in found.items()}


def citation(experiment: str, digest: str) -> dict[str, str]:
    short = digest.removeprefix("sha256:")[:12]
    title = f"memspan leaderboard: {experiment}"
    bibtex = "\n".join(
        [
            f"@misc{{memspan-{experiment}-{short},",
            f"  title        = {{{{{title}}}}},",
            "  author       = {{memspan contributors}},",
            f"  howpublished = {{Experiment \\texttt{{{experiment}}}, protocol {PROTOCOL}}},",
            f"  note         = {{Manifest {digest}}}",
            "}",
        ]
    )
    return {"text": f"{title}, manifest {digest}.", "bibtex": bibtex, "digest": digest}
