"""An experiment, and the rules that its file must follow.

A file is checked in four steps. `Experiment.from_tables` checks the tables, also those of a selection.
`Experiment.check_search_space` and `Experiment.check_trials` check what only a whole file must hold.
`Experiment.levels` and `Experiment.variants` check each task and each architecture. Finally, planning checks that the
models can be built (`suite.planning.plan`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cached_property
from math import prod
from typing import Any

from pydantic import Field

from suite.errors import InputError, shortened, unknown
from suite.experiment.bounds import MOST_RUNS
from suite.experiment.levels import Level, make_levels
from suite.experiment.names import Label, Name, TaskLabel
from suite.experiment.run_config import OF_RESIDUAL_BLOCKS, Frozen, Training
from suite.experiment.search_space import TUNABLE_TRAINING, Sweep
from suite.experiment.tables import ArchitectureTable, Evaluation, Size, TaskTable
from suite.experiment.validation import check_distinct, errors_at, validate
from suite.experiment.variants import Variant, make_variant
from suite.registry import architectures, tasks


class Experiment(Frozen):
    """The architectures and the task levels that are compared, with their training, tuning and evaluation."""

    name: Name
    title: str = ""
    description: str = ""
    tasks: dict[TaskLabel, TaskTable] = Field(min_length=1)
    architectures: dict[Label, ArchitectureTable] = Field(min_length=1)
    model: Size = Size()
    training: Training = Training()
    sweep: Sweep = Sweep()
    evaluation: Evaluation = Evaluation()

    @classmethod
    def from_tables(cls, tables: Mapping[str, Any], name: str) -> Experiment:
        """Return the experiment of these tables.

        Raises:
            InputError: if the tables break a rule that can be checked without making a task or a model.
        """
        experiment: Experiment = validate(cls, {**tables, "name": name}, f"experiment {name!r}")
        experiment._check_names()
        experiment._check_number_of_runs()
        experiment._check_seeds()
        experiment._check_sweep()
        return experiment

    @classmethod
    def from_record(cls, values: Mapping[str, Any], where: str) -> Experiment:
        """Return the experiment of a written leaderboard, whose tasks and architectures are not imported.

        Args:
            values: what a written leaderboard says of it.
            where: their place, for messages.

        Raises:
            InputError: if they break a rule that can be checked without an import.
        """
        experiment: Experiment = validate(cls, values, where)
        experiment._check_number_of_runs()
        return experiment

    def _check_names(self) -> None:
        for label, task in self.tasks.items():
            with errors_at(f"[tasks.{label}]"):
                tasks.check(task.task or label)
        for label, table in self.architectures.items():
            with errors_at(f"[architectures.{label}]"):
                architectures.check(table.architecture or label)

    def _check_number_of_runs(self) -> None:
        levels = sum(prod(map(len, table.ladders.values())) for table in self.tasks.values())
        runs = levels * len(self.architectures) * self.runs_per_study
        if runs > MOST_RUNS:
            raise InputError(
                f"experiment {self.name!r}: an experiment has at most {MOST_RUNS:,} runs; got {runs:,}, for there are "
                f"{levels:,} task levels, {len(self.architectures):,} architectures and {self.runs_per_study:,} runs "
                "of each pair: divide it into several experiments, or ask for fewer seeds and trials"
            )

    def _check_seeds(self) -> None:
        seeds = self.evaluation.seed_list
        check_distinct(seeds, "evaluation.seeds")
        shared = {self.sweep.seed, *self.sweep.finalist_seed_list} & set(seeds)
        if self.sweep.trials and shared:
            raise InputError(
                f"experiment {self.name!r}: sweep.seed must not be a seed of the evaluation, or the tuned seed is "
                f"tested; got {min(shared)}, which is one of {shortened(list(seeds))}"
            )

    def _check_sweep(self) -> None:
        sweep = self.sweep
        if sweep.finalists > sweep.trials > 0:
            raise InputError(
                f"experiment {self.name!r}: sweep.finalists must not exceed sweep.trials = {sweep.trials}; "
                f"got {sweep.finalists}"
            )
        if sweep.trials > 1 and not sweep.space:
            raise InputError(
                f"experiment {self.name!r}: [sweep.space] is empty, so {sweep.trials} trials would be the same; "
                "give a space or set trials = 0"
            )

    def check_search_space(self) -> None:
        """Check that each dimension of the search space is one of some variant that does not fix it.

        A selection of variants need not follow this rule.

        Raises:
            InputError: if a dimension is unknown, or is never searched.
        """
        dimensions = {}
        for variant in self.variants:
            options = architectures.options(variant.architecture, {})
            shape = variant.searchable_in_model(self.sweep)
            dimensions[variant.label] = {*TUNABLE_TRAINING, *shape, *variant.fixed, *options}
        has_residual_blocks = any({*OF_RESIDUAL_BLOCKS} & dimensions[variant.label] for variant in self.variants)
        of_model = self.model.model_dump(exclude_defaults=True)
        for table, names in (("model", of_model), ("sweep.space", self.sweep.space)):
            for name in OF_RESIDUAL_BLOCKS:
                if name in names and not has_residual_blocks:
                    raise InputError(
                        f'{name} of [{table}] belongs to residual blocks, and every architecture has block = "plain"; '
                        'give block = "residual" in [model] or in an architecture'
                    )
        for name in self.sweep.space:
            variants = [variant for variant in self.variants if name in dimensions[variant.label]]
            if not variants:
                raise unknown("dimension", name, set().union(*dimensions.values()), of="[sweep.space]")
            if all(name in variant.fixed for variant in variants):
                raise InputError(
                    f"dimension {name!r} of [sweep.space] is never searched: every architecture that has it fixes it "
                    f"({', '.join(variant.label for variant in variants)}); remove it there or here"
                )

    def check_trials(self) -> None:
        """Check that a search space has trials. A selection of another budget need not follow this rule.

        Raises:
            InputError: if it has none.
        """
        if self.sweep.space and not self.sweep.trials:
            raise InputError(
                f"experiment {self.name!r}: [sweep.space] is not searched without trials; give trials = N in [sweep], "
                "or remove the space"
            )

    @cached_property
    def levels(self) -> list[Level]:
        """The task levels: one per table, or one per combination of values where a table has lists.

        Raises:
            InputError: if a table breaks a rule of its task.
        """
        return [level for label, table in self.tasks.items() for level in make_levels(label, table, self.training)]

    @cached_property
    def variants(self) -> list[Variant]:
        """The architectures with the options that their tables fix.

        Raises:
            InputError: if a table breaks a rule.
        """
        return [make_variant(label, table, self.model, self.sweep) for label, table in self.architectures.items()]

    @property
    def runs_per_study(self) -> int:
        """The number of runs of a study that is tuned: its trials, those of its finalists, and its evaluations."""
        return self.sweep.runs + len(self.evaluation.seed_list)

    def select(
        self,
        *,
        architectures: str | Iterable[str] | None = None,
        tasks: str | Iterable[str] | None = None,
        seeds: int | None = None,
        trials: int | None = None,
        steps: int | None = None,
    ) -> Experiment:
        """Return this experiment with fewer rows or columns, or with another budget.

        Args:
            architectures: the labels of the rows, as a list or separated by commas.
            tasks: the labels of the task tables, likewise.
            seeds: evaluate on this many seeds.
            trials: run this many trials per study, of which as many are finalists as the experiment asks for.
            steps: train for this many optimiser steps.

        Raises:
            InputError: if a label is unknown, or the selection breaks a rule.
        """
        tables = self.model_dump()
        for key, choice in (("architectures", architectures), ("tasks", tasks)):
            if choice is None:
                continue
            labels = [label.strip() for label in choice.split(",")] if isinstance(choice, str) else list(choice)
            for label in labels:
                if label not in tables[key]:
                    raise unknown(key.removesuffix("s"), label, tables[key], of=f"experiment {self.name!r}")
            tables[key] = {label: table for label, table in tables[key].items() if label in labels}
        if seeds is not None:
            tables["evaluation"]["seeds"] = seeds
        if trials is not None:
            tables["sweep"]["trials"] = trials
            tables["sweep"]["finalists"] = min(self.sweep.finalists, max(1, trials))
        if steps is not None:
            tables["training"]["steps"] = steps
            for table in tables["tasks"].values():
                table["training"].pop("steps", None)
        return Experiment.from_tables(tables, self.name)
