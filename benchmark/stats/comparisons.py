"""Two systems on the same seeds and test set: all that the data say about their difference."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmark.stats.bootstrap import hierarchical_bootstrap
from benchmark.stats.crossed import interval_of_mean, mean_squares, p_values
from benchmark.stats.intervals import MIN_SEEDS, Interval, correctness, too_few_seeds
from benchmark.stats.paired import SignFlip, mcnemar_test, sign_flip_test, win_probability, win_share

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
    if not 0 < level < 1:
        raise ValueError(f"level: got {level}, expected a number between 0 and 1")
    if not margin >= 0:
        raise ValueError(f"margin: got {margin}, expected 0 or more")
    if comparisons < 1:
        raise ValueError(f"comparisons: got {comparisons}, expected 1 or more")
    k, n = first.shape
    table = first - second
    totals = table.sum(axis=1)
    squares = mean_squares(table) if k >= MIN_SEEDS else None
    return Comparison(
        n_seeds=k,
        n_examples=n,
        difference=float(totals.sum()) / (k * n),
        margin=margin,
        level=level,
        interval=interval_of_mean(squares, level).within(-1, 1) if squares else None,
        reason=too_few_seeds(k),
        p_value=float(p_values(squares)) if squares else None,
        bootstrap=hierarchical_bootstrap(table, level).within(-1, 1) if squares else None,
        components=Components(*squares.components) if squares else None,
        sign_flip=sign_flip_test(totals, (1 - level) / comparisons),
        mcnemar=tuple(mcnemar_test(int((row > 0).sum()), int((row < 0).sum())) for row in table),
        win_probability=win_probability(totals / n) if squares else None,
        win_share=win_share(totals),
    )
