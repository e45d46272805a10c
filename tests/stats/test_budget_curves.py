"""Expected best score against trials and seconds, and where two models change places."""

import itertools

import numpy as np
import pytest

from benchmark.stats.budget_curves import Curve, best_within_seconds, crossings, expected_best

SCORES = [0.80, 0.86, 0.83, 0.90, 0.70]


def test_expected_best_is_the_average_over_all_subsets():
    curve = expected_best(SCORES)
    assert curve.budgets.tolist() == [1, 2, 3, 4, 5]
    expected = [np.mean([max(some) for some in itertools.combinations(SCORES, n)]) for n in range(1, 6)]
    assert curve.mean == pytest.approx(expected)


def test_expected_best_is_unbiased():
    generator = np.random.default_rng(1)
    curves = [expected_best(generator.random(8), resamples=1).mean for _ in range(1500)]
    # The best of n uniform numbers is n / (n + 1) on average.
    assert np.mean(curves, axis=0) == pytest.approx(np.arange(1, 9) / np.arange(2, 10), abs=0.015)


def test_the_band_covers_the_expected_best():
    generator = np.random.default_rng(2)
    covered = []
    for seed in range(300):
        curve = expected_best(generator.random(20), resamples=200, seed=seed)
        truth = curve.budgets / (curve.budgets + 1)
        covered.append((curve.low <= truth) & (truth <= curve.high))
    # Percentiles alone would cover 76 % at half of the trials and 60 % at all of them.
    assert np.mean(covered, axis=0)[[0, 4, 9, 14]] == pytest.approx(np.full(4, 0.95), abs=0.05)
    assert np.mean(covered, axis=0)[19] > 0.8


def test_the_order_of_trials_plays_no_part_in_trials():
    one, other = expected_best(SCORES), expected_best(SCORES[::-1])
    assert one.mean == pytest.approx(other.mean)


def test_one_trial():
    curve = expected_best([0.8])
    assert (curve.mean, curve.low, curve.high) == (0.8, 0.8, 0.8)


def test_seconds_by_hand():
    # Orders: (0.8 after 10, 0.9 after 40) and (0.9 after 30, 0.9 after 40).
    curve = best_within_seconds([0.8, 0.9], [10.0, 30.0], budgets=[5, 10, 30, 39, 40, 100])
    assert np.isnan(curve.mean[:2]).all()
    assert curve.mean[2:4] == pytest.approx([0.85, 0.85], abs=0.005)
    assert curve.mean[4:] == pytest.approx([0.9, 0.9])


def test_seconds_of_equal_trials_are_trials():
    generator = np.random.default_rng(3)
    scores = generator.random(12)
    by_seconds = best_within_seconds(scores, [7.0] * 12, budgets=7.0 * np.arange(1, 13))
    by_trials = expected_best(scores)
    assert by_seconds.mean == pytest.approx(by_trials.mean, abs=0.02)
    assert by_seconds.low == pytest.approx(by_trials.low, abs=0.06)


def test_default_seconds_reach_from_the_longest_trial_to_all():
    curve = best_within_seconds(SCORES, [3.3, 9.1, 4.7, 2.9, 1.3], resamples=100)
    assert curve.budgets[[0, -1]] == pytest.approx([9.1, 21.3])
    assert np.isfinite(curve.mean).all()
    assert (np.diff(curve.mean) >= 0).all()
    assert (curve.low <= curve.mean).all()
    assert (curve.mean <= curve.high).all()


def test_all_trials_fit_into_all_their_seconds():
    for seed in range(20):  # a sum of seconds depends on their order, in the last digit
        seconds = np.random.default_rng(seed).random(30)
        curve = best_within_seconds(np.arange(30.0), seconds, resamples=2)
        assert curve.mean[-1] == 29


def test_same_seed_same_curve():
    one, other = (best_within_seconds(SCORES, [1.0, 2, 3, 4, 5], resamples=50, seed=4) for _ in range(2))
    assert one.low.tolist() == other.low.tolist()


@pytest.mark.parametrize(
    ("scores", "seconds", "message"),
    [
        ([], [], "scores: got"),
        ([0.1, float("nan")], [1, 1], "scores: got"),
        ([0.1], [1, 2], "got 1 and 2"),
        ([0.1], [0], "expected positive"),
    ],
)
def test_refuses_what_is_no_search(scores, seconds, message):
    with pytest.raises(ValueError, match=message):
        best_within_seconds(scores, seconds)


def curve(budgets, mean):
    values = np.array(mean, dtype=float)
    return Curve(np.array(budgets, dtype=float), values, values, values, 0.95)


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        (([1, 2, 3], [1, 2, 3]), ([1, 2, 3], [2, 2.5, 2.5]), [(2.5, "first")]),
        (([1, 3], [1, 3]), ([1, 2, 3], [2, 2, 2]), [(2.0, "first")]),  # at a point of one of them
        (
            ([1, 2, 3, 4], [0, 1, 1, 2]),
            ([1, 2, 3, 4], [1, 1, 1, 1]),
            [(3.0, "first")],
        ),  # together from 2 to 3
        (([1, 2, 3], [0, 1, 0]), ([1, 2, 3], [1, 1, 1]), []),  # they touch
        (([1, 2, 3], [0, 2, 0]), ([1, 2, 3], [1, 1, 1]), [(1.5, "first"), (2.5, "second")]),
        (([1, 2], [0, 1]), ([5, 6], [1, 0]), []),  # never both known
        (([1, 2, 3], [np.nan, 1, 3]), ([1, 2, 3], [9, 2, 2]), [(2.5, "first")]),
        (([1, 2], [1, 1]), ([1, 2], [1, 1]), []),
        (([1], [np.nan]), ([1], [1]), []),
    ],
)
def test_crossings(first, second, expected):
    found = crossings(curve(*first), curve(*second))
    assert [(budget, "first" if leads else "second") for budget, leads in found] == expected
    mirrored = crossings(curve(*second), curve(*first))
    assert [(budget, "second" if leads else "first") for budget, leads in mirrored] == expected
