"""Intervals: their coverage by simulation, their edge cases, and what they must refuse."""

import math
import subprocess
import sys

import numpy as np
import pytest

from benchmark.stats.intervals import (
    MIN_SEEDS,
    Interval,
    mean_interval,
    mean_of,
    sampling_error,
    too_few_seeds,
)


@pytest.mark.parametrize("n", [3, 6, 10])
def test_covers_the_true_mean_as_often_as_it_says(n):
    generator = np.random.default_rng(20_240_501 + n)
    samples = generator.normal(0.87, 0.01, size=(2_000, n))
    intervals = [mean_interval(sample) for sample in samples]
    covered = np.mean([interval.low <= 0.87 <= interval.high for interval in intervals])
    assert 0.93 <= covered <= 0.97


def test_agrees_with_scipy():
    from scipy import stats

    values = [0.861, 0.874, 0.879, 0.868]
    low, high = stats.t.interval(0.9, 3, loc=np.mean(values), scale=stats.sem(values))
    interval = mean_interval(values, level=0.9)
    assert interval.low == pytest.approx(low, rel=1e-12)
    assert interval.high == pytest.approx(high, rel=1e-12)
    assert interval.level == 0.9


def test_known_value():
    # t(0.975, 2) = 4.302653; mean 2, s 1, so the half-width is 4.302653 / sqrt(3).
    interval = mean_interval([1.0, 2.0, 3.0])
    assert interval.low == pytest.approx(2 - 2.484138, abs=1e-6)
    assert interval.high == pytest.approx(2 + 2.484138, abs=1e-6)


@pytest.mark.parametrize("n", range(MIN_SEEDS))
def test_says_nothing_below_three_values(n):
    assert mean_interval([0.5, 0.6][:n]) is None
    assert mean_interval([0.5, 0.6, 0.7]) is not None


def test_equal_values_have_no_width():
    # The mean of these three is not 0.1 in floating point.
    assert mean_interval([0.1, 0.1, 0.1]) == Interval(0.1, 0.1, 0.95)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_refuses_what_is_not_finite(bad):
    with pytest.raises(ValueError, match="expected finite"):
        mean_interval([0.5, bad, 0.7])


@pytest.mark.parametrize("level", [0, 1, 95])
def test_refuses_a_level_that_is_no_probability(level):
    with pytest.raises(ValueError, match=f"level: got {level}"):
        mean_interval([0.1, 0.2, 0.3], level=level)


def test_refuses_a_table_of_values():
    with pytest.raises(ValueError, match="one dimension"):
        mean_interval(np.ones((3, 2)))


@pytest.mark.parametrize(
    ("other", "expected"),
    [((0.5, 0.6), True), ((0.61, 0.7), False), ((0.2, 0.9), True), ((0.1, 0.39), False)],
)
def test_overlap(other, expected):
    one, two = Interval(0.4, 0.6, 0.95), Interval(*other, 0.95)
    assert one.overlaps(two) is expected
    assert two.overlaps(one) is expected


def test_import_is_cheap():
    modules = "budget_curves, differences, failures, moderation, verdicts"
    code = f"import sys; from benchmark.stats import {modules}; print('scipy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_sampling_error_of_one_model_is_that_of_a_share():
    correct = np.arange(1000)[None, :] < 900
    error, interval = sampling_error(correct)
    assert error == pytest.approx(math.sqrt(0.09 / 999))
    proportion = pytest.importorskip("statsmodels.stats.proportion")
    low, high = proportion.proportion_confint(900, 1000, method="wilson")
    assert interval.low == pytest.approx(low, abs=2e-5)
    assert interval.high == pytest.approx(high, abs=2e-5)


def test_sampling_error_by_hand():
    # Shares of seeds that are right: 1, 1, 1/2, 0; their variance is 11/48, and N is 4.
    error, _ = sampling_error(np.array([[1, 1, 1, 0], [1, 1, 0, 0]]))
    assert error == pytest.approx(math.sqrt(11 / 48 / 4))


def test_more_seeds_do_not_make_the_test_set_larger():
    one = np.arange(500)[None, :] < 400
    assert sampling_error(np.tile(one, (10, 1))) == sampling_error(one)


def test_sampling_error_shrinks_with_the_test_set():
    generator = np.random.default_rng(1)
    correct = generator.random((5, 8000)) < generator.beta(4, 1, 8000)
    quarter, whole = sampling_error(correct[:, :2000]), sampling_error(correct)
    assert quarter[0] == pytest.approx(2 * whole[0], rel=0.05)


@pytest.mark.parametrize("right", [0, 1])
def test_all_alike_still_leaves_other_examples(right):
    interval = sampling_error(np.full((3, 500), right))[1]
    assert interval.high - interval.low == pytest.approx(3.84 / 503.84, abs=1e-4)
    assert 0 <= interval.low <= right <= interval.high + 1e-12 <= 1 + 1e-12


def test_sampling_error_covers_the_accuracy_on_all_examples():
    generator = np.random.default_rng(9)
    covered = []
    for _ in range(1500):
        ease = generator.beta(4, 1, 500)
        interval = sampling_error(generator.random((2, 500)) < ease)[1]
        covered.append(interval.low <= 0.8 <= interval.high)
    assert 0.93 <= np.mean(covered) <= 0.97


@pytest.mark.parametrize("bad", [np.ones(5, int), np.ones((2, 1), int), np.ones((2, 5)), np.full((2, 5), 3)])
def test_sampling_error_refuses_other_tables(bad):
    with pytest.raises(ValueError, match="correct: "):
        sampling_error(bad)


@pytest.mark.parametrize(("n", "reason"), [(1, "no interval: needs 3 seeds, has 1"), (3, None)])
def test_tells_why_there_is_no_interval(n, reason):
    assert too_few_seeds(n) == reason


@pytest.mark.parametrize("value", [0.9195, 0.1 + 0.2, 1 / 3, 0.92])
@pytest.mark.parametrize("n", range(3, 25))
def test_a_mean_lies_in_its_interval(value, n):
    equal = mean_interval([value] * n)
    assert equal.low == mean_of([value] * n) == equal.high == value
    values = [value] * (n - 1) + [np.nextafter(value, 1)]
    interval = mean_interval(values)
    assert interval.low <= mean_of(values) <= interval.high


@pytest.mark.parametrize(("seeds", "right"), [(3, 1), (3, 2), (7, 3), (10, 7)])
def test_examples_that_are_equally_hard_still_leave_a_sampling_error(seeds, right):
    table = np.zeros((seeds, 47), dtype=bool)
    table[:right] = True
    error, interval = sampling_error(table)
    assert error == 0
    assert interval.high - interval.low > 0.2
