"""The differences of all pairs of a board at once: what `compare` finds for one pair, by matrix products."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmark.stats.comparisons import Difference, differences_of
from benchmark.stats.crossed import MeanSquares, mean_squares_from_sums
from benchmark.stats.intervals import MIN_SEEDS

Answers = Mapping[int, NDArray[np.bool_]]
"""Which test examples the run of each seed has right: by seed, shape (N,)."""

_EXACT_IN_FLOAT32 = 2**24

Pair = tuple[int, int]


def differences(
    systems: Sequence[Answers], *, margin: float = 0.005, level: float = 0.95
) -> dict[Pair, Difference]:
    """Compare each system with each later one, on the seeds that both have.

    Parameters
    ----------
    systems : sequence of mapping of int to ndarray of bool, shape (N,)
        For each system, by seed, which test examples its run has right.
    margin : float
        The smallest difference of accuracy that matters.
    level : float
        Nominal coverage, in (0, 1).

    Returns
    -------
    dict of (int, int) to Difference
        By the places of the two, the earlier one first. A pair with fewer than `MIN_SEEDS` seeds in
        common is absent.

    Notes
    -----
    The mean squares of the table of differences need its row sums, the squares of its column sums, and
    those of its cells. For all pairs these are entries of Gram matrices of the systems' own tables, so
    the cost of 20,000 pairs is that of a few matrix products. They are exact: whole numbers.
    """
    groups: dict[tuple[int, ...], list[Pair]] = defaultdict(list)
    for i, j in combinations(range(len(systems)), 2):
        groups[tuple(sorted(systems[i].keys() & systems[j].keys()))].append((i, j))
    found: dict[Pair, Difference] = {}
    for seeds, pairs in groups.items():
        if len(seeds) >= MIN_SEEDS:
            squares = _mean_squares(systems, seeds, pairs)
            found.update(zip(pairs, differences_of(squares, margin, level), strict=True))
    return dict(sorted(found.items()))


def _mean_squares(systems: Sequence[Answers], seeds: Sequence[int], pairs: Sequence[Pair]) -> MeanSquares:
    members = sorted({place for pair in pairs for place in pair})
    position = {place: number for number, place in enumerate(members)}
    first, second = np.array([[position[i], position[j]] for i, j in pairs]).T
    n_examples = len(systems[members[0]][seeds[0]])
    largest = n_examples * len(seeds) ** 2
    exact: type[np.floating[Any]] = np.float32 if largest < _EXACT_IN_FLOAT32 else np.float64
    columns = np.zeros((len(members), n_examples), dtype=exact)
    both_right = np.zeros(len(pairs))
    row_totals = np.empty((len(pairs), len(seeds)), dtype=np.int64)
    cells = np.zeros(len(pairs), dtype=np.int64)
    for number, seed in enumerate(seeds):
        right = np.stack([systems[place][seed] for place in members])
        table = right.astype(exact)
        totals = right.sum(axis=1, dtype=np.int64)
        columns += table
        both_right += (table @ table.T)[first, second]
        row_totals[:, number] = totals[first] - totals[second]
        cells += totals[first] + totals[second]
    gram = columns @ columns.T
    column_squares = gram[first, first] + gram[second, second] - 2 * gram[first, second]
    return mean_squares_from_sums(
        row_totals, column_squares.astype(np.int64), cells - 2 * both_right.astype(np.int64), n_examples
    )
