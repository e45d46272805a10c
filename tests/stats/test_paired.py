"""Sign flips, McNemar and the probability of winning the next run."""

import itertools

import numpy as np
import pytest

from benchmark.stats.comparisons import mcnemar_test, sign_flip_test, win_probability, win_share


def by_enumeration(differences):
    sums = [np.dot(signs, differences) for signs in itertools.product([-1, 1], repeat=len(differences))]
    return np.mean(np.abs(sums) >= abs(sum(differences)))


def test_sign_flips_by_hand():
    # |+-1 +-1 +-1 +-1 +-1 +-2| is 7 for two of the 64 patterns.
    assert sign_flip_test([1, 1, 1, 1, 1, 2]).p_value == 2 / 64
    # 5 for (all but the 2): 2 patterns of 7, 10 of 5 with one 1 turned.
    assert sign_flip_test([1, 1, 1, 1, -1, 2]).p_value == 12 / 64


@pytest.mark.parametrize("seed", range(6))
def test_counts_all_patterns(seed):
    generator = np.random.default_rng(seed)
    differences = generator.integers(-60, 90, size=generator.integers(6, 12))
    assert sign_flip_test(differences).p_value == pytest.approx(by_enumeration(differences), abs=1e-12)


def test_agrees_with_scipy():
    from scipy import stats

    differences = np.array([3, -1, 4, 1, -5, 9, 2])
    expected = stats.permutation_test((differences,), np.sum, permutation_type="samples").pvalue
    assert sign_flip_test(differences).p_value == pytest.approx(expected)


@pytest.mark.parametrize(
    ("n", "alpha", "possible", "needed"),
    [
        (5, 0.05, False, 6),
        (6, 0.05, True, 6),
        (10, 0.05 / 45, False, 11),
        (11, 0.05 / 45, True, 11),
        (1, 0.05, False, 6),
    ],
)
def test_says_nothing_where_no_result_could_reach_the_level(n, alpha, possible, needed):
    test = sign_flip_test([7] * n, alpha)
    assert test.smallest == 2 / 2**n
    assert (test.p_value is not None) is possible
    assert test.seeds_needed == needed
    if possible:
        assert test.p_value == test.smallest


def test_twenty_seeds_and_a_large_test_set():
    differences = np.random.default_rng(1).integers(-20_000, 25_000, size=20)
    assert 0 < sign_flip_test(differences).p_value < 1


def test_no_differences_at_all():
    assert sign_flip_test([0] * 8).p_value == 1
    assert win_probability([0.0] * 8) == win_share([0.0] * 8) == 0.5
    assert mcnemar_test(0, 0) == 1


@pytest.mark.parametrize(
    ("only_a", "only_b"), [(0, 6), (10, 2), (7, 7), (7, 8), (420, 350), (0, 0), (3, 900)]
)
def test_mcnemar_agrees_with_statsmodels(only_a, only_b):
    tables = pytest.importorskip("statsmodels.stats.contingency_tables")
    expected = tables.mcnemar([[50, only_a], [only_b, 9]], exact=True).pvalue if only_a + only_b else 1.0
    assert mcnemar_test(only_a, only_b) == pytest.approx(expected)
    assert mcnemar_test(only_a, only_b) == mcnemar_test(only_b, only_a)


def test_mcnemar_by_hand():
    assert mcnemar_test(0, 6) == pytest.approx(2 / 64)


def test_win_probability_is_a_predictive_distribution():
    from scipy import stats

    differences = [0.01, 0.03, 0.02]
    expected = stats.t.cdf(0.02 / (0.01 * np.sqrt(4 / 3)), 2)
    assert win_probability(differences) == pytest.approx(expected)
    assert win_probability([-d for d in differences]) == pytest.approx(1 - expected)


def test_the_next_run_lies_where_it_is_said_to():
    # Centred on the next run, the predictive distribution puts 95 % where 95 % of them lie. Student's t of
    # the mean, without the run to come, would put only two thirds there.
    runs = np.random.default_rng(5).normal(0.5, 1, (4000, 4))
    inside = [0.025 <= win_probability(run[:3] - run[3]) <= 0.975 for run in runs]
    assert np.mean(inside) == pytest.approx(0.95, abs=0.012)


def test_constant_differences():
    assert win_probability([0.01] * 3) == 1
    assert win_probability([-0.01] * 3) == 0


def test_a_tie_is_half_a_win():
    assert win_share([2, -1, 0, 5]) == (1 + 0 + 0.5 + 1) / 4
