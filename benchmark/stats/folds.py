"""Differences of rows that were measured on the folds of a cross-validation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from benchmark.stats.differences import Differences
from benchmark.stats.intervals import inflation
from benchmark.stats.moderation import FloatArray


@dataclass(frozen=True, eq=False)
class FoldMeans:
    """What a comparison needs to know of a row that was measured on folds.

    Attributes
    ----------
    values : ndarray, shape (K,)
        Of each fold, the mean over its seeds.
    n_examples : int
        Texts of all folds, each of which is tested once.
    """

    values: FloatArray
    n_examples: int

    @property
    def n_seeds(self) -> int:
        """K, the repetitions that a comparison counts."""
        return self.values.size


def fold_differences(rows: Sequence[FoldMeans], first: Sequence[int], second: Sequence[int]) -> Differences:
    """Return the differences of pairs of rows, paired over folds.

    Parameters
    ----------
    rows : sequence of FoldMeans
        All of the same K folds.
    first, second : sequence of int
        Places of the two rows of each pair.

    Notes
    -----
    The variance of a mean difference is that of the K differences times
    `benchmark.stats.intervals.inflation`, on K - 1 degrees of freedom. The spread over seeds and over test
    texts is in it, so no other part is added.
    """
    values = np.stack([row.values for row in rows])
    apart = values[np.asarray(first, dtype=np.intp)] - values[np.asarray(second, dtype=np.intp)]
    mean, folds = apart.mean(axis=1), apart.shape[1]
    # A rounding error is no spread: 10 equal differences have none.
    variance = np.where(np.ptp(apart, axis=1) < 1e-12, 0.0, apart.var(axis=1, ddof=1))
    variance = variance * inflation(folds, folds=True)
    return Differences(
        mean=mean,
        centre=mean,
        seeds=np.stack([variance, np.zeros_like(variance)]),
        freedom=np.full((2, len(mean)), folds - 1.0),
        examples=np.zeros_like(variance),
        n_examples=rows[0].n_examples,
        weight=0.0,
        unit="folds",
    )
