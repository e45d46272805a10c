"""Intervals: their coverage by simulation, their edge cases, and what they must refuse."""

import math
import subprocess
import sys

import numpy as np
import pytest

from benchmark.stats.intervals import MIN_SEEDS, Interval, mean_interval


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
    code = "import sys, benchmark.stats.intervals; print('scipy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
