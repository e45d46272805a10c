"""Two systems on the same seeds and test set: all that the data say about their difference."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmark.stats.crossed import (
    MeanSquares,
    hierarchical_bootstrap,
    interval_of_mean,
    mean_squares,
    p_values,
)
from benchmark.stats.intervals import MIN_SEEDS, Interval, check_level, correctness, too_few_seeds

Correctness = NDArray[np.bool_] | NDArray[np.integer]


@dataclass(frozen=True)
class Components:
    """Variances of the difference between two systems, in squared accuracy.

    Attributes
    ----------
    seeds : float
        Of the effect of a seed on all examples.
    examples : float
        Of the effect of an example in all seeds.
    interaction : float
        Of a single answer beyond the two.
    """

    seeds: float
    examples: float
    interaction: float


@dataclass(frozen=True)
class Difference:
    """The accuracy of A less that of B, and all that a verdict needs; accuracies are shares, not points.

    Attributes
    ----------
    n_seeds, n_examples : int
        K and N.
    difference : float
        Mean over seeds and examples.
    margin : float
        The smallest difference that matters.
    level : float
        Coverage of the intervals, in (0, 1).
    interval : Interval or None
        Of the expected difference over new seeds and new examples of this kind; verdicts use it. None
        below `MIN_SEEDS` seeds.
    reason : str or None
        Why there is no interval.
    p_value : float or None
        Of no expected difference, from the same machinery: below ``1 - level`` exactly where the
        interval excludes 0.
    components : Components or None
        Estimated variances, from which the number of further seeds is worked out.
    """

    n_seeds: int
    n_examples: int
    difference: float
    margin: float
    level: float
    interval: Interval | None
    reason: str | None
    p_value: float | None
    components: Components | None


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


@dataclass(frozen=True)
class Comparison(Difference):
    """A difference with what else the data say about it.

    Attributes
    ----------
    bootstrap : Interval or None
        The hierarchical bootstrap's interval of the same difference, a check.
    sign_flip : SignFlip
        Exact test over seeds, on this test set.
    mcnemar : tuple of float, length K
        P-value of McNemar's test for each pair of trained models.
    win_probability : float or None
        That A is better when both are trained once more, on this test set. None below `MIN_SEEDS`.
    win_share : float
        Share of the seeds in which A was better.
    """

    bootstrap: Interval | None
    sign_flip: SignFlip
    mcnemar: tuple[float, ...]
    win_probability: float | None
    win_share: float


def compare(
    a: Correctness, b: Correctness, *, margin: float = 0.005, level: float = 0.95, comparisons: int = 1
) -> Comparison:
    """Compare two systems by which test examples each of their runs had right.

    Parameters
    ----------
    a, b : ndarray of bool or of 0 and 1, shape (K, N)
        Row k of both is the same seed bundle, column n of both the same example.
    margin : float
        The smallest difference of accuracy that matters, at least 0.
    level : float
        Nominal coverage, in (0, 1).
    comparisons : int
        How many comparisons are made together; the sign-flip test is only done where it can reach
        ``(1 - level) / comparisons``.

    Raises
    ------
    ValueError
        When the tables differ in shape, have fewer than 1 row or 2 columns or other values than 0 and
        1, or `margin`, `level` or `comparisons` is out of range.
    """
    first, second = correctness(a, "a"), correctness(b, "b")
    if first.shape != second.shape:
        raise ValueError(f"a and b: got shapes {first.shape} and {second.shape}, expected equal ones")
    check_level(level)
    if not margin >= 0:
        raise ValueError(f"margin: got {margin}, expected 0 or more")
    if comparisons < 1:
        raise ValueError(f"comparisons: got {comparisons}, expected 1 or more")
    k, n = first.shape
    table = first - second
    totals = table.sum(axis=1)
    enough = k >= MIN_SEEDS
    if enough:
        (difference,) = differences_of(mean_squares(table[None]), margin, level)
    else:
        mean = float(totals.sum()) / (k * n)
        difference = Difference(k, n, mean, margin, level, None, too_few_seeds(k), None, None)
    return Comparison(
        **vars(difference),
        bootstrap=hierarchical_bootstrap(table, level).within(-1, 1) if enough else None,
        sign_flip=sign_flip_test(totals, (1 - level) / comparisons),
        mcnemar=tuple(mcnemar_test(int((row > 0).sum()), int((row < 0).sum())) for row in table),
        win_probability=win_probability(totals / n) if enough else None,
        win_share=win_share(totals),
    )


def differences_of(squares: MeanSquares, margin: float, level: float) -> list[Difference]:
    """Return the difference of each pair of systems from the mean squares of their tables."""
    ends = interval_of_mean(squares, level)
    columns = (squares.mean, *ends, p_values(squares), *squares.components)
    return [
        Difference(
            n_seeds=squares.n_seeds,
            n_examples=squares.n_examples,
            difference=difference,
            margin=margin,
            level=level,
            interval=Interval(low, high, level).within(-1, 1),
            reason=None,
            p_value=p,
            components=Components(*components),
        )
        for difference, low, high, p, *components in np.stack(columns, axis=1).tolist()
    ]


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
