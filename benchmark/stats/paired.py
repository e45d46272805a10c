"""Tests of one pair of systems that answer narrower questions than the interval of the difference."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class SignFlip:
    """Exact sign-flip test over seeds, on this one test set.

    Attributes
    ----------
    p_value : float or None
        None where even the smallest p-value that K seeds can reach is above `alpha`.
    smallest : float
        That smallest p-value, ``2 / 2^K``.
    seeds_needed : int
        The number of seeds from which the test can reach `alpha`.
    """

    p_value: float | None
    smallest: float
    seeds_needed: int


def sign_flip_test(differences: Sequence[int] | NDArray[np.int64], alpha: float = 0.05) -> SignFlip:
    """Test whether the differences of seeds are symmetric around 0, by all ``2^K`` sign patterns.

    Parameters
    ----------
    differences : sequence of int, shape (K,)
        For each seed, how many more examples A has right than B.
    alpha : float
        The error that is allowed, corrected for other comparisons if there are any.

    Notes
    -----
    p is the share of sign patterns whose sum lies as far from 0 as the observed one. The differences
    are whole numbers, so the patterns are counted exactly, by their sum, and not one by one.
    """
    sizes = np.abs(np.asarray(differences, dtype=np.int64))
    seeds_needed = 1 + math.ceil(math.log2(1 / alpha))
    smallest = 2.0 ** (1 - sizes.size)
    if smallest > alpha:
        return SignFlip(None, smallest, seeds_needed)
    unit = int(np.gcd.reduce(sizes)) or 1
    share = np.ones(1)  # of patterns, by (sum + sum of sizes) / 2
    for size in sizes // unit:
        share = (np.pad(share, (0, size)) + np.pad(share, (size, 0))) / 2
    sums = np.abs(2 * np.arange(share.size) - (share.size - 1))
    observed = abs(int(np.sum(differences))) // unit
    return SignFlip(float(share[sums >= observed].sum()), smallest, seeds_needed)


def mcnemar_test(only_a: int, only_b: int) -> float:
    """Exact p-value of McNemar's test for two trained models on one test set.

    Parameters
    ----------
    only_a, only_b : int
        How many examples only A, and only B, has right.

    Returns
    -------
    float
        Two-sided binomial p-value, which is exact for any number of examples. It is about these two
        trained models: another seed is another pair, and no evidence about seeds is in it.

    References
    ----------
    McNemar (1947), Psychometrika 12(2), 153-157; Dietterich (1998), "Approximate statistical tests for
    comparing supervised classification learning algorithms", Neural Computation 10(7), 1895-1923.
    """
    from scipy.special import bdtr

    either = only_a + only_b
    return min(1.0, 2 * float(bdtr(min(only_a, only_b), either, 0.5)))


def win_probability(differences: Sequence[float] | NDArray[np.float64]) -> float:
    """Probability that A has the higher test accuracy when both are trained with one new seed.

    Parameters
    ----------
    differences : sequence of float, shape (K,)
        Accuracy of A less that of B for each seed, K at least 2.

    Returns
    -------
    float
        From Student's predictive distribution of one more normal difference, whose standard deviation
        is estimated: ``T_{K-1}(mean / (s sqrt(1 + 1/K)))``. It is about this test set. Without any
        spread it is 0, 1, or a half where the difference is 0.

    References
    ----------
    Bouthillier et al. (2021), "Accounting for variance in machine learning benchmarks", MLSys 3 (the
    probability of outperforming as what to report); Geisser (1993), "Predictive inference" (the
    predictive distribution).
    """
    from scipy.special import stdtr

    sample = np.asarray(differences, dtype=np.float64)
    mean = float(sample.mean())
    if sample.min() == sample.max():
        return (float(np.sign(sample[0])) + 1) / 2
    scale = float(sample.std(ddof=1)) * math.sqrt(1 + 1 / sample.size)
    return float(stdtr(sample.size - 1, mean / scale))


def win_share(differences: Sequence[float] | NDArray[np.float64]) -> float:
    """Share of the seeds in which A was better; a tie is half a win."""
    return float((np.sign(np.asarray(differences, dtype=np.float64)) + 1).mean() / 2)
