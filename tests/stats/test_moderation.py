"""Variances that borrow from each other, held against Smyth's equations, which are solved by other means."""

import itertools
import math

import numpy as np
import pytest
from scipy import optimize, special, stats

from benchmark.stats.differences import Runs, borrowing, runs_of
from benchmark.stats.moderation import MIN_ROWS, _trigamma_inverse, moderated


def sections(*, rows=9, prior=6.0, seed=0, scale=1e-4):
    """Variances of rows of unequal sizes, whose true variances differ as the model assumes."""
    generator = np.random.default_rng(seed)
    freedom = generator.integers(2, 12, rows).astype(float)
    true = scale * prior / generator.chisquare(prior, rows)
    return true * generator.chisquare(freedom) / freedom, freedom


def fitted(variances, freedom):
    """The prior of rows by the mean and the variance of log F, and a search for the root."""

    def mean(d):
        return stats.loggamma(d / 2).mean() + math.log(2 / d)  # of log(chi² / d)

    def beyond(d0):
        careful = logs.var(ddof=1) * (1 + 0.25 * math.sqrt(2 / (logs.size - 1)))
        return careful - stats.loggamma.var(freedom / 2).mean() - stats.loggamma.var(d0 / 2)

    # log s² is log s0² and the logarithm of F(d, d0), of which numerator and denominator are independent.
    logs, most = np.log(variances) - [mean(d) for d in freedom], freedom.sum()
    if beyond(most) <= 0:
        return np.average(variances, weights=freedom), most
    d0 = optimize.brentq(beyond, 1e-6, most, xtol=1e-14)
    return math.exp(logs.mean() + mean(d0)), d0


def one_by_one(variances, freedom):
    found, degrees = [], []
    for row in range(len(variances)):
        s0, d0 = fitted(np.delete(variances, row), np.delete(freedom, row))
        own, d = variances[row], freedom[row]
        d0 *= min(1, len(variances) * stats.f.sf(own / s0, d, d0))
        found.append((d0 * s0 + d * own) / (d0 + d))
        degrees.append(d0 + d)
    return np.array(found), np.array(degrees)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("prior", [1.5, 6.0, 1e6])
def test_agrees_with_the_moments_solved_by_other_means(seed, prior):
    variances, freedom = sections(seed=seed, prior=prior)
    expected = one_by_one(variances, freedom)
    assert np.array(moderated(variances, freedom)) == pytest.approx(np.array(expected), rel=1e-6)


def test_the_samples_of_that_test_are_of_all_kinds():
    shares = []
    for seed, prior in itertools.product(range(6), (1.5, 6.0, 1e6)):
        variances, freedom = sections(seed=seed, prior=prior)
        shares += ((moderated(variances, freedom)[1] - freedom) / (freedom.sum() - freedom)).tolist()
    assert max(shares) == pytest.approx(1)  # all that the others have
    assert min(shares) < 0.05
    assert sum(0.05 < share < 0.95 for share in shares) > 50


@pytest.mark.parametrize("value", [1e-10, 1e-4, 0.05, 0.5, 1.0, math.pi**2 / 6, 7.0, 1e3, 1e6, 1e12])
def test_trigamma_inverse(value):
    # The trigamma function is Hurwitz's zeta function at 2.
    assert special.zeta(2, _trigamma_inverse(value)) == pytest.approx(value, rel=1e-9)


def test_trigamma_inverse_by_hand():
    assert _trigamma_inverse(math.pi**2 / 6) == pytest.approx(1)
    assert _trigamma_inverse(math.pi**2 / 2) == pytest.approx(1 / 2)


def test_equal_variances_are_one_variance_that_all_know():
    freedom = np.array([2.0, 2, 4, 9, 3])
    found, degrees = moderated(np.full(5, 3e-5), freedom)
    assert found == pytest.approx(3e-5)
    assert degrees == pytest.approx(20)


def test_alike_variances_are_pooled():
    variances, freedom = np.array([1.0, 1.1, 0.9, 1.05, 0.95]) * 1e-4, np.array([2.0, 2, 4, 9, 3])
    found, degrees = moderated(variances, freedom)
    assert found == pytest.approx(np.average(variances, weights=freedom))
    assert degrees == pytest.approx(20)


@pytest.mark.parametrize("times", [1e3, 1e6, 1e12])
def test_a_row_that_spreads_far_more_keeps_its_variance(times):
    variances, freedom = np.array([1.0, 1.3, 0.8, 1.1, 0.9, 1.0]) * 1e-4, np.full(6, 4.0)
    variances[2] *= times
    found, degrees = moderated(variances, freedom)
    assert found[2] == pytest.approx(variances[2], rel=0.01)
    assert degrees[2] == pytest.approx(4, rel=0.01)
    # The others have it in their prior, which so says less to them.
    rest = np.delete(np.arange(6), 2)
    assert (degrees[rest] < 24).all()
    assert (found[rest] < 10 * 1.3e-4).all()


def test_a_row_that_spreads_less_is_drawn_up():
    variances, freedom = np.array([1.0, 1.3, 0.8, 1.1, 0.9, 1e-4]) * 1e-4, np.full(6, 2.0)
    found, degrees = moderated(variances, freedom)
    assert found[-1] > 0.5e-4
    assert degrees[-1] == pytest.approx(12)


def test_rows_without_spread_take_no_part():
    variances, freedom = sections()
    alone = moderated(variances, freedom)
    places = np.array([0, 3, 9])
    found, degrees = moderated(np.insert(variances, places, 0.0), np.insert(freedom, places, 150.0))
    still = places + np.arange(3)
    assert np.delete(found, still) == pytest.approx(alone[0], rel=1e-12)
    assert np.delete(degrees, still) == pytest.approx(alone[1], rel=1e-12)
    assert found[still].tolist() == [0, 0, 0]
    assert degrees[still].tolist() == [150, 150, 150]


def test_few_rows_borrow_nothing():
    variances, freedom = np.array([1e-4, 0, 1e-4, 0, 1e-4]), np.full(5, 2.0)
    assert MIN_ROWS == 4
    found, degrees = moderated(variances, freedom)
    assert (found.tolist(), degrees.tolist()) == (variances.tolist(), freedom.tolist())
    variances[1] = 1e-4
    assert moderated(variances, freedom)[1].tolist() == [8, 8, 8, 2, 8]
    assert [part.size for part in moderated(np.zeros(0), np.zeros(0))] == [0, 0]


@pytest.mark.parametrize("seed", range(3))
def test_neither_the_order_of_rows_nor_the_unit_matters(seed):
    variances, freedom = sections(seed=seed)
    found, degrees = moderated(variances, freedom)
    order = np.random.default_rng(seed).permutation(variances.size)
    turned = moderated(variances[order], freedom[order])
    assert turned[0] == pytest.approx(found[order], rel=1e-9)
    assert turned[1] == pytest.approx(degrees[order], rel=1e-9)
    for scale in (1e-12, 1e4):
        scaled = moderated(scale * variances, freedom)
        assert scaled[0] == pytest.approx(scale * found, rel=1e-9)
        assert scaled[1] == pytest.approx(degrees, rel=1e-9)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("spread", [0.0, 1e-9, 0.3, 1.0, 5.0, 40.0])
def test_degrees_lie_between_those_of_the_row_and_those_of_all(spread):
    generator = np.random.default_rng(1)
    for _ in range(20):
        rows = int(generator.integers(4, 30))
        freedom = generator.integers(2, 20, rows).astype(float)
        variances = np.exp(spread * generator.normal(size=rows)) * 1e-4
        found, degrees = moderated(variances, freedom)
        assert (degrees >= freedom).all()
        assert (degrees <= freedom.sum() * (1 + 1e-12)).all()
        assert (found >= variances.min() * (1 - 1e-9)).all()
        assert (found <= max(variances) * (1 + 1e-9)).all()


def test_does_not_change_what_it_is_given():
    variances, freedom = sections()
    before = variances.copy(), freedom.copy()
    moderated(variances, freedom)
    assert np.array_equal(before, (variances, freedom))


def test_estimates_come_closer_to_the_truth_and_their_degrees_are_right():
    """Rows of three runs each, whose true variances differ."""
    generator = np.random.default_rng(5)
    plain, ours, inside = [], [], []
    for _ in range(300):
        true = 8 / generator.chisquare(8, 12)
        own = true * generator.chisquare(2, 12) / 2
        found, degrees = moderated(own, np.full(12, 2.0))
        plain.extend(np.log(own / true) ** 2)
        ours.extend(np.log(found / true) ** 2)
        t = generator.normal(size=12) * np.sqrt(true / found)
        inside.extend(np.abs(t) < stats.t.ppf(0.975, degrees))
    assert np.mean(ours) < 0.25 * np.mean(plain)
    assert np.mean(inside) == pytest.approx(0.95, abs=0.012)


def test_rows_of_a_section_borrow():
    generator = np.random.default_rng(2)
    tables = [generator.random((k, 400)) < 0.9 - 0.02 * generator.random((k, 1)) for k in (3, 3, 5, 4, 6)]
    tables.append(np.tile(tables[0][0], (3, 1)))
    rows = [runs_of(table) for table in tables]
    found = borrowing(rows)
    variances, degrees = moderated(
        np.array([row.variance for row in rows]), np.array([row.freedom for row in rows])
    )
    for before, row, variance, freedom in zip(rows, found, variances, degrees, strict=True):
        assert (row.n_seeds, row.mean, row.interaction) == (before.n_seeds, before.mean, before.interaction)
        assert row.variance == max(variance, row.interaction / 400)
        assert row.freedom == freedom
    assert any(row.freedom > before.freedom for before, row in zip(rows, found, strict=True))
    assert (found[-1].variance, found[-1].freedom) == (0, 2)


def test_what_is_borrowed_is_never_below_what_single_answers_vary_by():
    profile = np.linspace(0.5, 1, 100)
    rows = [Runs(3, profile, answers, 4e-5, 2.0) for answers in (1e-3, 1e-3, 2e-3, 1e-3, 3e-3)]
    loud = Runs(3, profile, 0.01, 1e-4, 2.0)
    variances, _ = moderated(np.array([4e-5] * 5 + [1e-4]), np.full(6, 2.0))
    assert variances[-1] < 1e-4
    found = borrowing([*rows, loud])
    assert [row.variance for row in found] == pytest.approx([*variances[:5], 1e-4])
