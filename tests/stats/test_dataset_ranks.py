"""Models over many data sets: held against scipy, and against the worked examples of Demšar (2006)."""

from itertools import combinations

import numpy as np
import pytest
from scipy import stats

from benchmark.stats.dataset_ranks import (
    MIN_DATASETS,
    dataset_ranks,
    datasets_needed,
    friedman,
    indistinct_groups,
    mean_rank_intervals,
    rank_tests,
    signed_ranks_p,
)

# Demšar (2006), table 6: ranks of four classifiers by their areas under the ROC curve on 14 data sets.
DEMSAR = np.array(
    [
        (4, 3, 2, 1), (1, 2, 3, 4), (4, 1, 2, 3), (4, 1, 3, 2), (4, 2, 3, 1), (1, 2.5, 4, 2.5), (3, 2, 4, 1),
        (2.5, 2.5, 4, 1), (4, 3, 2, 1), (2.5, 2.5, 2.5, 2.5), (4, 2.5, 1, 2.5), (3, 2, 4, 1), (4, 1, 2, 3),
        (3, 1, 4, 2),
    ]
)  # fmt: skip
# The values of the first two of them (table 2).
C45 = np.array(
    [0.763, 0.599, 0.954, 0.628, 0.882, 0.936, 0.661, 0.583, 0.775, 1.0, 0.940, 0.619, 0.972, 0.957]
)
C45_M = np.array(
    [0.768, 0.591, 0.971, 0.661, 0.888, 0.931, 0.668, 0.583, 0.838, 1.0, 0.962, 0.666, 0.981, 0.978]
)


def test_demsar_2006_mean_ranks_and_friedman():
    ranks = dataset_ranks(-DEMSAR)
    assert (ranks == DEMSAR).all()
    assert ranks.mean(axis=0) == pytest.approx([3.143, 2.0, 2.893, 1.964], abs=5e-4)
    found = friedman(-DEMSAR)
    # He has no correction for ties, by which his statistic is divided here.
    ties = [np.unique(row, return_counts=True)[1] for row in DEMSAR]
    correction = 1 - sum((counts**3 - counts).sum() for counts in ties) / (14 * 4 * (4**2 - 1))
    uncorrected = found.chi_square * correction
    assert uncorrected == pytest.approx(9.28, abs=5e-3)
    assert 13 * uncorrected / (14 * 3 - uncorrected) == pytest.approx(3.69, abs=5e-3)
    assert found.f == pytest.approx(13 * found.chi_square / (14 * 3 - found.chi_square))
    assert found.freedom == (3, 39)
    assert found.p_value == pytest.approx(stats.f.sf(found.f, 3, 39))
    assert found.chi_square == pytest.approx(stats.friedmanchisquare(*DEMSAR.T).statistic)


def test_demsar_2006_wilcoxon():
    # His sum of the lesser side is 12, with two zeros shared out; the critical value at 0.05 is 21.
    assert signed_ranks_p(C45_M - C45) < 0.05
    exact = stats.PermutationMethod(n_resamples=2**14)
    expected = stats.wilcoxon(np.round(C45_M - C45, 10), method=exact).pvalue
    assert signed_ranks_p(C45_M - C45) == pytest.approx(expected)


@pytest.mark.parametrize("n", [1, 5, 6, 12, 30])
def test_signed_ranks_are_scipys(n):
    differences = np.random.default_rng(n).normal(0.3, 1, n)
    expected = stats.wilcoxon(differences, method="exact").pvalue
    assert signed_ranks_p(differences) == pytest.approx(expected)


def test_signed_ranks_with_ties_and_zeros_are_exact():
    differences = np.array([1, 1, 2, -2, 3, -1, 0, 4, 4.0])
    expected = stats.wilcoxon(differences, method=stats.PermutationMethod(n_resamples=2**9)).pvalue
    assert signed_ranks_p(differences) == pytest.approx(expected)
    assert signed_ranks_p(np.zeros(7)) == 1
    assert signed_ranks_p(np.array([0.3 - 0.2, 0.1, 0.1, 0.1, 0.1, 0.1])) == pytest.approx(2 / 2**6)


def test_from_how_many_data_sets_wilcoxon_can_reject():
    assert signed_ranks_p(np.arange(1.0, 6)) == 0.0625
    assert datasets_needed(2) == 6
    assert datasets_needed(6) == 10
    for models in range(2, 12):
        # As clear as it can be: the models stand in one order on every data set.
        pairs = list(combinations(range(models), 2))
        for n, can in ((datasets_needed(models), True), (datasets_needed(models) - 1, False)):
            values = np.arange(models) + np.zeros((n, 1)) + np.arange(n)[:, None] * 0.1
            assert rank_tests(values).different.any() == can, (models, n, pairs)


def test_means_that_are_equal_up_to_rounding_are_tied():
    assert dataset_ranks(np.array([[0.1 + 0.2, 0.3, 0.1]])).tolist() == [[1.5, 1.5, 3]]


def test_models_that_are_all_tied_do_not_differ():
    found = rank_tests(np.ones((12, 4)))
    assert found.friedman.p_value == 1
    assert not found.different.any()


def test_one_order_everywhere_has_an_infinite_statistic():
    found = rank_tests(np.arange(3) + np.zeros((12, 1)))
    assert found.friedman.f == np.inf
    assert found.friedman.p_value == 0
    assert found.different.sum() == 6


def test_no_pair_differs_where_friedmans_test_does_not_reject():
    # The second is always a little better than the first; what the others do hides it from Friedman's test.
    generator = np.random.default_rng(3)
    values = generator.normal(size=(12, 2)).repeat(3, axis=1)
    values[:, 1] += 0.001 * np.arange(1, 13)
    values[:, 2:] = generator.normal(size=(12, 4))
    found = rank_tests(values)
    assert found.corrected[0] < 0.05
    assert found.friedman.p_value > 0.05
    assert not found.different.any()


def test_the_interval_of_a_mean_rank():
    assert mean_rank_intervals(np.ones((MIN_DATASETS - 1, 2))) is None
    ranks = np.column_stack([np.ones(6), [2, 6, 4, 3, 5, 4], np.full((6, 4), 3.5)])
    always, spread, *_ = mean_rank_intervals(ranks)
    assert (always.low, always.high) == (1, 1)
    assert 2 <= spread.low < 4 < spread.high <= 6
    assert mean_rank_intervals(ranks)[1] == spread


def test_the_interval_is_about_students_where_ranks_are_nearly_normal():
    ranks = np.random.default_rng(0).normal(5, 1, (15, 10))
    for column, interval in zip(ranks.T, mean_rank_intervals(ranks), strict=True):
        low, high = stats.t.interval(0.95, 14, column.mean(), stats.sem(column))
        assert (interval.low, interval.high) == pytest.approx((low, high), abs=0.2)


def test_groups_are_the_largest_in_which_no_two_differ():
    different = np.zeros((4, 4), dtype=bool)
    assert indistinct_groups(different) == [(0, 1, 2, 3)]
    different[0, 2:] = different[2:, 0] = True
    assert indistinct_groups(different) == [(0, 1), (1, 2, 3)]
    assert indistinct_groups(~np.eye(4, dtype=bool)) == []


def test_groups_of_all_graphs_of_five_models():
    pairs = list(combinations(range(5), 2))
    for code in range(2 ** len(pairs)):
        different = np.zeros((5, 5), dtype=bool)
        for bit, (a, b) in enumerate(pairs):
            different[a, b] = different[b, a] = bool(code >> bit & 1)
        alike = [
            set(group)
            for size in range(2, 6)
            for group in combinations(range(5), size)
            if not any(different[pair] for pair in combinations(group, 2))
        ]
        largest = [tuple(sorted(one)) for one in alike if not any(one < other for other in alike)]
        assert indistinct_groups(different) == sorted(largest)
