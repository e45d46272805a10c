"""Comparisons of a board's rows, their shared ranks, and their differences to a baseline."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np

from benchmark.board.rows import BoardRow, Outcome, Pair
from benchmark.stats.comparisons import Difference
from benchmark.stats.intervals import MIN_SEEDS
from benchmark.stats.pairwise import Answers, differences
from benchmark.stats.verdicts import holm, outcome, shared_ranks, verdict

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
    races: dict[Race, dict[tuple[str, ...], int]] = defaultdict(dict)
    for place, row in enumerate(rows):
        if known[place]:
            races[race(row)].setdefault(row.run_ids, place)
    found: dict[tuple[int, int], Difference] = {}
    for distinct in races.values():
        places = list(distinct.values())
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
    races: dict[Race, list[int]] = defaultdict(list)
    for place, row in enumerate(rows):
        if row.watermark is None and row.test_accuracy_mean is not None:
            races[race(row)].append(place)
    # Where the shared seeds contradict the means of all seeds, a is "worse": nothing is separated.
    apart = {(pair.a, pair.b) for pair in pairs if pair.outcome == "better"}
    system = systems(rows)
    found = list(rows)
    for all_places in races.values():
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
    first: dict[tuple[Race, tuple[str, ...]], int] = {}
    return [first.setdefault((race(row), row.run_ids), place) for place, row in enumerate(rows)]


def with_differences(
    rows: Sequence[BoardRow],
    found: Mapping[tuple[int, int], Difference],
    pairs: Sequence[Pair],
    baseline: str | None,
) -> list[BoardRow]:
    """Tell each row's difference to the baseline of its race."""
    races: dict[Race, list[int]] = defaultdict(list)
    for place, row in enumerate(rows):
        if row.rank is not None:
            races[race(row)].append(place)
    corrected = {(pair.a, pair.b): pair.p_corrected for pair in pairs}
    system = systems(rows)
    told = list(rows)
    for places in races.values():
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
            told[place] = rows[place].model_copy(update={"baseline": base.name, **changes})
    return told


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
