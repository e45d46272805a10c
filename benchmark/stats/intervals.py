"""Intervals of a mean over seeds, and of what its test set leaves open."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

MIN_SEEDS = 3


@dataclass(frozen=True)
class Interval:
    """A two-sided interval.

    Attributes
    ----------
    low, high : float
        Its ends, in the unit of the values.
    level : float
        Its nominal coverage, in (0, 1).
    """

    low: float
    high: float
    level: float

    def overlaps(self, other: Interval) -> bool:
        """Whether the two have a point in common; a shared end counts."""
        return self.low <= other.high and other.low <= self.high

    def within(self, low: float, high: float) -> Interval:
        """Cut it to the values that are possible."""
        return Interval(max(low, self.low), min(high, self.high), self.level)


def check_level(level: float) -> None:
    """Raise ValueError where a coverage is not in (0, 1)."""
    if not 0 < level < 1:
        raise ValueError(f"level: got {level}, expected a number between 0 and 1")


def mean_of(values: Sequence[float] | np.ndarray) -> float:
    """Return the mean, which rounding never puts outside of the values."""
    return float(min(max(statistics.fmean(values), min(values)), max(values)))


def bounded(mean: float, half: float, level: float, low: float, high: float) -> Interval:
    """Return ``mean ± half`` on the scale on which the range has no ends: the logit, or the logarithm.

    Parameters
    ----------
    mean : float
        In [low, high].
    half : float
        Half of the width on the scale of the values.
    level : float
        Nominal coverage.
    low, high : float
        The range; `high` may be infinite.

    Notes
    -----
    By the delta method: half of the width is divided by the derivative of the inverse at the mean. An
    interval of a value at an end of the range is that of the plain scale, cut there.
    """
    below, above = mean - low, high - mean
    if below <= 0 or above <= 0:
        return Interval(mean - half, mean + half, level).within(low, high)
    if np.isinf(above):
        factor = float(np.exp(half / below))
        return Interval(low + below / factor, low + below * factor, level)
    odds, factor = below / above, float(np.exp(min(half * (high - low) / (below * above), 700.0)))
    first, last = (low + (high - low) * x / (1 + x) for x in (odds / factor, odds * factor))
    return Interval(first, last, level)


def mean_interval(
    values: Sequence[float] | np.ndarray,
    level: float = 0.95,
    *,
    low: float = -math.inf,
    high: float = math.inf,
    transformed: bool = False,
    folds: bool = False,
) -> Interval | None:
    """Student-t interval of the mean of independent repetitions.

    It describes the spread over seeds (initialisation, order of examples, dropout). The sampling
    error of the test set is another figure and is not in it.

    Parameters
    ----------
    values : sequence of float, shape (n,)
        One finite value per seed.
    level : float
        Nominal coverage, in (0, 1).
    low, high : float
        The range of the values.
    transformed : bool
        Make the interval on a scale without ends (`bounded`) instead of cutting it at those of the range.
    folds : bool
        Whether the values are of the folds of a cross-validation, which share their training texts: the
        variance of the mean is then that of `inflation`.

    Returns
    -------
    Interval or None
        ``mean ± t * s / sqrt(n)`` with ``t`` the quantile of Student's t at ``n - 1`` degrees of
        freedom and ``s`` the standard deviation (``ddof=1``). None below `MIN_SEEDS` (3) values:
        with two, t is 12.7, so the interval is some 25 standard errors from end to end and says
        nothing. Equal values give an interval of zero width.

    Raises
    ------
    ValueError
        When a value is not finite, `values` is not one-dimensional, or `level` is not in (0, 1).

    References
    ----------
    Student (1908), "The probable error of a mean", Biometrika 6(1), 1-25.
    """
    check_level(level)
    sample = np.asarray(values, dtype=np.float64)
    if sample.ndim != 1:
        raise ValueError(f"values: got shape {sample.shape}, expected one dimension")
    if not np.isfinite(sample).all():
        raise ValueError(f"values: got {sample.tolist()}, expected finite numbers")
    if sample.size < MIN_SEEDS:
        return None
    if sample.min() == sample.max():  # the rounding of the mean would give equal values a width
        return Interval(float(sample[0]), float(sample[0]), level)
    # The quantile of scipy.stats.t, from the module that does not take a second to import.
    from scipy.special import stdtrit

    quantile = float(stdtrit(sample.size - 1, (1 + level) / 2))
    half = quantile * float(sample.std(ddof=1)) * math.sqrt(inflation(sample.size, folds))
    mean, exact = float(sample.mean()), mean_of(sample)  # the two may differ in their last digit
    if transformed:
        return bounded(mean, half, level, low, high)
    return Interval(min(mean - half, exact), max(mean + half, exact), level).within(low, high)


def inflation(n: int, folds: bool) -> float:
    """Return by what the variance of n values is multiplied for that of their mean.

    Parameters
    ----------
    n : int
        At least 2.
    folds : bool
        Whether they are values of the folds of a cross-validation.

    Returns
    -------
    float
        ``1 / n`` for independent values. Those of folds share most of their training texts, so ``1 / n + 1 /
        (n - 1)``: the second is the ratio of test texts to training texts. That is a heuristic, which takes
        their correlation for 1 / n; an unbiased estimate of the variance does not exist.

    References
    ----------
    Nadeau and Bengio (2003), "Inference for the generalization error", Machine Learning 52, 239-281. Bengio
    and Grandvalet (2004), "No unbiased estimator of the variance of K-fold cross-validation", JMLR 5,
    1089-1105.
    """
    return 1 / n + (1 / (n - 1) if folds else 0.0)


def sampling_error(
    correct: NDArray[np.bool_] | NDArray[np.integer], level: float = 0.95
) -> tuple[float, Interval]:
    """Return how far the mean accuracy of these trained models may be off because of the test set's size.

    The spread over seeds is another figure and is not in it: see `mean_interval`.

    Parameters
    ----------
    correct : ndarray of bool or of 0 and 1, shape (K, N)
        Whether the model of each seed has each example right; K at least 1, N at least 2.
    level : float
        Nominal coverage, in (0, 1).

    Returns
    -------
    float
        Standard error of the mean over other test sets of the same size and kind, for the same trained
        models: ``s / sqrt(N)``, with s the standard deviation over examples of the share of seeds that have
        an example right.
    Interval
        Of the accuracy that the same trained models would have on all examples of this kind. It is Wilson's,
        for as many independent answers as would have this standard error; so it has a width even where
        every answer is right.

    Raises
    ------
    ValueError
        When `correct` is not a table of 0 and 1, or `level` is not in (0, 1).

    References
    ----------
    Wilson (1927), "Probable inference, the law of succession, and statistical inference", JASA 22(158),
    209-212.
    """
    check_level(level)
    from scipy.special import ndtri

    table = correctness(correct, "correct")
    shares, equal = table.mean(axis=0), np.ptp(table.sum(axis=0)) == 0
    mean, n = float(shares.mean()), shares.size
    error = 0.0 if equal else float(shares.std(ddof=1)) / float(np.sqrt(n))
    answers = mean * (1 - mean) / error**2 if error > 0 else float(n)
    weight = float(ndtri((1 + level) / 2)) ** 2 / answers
    centre = (mean + weight / 2) / (1 + weight)
    half = float(np.sqrt(weight * mean * (1 - mean) + weight**2 / 4)) / (1 + weight)
    return error, Interval(min(centre - half, mean), max(centre + half, mean), level).within(0, 1)


def example_difference(
    a: NDArray[np.floating], b: NDArray[np.floating], level: float = 0.95
) -> tuple[float, Interval, float]:
    """Return the difference of two means over the same examples, of models that stay as they are.

    Parameters
    ----------
    a, b : ndarray of float, shape (N,)
        What each example contributes; of several seeds their mean.
    level : float
        Nominal coverage.

    Returns
    -------
    float, Interval, float
        Mean of a less that of b, its interval over other examples of this kind, and the p-value of no
        difference (the paired z-test). Neither knows of further seeds.
    """
    check_level(level)
    from scipy.special import ndtr, ndtri

    apart = np.asarray(a, dtype=np.float64) - np.asarray(b, dtype=np.float64)
    mean, error = float(apart.mean()), float(apart.std(ddof=1) / np.sqrt(apart.size))
    half = float(ndtri((1 + level) / 2)) * error
    p_value = float(2 * ndtr(-abs(mean) / error)) if error else float(mean == 0)
    return mean, Interval(mean - half, mean + half, level), p_value


def too_few_seeds(n_seeds: int) -> str | None:
    """Return why `n_seeds` allow no interval over seeds, or None where they do."""
    if n_seeds >= MIN_SEEDS:
        return None
    return f"no interval: needs {MIN_SEEDS} seeds, has {n_seeds}"


def correctness(table: NDArray[np.bool_] | NDArray[np.integer], name: str) -> NDArray[np.int64]:
    """Return a table of seeds by examples as 0 and 1, or raise ValueError."""
    array = np.asarray(table)
    if array.ndim != 2 or array.shape[0] < 1 or array.shape[1] < 2:
        raise ValueError(f"{name}: got shape {array.shape}, expected (seeds, examples), at least (1, 2)")
    if array.dtype.kind != "b" and (array.dtype.kind not in "iu" or not ((array == 0) | (array == 1)).all()):
        raise ValueError(f"{name}: expected only 0 and 1 (or False and True)")
    return array.astype(np.int64)
