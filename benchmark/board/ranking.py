"""Comparisons of a board's rows, the ranks that they leave open, and differences to a baseline."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmark.board.rows import Board, BoardRow, Pair
from benchmark.metrics.metric import Metric, get_metric
from benchmark.stats.differences import Differences, Runs, borrowing, differences, runs_of
from benchmark.stats.folds import FoldMeans, fold_differences
from benchmark.stats.intervals import MIN_SEEDS
from benchmark.stats.verdicts import Comparison, Scale, family, rank_ranges, too_few

LEVEL = 0.95
BASELINES = (("linear-words", "linear-characters"), ("tfidf-logreg",), ("avg-pool",))
"""What rows are compared with, where the user names nothing else: of the first of these that are there, the
one that is better on the validation split."""

Values = Mapping[int, NDArray[Any]]
"""Of each test example the value that the run of a seed has: right or wrong, or a pseudo-value;
by seed, shape (N,)."""


Measured = Runs | FoldMeans
"""What a comparison needs of the runs of a row: on one test split, or on the folds of a cross-validation."""


def section_runs(
    rows: Sequence[BoardRow], known: Sequence[Values], labels: Mapping[str, NDArray[np.int32]] | None = None
) -> dict[int, Runs]:
    """Summarise the runs of all rows that can be compared, with variances that borrow within each section.

    Parameters
    ----------
    rows : sequence of BoardRow
        Of a board.
    known : sequence of mapping of int to ndarray, shape (N,)
        For each row, by seed, the values of test examples; empty where it is not to be compared.
    labels : mapping of str to ndarray of int, shape (N,), optional
        True classes by digest of the data set, which metrics need that weigh examples by class.

    Returns
    -------
    dict of int to Runs
        By the place of the row. Rows that are the same runs are one system: the first one stands for them.
        Rows with fewer than three seeds are absent.
    """
    found: dict[int, Runs] = {}
    enough = [place for place in dict.fromkeys(systems(rows)) if len(known[place]) >= MIN_SEEDS]
    for places in _races(rows, enough):
        runs = [runs_of(np.stack(list(known[place].values()))) for place in places]
        if get_metric(rows[places[0]].metric).by_class:
            classes = (labels or {}).get(rows[places[0]].dataset_digest)
            runs = [replace(one, classes=classes) for one in runs]
        found |= zip(places, borrowing(runs), strict=True)
    return found


def compared(
    rows: Sequence[BoardRow],
    runs: Mapping[int, Measured],
    places: Sequence[tuple[int, int]],
    margin: float | None = None,
) -> list[Comparison]:
    """Compare pairs of rows of a section, by their places, as one family.

    Without a margin it is that of their metric.
    """
    if not places:
        return []
    metric = get_metric(rows[places[0][0]].metric)
    members = sorted({place for pair in places for place in pair})
    position = {place: number for number, place in enumerate(members)}
    first, second = zip(*places, strict=True)
    chosen = [runs[place] for place in members]
    left, right = ([position[place] for place in side] for side in (first, second))
    return family(
        differences_of(chosen, left, right),
        [(runs[a].n_seeds, runs[b].n_seeds) for a, b in places],
        margin=metric.margin_for(margin),
        level=LEVEL,
        unsteady=[(rows[a].unsteady, rows[b].unsteady) for a, b in places],
        scale=scale_of(metric),
    )


def differences_of(chosen: Sequence[Measured], first: Sequence[int], second: Sequence[int]) -> Differences:
    """Return the differences of pairs of rows, by their places among those that are given."""
    if folds := [one for one in chosen if isinstance(one, FoldMeans)]:
        return fold_differences(folds, first, second)
    split = [one for one in chosen if isinstance(one, Runs)]
    return differences(split, first, second, split[0].classes)


def scale_of(metric: Metric) -> Scale:
    """Return in what differences of a metric are."""
    return Scale(metric.larger_is_better, metric.percent, metric.high - metric.low)


def ranked(
    rows: Sequence[BoardRow], runs: Mapping[int, Measured], margin: float | None = None
) -> tuple[list[BoardRow], list[Pair]]:
    """Compare all that are ranked together and give ranks, as `benchmark.stats.verdicts.rank_ranges` says.

    All pairs of a section are one family. Rows that are the same runs are one system and count once.
    """
    found, pairs = list(rows), []
    system = systems(rows)
    for places in _races(rows, runs):
        couples = list(combinations(places, 2))
        position = {place: number for number, place in enumerate(places)}
        better = np.zeros((len(places), len(places)), dtype=bool)
        for (a, b), comparison in zip(couples, compared(rows, runs, couples, margin), strict=True):
            better[position[a], position[b]] = comparison.outcome == "better"
            better[position[b], position[a]] = comparison.outcome == "worse"
            pairs.append(_pair(a, b, comparison))
        ranks = dict(zip(places, rank_ranges(better), strict=True))
        for place, row in enumerate(rows):
            if system[place] in ranks:
                best, worst = ranks[system[place]]
                found[place] = row.model_copy(update={"rank": best, "rank_worst": worst})
    return found, pairs


def _pair(a: int, b: int, comparison: Comparison) -> Pair:
    return Pair(
        a=a,
        b=b,
        difference=comparison.difference,
        ci_low=comparison.interval.low,
        ci_high=comparison.interval.high,
        ci_level=comparison.interval.level,
        p_value=comparison.p_value,
        p_corrected=comparison.p_corrected,
        outcome=comparison.outcome,
    )


def systems(rows: Sequence[BoardRow]) -> list[int]:
    """Return for each row the place of the first one with the same runs: the two are one system."""
    first: dict[tuple[object, ...], int] = {}
    return [
        first.setdefault((row.race, row.model, row.study, row.run_ids or place), place)
        for place, row in enumerate(rows)
    ]


def _races(rows: Sequence[BoardRow], places: Iterable[int]) -> list[list[int]]:
    """Group some of the rows, by their places, with those that they are ranked with."""
    found: dict[tuple[str, ...], list[int]] = defaultdict(list)
    for place in places:
        found[rows[place].race].append(place)
    return list(found.values())


def with_differences(
    rows: Sequence[BoardRow], runs: Mapping[int, Measured], baseline: str | None, margin: float | None = None
) -> list[BoardRow]:
    """Add each row's difference to the baseline of its section: all of them are one family."""
    system, changed = systems(rows), list(rows)
    for places in _races(rows, [place for place, row in enumerate(rows) if row.counts]):
        usable = places if baseline else [place for place in places if system[place] in runs]
        base = baseline_of([rows[place] for place in usable or places], baseline)
        if base is None:
            continue
        other = system[rows.index(base)]
        couples = _column(rows, runs, other)
        found = {a: one for (a, _), one in zip(couples, compared(rows, runs, couples, margin), strict=True)}
        for place in places:
            if system[place] != other:
                comparison = found.get(system[place])
                said = too_few(comparison) if comparison else ""
                notes = (*rows[place].notes, *filter(None, [said]))
                update = {"baseline": base.name, "notes": notes, **_difference(comparison)}
                changed[place] = rows[place].model_copy(update=update)
    return changed


def _column(rows: Sequence[BoardRow], runs: Mapping[int, Measured], base: int) -> list[tuple[int, int]]:
    """Return the pairs of a section's column of differences."""
    if base not in runs:
        return []
    return [(place, base) for place in runs if place != base and rows[place].race == rows[base].race]


def verdict(
    rows: Sequence[BoardRow], runs: Mapping[int, Measured], a: int, b: int, margin: float | None = None
) -> tuple[Comparison, str]:
    """Compare two rows as the board does, as one of the family that they belong to there.

    Parameters
    ----------
    rows : sequence of BoardRow
        Of a board.
    runs : mapping of int to Measured
        As `section_runs` returns it, or of folds, with both rows.
    a, b : int
        Places of the two rows, of different systems.
    margin : float, optional
        The smallest difference worth talking about, as a share of 1; by default that of the metric.

    Returns
    -------
    Comparison
        From a's side: with the baseline it is that of the board's column, otherwise that of its ranks.
    str
        What is corrected, in words.
    """
    section = [place for place in runs if rows[place].race == rows[a].race]
    if b not in section:
        words = "not corrected: rows of different sections of the board"
        return compared(rows, runs, [(a, b)], margin)[0], words
    chosen = baseline_of([rows[place] for place in section])
    base = next(place for place in section if rows[place] is chosen)
    if base in (a, b):
        couples = _column(rows, runs, base)
        words = f"corrected for all {len(couples)} rows that the board compares with {rows[base].name}"
    else:
        couples = list(combinations(section, 2))
        words = f"corrected for all {len(couples)} pairs that the board compares for its ranks"
    place = next(number for number, couple in enumerate(couples) if {a, b} == set(couple))
    found = compared(rows, runs, couples, margin)[place]
    return found if couples[place] == (a, b) else found.turned(), words


def _difference(comparison: Comparison | None) -> dict[str, object]:
    if comparison is None:
        return {}
    most = 0.0 if too_few(comparison) else comparison.scale.most
    most_by_more = most if comparison.unit == "seeds" else 0.0  # nobody adds folds
    return {
        "difference": comparison.difference,
        "difference_ci_low": comparison.interval.low,
        "difference_ci_high": comparison.interval.high,
        "difference_ci_level": comparison.interval.level,
        "difference_p": comparison.p_corrected,
        "difference_outcome": comparison.outcome,
        "detectable": comparison.detectable if comparison.detectable <= most else None,
        "detectable_by_more": (
            comparison.detectable_by_more if comparison.detectable_by_more <= most_by_more else None
        ),
    }


def baseline_of(rows: Sequence[BoardRow], asked: str | None = None) -> BoardRow | None:
    """Choose the row of a race that the others are compared with.

    Parameters
    ----------
    rows : sequence of BoardRow
        Rows that are ranked together, best first.
    asked : str, optional
        ``model`` (its default tier where it has one) or ``model:tier``; None leaves the choice to us. It
        does not depend on test results, which a baseline chosen by them would spoil.

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
    for models in BASELINES:
        if found := {row.model: row for row in reversed(defaults) if row.model in models}:
            return max(found.values(), key=_validated)
    return (defaults or list(rows))[-1]


def _validated(row: BoardRow) -> float:
    return -math.inf if row.val_mean is None else get_metric(row.metric).sign * row.val_mean


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
