"""The hierarchical bootstrap of seeds and examples, corrected for few seeds."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from benchmark.stats.crossed import critical_value, mean_squares
from benchmark.stats.intervals import Interval

RESAMPLES = 10_000


def hierarchical_bootstrap(
    difference: NDArray[np.int64], level: float = 0.95, *, resamples: int = RESAMPLES, seed: int = 0
) -> Interval:
    """Percentile interval of the mean over resampled seeds and resampled examples.

    Parameters
    ----------
    difference : ndarray of int, shape (K, N)
        For each seed and example: 1 where only A is right, -1 where only B is, else 0. K is at least 2.
    level : float
        Nominal coverage, in (0, 1).
    resamples : int
        How often seeds and examples are drawn with replacement.
    seed : int
        Of the resampling. The same table gives the same interval, whatever the order of its seeds and
        examples, and the mirrored one when A and B change places.

    Returns
    -------
    Interval
        See the notes; `crossed.interval_of_mean` is the interval that verdicts use.

    Notes
    -----
    Seeds and examples are resampled apart and their deviations added, since the two are crossed. The
    deviations of seeds are multiplied by ``sqrt(K / (K - 1))``, since K seeds spread less around their
    own mean than around the true one, and those of examples by what leaves out the noise of single
    answers, which is in the deviations of seeds already. Then the distance from the mean to each
    percentile is stretched by `crossed.critical_value` over the normal quantile: with three seeds no
    resample lies beyond the best of the three, and the plain percentile interval covers far too seldom
    (docs/statistics.md has the figures).

    References
    ----------
    Hesterberg (2015), "What teachers should know about the bootstrap", The American Statistician 69(4),
    371-386 (narrowness bias, expanded percentile interval). Owen (2007), "The pigeonhole bootstrap",
    Annals of Applied Statistics 1(2), 386-411 (crossed samples).
    """
    from scipy.special import ndtri

    squares = mean_squares(difference)
    k, n = difference.shape
    # The same draws, whichever system comes first: the table is turned so that its mean is not negative.
    totals, counts = (
        np.sort(difference.sum(axis=1)),
        np.bincount(difference.sum(axis=0) + k, minlength=2 * k + 1),
    )
    turn = -1.0 if (totals.sum(), tuple(counts)) < (-totals.sum(), tuple(counts[::-1])) else 1.0
    if turn < 0:
        totals, counts = -totals[::-1], counts[::-1]
    mean = float(totals.sum()) / (k * n)

    generator = np.random.default_rng(seed)
    by_example = generator.multinomial(n, counts / n, resamples) @ (np.arange(-k, k + 1) / (k * n)) - mean
    by_seed = generator.multinomial(k, np.full(k, 1 / k), resamples) @ (totals / (k * n)) - mean
    noise_free = max(float(squares.examples - squares.interaction), 0.0)
    scale = np.sqrt(noise_free / float(squares.examples)) if noise_free else 0.0
    deviations = scale * by_example + np.sqrt(k / (k - 1)) * by_seed

    tail = (1 - level) / 2
    stretch = float(critical_value(1 - level, k, squares.seed_share)) / -float(ndtri(tail))
    low, high = mean + stretch * np.quantile(deviations, [tail, 1 - tail])
    return (
        Interval(float(low), float(high), level) if turn > 0 else Interval(float(-high), float(-low), level)
    )
