"""Runs that fail to learn, held against SciPy's exact binomial test and interval."""

import math

import numpy as np
import pytest
from scipy import stats

from benchmark.stats.failures import failed_to_learn, failure_rate_bound


@pytest.mark.parametrize(("n", "majority"), [(100, 0.5), (1000, 0.5), (25_000, 0.5), (600, 0.83), (50, 0.1)])
def test_agrees_with_the_exact_binomial_test(n, majority):
    middle, spread = n * majority, math.sqrt(n * majority * (1 - majority))
    counts = [max(0, round(middle + spread * step)) for step in np.linspace(-4, 4, 161)]
    counts += [math.ceil(middle + 6 * spread)] * 200  # most runs have learnt
    expected = [stats.binomtest(k, n, majority, alternative="greater").pvalue > 0.01 for k in counts]
    assert failed_to_learn(counts, n, majority).tolist() == expected
    assert 0 < sum(expected) < len(expected) - 200


def test_a_row_that_learns_nothing_has_no_failed_runs():
    assert not failed_to_learn([500, 498, 503, 480, 520], 1000, 0.5).any()


def test_one_of_six_runs_at_the_level_of_the_most_frequent_class():
    found = failed_to_learn([871, 880, 500, 869, 874, 877], 1000, 0.5)
    assert found.tolist() == [False, False, True, False, False, False]


def test_runs_that_are_all_well():
    assert not failed_to_learn([871, 880, 640, 869], 1000, 0.5).any()


def test_a_run_below_the_level_has_failed():
    assert failed_to_learn([0, 10, 870, 875, 880], 1000, 0.5).tolist() == [True, True, False, False, False]


@pytest.mark.parametrize(("others", "expected"), [((579, 900), False), ((580, 580), True), ((900,), False)])
def test_most_runs_must_lie_five_standard_errors_above(others, expected):
    # Of 1,000 answers at 50 %, the standard error is 15.8, and five of them are 79.06.
    assert failed_to_learn([500, *others], 1000, 0.5)[0] == expected


@pytest.mark.filterwarnings("error")
def test_classes_of_which_one_has_all_or_no_examples():
    assert failed_to_learn([10, 10, 9], 10, 1.0).tolist() == [False] * 3
    assert failed_to_learn([0, 10, 9], 10, 0.0).tolist() == [True, False, False]
    assert failed_to_learn([], 10, 0.5).tolist() == []


@pytest.mark.parametrize("level", [0.9, 0.95, 0.99])
@pytest.mark.parametrize(("failed", "runs"), [(0, 3), (0, 10), (1, 3), (2, 3), (7, 40), (3, 3), (0, 1)])
def test_the_bound_is_that_of_clopper_and_pearson(failed, runs, level):
    exact = stats.binomtest(failed, runs, alternative="less").proportion_ci(level, method="exact")
    assert failure_rate_bound(failed, runs, level) == pytest.approx(exact.high)


def test_three_runs_without_a_failure_say_little():
    assert failure_rate_bound(0, 3) == pytest.approx(1 - 0.05 ** (1 / 3))
    assert failure_rate_bound(0, 0) == 1
