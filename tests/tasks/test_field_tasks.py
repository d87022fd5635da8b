"""The tasks of the field: each generator by its own definition, and each trap that others have fallen into."""

from __future__ import annotations

import itertools
import math
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.testing import assert_close

from suite.registry import make_task
from tasks.adding import Adding
from tasks.associative_recall import POWER, AssociativeRecall
from tasks.copy_memory import CopyMemory
from tasks.delay_line import DelayLine
from tasks.delayed_match import DelayedMatch
from tasks.flip_flop import FlipFlop
from tasks.formal_language import DEEPEST, FormalLanguage
from tasks.induction import Induction
from tasks.selective_copy import SelectiveCopy
from tasks.state_tracking import GROUPS, StateTracking, products, running_products
from tasks.temporal_order import TemporalOrder

seeds = st.integers(0, 2**32)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("associative_recall", {"symbols": 7}, "symbols must be even and at least 4, half keys and half values; got 7"),
        ("associative_recall", {"pairs": 4}, "pairs is an option of form 'tokens' only"),
        (
            "associative_recall",
            {"form": "tokens", "symbols": 8, "pairs": 5},
            "pairs must be from 1 to 4, the number of",
        ),
        ("selective_copy", {"recalled": 0}, "recalled must be at least 1; got 0"),
        ("induction", {"symbols": 1}, "symbols must be at least 2; got 1"),
        ("flip_flop", {"sparse_from": 1}, "sparse_from must be a number of instructions from 2 on; got 1"),
        ("flip_flop", {"ignore": 1.0}, "ignore must be a probability from 0 to below 1; got 1.0"),
        ("delay_line", {"frequency": 0.6}, "frequency must be above 0 and at most 0.5 cycles per step; got 0.6"),
        ("delay_line", {"lag": 0}, "lag must be at least 1; got 0"),
    ],
)
def test_a_wrong_option_is_refused_in_one_message(name: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(Exception, match=message.replace("(", r"\(")):
        make_task(name, options)


# associative recall --------------------------------------------------------------------------------------------------


@given(pairs=st.integers(1, 8), seed=seeds)
def test_stacked_recall_asks_for_every_key_once_and_for_the_value_beside_it(pairs: int, seed: int) -> None:
    batch = AssociativeRecall(symbols=16).sample(4, pairs, generator(seed))
    keys, values = batch.inputs[:, :, :8], batch.inputs[:, :, 8:]
    assert_close(keys.sum(2), torch.ones(4, 2 * pairs))
    assert not values[:, pairs:].any()
    assert torch.equal(batch.mask, torch.arange(2 * pairs).expand(4, -1) >= pairs)
    for row in range(4):
        shown, asked = keys[row, :pairs].argmax(1).tolist(), keys[row, pairs:].argmax(1).tolist()
        assert len(set(shown)) == pairs
        assert sorted(asked) == sorted(shown)
        value_of = dict(zip(shown, values[row, :pairs].argmax(1).tolist(), strict=True))
        assert batch.targets[row, pairs:].tolist() == [value_of[key] for key in asked]


@given(pairs=st.integers(1, 6), more=st.integers(0, 20), seed=seeds)
def test_recall_of_tokens_is_stacked_recall_taken_apart(pairs: int, more: int, seed: int) -> None:
    task = AssociativeRecall(form="tokens", symbols=16, pairs=pairs)
    length = task.shortest + more
    batch = task.sample(4, length, generator(seed))
    tokens = batch.inputs.argmax(2)
    for row in range(4):
        shown, values = tokens[row, 0 : 2 * pairs : 2].tolist(), tokens[row, 1 : 2 * pairs : 2].tolist()
        assert max(shown) < 8 <= min(values)
        value_of = dict(zip(shown, values, strict=True))
        places = batch.mask[row].nonzero().flatten().tolist()
        assert len(places) == pairs
        assert all(place >= 2 * pairs and place % 2 == 0 for place in places)
        assert sorted(tokens[row, places].tolist()) == sorted(shown)
        assert batch.targets[row, places].tolist() == [value_of[key] - 8 for key in tokens[row, places].tolist()]


def test_gaps_of_recall_follow_the_published_power_law() -> None:
    task = AssociativeRecall(form="tokens", symbols=16, pairs=1)
    places = task.sample(40_000, 22, generator()).mask.float().mean(0)[2::2]
    law = torch.arange(1, 11).double() ** (POWER - 1)
    assert_close(places.double(), law / law.sum(), rtol=0, atol=0.01)


# selective copying ---------------------------------------------------------------------------------------------------


@given(length=st.integers(3, 20), seed=seeds)
def test_selective_copy_asks_for_the_symbols_in_their_order(length: int, seed: int) -> None:
    task = SelectiveCopy(symbols=4, recalled=3)
    batch = task.sample(5, length, generator(seed))
    tokens = batch.inputs.argmax(2)
    assert (tokens[:, length:] == 5).all()
    assert torch.equal(tokens[:, :length][tokens[:, :length] < 4].view(5, 3), batch.targets[:, length:])
    assert batch.mask.nonzero()[:, 1].unique().tolist() == list(range(length, length + 3))


def test_every_choice_of_places_is_equally_likely_and_the_last_step_is_one_of_them() -> None:
    tokens = SelectiveCopy(symbols=4, recalled=2).sample(30_000, 5, generator()).inputs.argmax(2)[:, :5]
    choices = (tokens < 4).long() @ (2 ** torch.arange(5))
    counts = torch.bincount(choices)[torch.bincount(choices) > 0]
    assert len(counts) == math.comb(5, 2)
    assert_close(counts.float() / 30_000, torch.full((10,), 0.1), rtol=0, atol=0.01)


# induction -----------------------------------------------------------------------------------------------------------


@given(length=st.integers(3, 30), seed=seeds)
def test_induction_shows_the_prefix_twice_and_asks_for_its_successor(length: int, seed: int) -> None:
    batch = Induction().sample(6, length, generator(seed))
    tokens = batch.inputs.argmax(2)
    assert ((tokens == 16).sum(1) == 2).all()
    assert (tokens[:, -1] == 16).all()
    first = (tokens == 16).float().argmax(1)
    assert torch.equal(batch.targets[:, -1], tokens[torch.arange(6), first + 1])


def test_the_prefix_stands_everywhere_equally_often() -> None:
    tokens = Induction().sample(20_000, 6, generator()).inputs.argmax(2)
    assert_close((tokens == 16).float().mean(0), torch.tensor([0.25] * 4 + [0.0, 1.0]), rtol=0, atol=0.015)


# flip-flop -----------------------------------------------------------------------------------------------------------


@given(length=st.integers(2, 40), seed=seeds, ignore=st.sampled_from([0.0, 0.1, 0.8, 0.98]))
def test_a_read_answers_what_was_written_last(length: int, seed: int, ignore: float) -> None:
    batch = FlipFlop(ignore).sample(4, length, generator(seed))
    instructions, bits = batch.inputs[:, :, :3].argmax(2), batch.inputs[:, :, 3:]
    assert torch.equal(batch.mask, instructions == 1)
    assert torch.equal(bits.sum(2), 1.0 - batch.mask.float()), "a read comes without a bit"
    assert (instructions[:, 0] == 0).all()
    assert (instructions[:, -1] == 1).all()
    for row in range(4):
        kept = -1
        for step in range(length):
            if instructions[row, step] == 0:
                kept = int(bits[row, step].argmax())
            if batch.mask[row, step]:
                assert batch.targets[row, step] == kept


@pytest.mark.parametrize("ignore", [0.1, 0.8, 0.98])
def test_the_shares_of_instructions_are_those_of_the_source(ignore: float) -> None:
    instructions = FlipFlop(ignore).sample(500, 402, generator()).inputs[:, 1:-1, :3].mean((0, 1))
    assert_close(instructions, torch.tensor([(1 - ignore) / 2, (1 - ignore) / 2, ignore]), rtol=0, atol=0.005)


def test_long_sequences_are_sparse_if_asked_for_and_short_ones_are_not() -> None:
    task = FlipFlop(sparse_from=100)
    assert torch.equal(task.sample(5, 99, generator()).inputs, FlipFlop().sample(5, 99, generator()).inputs)
    assert torch.equal(task.sample(5, 100, generator()).inputs, FlipFlop(0.98).sample(5, 100, generator()).inputs)


# state tracking ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("group", "size"), [("Z2", 2), ("Z5", 5), ("Z60", 60), ("S3", 6), ("A5", 60), ("S5", 120)])
def test_the_table_of_a_group_has_the_laws_of_a_group(group: str, size: int) -> None:
    table = products(group)
    assert table.shape == (size, size)
    everyone = torch.arange(size)
    assert torch.equal(table.sort(0).values, everyone[:, None].expand(size, size)), "each column is a permutation"
    assert torch.equal(table.sort(1).values, everyone.expand(size, size)), "each row is a permutation"
    neutral = [e for e in range(size) if torch.equal(table[e], everyone) and torch.equal(table[:, e], everyone)]
    assert neutral == [0]
    some = torch.randint(size, (3, 500), generator=generator())
    assert torch.equal(table[table[some[0], some[1]], some[2]], table[some[0], table[some[1], some[2]]])
    assert torch.equal(table, table.T) == (group[0] == "Z")


@pytest.mark.parametrize(("group", "count", "is_even"), [("S3", 3, False), ("A5", 5, True), ("S5", 5, False)])
def test_running_products_compose_permutations(group: str, count: int, is_even: bool) -> None:
    def is_odd(p: tuple[int, ...]) -> bool:
        return sum(p[i] > p[j] for i in range(count) for j in range(i + 1, count)) % 2 == 1

    elements = [p for p in itertools.permutations(range(count)) if not (is_even and is_odd(p))]
    batch = StateTracking(group).sample(3, 13, generator())  # type: ignore[arg-type]
    for row, answers in zip(batch.inputs.argmax(2).tolist(), batch.targets.tolist(), strict=True):
        state = tuple(range(count))
        for x, answer in zip(row, answers, strict=True):
            state = tuple(state[elements[x][i]] for i in range(count))
            assert elements[answer] == state


@given(length=st.integers(2, 300), seed=seeds)
def test_parity_is_the_parity_and_five_is_a_clock(length: int, seed: int) -> None:
    for group, count in (("Z2", 2), ("Z5", 5)):
        batch = StateTracking(group).sample(3, length, generator(seed))  # type: ignore[arg-type]
        assert torch.equal(batch.targets, batch.inputs.argmax(2).cumsum(1) % count)
        assert torch.equal(batch.mask, (torch.arange(length) > 0).expand(3, -1))


@pytest.mark.parametrize("group", GROUPS)
def test_a_product_of_one_element_is_the_element(group: str) -> None:
    elements = torch.arange(2)[:, None]
    assert torch.equal(running_products(elements, group), elements)


# temporal order ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("symbols", "stretches"), [(2, [(10, 20), (50, 60)]), (3, [(10, 20), (33, 43), (66, 76)])])
def test_temporal_order_has_the_published_layout(symbols: Any, stretches: list[tuple[int, int]]) -> None:
    batch = TemporalOrder(symbols).sample(3000, 100, generator())
    is_shown = batch.inputs.sum(2) == 1
    tokens = batch.inputs.argmax(2)
    ends = batch.mask.float().argmax(1)
    assert (batch.mask.sum(1) == 1).all()
    assert (ends.min(), ends.max()) == (100, 110)
    assert torch.equal(is_shown, torch.arange(111) <= ends[:, None]), "after the end there is nothing"
    assert (tokens[:, 0] == 6).all()
    assert (tokens[torch.arange(3000), ends] == 7).all()
    important = ((tokens == 4) | (tokens == 5)) & is_shown
    assert (important.sum(1) == symbols).all()
    places = important.nonzero()[:, 1].view(3000, symbols)
    assert list(zip(places.min(0).values.tolist(), places.max(0).values.tolist(), strict=True)) == stretches
    bits = tokens.gather(1, places) - 4
    assert torch.equal(batch.targets[batch.mask], bits @ (2 ** torch.arange(symbols - 1, -1, -1)))


# delayed match -------------------------------------------------------------------------------------------------------


def test_half_of_the_probes_match_and_the_others_are_any_other_symbol() -> None:
    batch = DelayedMatch(4).sample(30_000, 5, generator())
    tokens, marks = batch.inputs[:, :, :4].argmax(2), batch.inputs[:, :, 4]
    assert torch.equal(marks, torch.tensor([1.0, 0, 0, 0, 1.0]).expand(30_000, -1))
    assert torch.equal(batch.targets[:, -1], (tokens[:, 0] == tokens[:, -1]).long())
    away = torch.bincount((tokens[:, -1] - tokens[:, 0]) % 4).float() / 30_000
    assert_close(away, torch.tensor([1 / 2, 1 / 6, 1 / 6, 1 / 6]), rtol=0, atol=0.015)


# delay line ----------------------------------------------------------------------------------------------------------


def test_the_signal_is_band_limited_and_comes_back_after_the_lag() -> None:
    task = DelayLine(lag=20, frequency=0.125)
    batch = task.sample(400, 512, generator())
    signal = batch.inputs[:, :, 0]
    assert_close(batch.targets[:, 20:], batch.inputs[:, :-20])
    assert signal.square().mean().sqrt().item() == pytest.approx(0.5, abs=0.01)
    window = torch.hann_window(512)
    power = torch.fft.rfft(signal * window).abs().square().mean(0)
    assert power[int(0.14 * 512) :].sum() < 1e-4 * power.sum()


def test_a_memoryless_answer_to_the_delay_line_is_no_better_than_a_constant_at_its_defaults() -> None:
    batch = DelayLine().sample(400, 512, generator())
    now, before = batch.inputs[:, 20:, 0].flatten(), batch.targets[:, 20:, 0].flatten()
    assert abs(torch.corrcoef(torch.stack([now, before]))[0, 1].item()) < 0.02


# formal languages ----------------------------------------------------------------------------------------------------


@given(length=st.integers(2, 30), seed=seeds)
def test_even_pairs_are_words_whose_ends_agree(length: int, seed: int) -> None:
    batch = FormalLanguage("even_pairs").sample(5, length, generator(seed))
    word = batch.inputs[:, :length].argmax(2)
    changes = (word[:, 1:] != word[:, :-1]).sum(1)
    assert torch.equal(batch.targets[:, -1], (changes % 2 == 0).long())
    assert torch.equal(batch.inputs[:, :, -1], (torch.arange(length + 1) == length).float().expand(5, -1))


@given(length=st.integers(2, 12), seed=seeds)
def test_modular_arithmetic_is_that_of_python(length: int, seed: int) -> None:
    batch = FormalLanguage("modular_arithmetic").sample(5, length, generator(seed))
    operators, digits = batch.inputs[:, :length, :3].argmax(2), batch.inputs[:, :length, 3:-1].argmax(2)
    for row in range(5):
        pairs = zip(operators[row].tolist(), digits[row].tolist(), strict=True)
        term = "".join(f"{'+-*'[operator]}{digit}" for operator, digit in pairs)
        assert batch.targets[row, -1].item() == eval(term) % 5  # The term holds digits and operators alone.


@given(length=st.integers(2, 40), seed=seeds)
def test_brackets_open_and_close_between_the_floor_and_the_deepest(length: int, seed: int) -> None:
    batch = FormalLanguage("bracket_depth").sample(5, length, generator(seed))
    for row in range(5):
        depth = int(batch.inputs[row, 0].argmax())
        for step in batch.inputs[row, 1:length, DEEPEST + 1 : -1].argmax(1).tolist():
            depth = min(max(depth + step - 1, 0), DEEPEST)
        assert batch.targets[row, -1] == depth


@pytest.mark.parametrize("language", ["even_pairs", "modular_arithmetic", "bracket_depth"])
@pytest.mark.parametrize("length", [2, 3, 9])
def test_every_answer_of_a_formal_language_is_equally_likely_at_every_length(language: Any, length: int) -> None:
    task = FormalLanguage(language)
    answers = task.sample(40_000, length, generator()).targets[:, -1]
    shares = torch.bincount(answers, minlength=task.output_size).float() / 40_000
    assert_close(shares, torch.full_like(shares, task.chance), rtol=0, atol=0.012)


# options of the older tasks -------------------------------------------------------------------------------------------


@given(longest=st.integers(1, 20), seed=seeds)
def test_copying_with_variable_delays_is_copying_with_each_ones_own(longest: int, seed: int) -> None:
    batch = CopyMemory(variable=True).sample(6, longest, generator(seed))
    tokens = batch.inputs.argmax(2)
    assert ((tokens == 9).sum(1) == 1).all()
    for row in range(6):
        delay = int((tokens[row] == 9).float().argmax()) - 9
        assert 1 <= delay <= longest
        own = slice(0, delay + 20)
        fixed = CopyMemory().sample(1, delay, generator())
        assert torch.equal(batch.mask[row, own], fixed.mask[0])
        assert not batch.mask[row, delay + 20 :].any()
        assert torch.equal(batch.targets[row, delay + 10 : delay + 20], tokens[row, :10])
        assert (tokens[row, delay + 10 :] == 8).all()


def test_variable_delays_are_uniform() -> None:
    tokens = CopyMemory(variable=True).sample(20_000, 5, generator()).inputs.argmax(2)
    delays = torch.bincount((tokens == 9).float().argmax(1) - 9, minlength=6)[1:].float() / 20_000
    assert_close(delays, torch.full((5,), 0.2), rtol=0, atol=0.015)


@given(length=st.integers(2, 30), seed=seeds)
def test_marks_anywhere_are_two_and_the_answer_is_their_sum(length: int, seed: int) -> None:
    batch = Adding("anywhere").sample(8, length, generator(seed))
    value, mark = batch.inputs.unbind(2)
    assert (mark.sum(1) == 2).all()
    assert_close(batch.targets[:, -1, 0], (value * mark).sum(1))


def test_every_pair_of_marks_anywhere_is_equally_likely() -> None:
    mark = Adding("anywhere").sample(30_000, 4, generator()).inputs[:, :, 1]
    pairs = torch.bincount(mark.long() @ (2 ** torch.arange(4)))
    assert_close(pairs[pairs > 0].float() / 30_000, torch.full((6,), 1 / 6), rtol=0, atol=0.01)


def memoryless(inputs: Tensor) -> Tensor:
    """Return a number for each different input of a single step, ``[batch, time]``."""
    weights = torch.randint(2**40, inputs.shape[2:], generator=generator()).double()
    return torch.unique((inputs.double() * weights).sum(2), return_inverse=True)[1]


@pytest.mark.parametrize(
    ("name", "options", "length"),
    [
        ("associative_recall", {"symbols": 8}, 3),
        ("associative_recall", {"symbols": 8, "form": "tokens", "pairs": 2}, 12),
        ("selective_copy", {"symbols": 4, "recalled": 3}, 8),
        ("induction", {"symbols": 4}, 8),
        ("flip_flop", {}, 12),
        ("state_tracking", {"group": "S3"}, 6),
        ("formal_language", {}, 6),
        ("formal_language", {"language": "modular_arithmetic"}, 6),
        ("formal_language", {"language": "bracket_depth"}, 6),
        ("temporal_order", {}, 10),
        ("delayed_match", {"symbols": 3}, 6),
        ("copy_memory", {"variable": True}, 4),
    ],
)
def test_the_best_answer_that_only_sees_its_own_step_scores_chance(
    name: str, options: dict[str, Any], length: int
) -> None:
    """The answer is fitted to what each single input was followed by in half of the data, and tested on the rest."""
    task = make_task(name, options)
    fitted, tested = task.sample(20_000, length, generator(1)), task.sample(20_000, length, generator(2))
    seen = memoryless(torch.cat([fitted.inputs, tested.inputs]))
    known, unknown = seen[:20_000][fitted.mask], seen[20_000:][tested.mask]
    counts = torch.zeros(int(seen.max()) + 1, int(fitted.targets.max()) + 1)
    counts.index_put_((known, fitted.targets[fitted.mask]), torch.ones(len(known)), accumulate=True)
    right = counts.argmax(1)[unknown] == tested.targets[tested.mask]
    assert right.double().mean().item() == pytest.approx(task.chance, abs=0.015)
