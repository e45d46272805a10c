"""The board over folds: a pure combination of the boards of a cross-validation's folds."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from statistics import fmean

import numpy as np

from benchmark.board.board import (
    FROM_COMPARISONS,
    JOINED,
    UNORDERED,
    Analysis,
    board_order,
    failure_bound,
    joined,
)
from benchmark.board.measured import WITHHELD, figures, mean, median
from benchmark.board.ranking import as_printed, ranked, systems, with_differences
from benchmark.board.rows import Board, BoardRow
from benchmark.board.summary import summaries
from benchmark.data.folds import Fold
from benchmark.metrics.metric import get_metric
from benchmark.stats.folds import FoldMeans

HEURISTIC = "over folds: intervals and p-values are heuristic, no unbiased variance exists"
_SUMS = (
    *("n_seeds", "seeds_expected", "n_failed", "n_diverged", "n_unlearned", "n_missing"),
    *("search_seconds", "test_reads", "test_reads_unrecorded"),
)
_MEDIANS = ("train_seconds_median", "epochs_median", "predict_ms", "predict_texts_per_second")
_WHOLE = ("parameters", "refit_texts")
_ABOUT_SEEDS = "no interval"  # how a note begins that a row over folds does not need


def fold_board(
    boards: Mapping[Fold, Board],
    examples: Mapping[str, int],
    *,
    margin: float | None = None,
    baseline: str | None = None,
    versions: Sequence[str] = (),
) -> Analysis:
    """Combine the boards of folds.

    Parameters
    ----------
    boards : mapping of Fold to Board
        All by the same metric; of one data set, or of several that have a name in common.
    examples : mapping of str to int
        Texts of each data set, by the digest of all its folds.
    margin, baseline, versions
        As in `benchmark.board.board.build_board`.

    Returns
    -------
    Analysis
        A row for each model, tier, budget, study and protocol: its figures are means over folds. A row
        without a result on some fold has neither an interval nor a rank.
    """
    found: dict[tuple[str, ...], dict[Fold, BoardRow]] = defaultdict(dict)
    for fold in sorted(boards):
        for row in boards[fold].rows:
            study = row.study.removesuffix(fold.suffix)
            found[fold.digest, row.model, row.tier, row.budget, study, row.protocol][fold] = row
    rows = sorted((_row(by_fold, key[4]) for key, by_fold in found.items()), key=board_order)
    measured = {
        place: FoldMeans(np.array(row.test_values), examples.get(row.dataset_digest, 0))
        for place, row in ((place, rows[place]) for place in dict.fromkeys(systems(rows)))
        if row.test_ci_low is not None and row.watermark is None
    }
    rows, pairs = ranked(rows, measured, margin)
    rows = with_differences(rows, measured, baseline, margin)
    shares: dict[str, list[float]] = defaultdict(list)
    for fold, one in boards.items():
        shares[fold.digest] += one.majority.values()
    board = next(iter(boards.values())).model_copy(
        update={
            "metrics": {name: facts for one in boards.values() for name, facts in one.metrics.items()},
            "majority": {digest: fmean(of) for digest, of in shares.items() if of},
            "rows": tuple(rows),
            "comparisons": tuple(pairs),
            "versions": tuple(versions),
        }
    )
    return Analysis(board.model_copy(update={"summary": tuple(summaries(as_printed(board)))}), measured)


def _row(by_fold: Mapping[Fold, BoardRow], study: str) -> BoardRow:
    """Return a row that nothing is compared with yet."""
    rows, last = list(by_fold.values()), max(by_fold)
    means = {fold: row.test_mean for fold, row in by_fold.items() if row.test_mean is not None}
    metric = get_metric(rows[0].metric)
    shown = figures(list(means.values()), [by_fold[fold].val_mean for fold in means], metric, folds=True)
    withheld = next((row for row in rows if row.run_ids and row.test_mean is None), None)
    if withheld:
        shown = {**WITHHELD, "metric": metric.name}
    elif len(means) < last.of:
        shown |= {"test_ci_low": None, "test_ci_high": None}
    sums = {name: sum(getattr(row, name) or 0 for row in rows) for name in _SUMS}
    missing = (last.of - len(rows)) * max(row.seeds_expected for row in rows)
    for name in ("seeds_expected", "n_missing"):
        sums[name] += missing
    failed = sums["n_diverged"] + sums["n_unlearned"]
    row = rows[-1].model_copy(
        update={
            **FROM_COMPARISONS,
            **shown,
            **sums,
            **{name: median([getattr(row, name) for row in rows]) for name in _MEDIANS},
            **{name: _whole(median([getattr(row, name) for row in rows])) for name in _WHOLE},
            **{name: joined(getattr(row, name) for row in rows) for name in JOINED},
            "dataset_digest": last.digest,
            "study": study,
            "test_loss_mean": mean([row.test_loss_mean for row in rows]),
            "failure_bound": failure_bound(failed, sums["n_seeds"] + failed),
            "search_trials": max(row.search_trials for row in rows),
            "test_duplicates": _duplicates(rows),
            "seeds": tuple(seed for row in rows for seed in row.seeds),
            "run_ids": tuple(run_id for row in rows for run_id in row.run_ids),
            "folds": tuple(fold.number for fold in means),
        }
    )
    return row.model_copy(update={"notes": tuple(_notes(by_fold, len(means)))})


def _notes(by_fold: Mapping[Fold, BoardRow], results: int) -> Iterable[str]:
    """Say what a reader must know of a row: each note of its folds once, with the folds that it is about."""
    folds = next(iter(by_fold)).of
    yield HEURISTIC
    if results < folds:
        yield f"no interval: {results} of {folds} folds have a result"
    about: dict[str, list[int]] = defaultdict(list)
    for fold, row in by_fold.items():
        for note in row.notes:
            if not note.startswith(_ABOUT_SEEDS):
                about[note].append(fold.number)
    for note, numbers in about.items():
        where = f"fold{'s' if len(numbers) > 1 else ''} {', '.join(map(str, numbers))}: "
        if len(numbers) == folds:
            yield note
        elif note != UNORDERED:  # one fold is too small to tell
            yield where + note


def _duplicates(rows: Sequence[BoardRow]) -> str | None:
    """Add up how many test texts of folds stand in their training texts, too."""
    counts = [re.match(r"[\d,]+", row.test_duplicates or "") for row in rows]
    total = sum(int(count[0].replace(",", "")) for count in counts if count)
    return f"{total:,}" if total else None


def _whole(value: float | None) -> int | None:
    return None if value is None else round(value)
