"""What is said of two systems."""

import dataclasses
import json

import numpy as np
import pytest
from answer_tables import answers, two_systems

from benchmark.stats.comparisons import compare
from benchmark.stats.crossed import interval_of_mean, mean_squares


def test_all_figures_of_one_comparison():
    a, b = two_systems(n_seeds=6, gap=0.04)
    found = compare(a, b, margin=0.01, level=0.9)
    assert (found.n_seeds, found.n_examples, found.margin, found.level) == (6, 600, 0.01, 0.9)
    assert found.difference == pytest.approx(a.mean() - b.mean())
    ends = (found.interval.low, found.interval.high)
    assert ends == pytest.approx(interval_of_mean(mean_squares(a.astype(int) - b), 0.9))
    assert (found.p_value < 0.1) == (found.interval.low > 0)
    assert found.reason is None
    assert found.bootstrap.low == pytest.approx(found.interval.low, abs=0.01)
    assert found.components.interaction > found.components.examples >= 0
    assert found.sign_flip.smallest == 2 / 64
    assert len(found.mcnemar) == 6
    assert found.win_share == np.mean(a.sum(axis=1) > b.sum(axis=1))
    assert 0.5 < found.win_probability < 1


def test_holds_plain_numbers_only():
    record = dataclasses.asdict(compare(*two_systems()))
    assert json.loads(json.dumps(record))["difference"] == record["difference"]


def test_accepts_zeros_and_ones_as_well():
    a, b = two_systems()
    assert compare(a.astype(np.int8), b.astype(np.uint8)) == compare(a, b)


def test_swapping_turns_every_sign():
    a, b = two_systems(n_seeds=7, gap=0.03)
    one, other = compare(a, b), compare(b, a)
    assert other.difference == -one.difference
    for ours, theirs in ((one.interval, other.interval), (one.bootstrap, other.bootstrap)):
        assert (ours.low, ours.high) == (-theirs.high, -theirs.low)
    assert other.p_value == one.p_value
    assert other.sign_flip == one.sign_flip
    assert other.mcnemar == one.mcnemar
    assert other.win_probability == pytest.approx(1 - one.win_probability)
    assert other.win_share == pytest.approx(1 - one.win_share)


def test_order_of_examples_and_seeds_changes_nothing():
    a, b = two_systems(n_seeds=6)
    generator = np.random.default_rng(4)
    examples, seeds = generator.permutation(a.shape[1]), generator.permutation(6)
    assert compare(a[:, examples], b[:, examples]) == compare(a, b)
    turned = compare(a[seeds], b[seeds])
    assert sorted(turned.mcnemar) == sorted(compare(a, b).mcnemar)
    assert dataclasses.replace(turned, mcnemar=()).interval == compare(a, b).interval
    assert turned.bootstrap == compare(a, b).bootstrap


def test_pairing_matters():
    # Both systems find the same examples hard; with other examples for B, the difference is less sure.
    generator = np.random.default_rng(0)
    ease = np.where(generator.random(4000) < 0.15, 0.1, 0.98)
    a, b = generator.random((2, 5, 4000)) < ease
    paired = compare(a, b).interval
    unpaired = compare(a, generator.permutation(b, axis=1)).interval
    assert unpaired.high - unpaired.low > 2 * (paired.high - paired.low)


@pytest.mark.parametrize("n_seeds", [1, 2])
def test_few_seeds_say_little_and_why(n_seeds):
    found = compare(*two_systems(n_seeds=n_seeds))
    assert (
        found.interval
        is found.p_value
        is found.bootstrap
        is found.components
        is found.win_probability
        is None
    )
    assert found.reason == f"no interval: needs 3 seeds, has {n_seeds}"
    assert found.sign_flip.p_value is None
    assert found.sign_flip.seeds_needed == 6
    assert len(found.mcnemar) == n_seeds


def test_a_system_and_itself():
    a, _ = two_systems(n_seeds=6)
    found = compare(a, a)
    assert (found.difference, found.p_value, found.win_probability, found.win_share) == (0, 1, 0.5, 0.5)
    assert (found.interval.low, found.interval.high) == (0, 0)
    assert found.sign_flip.p_value == 1
    assert found.mcnemar == (1.0,) * 6


def test_a_constant_difference_still_has_the_error_of_the_test_set():
    # No seed differs, so the seeds say nothing against it; other examples might.
    found = compare(answers(90, 90, 90, n_examples=100), answers(80, 80, 80, n_examples=100))
    assert found.difference == pytest.approx(0.1)
    assert found.interval.high - found.interval.low == pytest.approx(2 * 1.959964 * np.sqrt(0.09 / 99))
    assert found.win_probability == 1


def test_the_sign_flip_test_waits_for_the_corrected_level():
    a, b = two_systems(n_seeds=6, gap=0.2)
    assert compare(a, b).sign_flip.p_value == 2 / 64
    assert compare(a, b, comparisons=45).sign_flip.p_value is None
    assert compare(a, b, comparisons=45).sign_flip.seeds_needed == 11


@pytest.mark.parametrize(
    ("a", "b", "message"),
    [
        (np.ones((3, 4)), np.ones((3, 4), int), "a: expected only 0 and 1"),
        (np.ones((3, 4), int), np.full((3, 4), 2), "b: expected only 0 and 1"),
        (np.ones(4, int), np.ones(4, int), r"a: got shape \(4,\), expected \(seeds, examples\)"),
        (np.ones((3, 1), bool), np.ones((3, 1), bool), r"a: got shape \(3, 1\)"),
        (np.ones((3, 4), bool), np.ones((2, 4), bool), r"got shapes \(3, 4\) and \(2, 4\)"),
    ],
)
def test_refuses_other_tables(a, b, message):
    with pytest.raises(ValueError, match=message):
        compare(a, b)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"level": 95}, "level: got 95"),
        ({"margin": -0.1}, "margin: got -0.1"),
        ({"comparisons": 0}, "comparisons: got 0"),
    ],
)
def test_refuses_other_options(options, message):
    with pytest.raises(ValueError, match=message):
        compare(*two_systems(), **options)
