"""Comparisons of a board's rows, their shared ranks, and their differences to a baseline."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np

from benchmark.board.rows import Board, BoardRow, Pair
from benchmark.stats.comparisons import Difference
from benchmark.stats.intervals import MIN_SEEDS
from benchmark.stats.pairwise import Answers, differences
from benchmark.stats.verdicts import Outcome, holm, outcome, shared_ranks, verdict

MARGIN, LEVEL = 0.005, 0.95
BASELINES = ("tfidf-logreg", "avg-pool")
"""What rows are compared with, where the user names nothing else: the first of these that is there."""

_TURNED: dict[Outcome, Outcome] = {"better": "worse", "worse": "better"}
Race = tuple[str, str, str]


def compared(
    rows: Sequence[BoardRow], known: Sequence[Answers], margin: float = MARGIN
) -> tuple[dict[tuple[int, int], Difference], list[Pair]]:
    """Compare all that are ranked together; rows that are the same runs are one system.

    Parameters
    ----------
    rows : sequence of BoardRow
        By mean test accuracy, best first.
    known : sequence of mapping of int to ndarray of bool, shape (N,)
        For each row, by seed, which test examples are right; empty where it is not to be compared.
    margin : float
        The smallest difference of accuracy worth talking about.

    Returns
    -------
    dict of (int, int) to Difference
        By the places of the two rows.
    list of Pair
        In the same order, with p-values corrected for all of the same data set.
    """
    found: dict[tuple[int, int], Difference] = {}
    for places in _races(rows, [place for place in dict.fromkeys(systems(rows)) if known[place]]):
        compared = differences([known[place] for place in places], margin=margin, level=LEVEL)
        found |= {(places[i], places[j]): difference for (i, j), difference in compared.items()}
    by_data: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for key in found:
        by_data[rows[key[0]].dataset_digest].append(key)
    corrected: dict[tuple[int, int], float | None] = {}
    for keys in by_data.values():  # a different data set of the same name has no say
        corrected |= zip(keys, holm([found[key].p_value for key in keys]), strict=True)
    pairs = [
        _pair(*key, difference, p) for key, difference in found.items() if (p := corrected[key]) is not None
    ]
    return found, pairs


def _pair(a: int, b: int, difference: Difference, corrected: float) -> Pair:
    assert difference.interval is not None
    assert difference.p_value is not None
    return Pair(
        a=a,
        b=b,
        n_seeds=difference.n_seeds,
        difference=difference.difference,
        ci_low=difference.interval.low,
        ci_high=difference.interval.high,
        p_value=difference.p_value,
        p_corrected=corrected,
        outcome=outcome(difference, corrected),
    )


def ranked(rows: Sequence[BoardRow], pairs: Sequence[Pair]) -> list[BoardRow]:
    """Give ranks; the rule stands in `benchmark.stats.verdicts.shared_ranks`."""
    counted = [
        place
        for place, row in enumerate(rows)
        if row.watermark is None and row.test_accuracy_mean is not None
    ]
    # Where the shared seeds contradict the means of all seeds, a is "worse": nothing is separated.
    apart = {(pair.a, pair.b) for pair in pairs if pair.outcome == "better"}
    system = systems(rows)
    found = list(rows)
    for all_places in _races(rows, counted):
        places = list(dict.fromkeys(system[place] for place in all_places))
        separated = np.zeros((len(places), len(places)), dtype=bool)
        for i, j in combinations(range(len(places)), 2):
            separated[i, j] = separated[j, i] = (places[i], places[j]) in apart
        means = [rows[place].test_accuracy_mean or 0.0 for place in places]
        ranks = dict(zip(places, shared_ranks(means, separated), strict=True))
        for place in all_places:
            found[place] = rows[place].model_copy(update={"rank": ranks[system[place]]})
    return found


def systems(rows: Sequence[BoardRow]) -> list[int]:
    """Return for each row the place of the first one with the same runs: the two are one system."""
    first: dict[tuple[object, ...], int] = {}
    return [
        first.setdefault((race(row), row.model, row.study, row.run_ids or place), place)
        for place, row in enumerate(rows)
    ]


def _races(rows: Sequence[BoardRow], places: Iterable[int]) -> list[list[int]]:
    """Group some of the rows, by their places, with those that they are ranked with."""
    found: dict[Race, list[int]] = defaultdict(list)
    for place in places:
        found[race(rows[place])].append(place)
    return list(found.values())


def with_differences(
    rows: Sequence[BoardRow],
    found: Mapping[tuple[int, int], Difference],
    pairs: Sequence[Pair],
    baseline: str | None,
) -> list[BoardRow]:
    """Add each row's difference to the baseline of its race."""
    corrected = {(pair.a, pair.b): pair.p_corrected for pair in pairs}
    system = systems(rows)
    compared = list(rows)
    for places in _races(rows, [place for place, row in enumerate(rows) if row.rank is not None]):
        base = baseline_of([rows[place] for place in places], baseline)
        if base is None:
            continue
        other = system[rows.index(base)]
        for place in places:
            if system[place] == other:
                continue
            key = min(system[place], other), max(system[place], other)
            sign = 1 if system[place] < other else -1
            changes = _difference(rows[place], found.get(key), corrected.get(key), sign)
            compared[place] = rows[place].model_copy(update={"baseline": base.name, **changes})
    return compared


def _difference(
    row: BoardRow, difference: Difference | None, corrected: float | None, sign: int
) -> dict[str, Any]:
    if difference is None or difference.interval is None:
        return {"seeds_needed": MIN_SEEDS} if row.n_seeds < MIN_SEEDS else {}
    ends = sorted((sign * difference.interval.low, sign * difference.interval.high))
    found = verdict(difference, corrected)
    return {
        "difference": sign * difference.difference,
        "difference_ci_low": ends[0],
        "difference_ci_high": ends[1],
        "difference_p": corrected,
        "difference_outcome": _TURNED.get(found.outcome, found.outcome) if sign < 0 else found.outcome,
        "seeds_needed": None if found.more_seeds is None else difference.n_seeds + found.more_seeds,
    }


def baseline_of(rows: Sequence[BoardRow], asked: str | None = None) -> BoardRow | None:
    """Choose the row of a race that the others are compared with.

    Parameters
    ----------
    rows : sequence of BoardRow
        Rows that are ranked together, best first.
    asked : str, optional
        ``model`` (its default tier where it has one) or ``model:tier``; None leaves the choice to us.

    Returns
    -------
    BoardRow or None
        None where what was asked for is not among them.
    """
    if asked is not None:
        model, _, tier = asked.partition(":")
        named = [row for row in rows if row.model == model and row.tier == (tier or row.tier)]
        return next((row for row in named if row.tier == "default"), named[0] if named else None)
    defaults = [row for row in rows if row.tier == "default"]
    for model in BASELINES:
        for row in defaults:
            if row.model == model:
                return row
    return (defaults or list(rows))[-1]


def race(row: BoardRow) -> Race:
    """Rows with the same data, budget and protocol are ranked together."""
    return row.dataset_digest, row.budget, row.protocol


def as_printed(board: Board) -> Board:
    """Return a board where rows that are the same runs are one line.

    Where the published default has won its search there are two such rows; the one that stays is of the tier
    ``default+tuned`` and says what the search cost.
    """
    place: dict[int, int] = {}
    rows: list[BoardRow] = []
    names: dict[tuple[str, str | None], str] = {}  # by digest, where they change
    for old, first in enumerate(systems(board.rows)):
        row = board.rows[old]
        place[old] = place.get(first, len(rows))
        if first == old:
            rows.append(row)
            continue
        earlier = rows[place[first]]
        searched = row if earlier.tier == "default" else earlier
        one = searched.model_copy(update={"tier": f"{earlier.tier}+{row.tier}"})
        rows[place[first]] = one
        names |= {(row.dataset_digest, before.name): one.name for before in (earlier, row)}
    renamed = [
        row.model_copy(update={"baseline": names.get((row.dataset_digest, row.baseline), row.baseline)})
        for row in rows
    ]
    pairs = [pair.model_copy(update={"a": place[pair.a], "b": place[pair.b]}) for pair in board.comparisons]
    return board.model_copy(update={"rows": tuple(renamed), "comparisons": tuple(pairs)})
