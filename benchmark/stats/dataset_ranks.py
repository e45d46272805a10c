"""Models over many data sets: mean ranks, and the tests that can tell whether the models differ."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from benchmark.stats.intervals import Interval, check_level
from benchmark.stats.moderation import FloatArray
from benchmark.stats.verdicts import holm

MIN_DATASETS = 5
"""From this number of data sets on a mean rank has an interval."""

_RESAMPLES = 10_000
_DIGITS = 10  # means that are equal up to rounding are ties


def dataset_ranks(values: FloatArray) -> FloatArray:
    """Return the rank of each model on each data set.

    Parameters
    ----------
    values : ndarray, shape (data sets, models)
        More is better.

    Returns
    -------
    ndarray, shape (data sets, models)
        1 is the best; models with the same value share the mean of their ranks.
    """
    from scipy.stats import rankdata

    return np.asarray(rankdata(-np.round(values, _DIGITS), axis=1), dtype=np.float64)


def mean_rank_intervals(ranks: FloatArray, level: float = 0.95) -> list[Interval] | None:
    """Return the interval of the mean rank of each model over other data sets of this kind.

    Parameters
    ----------
    ranks : ndarray, shape (data sets, models)
        As `dataset_ranks` gives them.
    level : float
        Nominal coverage, in (0, 1).

    Returns
    -------
    list of Interval or None
        None below `MIN_DATASETS`, of which all resamples are too much alike.

    Notes
    -----
    A bootstrap over data sets: these are drawn with replacement, always with the same random numbers. The
    percentiles are those of Hesterberg's (2015) expanded interval, which is as wide as Student's where ranks
    are normal: the plain percentile interval of n values is too narrow by ``sqrt((n - 1) / n) z / t``.

    References
    ----------
    Hesterberg (2015), "What teachers should know about the bootstrap", The American Statistician 69(4),
    371-386.
    """
    check_level(level)
    from scipy.special import ndtr, stdtrit

    n, models = ranks.shape
    if n < MIN_DATASETS:
        return None
    tail = float(ndtr(stdtrit(n - 1, (1 - level) / 2) * math.sqrt(n / (n - 1))))
    draws = np.random.default_rng(0).multinomial(n, np.full(n, 1 / n), _RESAMPLES)
    low, high = np.quantile(draws @ ranks / n, (tail, 1 - tail), axis=0)
    mean = ranks.mean(axis=0)
    ends = zip(np.minimum(low, mean), np.maximum(high, mean), strict=True)
    return [Interval(float(first), float(last), level).within(1, models) for first, last in ends]


@dataclass(frozen=True)
class Friedman:
    """Friedman's test, of no differences at all, with Iman and Davenport's correction.

    Attributes
    ----------
    chi_square : float
        Friedman's statistic, corrected for ties.
    f : float
        Iman and Davenport's; infinite where all data sets rank the models alike.
    freedom : tuple of int
        Degrees of freedom of `f`.
    p_value : float
        Of `f`.
    """

    chi_square: float
    f: float
    freedom: tuple[int, int]
    p_value: float


def friedman(values: FloatArray) -> Friedman:
    """Test whether any of three or more models differ.

    Parameters
    ----------
    values : ndarray, shape (data sets, models)
        More is better.

    References
    ----------
    Friedman (1937), JASA 32(200), 675-701. Iman and Davenport (1980), Communications in Statistics 9(6),
    571-595. Demšar (2006), "Statistical comparisons of classifiers over multiple data sets", JMLR 7, 1-30.
    """
    from scipy.stats import f, friedmanchisquare

    n, models = values.shape
    rounded = np.round(values, _DIGITS)
    freedom = models - 1, (models - 1) * (n - 1)
    if (np.ptp(rounded, axis=1) == 0).all():
        return Friedman(0.0, 0.0, freedom, 1.0)
    chi_square = float(friedmanchisquare(*rounded.T).statistic)
    left = n * (models - 1) - chi_square
    statistic = (n - 1) * chi_square / left if left > 1e-9 * n else math.inf
    return Friedman(chi_square, statistic, freedom, float(f.sf(statistic, *freedom)))


def signed_ranks_p(differences: FloatArray) -> float:
    """Return the exact two-sided p-value of Wilcoxon's signed ranks.

    Parameters
    ----------
    differences : ndarray, shape (data sets,)
        Of two models; zeros are left out, and equal sizes share the mean of their ranks.

    Notes
    -----
    The distribution is that over all signs of the ranks that are there, so it is exact with ties as well.

    References
    ----------
    Wilcoxon (1945), "Individual comparisons by ranking methods", Biometrics Bulletin 1(6), 80-83.
    """
    from scipy.stats import rankdata

    found = np.round(differences, _DIGITS)
    found = found[found != 0]
    doubled = np.rint(2 * rankdata(np.abs(found))).astype(np.int64)  # whole numbers, also with ties
    share = np.ones(1)
    for rank in doubled:
        padded = np.pad(share, (0, rank))
        share = (padded + np.roll(padded, rank)) / 2
    positive = int(doubled[found > 0].sum())
    least = min(positive, int(doubled.sum()) - positive)
    return min(1.0, 2 * float(share[: least + 1].sum()))


def datasets_needed(models: int, alpha: float = 0.05) -> int:
    """Return the number of data sets from which Wilcoxon's test can reject for any pair of so many models.

    On n data sets its p-value is ``2 / 2ⁿ`` at least, and Holm multiplies the least by the number of pairs.

    Examples
    --------
    >>> datasets_needed(2), datasets_needed(6)
    (6, 10)
    """
    pairs, n = models * (models - 1) // 2, 1
    while pairs * 2 / 2**n >= alpha:
        n += 1
    return n


@dataclass(frozen=True, eq=False)
class RankTests:
    """What the tests say of models over data sets.

    Attributes
    ----------
    friedman : Friedman or None
        None for two models.
    pairs : list of (int, int)
        All pairs of models.
    p_values, corrected : ndarray, shape (pairs,)
        Of Wilcoxon's signed ranks, alone and by Holm.
    different : ndarray of bool, shape (models, models)
        Which are shown to differ. Where Friedman's test does not reject, none are: so the probability of any
        false claim is at most that of his test.
    """

    friedman: Friedman | None
    pairs: list[tuple[int, int]]
    p_values: FloatArray
    corrected: FloatArray
    different: NDArray[np.bool_]


def rank_tests(values: FloatArray, alpha: float = 0.05) -> RankTests:
    """Test whether models differ over data sets.

    Parameters
    ----------
    values : ndarray, shape (data sets, models)
        More is better; from two models on.
    alpha : float
        Error that is allowed for all claims together.

    References
    ----------
    Demšar (2006), JMLR 7, 1-30. Benavoli, Corani and Mangili (2016), "Should we really use post-hoc tests
    based on mean-ranks?", JMLR 17(5), 1-10: why pairs are compared by their own differences.
    """
    models = values.shape[1]
    pairs = list(combinations(range(models), 2))
    p_values = np.array([signed_ranks_p(values[:, a] - values[:, b]) for a, b in pairs])
    corrected, _ = holm(p_values, alpha)
    overall = friedman(values) if models > 2 else None
    different = np.zeros((models, models), dtype=bool)
    for (a, b), p_value in zip(pairs, corrected, strict=True):
        differ = p_value < alpha and (overall is None or overall.p_value < alpha)
        different[a, b] = different[b, a] = differ
    return RankTests(overall, pairs, p_values, corrected, different)


def indistinct_groups(different: NDArray[np.bool_]) -> list[tuple[int, ...]]:
    """Return the largest groups in which no two models are shown to differ.

    Parameters
    ----------
    different : ndarray of bool, shape (models, models)
        Symmetric.

    Returns
    -------
    list of tuple of int
        Of two models or more; two models that share no group differ. A group need not be a range of ranks.
    """
    near = [set(np.flatnonzero(~row)) - {place} for place, row in enumerate(different)]
    found: list[tuple[int, ...]] = []

    def grow(group: Sequence[int], may_join: set[int], seen: set[int]) -> None:
        """Bron and Kerbosch (1973), with a pivot."""
        if not may_join and not seen and len(group) > 1:
            found.append(tuple(sorted(map(int, group))))
        pivot = max(may_join | seen, key=lambda place: len(may_join & near[place]), default=None)
        for place in may_join - (near[pivot] if pivot is not None else set()):
            grow([*group, place], may_join & near[place], seen & near[place])
            may_join, seen = may_join - {place}, seen | {place}

    grow([], set(range(len(near))), set())
    return sorted(found)
