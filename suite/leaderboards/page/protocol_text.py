"""How a leaderboard was measured in sentences, the machines that measured it, and how to cite it."""

from __future__ import annotations

import math
from collections.abc import Iterator

from suite.errors import many
from suite.experiment.run_config import PROTOCOL, Training
from suite.leaderboards.page.model_text import model_sentences
from suite.results.record import Record
from suite.statistics.bootstrap import RESAMPLES
from suite.statistics.paired_tests import MARGIN
from suite.statistics.power import power_between
from suite.statistics.table import CONFIDENCE, FEW_SEEDS

PACKAGES = ("memspan", "torch", "lightning", "numba")
"""The packages that the page names; the manifest has all of them."""
COURSES = {"constant": "stays as it is", "cosine": "falls to 0 as half a cosine", "linear": "falls to 0 linearly"}
"""What the learning rate does after the warm-up, by schedule."""


def sentences(record: Record) -> Iterator[str]:
    """Yield the protocol of an experiment, a paragraph at a time."""
    experiment = record.experiment
    sweep, seeds = experiment.sweep, len(experiment.evaluation.seed_list)
    yield model_sentences(experiment.model)
    yield training_sentences(experiment.training)
    if sweep.trials:
        trials = many(sweep.trials, "trial")
        yield (
            f"Each architecture was tuned on each task by itself, with {trials} of the same number of "
            f"steps. The search was over {', '.join(sweep.space)}, with the sampler {sweep.sampler} and the pruner "
            f"{sweep.pruner}; trial 0 is the untuned default. Hyper-parameters were chosen on validation data."
        )
    else:
        yield "Nothing was tuned: every architecture was trained with the settings of the experiment."
    yield (
        f"The configuration that was chosen was trained on {many(seeds, 'seed')} that tuning had not used. A seed "
        "varies initialisation, data and their order together. Data depend on the task and the seed alone, so that "
        "architectures are compared in pairs. Scores are those on test data, at the best validation point."
    )
    yield (
        "Skill is (score − chance)/(1 − chance): 0 remembers nothing, and 1 is perfect. A diverged run has skill 0. "
        "Means are taken over seeds and then held at 0. The overall skill is the mean of the means of the tasks."
    )
    yield (
        f"Intervals hold with {CONFIDENCE:.0%}. They are Student's, and so they speak of further seeds like these, at "
        "the settings that tuning chose; another tuning may choose others. The guaranteed interval, from a bootstrap "
        f"over seeds with {RESAMPLES:,} resamples, counts one more seed that may do anything. One architecture is "
        f"above another if their difference, paired over seeds and adjusted after Holm within its table, is shown to "
        f"exceed {MARGIN}. The two are tied if the whole interval lies within ±{MARGIN}, and unresolved otherwise. "
        f"Ranks and groups follow from this test. Fewer than {FEW_SEEDS} seeds are an indication and not a result. "
        f"{power_between(len(experiment.architectures), seeds)}".rstrip()
    )
    yield (
        "Solve rates have Wilson's interval. Steps to solve are restricted means: a run that never solved the task "
        "counts with its whole budget. Sequences per second are those of training, at the load of the machine at that "
        "time."
    )


def training_sentences(training: Training) -> str:
    """Return how nets are trained: the budget, the optimiser, the learning rate, and what holds weights back."""
    optimizer = f"rmsprop (α = {training.alpha:g})" if training.optimizer == "rmsprop" else training.optimizer
    rise = f"rises for {training.warmup:,} steps and then " if training.warmup else ""
    clipping = f"clipped to the norm {training.clip:g}" if math.isfinite(training.clip) else "not clipped"
    decoupled = ", decoupled from the gradient" if training.optimizer == "adamw" and training.weight_decay else ""
    return (
        f"A net is trained for at most {training.steps:,} steps of {training.batch_size:,} sequences by {optimizer}. "
        f"The learning rate is {training.learning_rate:g} and {rise}{COURSES[training.schedule]}. Gradients are "
        f"{clipping}, and the weight decay is {training.weight_decay:g}{decoupled}. A task or a row may have settings "
        "of its own, which its configuration shows."
    )


def facts(record: Record) -> dict[str, str]:
    """Return the versions and machines of the runs by name; several are separated by commas."""
    values_of: dict[str, set[str]] = {}
    for environment in record.environments.values():
        packages = environment.get("packages", {})
        values = {
            "processor": environment.get("processor", ""),
            "instructions": environment.get("cpu_capability", ""),
            "device": environment.get("device", ""),
            "threads per run": str(environment.get("threads", "")),
            "system": environment.get("system", ""),
            "Python": environment.get("python", ""),
            **{name: packages.get(name, "") for name in PACKAGES},
        }
        for name, value in values.items():
            if value:
                values_of.setdefault(name, set()).add(value)
    return {name: ", ".join(sorted(values)) for name, values in values_of.items()}


def citation(experiment: str, digest: str) -> dict[str, str]:
    """Return a citation as a sentence and as BibTeX, with the digest of the manifest."""
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
