"""Runs that fail to learn: which they are, and what a number of runs says of how often it happens."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

_ERROR = 0.01
_FAR = 5.0  # standard errors


def failed_to_learn(right: Sequence[int], n_examples: int, majority: float) -> NDArray[np.bool_]:
    """Tell which runs of a row are no better than the most frequent class, while most are far above it.

    Parameters
    ----------
    right : sequence of int, shape (K,)
        How many test examples each run has right.
    n_examples : int
        Of the test split.
    majority : float
        Share of the most frequent class in the test split.

    Returns
    -------
    ndarray of bool, shape (K,)
        True for a run whose answers an exact binomial test cannot tell from that level (one-sided, at 1 %),
        where most of the runs lie more than 5 standard errors above it. A row that learns nothing
        in most of its runs is not among them: that is what it does.
    """
    from scipy.special import bdtrc

    counts = np.asarray(right, dtype=np.int64)
    spread = math.sqrt(n_examples * majority * (1 - majority))
    if not counts.size or np.sort(counts)[(counts.size - 1) // 2] <= n_examples * majority + _FAR * spread:
        return np.zeros(counts.size, dtype=bool)
    # The probability of so many or more right answers at that level.
    above = np.where(counts > 0, bdtrc(np.maximum(counts - 1, 0), n_examples, majority), 1.0)
    return np.asarray(above > _ERROR, dtype=bool)


def failure_rate_bound(failed: int, runs: int, level: float = 0.95) -> float:
    """Upper bound of the probability that a run fails, after `failed` of `runs` have (Clopper, Pearson 1934).

    With 0 of 3 it is 63 %: three runs without a failure say little.
    """
    from scipy.special import betaincinv

    return 1.0 if failed >= runs else float(betaincinv(failed + 1, runs - failed, level))
