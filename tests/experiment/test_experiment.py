"""An experiment file is validated whole before anything starts."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import pytest
import torch

from suite.architectures import Cell
from suite.errors import InputError
from suite.experiment.loading import available, load, parse
from suite.experiment.run_config import derived_seed
from suite.experiment.search_space import REPEATABLE_PRUNERS, REPEATABLE_SAMPLERS
from suite.model.sequence_model import build_model
from suite.model.sizing import parameter_count
from suite.planning import sweep
from suite.planning.job import Outcome
from suite.planning.plan import studies
from suite.planning.study_progress import StudyProgress

GOOD: dict[str, Any] = {
    "tasks": {"adding": {"length": 8}},
    "architectures": {"rnn": {}, "gru": {"depth": 1}},
    "model": {"parameters": 2000},
    "sweep": {
        "trials": 5,
        "space": {"learning_rate": {"low": 1e-4, "high": 1e-2, "log": True}, "clip": [math.inf, 1.0], "depth": [1, 2]},
    },
    "evaluation": {"seeds": 2},
}
TOO_LONG = "a warm-up must be shorter than its run; got warmup = {} and steps = {}, for which warmup is at most {}"


def changed(path: str, value: Any) -> dict[str, Any]:
    """``GOOD`` with one entry replaced; the path is separated by slashes."""
    import copy

    data = copy.deepcopy(GOOD)
    *tables, last = path.split("/")
    table = data
    for name in tables:
        table = table.setdefault(name, {})
    table[last] = value
    return data


@pytest.mark.parametrize("name", sorted(available()))
def test_every_experiment_that_comes_with_memspan_is_valid(name: str) -> None:
    assert studies(load(name))


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("taskz", {}, "unknown key 'taskz' of the file"),
        ("sweep/trails", 3, "unknown key 'trails' of [sweep] of experiment 'x'; available"),
        (
            "tasks/adding/test_lengths",
            [10, 8],
            "test_lengths must be longer than the training length, which is 8; got 8",
        ),
        (
            "tasks/adding/lenth",
            9,
            "or one of the settings length, task, test_lengths, train_size, training (did you mean",
        ),
        ("tasks/adding/train_sizes", [9], "(did you mean 'train_size'?)"),
        (
            "architectures/gru/depht",
            2,
            "reset, or one of the settings architecture, bidirectional, block, delay, depth,",
        ),
        ("architectures/gru/depht", 2, "(did you mean 'depth'?)"),
        ("architectures/gru/learning_rate", 0.1, "(did you mean 'training.learning_rate'?)"),
        ("sweep/trails", 3, "did you mean 'trials'?"),
        ("sweep/trials", "3", "sweep.trials: input should be a valid integer; got '3'"),
        ("sweep/trials", -1, "greater than or equal to 0"),
        ("sweep/space", {}, "[sweep.space] is empty"),
        ("sweep/space/learning_rate", {"low": 1.0, "high": 0.1}, "low must be below high"),
        ("sweep/space/forget_bais", [0.0, 1.0], "unknown dimension 'forget_bais' of [sweep.space]"),
        ("sweep/space/clip", [0.5, 3.0], "trial 0 is the untuned default, so it must lie in [sweep.space]; clip = 1.0"),
        ("sweep/space/depth", [1, 0], "depth: input should be greater than or equal to 1; got 0"),
        ("sweep/sampler", "tpee", "unknown sampler 'tpee'"),
        ("sweep/pruner", "medain", "did you mean 'median'?"),
        ("sweep/seed", 1, "sweep.seed must not be a seed of the evaluation"),
        ("sweep/finalists", 6, "sweep.finalists must not exceed sweep.trials = 5; got 6"),
        ("sweep/space/forget_bias", [0.0, 1.0], "unknown dimension 'forget_bias' of [sweep.space]"),
        ("tasks", {}, "tasks: "),
        ("tasks/adding/length", [10, 10], "[tasks.adding]: length: a list must have values, each once; got [10, 10]"),
        ("tasks/adding/length", [], "tasks.adding.length"),
        ("tasks/adding/length", [0, 20], "tasks.adding.length.0: input should be greater than or equal to 1; got 0"),
        ("tasks/adding/test_lengths", 20, "tasks.adding.test_lengths: input should be a list; got 20"),
        ("evaluation/seeds", [3, 3], "evaluation.seeds: a list must have values, each once; got [3, 3]"),
        ("tasks/adding/length", 1, "length must be at least 2 for adding; got 1"),
        ("tasks/adding/lag", 3, "[tasks.adding]: unknown option 'lag' of task 'adding'"),
        ("tasks/coppy_memory", {"length": 3}, "unknown task 'coppy_memory'; available"),
        ("tasks/adding/training", {"stepz": 3}, "unknown key 'stepz' of [tasks.adding] training"),
        ("architectures/lsmt", {}, "did you mean 'lstm'?"),
        ("architectures/gru/reset", "during", "input should be 'before', 'after' or 'none'; got 'during'"),
        ("architectures/../../x", {}, "a label has letters, digits"),
        ("architectures/gru/hidden_size", 8, ""),
        ("model", {}, "give the size once"),
        ("model/parameters", 7, "no hidden_size gives 7 parameters to within 5%"),
        (
            "model/state",
            64,
            "give the size once, as hidden_size (equal width), as parameters (equal parameters) or as state",
        ),
        ("model/mixer", 2.0, 'mixer of [model] belongs to residual blocks, and every architecture has block = "plain"'),
        (
            "architectures/gru/norm",
            "layer",
            '[architectures.gru]: norm belongs to residual blocks, and block is "plain"',
        ),
        ("sweep/space/mixer", [0.0, 2.0], "mixer of [sweep.space] belongs to residual blocks"),
        ("model/block", "rezidual", "model.block: input should be 'plain' or 'residual'; got 'rezidual'"),
        ("model/dropout", 1.0, "model.dropout: input should be less than 1; got 1.0"),
        (
            "architectures/gru",
            {"state": 7, "depth": 2},
            "no hidden_size gives 7 numbers in the state to within 5%; the",
        ),
        ("architectures/mlp", {"state": 70}, "to within 5%; every hidden_size gives 20"),
        (
            "architectures/gru",
            {"hidden_size": 4, "block": "residual", "mixer": 0.1},
            "at least 1; mixer = 0.1 of hidden",
        ),
        ("training/optimizer", "adma", "input should be 'adam', 'adamw', 'rmsprop' or 'sgd'; got 'adma'"),
        ("training/schedule", "cosin", "training.schedule: input should be 'constant', 'cosine' or 'linear'; got 'cos"),
        ("training/alpha", 1.0, "training.alpha: input should be less than 1; got 1.0"),
        ("training/alpha", 0.0, "training.alpha: input should be greater than 0; got 0.0"),
        ("training/alpha", math.nan, "training.alpha: input should be "),
        ("training/warmup", -1, "training.warmup: input should be greater than or equal to 0; got -1"),
        ("training/warmup", 10.0, "training.warmup: input should be a valid integer; got 10.0"),
        ("training/warmup", 1000, f"experiment 'x': training: {TOO_LONG.format(1000, 1000, 999)}"),
        ("tasks/adding/training", {"steps": 9, "warmup": 9}, f"[tasks.adding] training: {TOO_LONG.format(9, 9, 8)}"),
        ("architectures/gru/training", {"warmup": 2000}, f"study 'x/adding/gru': {TOO_LONG.format(2000, 1000, 999)}"),
        ("sweep/space/warmup", {"low": 0, "high": 1000}, f"study 'x/adding/rnn': {TOO_LONG.format(1000, 1000, 999)}"),
        ("sweep/space/warmup", [0, 4000], f"study 'x/adding/rnn': {TOO_LONG.format(4000, 1000, 999)}"),
        ("sweep/space/warmup", {"low": 0, "high": 9.5}, "warmup: input should be a valid integer"),
        ("sweep/space/alpha", {"low": 0.9, "high": 1.0}, "alpha: input should be less than 1; got 1.0"),
        ("sweep/space/schedule", ["constant", "cosin"], "schedule: input should be 'constant', 'cosine' or 'linear'"),
        ("training/learning_rate", 0.0, "greater than 0"),
    ],
)
def test_what_is_wrong_is_one_clear_message(path: str, value: Any, message: str) -> None:
    data = changed(path, value) if "../" not in path else {**GOOD, "architectures": {"../../x": {}}}
    if not message:  # a size of its own takes the place of the shared one
        assert studies(parse(data, "x"))
        return
    with pytest.raises(InputError) as refused:
        studies(parse(data, "x"))
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("tables", "message"),
    [
        ({"task": {"adding": {"length": 8}}, "architectures": {"rnn": {}}}, "unknown key 'task' of the file"),
        ({"task": {"adding": {"length": 8}}, "architectures": {"rnn": {}}}, "(did you mean 'tasks'?)"),
        ({"tasks": {"adding": {"length": 8}}, "architecture": {"rnn": {}}}, "(did you mean 'architectures'?)"),
        (
            {"tasks": {"adding": {"lenght": 8}}, "architectures": {"rnn": {}}},
            "field required; got 'lenght' (did you mean 'length'?)",
        ),
        ({"tasks": {"adding": {"test_lengths": [9]}}, "architectures": {"rnn": {}}}, "adding.length: field required"),
    ],
)
def test_a_misspelt_key_is_named_before_the_one_that_is_missing_for_it(tables: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError) as refused:
        parse(tables, "x")
    assert message in str(refused.value)
    assert "test_lengths" not in str(refused.value)


def test_a_space_needs_trials_unless_a_selection_leaves_them_out(tmp_path: Path) -> None:
    path = tmp_path / "own.toml"
    text = (
        "[tasks.adding]\nlength = 8\n[architectures.rnn]\nhidden_size = 4\n[sweep]\ntrials = 2\nspace.clip = [1.0, 2.0]"
    )
    path.write_text(text, encoding="utf-8")
    assert load(path).select(trials=0).sweep.trials == 0
    path.write_text(text.replace("trials = 2", ""), encoding="utf-8")
    with pytest.raises(
        InputError, match=r"not searched without trials; give trials = N in \[sweep\], or remove the space"
    ):
        load(path)


def test_a_dimension_that_is_fixed_wherever_it_exists_is_refused() -> None:
    data = changed("architectures", {"gru": {"reset": "after"}})
    data["sweep"]["space"]["reset"] = ["before", "after"]
    with pytest.raises(InputError, match="is never searched: every architecture that has it fixes it"):
        parse(data, "x")


def test_fewer_rows_need_not_have_every_dimension_of_the_file() -> None:
    data = changed("architectures", {"rnn": {}, "lstm": {}})
    data["sweep"]["space"]["forget_bias"] = [1.0, 2.0]
    (study,) = studies(parse(data, "x").select(architectures="rnn"))
    assert "forget_bias" not in study.space


def test_a_file_that_is_no_toml_or_not_there_is_refused(tmp_path: Path) -> None:
    (tmp_path / "broken.toml").write_text("[tasks", encoding="utf-8")
    with pytest.raises(InputError, match=r"broken.toml is not valid TOML"):
        load(tmp_path / "broken.toml")
    with pytest.raises(InputError, match="cannot read experiment"):
        load(tmp_path / "absent.toml")


def test_a_file_of_that_name_is_suggested(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=r"unknown experiment 'ladder'; .*, or a path ending in \.toml$"):
        load("ladder")
    (tmp_path / "ladder.toml").touch()
    with pytest.raises(InputError, match=r"\(did you mean 'ladder\.toml'\?\)$"):
        load("ladder")


def test_a_list_in_a_task_table_makes_a_level_of_each_value() -> None:
    data = changed("tasks", {"sequence_memory": {"length": [20, 30], "lag": [4, 8], "test_lengths": [50]}})
    labels = [level.label for level in parse(data, "x").levels]
    assert labels == [f"sequence_memory length={t} lag={k}" for t in (20, 30) for k in (4, 8)]


def test_every_trial_is_matched_in_parameters_and_what_a_variant_fixes_is_not_searched() -> None:
    for study in studies(parse(GOOD, "x")):
        assert ("depth" in study.space) == (study.variant.label == "rnn")
        for job in StudyProgress(study, {}).trials:
            model = job.config.model
            built = build_model(model.architecture, model.options, 2, model.hidden_size, 1, depth=model.depth)
            assert parameter_count(built) == pytest.approx(2000, rel=0.05)


def test_the_key_knows_every_setting_and_not_the_label() -> None:
    keys = {
        study.config(study.defaults, seed).key
        for data in (GOOD, changed("training/clip", 1.0), changed("training/batch_size", 16))
        for study in studies(parse(data, "x"))
        for seed in (0, 1)
    }
    assert len(keys) == 8  # two architectures, two seeds, two batch sizes; clip = 1 is the default
    renamed = changed("architectures", {"mine": {"architecture": "rnn"}})
    mine, plain = studies(parse(renamed, "x"))[0], studies(parse(GOOD, "x"))[0]
    assert mine.config(mine.defaults, 0).key == plain.config(plain.defaults, 0).key


def outcome(value: float, pruned: float = 0.0) -> Outcome:
    curves = tuple((step, {"validation/skill": skill}) for step, skill in ((10, value / 2), (20, value)))
    return Outcome({"objective": value, "validation_loss": 1.0, "pruned": pruned}, curves)


@pytest.mark.parametrize("sampler", ["sobol", "random", "tpe"])
def test_suggestions_depend_on_finished_generations_alone(sampler: str) -> None:
    data = changed("sweep", {**GOOD["sweep"], "sampler": sampler, "generation": 2, "trials": 6})
    study = studies(parse(data, "x"))[0]

    def play(order: int) -> list[Any]:
        """Finish what is known in this order of arrival, asking anew after each run."""
        finished: dict[str, Outcome] = {}
        while waiting := [job for job in StudyProgress(study, finished).trials if job.key not in finished]:
            job = waiting[::order][0]
            finished[job.key] = outcome(derived_seed(job.key) / 2**63)
        return [job.params for job in StudyProgress(study, finished).trials]

    first = play(1)
    assert first == play(-1)
    assert first[0] == study.defaults
    assert len({str(params) for params in first}) > 3


def test_what_is_called_repeatable_is_what_comes_with_memspan() -> None:
    assert set(REPEATABLE_SAMPLERS) == set(sweep.SAMPLERS)
    assert set(REPEATABLE_PRUNERS) == set(sweep.PRUNERS)
    assert parse(GOOD, "x").sweep.repeatable
    assert not parse(changed("sweep/sampler", "optuna.samplers:QMCSampler"), "x").sweep.repeatable
    assert not parse(changed("sweep/pruner", "optuna.pruners:HyperbandPruner"), "x").sweep.repeatable


def test_a_longer_sobol_design_begins_with_the_same_trials() -> None:
    short, long = (StudyProgress(studies(parse(changed("sweep/trials", n), "x"))[0], {}).trials for n in (5, 12))
    assert [job.key for job in short] == [job.key for job in long[:5]]


def test_the_best_trial_is_evaluated_on_every_seed_once_all_trials_are_finished() -> None:
    study = studies(parse(GOOD, "x"))[0]
    tried = StudyProgress(study, {}).trials
    finished = {job.key: outcome(0.1 * job.number) for job in tried[:-1]}
    assert StudyProgress(study, finished).evaluations == []
    finished[tried[-1].key] = outcome(0.9, pruned=1.0)  # what was pruned is not selected
    evaluated = StudyProgress(study, finished).evaluations
    assert [job.config.seed for job in evaluated] == [0, 1]
    assert all(job.params == tried[-2].params for job in evaluated)


def test_finalists_are_run_again_on_tuning_seeds_of_their_own_and_the_best_mean_wins() -> None:
    data = changed("sweep", {**GOOD["sweep"], "finalists": 2, "finalist_seeds": 3})
    experiment = parse(data, "x")
    study = studies(experiment)[0]
    finished = {job.key: outcome(0.1 * job.number) for job in StudyProgress(study, {}).trials}
    again = StudyProgress(study, finished).missing
    assert sorted((job.number, job.config.seed) for job in again.values()) == [
        (number, seed) for number in (3, 4) for seed in (1001, 1002, 1003)
    ]
    finished |= {key: outcome(0.9 if job.number == 3 else 0.1) for key, job in again.items()}
    evaluated = StudyProgress(study, finished).evaluations
    assert all(job.params == StudyProgress(study, {}).trials[3].params for job in evaluated)
    finished |= {job.key: outcome(0.5) for job in evaluated}
    assert not StudyProgress(study, finished).missing
    assert len(finished) == experiment.runs_per_study == 5 + 2 * 3 + 2


def test_a_median_pruner_compares_with_earlier_generations_alone() -> None:
    from suite.planning.job import PrunerContext
    from suite.planning.sweep import GenerationPruner

    good = tuple(((10, 0.8 + 0.01 * n), (20, 0.9)) for n in range(4))
    assert GenerationPruner(PrunerContext("median", "s", 5, good))(10, 0.1)
    assert not GenerationPruner(PrunerContext("median", "s", 5, good))(10, 0.95)
    assert not GenerationPruner(PrunerContext("median", "s", 0, ()))(10, 0.0)


class Stateless(Cell[tuple[()]]):
    """Carries nothing; its second parameter may be complex."""

    def __init__(self, input_size: int, hidden_size: int, *, complex_too: bool = False, undecayed: str = "") -> None:
        super().__init__(input_size, hidden_size)
        self.W = torch.nn.Parameter(torch.zeros(hidden_size, input_size))
        self.without_weight_decay = (undecayed,) if undecayed else ()
        if complex_too:
            self.V = torch.nn.Parameter(torch.zeros(3, dtype=torch.complex64))

    def initial_state(self, batch_size: int) -> tuple[()]:
        return ()

    def step(self, x: torch.Tensor, state: tuple[()]) -> tuple[torch.Tensor, tuple[()]]:
        return x @ self.W.t(), state


@pytest.mark.parametrize(
    ("architecture", "training", "message"),
    [
        ({"complex_too": True}, {}, "all parameters of a model must have one type; got torch.complex64, torch.float32"),
        ({"undecayed": "w"}, {}, "unknown parameter 'w' of Stateless.without_weight_decay; available: W$"),
    ],
)
def test_what_no_run_could_do_is_refused_before_it(
    architecture: dict[str, Any], training: dict[str, Any], message: str
) -> None:
    table = {"architecture": "tests.experiment.test_experiment:Stateless", "hidden_size": 4, **architecture}
    data = {"tasks": {"adding": {"length": 8}}, "architectures": {"own": table}, "training": training}
    with pytest.raises(InputError, match=message):
        studies(parse(data, "x"))


def test_a_run_with_fewer_steps_has_to_be_longer_than_its_warm_up_too() -> None:
    experiment = parse(changed("training/warmup", 100), "x")
    assert studies(experiment.select(steps=101))
    with pytest.raises(InputError, match=re.escape(TOO_LONG.format(100, 100, 99))):
        experiment.select(steps=100)
    own = parse(changed("tasks/adding/training", {"warmup": 100}), "x")
    with pytest.raises(InputError, match=re.escape(TOO_LONG.format(100, 100, 99))):
        studies(own.select(steps=100))


def test_the_settings_of_optimiser_and_schedule_are_searched_like_the_rest() -> None:
    data = changed("training", {"steps": 200, "optimizer": "rmsprop", "warmup": 10})
    searched = {"alpha": {"low": 0.9, "high": 0.999}, "schedule": ["constant", "cosine", "linear"]}
    data["sweep"]["space"] |= {**searched, "warmup": {"low": 0, "high": 50}, "optimizer": ["adam", "adamw", "rmsprop"]}
    data["sweep"]["trials"] = 16
    for study in studies(parse(data, "x")):
        default, *tried = [job.config.training for job in StudyProgress(study, {}).trials]
        assert (default.alpha, default.schedule, default.warmup) == (0.99, "constant", 10)
        assert all(0.9 <= training.alpha <= 0.999 for training in tried)
        assert {training.schedule for training in tried} == {"constant", "cosine", "linear"}
        assert {training.optimizer for training in tried} == {"adam", "adamw", "rmsprop"}
        assert len({training.warmup for training in tried}) > 8


def test_training_can_be_fixed_for_a_row() -> None:
    data = changed("architectures/gru/training", {"clip": math.inf, "optimizer": "sgd"})
    of = {study.variant.label: study for study in studies(parse(data, "x"))}
    assert "clip" in of["rnn"].space
    assert "clip" not in of["gru"].space
    config = of["gru"].config(of["gru"].defaults, 0)
    assert (config.training.clip, config.training.optimizer) == (math.inf, "sgd")
    with pytest.raises(InputError, match=r"unknown key 'steps' of \[architectures.gru\] training"):
        studies(parse(changed("architectures/gru/training", {"steps": 3}), "x"))
