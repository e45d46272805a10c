"""Intervals of a mean over seeds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

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
        """Tell whether the two have a point in common; a shared end counts."""
        return self.low <= other.high and other.low <= self.high


def mean_interval(values: Sequence[float] | np.ndarray, level: float = 0.95) -> Interval | None:
    """Student-t interval of the mean of independent repetitions.

    It describes the spread over seeds (initialisation, order of examples, dropout). The sampling
    error of the test set is another figure and is not in it.

    Parameters
    ----------
    values : sequence of float, shape (n,)
        One finite value per seed.
    level : float
        Nominal coverage, in (0, 1).

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
    if not 0 < level < 1:
        raise ValueError(f"level: got {level}, expected a number between 0 and 1")
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
    half = quantile * float(sample.std(ddof=1)) / float(np.sqrt(sample.size))
    mean = float(sample.mean())
    return Interval(mean - half, mean + half, level)
