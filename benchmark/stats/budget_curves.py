"""Expected best validation accuracy of a search, against its number of trials or its seconds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from benchmark.stats.intervals import check_level
from benchmark.stats.moderation import FloatArray

RESAMPLES = 500
_ORDERS = 200  # random orders whose average stands for all orders
_POINTS = 50


@dataclass(frozen=True, eq=False)
class Curve:
    """Expected best score by budget.

    Attributes
    ----------
    budgets : ndarray, shape (n,)
        Trials or seconds, rising.
    mean : ndarray, shape (n,)
        Expected best score.
    low, high : ndarray, shape (n,)
        Band around `mean`, for each budget by itself, from resampled trials. It is symmetric and may
        leave the range of the score.
    level : float
        Nominal coverage of the band.
    """

    budgets: FloatArray
    mean: FloatArray
    low: FloatArray
    high: FloatArray
    level: float


def expected_best(
    scores: Sequence[float] | FloatArray, *, level: float = 0.95, resamples: int = RESAMPLES, seed: int = 0
) -> Curve:
    """Expected best score of n trials, for n from 1 to all B.

    Parameters
    ----------
    scores : sequence of float, shape (B,)
        Score of each trial, higher is better. A trial that failed or was pruned has cost budget, too:
        give it the score that it leaves its user with.
    level : float
        Nominal coverage of the band.
    resamples : int
        Bootstrap resamples for the band.
    seed : int
        Of the resampling.

    Returns
    -------
    Curve
        `mean` is the average over all subsets of n trials of the best of them.

    Raises
    ------
    ValueError
        When there is no score, or one is not finite.

    Notes
    -----
    Dodge et al. (2019) estimate the same with n draws **with** replacement (a V-statistic). That average
    has repeated trials in it and is too low, most of all near n = B, as Tang et al. (2020) show. The
    average over subsets (a U-statistic), their alternative, is unbiased for every n up to B, and says
    nothing beyond, as it should. The order of trials plays no part: where a sampler learns from trial to
    trial, the curve is that of trials like these in random order. Percentiles of resampled curves alone
    cover far too seldom near n = B, since no resample is better than the best trial; the band reaches as
    far on both sides as the farther one does.

    References
    ----------
    Dodge, Gururangan, Card, Schwartz and Smith (2019), "Show your work: improved reporting of
    experimental results", EMNLP. Tang, Lee, Xin, Liu, Yu and Lin (2020), "Showing your work doesn't
    always work", ACL.
    """
    values = _finite(scores, "scores")
    weights = _best_of_weights(values.size)
    drawn = np.random.default_rng(seed).choice(values, (resamples, values.size))
    mean = weights @ np.sort(values)
    low, high = _band(mean, np.sort(drawn, axis=1) @ weights.T, level)
    return Curve(np.arange(1, values.size + 1, dtype=np.float64), mean, low, high, level)


def best_within_seconds(
    scores: Sequence[float] | FloatArray,
    seconds: Sequence[float] | FloatArray,
    *,
    budgets: Sequence[float] | FloatArray | None = None,
    level: float = 0.95,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Curve:
    """Expected best score among the trials that are finished after so many seconds.

    Parameters
    ----------
    scores, seconds : sequence of float, shape (B,)
        Score and positive cost of each trial.
    budgets : sequence of float, optional
        Seconds at which to estimate it. By default 50 points, evenly spaced in their logarithm, from the
        longest single trial (before it, an order may have nothing to show) to all trials together.
    level, resamples, seed
        As for `expected_best`.

    Returns
    -------
    Curve
        The average over random orders of the trials, as in `expected_best`: right for random search. NaN
        where some order has no finished trial yet.

    Raises
    ------
    ValueError
        When lengths differ, a number is not finite, or a trial took no time.
    """
    values, costs = _finite(scores, "scores"), _finite(seconds, "seconds")
    if values.size != costs.size:
        raise ValueError(f"scores and seconds: got {values.size} and {costs.size}, expected as many")
    if costs.min() <= 0:
        raise ValueError(f"seconds: got {costs.min()}, expected positive numbers")
    grid = np.geomspace(costs.max(), costs.sum(), _POINTS) if budgets is None else _finite(budgets, "budgets")
    generator = np.random.default_rng(seed)

    def curve(trials: NDArray[np.intp], orders: int) -> FloatArray:
        runs = generator.permuted(np.repeat(trials[None, :], orders, axis=0), axis=1)
        return _mean_best(values[runs], costs[runs], grid)

    everything = np.arange(values.size)
    drawn = [np.sort(generator.integers(values.size, size=values.size)) for _ in range(resamples)]
    mean = curve(everything, 10 * _ORDERS)
    low, high = _band(mean, np.array([curve(trials, _ORDERS) for trials in drawn]), level)
    return Curve(grid, mean, low, high, level)


def crossings(first: Curve, second: Curve) -> list[tuple[float, bool]]:
    """Find the budgets at which the order of two models changes.

    Parameters
    ----------
    first, second : Curve
        In the same unit. Both are drawn as straight lines between their points and compared where both
        are known.

    Returns
    -------
    list of (float, bool)
        The budgets, rising, and whether the first curve is higher from there on. Curves that only touch do
        not cross; where they run together for a while, they cross where they part. Whether a crossing means
        anything, the bands must say.
    """
    known = [np.isfinite(curve.mean) for curve in (first, second)]
    x = [curve.budgets[ok] for curve, ok in zip((first, second), known, strict=True)]
    if not x[0].size or not x[1].size:
        return []
    grid = np.union1d(*x)
    grid = grid[(grid >= max(x[0][0], x[1][0])) & (grid <= min(x[0][-1], x[1][-1]))]
    gap = np.interp(grid, x[0], first.mean[known[0]]) - np.interp(grid, x[1], second.mean[known[1]])
    found: list[tuple[float, bool]] = []
    apart = np.flatnonzero(gap)
    for left, right in pairwise(apart):
        if (gap[left] > 0) == (gap[right] > 0):
            continue
        start = right - 1  # equal to `left`, or the last of the points where the curves run together
        budget = grid[start] + (grid[right] - grid[start]) * gap[start] / (gap[start] - gap[right])
        found.append((float(budget), bool(gap[right] > 0)))
    return found


def _best_of_weights(size: int) -> FloatArray:
    """Probability that the i-th smallest of `size` is the largest of n drawn; row n - 1, column i - 1."""
    places = np.arange(1, size + 1, dtype=np.float64)
    at_most = np.ones(size)  # that all of n drawn are among the i smallest: C(i, n) / C(size, n)
    weights = np.empty((size, size))
    for n in range(1, size + 1):
        at_most = at_most * np.maximum(places - n + 1, 0) / (size - n + 1)
        weights[n - 1] = np.diff(at_most, prepend=0.0)
    return weights


def _mean_best(scores: FloatArray, costs: FloatArray, grid: FloatArray) -> FloatArray:
    """Average over rows of the best score whose trial is finished at each budget."""
    best, ends = np.maximum.accumulate(scores, axis=1), np.cumsum(costs, axis=1)
    # One search for all rows: each row lies beyond the one before it. The same seconds summed in another
    # order may differ in the last digits.
    row = np.arange(len(ends))[:, None]
    beyond = row * 2 * max(ends.max(), grid.max())
    ends_of_all = (ends * (1 - 1e-9) + beyond).ravel()
    finished = np.searchsorted(ends_of_all, grid + beyond, side="right") - row * ends.shape[1]
    found = np.where(finished > 0, np.take_along_axis(best, np.maximum(finished - 1, 0), axis=1), np.nan)
    return np.asarray(found.mean(axis=0), dtype=np.float64)


def _band(mean: FloatArray, curves: FloatArray, level: float) -> tuple[FloatArray, FloatArray]:
    """Return ``mean ±`` the distance to the farther of the two percentiles of resampled curves."""
    check_level(level)
    low, high = np.quantile(curves, [(1 - level) / 2, (1 + level) / 2], axis=0)
    # No resample is better than the best trial: above, the percentile alone would promise too much.
    half = np.maximum(mean - low, high - mean)
    return mean - half, mean + half


def _finite(values: Sequence[float] | FloatArray, name: str) -> FloatArray:
    array = np.array(values, dtype=np.float64)
    if array.ndim != 1 or not array.size or not np.isfinite(array).all():
        raise ValueError(f"{name}: got {array.tolist()}, expected one or more finite numbers")
    return array
