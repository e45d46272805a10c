"""Means over folds: the variance of Nadeau and Bengio, held against its formula and a simulation."""

import numpy as np
import pytest
import scipy.stats

from benchmark.stats.folds import FoldMeans, fold_differences
from benchmark.stats.intervals import inflation, mean_interval
from benchmark.stats.verdicts import family, sentence

A = [0.80, 0.84, 0.79, 0.86, 0.81, 0.83, 0.80, 0.85, 0.82, 0.80]
B = [0.78, 0.81, 0.79, 0.82, 0.80, 0.79, 0.79, 0.82, 0.80, 0.77]


def of(*rows, n_examples=1000):
    return [FoldMeans(np.array(row), n_examples) for row in rows]


def test_the_interval_of_a_mean_is_that_of_the_formula():
    error = np.sqrt((1 / 10 + 1 / 9) * np.var(A, ddof=1))
    half = scipy.stats.t.ppf(0.975, 9) * error
    found = mean_interval(A, folds=True)
    assert (found.low, found.high) == pytest.approx((np.mean(A) - half, np.mean(A) + half))
    assert mean_interval(A).low > found.low
    assert inflation(10, folds=False) == 0.1


def test_a_difference_is_a_t_test_on_the_inflated_error():
    pair = fold_differences(of(A, B), [0], [1])
    apart = np.array(A) - B
    error = np.sqrt((1 / 10 + 1 / 9) * apart.var(ddof=1))
    assert pair.mean[0] == pytest.approx(apart.mean())
    for alpha in (0.05, 0.001):
        half = scipy.stats.t.ppf(1 - alpha / 2, 9) * error
        assert pair.half_width(alpha)[0] == pytest.approx(half, rel=1e-9)
    expected = 2 * scipy.stats.t.sf(apart.mean() / error, 9)
    assert pair.p_values()[0] == pytest.approx(expected, rel=1e-6)
    room = 0.05 - apart.mean()
    assert pair.equivalence_p_values(0.05)[0] == pytest.approx(
        2 * scipy.stats.t.sf(room / error, 9), rel=1e-6
    )


def test_the_verdict_speaks_of_folds():
    found = family(fold_differences(of(A, B), [0], [1]), [(10, 10)])[0]
    assert found.outcome == "better"
    assert sentence(found, "a", "b").startswith("a is better than b by 2.3 points (")
    noisy = np.array(B) + np.resize([0.04, -0.04], 10)
    open_ = family(fold_differences(of(A, noisy), [0], [1]), [(10, 10)])[0]
    assert "10 folds find" in sentence(open_, "a", "b")
    assert "seeds" not in sentence(open_, "a", "b")
    few = family(fold_differences(of(A, B, n_examples=90), [0], [1]), [(10, 10)])[0]
    assert few.outcome == "undecided"
    assert family(fold_differences(of(A, A), [0], [1]), [(10, 10)])[0].outcome == "equivalent"


def test_equal_rows_are_told_apart_as_seldom_as_promised():
    """Where differences of folds correlate by 1 / K, as the formula takes them to."""
    generator, folds, boards = np.random.default_rng(0), 10, 4000
    shared = generator.normal(0, np.sqrt(1 / folds), (boards, 1))
    apart = shared + generator.normal(0, np.sqrt(1 - 1 / folds), (boards, folds))
    rows = [FoldMeans(one, 1000) for one in (*apart, np.zeros(folds))]
    pairs = fold_differences(rows, range(boards), [boards] * boards)
    false = (pairs.p_values() < 0.05).mean()
    assert 0.04 < false < 0.06
    plain = scipy.stats.ttest_1samp(apart, 0, axis=1).pvalue
    assert (plain < 0.05).mean() > 0.12
