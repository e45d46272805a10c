"""The board: final runs in, ranked rows out, and nothing claimed that the runs do not support."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmark.board.measured import WITHHELD, by_metric, figures, finite, mean, median
from benchmark.board.ranking import (
    LEVEL,
    Measured,
    Values,
    as_printed,
    ranked,
    section_runs,
    systems,
    with_differences,
)
from benchmark.board.rows import CHANGED, WATERMARK, Board, BoardRow, MetricFacts
from benchmark.board.summary import summaries
from benchmark.data.ledger_chain import EXPORTED, SHOWN
from benchmark.metrics.metric import ACCURACY, Metric, get_metric
from benchmark.stats.failures import failed_to_learn, failure_rate_bound
from benchmark.stats.intervals import MIN_SEEDS, sampling_error
from benchmark.tracking import names
from benchmark.tracking.predictions import PredictionReader
from benchmark.tracking.runs import StoredRun

_USUAL_PROTOCOL = "inductive"
_UNKNOWN = "not compared: its predictions are missing or do not give its test accuracy"
UNORDERED = "orders texts no better than by chance: its area under the ROC curve cannot be told from 0.5"
_ROUNDING = 1e-5  # of an accuracy in single precision
_TIES = 2  # examples: a model that is constant has more, and they do not excuse every figure
JOINED = ("device", "machine", "versions", "git_commit")
_OF_LATEST = (
    "model",
    "budget",
    "dataset",
    "dataset_digest",
    "study",
    "protocol",
    "optimised_for",
    "parameters",
)
_COUNT_OF = re.compile(r"(\d{1,18}) of (\d{1,18})")
_SPEEDS = ("predict_ms", "predict_texts_per_second")
FROM_COMPARISONS: dict[str, Any] = dict.fromkeys(
    (
        *("rank", "rank_worst", "sampling_error", "sampling_ci_low", "sampling_ci_high", "baseline"),
        *("difference", "difference_ci_low", "difference_ci_high", "difference_ci_level", "difference_p"),
        *("difference_outcome", "detectable", "detectable_by_more"),
    )
)


class Analysis(NamedTuple):
    """A board, and what comparisons need of the runs of its rows, by their places (`section_runs`)."""

    board: Board
    runs: Mapping[int, Measured]


def build_board(
    runs: Sequence[StoredRun],
    test_reads: Mapping[tuple[str, str], int],
    predictions: PredictionReader,
    *,
    metric: str | None = None,
    margin: float | None = None,
    baseline: str | None = None,
    unrecorded: Mapping[tuple[str, str], int] | None = None,
    versions: Sequence[str] = (),
    draws: bool = False,
) -> Analysis:
    """Compute the board of a data set.

    Parameters
    ----------
    runs : sequence of StoredRun
        Final runs, in any order and with any status.
    test_reads : mapping of (str, str) to int
        How often the test split has been read, by digest of the data set and name of the model, as the ledger
        says.
    predictions : PredictionReader
        Asked for the runs that are compared or whose sampling error is shown, and for no others.
    metric : str, optional
        By what rows are ranked; by default each section by what its runs were optimised for.
    margin : float, optional
        The smallest difference worth talking about; by default that of the metric.
    baseline : str, optional
        ``model`` or ``model:tier``, to which each row's difference is shown. See
        `benchmark.board.ranking.baseline_of` for the choice where nothing is asked.
    unrecorded : mapping of (str, str) to int, optional
        Runs that have read the test split and have no entry in the ledger, in the same way.
    versions : sequence of str
        As in `Board`.
    draws : bool
        Whether the seeds of a row draw its training texts. Then none has failed to learn: without the worst
        draws a mean over few texts would be too good.

    Returns
    -------
    Board
        The first of the two: one row for each data set (by digest), model, tier, budget, study and protocol;
        by mean, best first, then rows without a finished seed, then smoke tests.

    Notes
    -----
    For each seed the latest ok run counts. A seed without one counts as diverged or failed by its
    latest run (``failed``, ``oom``, ``timeout``), or as missing where there is none or it was
    interrupted: nothing is known about such a seed, and the same command again runs it.

    Rows of the same data set, budget and protocol, whose runs were optimised for the same metric, are a
    section. All pairs of a section are compared as one family, for the ranks, and all rows with the baseline
    as another (`benchmark.stats.verdicts.family`). A row with fewer than three seeds, or without
    predictions, is compared with nothing and has no rank. Runs that failed to learn are not in a row's mean,
    and the row wins nothing. An accuracy that stored predictions contradict is withheld: its row has no
    rank.
    """
    groups: dict[tuple[str, str, str, str, str, str], list[StoredRun]] = defaultdict(list)
    for run in runs:
        for tier in dict.fromkeys(run.tiers):
            key = (run.dataset_digest, run.model, tier, run.budget, run.study, run.protocol)
            groups[key].append(run)
    missing = unrecorded or {}

    def row_of(key: tuple[str, str, str, str, str, str], unlearned: frozenset[str] = frozenset()) -> BoardRow:
        reads, unread = test_reads.get(key[:2], 0), missing.get(key[:2], 0)
        return _row(key[2], groups[key], reads, unread, unlearned)

    made = sorted(((row_of(key), key) for key in groups), key=lambda one: board_order(one[0]))
    first = systems([row for row, _ in made])
    read = {place: _answers(made[place][0], predictions) for place in dict.fromkeys(first)}
    labels: dict[str, NDArray[np.int32] | None] = {}
    by_id = {run.run_id: run for run in runs}
    checked = []
    for (row, key), place in zip(made, first, strict=True):
        known, contradiction = read[place]
        if known and row.dataset_digest not in labels:
            labels[row.dataset_digest] = predictions.labels(row.run_ids[0])
        truth = labels.get(row.dataset_digest)
        unlearned = [] if draws else _unlearned(row, known, truth)
        if unlearned:
            row = row_of(key, frozenset(unlearned))
            known = {seed: known[seed] for seed in row.seeds}
        row = _with_answers(row, known, contradiction)
        wanted = get_metric(metric or row.optimised_for)
        values: Values = known
        if wanted.name != ACCURACY:
            row, values = by_metric(row, wanted, by_id, predictions, truth)
        checked.append((_with_usefulness(row, predictions) if known else row, values))
    checked.sort(key=lambda one: board_order(one[0]))
    truths = {digest: truth for digest, truth in labels.items() if truth is not None}
    summarised = section_runs([row for row, _ in checked], [values for _, values in checked], truths)
    rows, pairs = ranked([row for row, _ in checked], summarised, margin)
    rows = with_differences(rows, summarised, baseline, margin)
    board = Board(
        metrics={
            name: _facts(get_metric(name), margin) for name in dict.fromkeys(row.metric for row in rows)
        },
        majority={digest: _majority(truth) for digest, truth in truths.items()},
        level=LEVEL,
        rows=tuple(rows),
        comparisons=tuple(pairs),
        examples_shown=_shown(test_reads),
        versions=tuple(versions),
    )
    board = board.model_copy(update={"summary": tuple(summaries(as_printed(board)))})
    return Analysis(board, summarised)


def _shown(test_reads: Mapping[tuple[str, str], int]) -> dict[str, int]:
    """Count by data set how often test texts were shown, or written to a file."""
    found: Counter[str] = Counter()
    for (digest, name), count in test_reads.items():
        found[digest] += count if name in (SHOWN, EXPORTED) else 0
    return {digest: count for digest, count in found.items() if count}


def _facts(metric: Metric, margin: float | None) -> MetricFacts:
    return MetricFacts(
        title=metric.title,
        larger_is_better=metric.larger_is_better,
        percent=metric.percent,
        margin=metric.margin_for(margin),
    )


def _majority(labels: NDArray[np.int32]) -> float:
    return float(np.bincount(labels).max() / len(labels))


def _row(
    tier: str, runs: list[StoredRun], test_reads: int, unrecorded: int, unlearned: frozenset[str]
) -> BoardRow:
    """Return a row that nothing is compared with yet; runs that failed to learn are named by their ids."""
    by_seed: dict[int, list[StoredRun]] = defaultdict(list)
    for run in sorted(runs, key=lambda run: (run.ended_at, run.run_id)):
        by_seed[run.seed].append(run)
    latest_ok = [ok[-1] for _, tries in sorted(by_seed.items()) if (ok := [r for r in tries if _finished(r)])]
    counted = [run for run in latest_ok if run.run_id not in unlearned]
    n_unlearned = len(latest_ok) - len(counted)
    lost = [tries[-1].status for tries in by_seed.values() if not any(_finished(r) for r in tries)]
    expected = max(len(by_seed), *(run.seeds_expected for run in runs))
    n_diverged, interrupted = lost.count("diverged"), lost.count("interrupted")
    n_failed = len(lost) - n_diverged - interrupted
    accuracies = [run.test_accuracy for run in counted if run.test_accuracy is not None]
    latest = max(counted or runs, key=lambda run: (run.ended_at, run.run_id))
    smoke, searched = latest.budget == "smoke", tier != "default"
    row = BoardRow(
        **FROM_COMPARISONS,
        **{name: getattr(latest, name) for name in _OF_LATEST},
        **{name: joined(getattr(run, name) for run in counted or runs) for name in JOINED},
        tier=tier,
        **figures(accuracies, [run.val_accuracy for run in counted], get_metric(ACCURACY)),
        test_loss_mean=mean([run.test_loss for run in counted]),
        n_seeds=len(counted),
        seeds_expected=expected,
        n_failed=n_failed,
        n_diverged=n_diverged,
        n_unlearned=n_unlearned,
        failure_bound=failure_bound(n_diverged + n_unlearned, len(latest_ok) + n_diverged),
        n_missing=expected - len(latest_ok) - n_failed - n_diverged,
        train_seconds_median=median([run.train_seconds for run in counted]),
        epochs_median=median([run.epochs_run for run in counted]),
        search_trials=latest.search_trials if searched else 0,
        search_seconds=finite(latest.search_seconds) if searched else 0.0,
        **{name: _first(run.metrics.get(name) for run in counted) for name in _SPEEDS},
        test_reads=test_reads + unrecorded,
        test_reads_unrecorded=unrecorded,
        test_duplicates=_duplicates(latest.test_duplicates),
        watermark=WATERMARK if smoke else None,
        refit_texts=None if (texts := latest.metrics.get(names.REFIT_TEXTS)) is None else int(texts),
        notes=(),
        seeds=tuple(run.seed for run in counted),
        run_ids=tuple(run.run_id for run in counted),
    )
    notes = _notes(row, counted)
    if (facts := _COUNT_OF.fullmatch(latest.made_for)) and "default" in latest.tiers:
        notes = (*notes, f"made for {int(facts[2]):,} texts; here {int(facts[1]):,}")
    if searched and latest.search_ended:
        notes = (*notes, f"search stopped early: {latest.search_ended}")
    return row.model_copy(update={"notes": notes})


def _duplicates(stored: str) -> str | None:
    """Write ``123 of 25000`` with its share; None where it is nothing or 0."""
    found = _COUNT_OF.fullmatch(stored)
    if found is None or not int(found[2]):
        return stored or None
    count, size = map(int, found.groups())
    return f"{count:,} of {size:,} ({100 * count / size:.2g} %)" if count else None


def failure_bound(failed: int, runs: int) -> float | None:
    """Return the upper bound of a row's rate of failure; None where it has no runs."""
    return failure_rate_bound(failed, runs) if runs else None


def _unlearned(row: BoardRow, known: Values, labels: NDArray[np.int32] | None) -> list[str]:
    """Return the ids of the runs that failed to learn."""
    if not known or labels is None:
        return []
    right = [int(np.count_nonzero(known[seed])) for seed in row.seeds]
    failed = failed_to_learn(right, len(labels), _majority(labels))
    return [run_id for run_id, lost in zip(row.run_ids, failed, strict=True) if lost]


def _notes(row: BoardRow, counted: list[StoredRun]) -> tuple[str, ...]:
    notes = []
    for count, word in (
        (row.n_missing, "missing"),
        (row.n_failed, "failed"),
        (row.n_diverged, "diverged"),
        (row.n_unlearned, "failed to learn (no better than the most frequent class) and are not in the mean"),
    ):
        if count:
            notes.append(f"{count} of {row.seeds_expected} seeds {word}")
    if row.unsteady:
        notes.append("never called better, since some seeds are lost")
    if row.n_seeds < MIN_SEEDS:
        notes.append(f"no interval: needs {MIN_SEEDS} seeds, has {row.n_seeds}")
    if row.tier == names.IMPORTED:
        notes.append("imported: protocol not enforced; search and test reads unknown")
    elif row.protocol != _USUAL_PROTOCOL:
        notes.append(protocol_note(row.protocol))
    if row.refit_texts:
        notes.append(
            f"fitted again on training and validation texts, {row.refit_texts:,} in all; its validation "
            "value is of a fit on the training texts alone, as all figures of rows without this note"
        )
    if rising := sum(run.metrics.get(names.RISING, 0) > 0 for run in counted):
        notes.append(f"{rising} of {len(counted)} seeds were still improving at their last epoch")
    if loose := sum(run.deterministic == "off" for run in counted):
        notes.append(f"{loose} of {len(counted)} seeds were trained without deterministic operations")
    for what in JOINED:
        if len({getattr(run, what) for run in counted}) > 1:
            notes.append(f"seeds differ in {what.replace('_', ' ')}: {getattr(row, what)}")
    return tuple(notes)


def protocol_note(protocol: str) -> str:
    """Say of a row of a board that it has seen more than the training split."""
    return f"protocol {protocol}: ranked within this protocol only"


def _answers(row: BoardRow, predictions: PredictionReader) -> tuple[Values, str]:
    """Read a row's answers by seed; nothing where it has no rank, or they do not give its accuracies.

    The text says how they contradict an accuracy, "" where they do not.
    """
    if row.watermark is not None:
        return {}, ""
    found = {}
    for seed, run_id, accuracy in zip(row.seeds, row.run_ids, row.test_values, strict=True):
        right = predictions.right(run_id)
        if right is None:
            return {}, ""
        given = np.count_nonzero(right) / len(right)
        if (apart := abs(given - accuracy)) > _ROUNDING:
            wrong = apart > min(predictions.ties(run_id), _TIES) / len(right) + _ROUNDING
            text = f"seed {seed}: its test accuracy is {accuracy:.6g}, but its predictions give {given:.6g}"
            return {}, f"{text}: {CHANGED}" if wrong else ""
        found[seed] = right
    return found, ""


def _with_answers(row: BoardRow, known: Values, contradiction: str) -> BoardRow:
    """Add the sampling error, or take out accuracies that the answers contradict."""
    if contradiction:
        return row.model_copy(update={**WITHHELD, "notes": (*row.notes, contradiction)})
    if not known:
        counts = row.n_seeds and row.watermark is None
        return row.model_copy(update={"notes": (*row.notes, _UNKNOWN)}) if counts else row
    error, interval = sampling_error(np.stack(list(known.values())), LEVEL)
    changes = {"sampling_ci_low": interval.low, "sampling_ci_high": interval.high}
    return row.model_copy(update={"sampling_error": error, **changes})


def _with_usefulness(row: BoardRow, predictions: PredictionReader) -> BoardRow:
    """Say of a row that it answers one class alone, or orders texts no better than by chance."""
    notes: list[str] = []
    for attribute, note in (("one_class", "answers one class alone"), ("unordered", UNORDERED)):
        for run_id in row.run_ids:
            found = predictions.usefulness(run_id)
            if found is None or not getattr(found, attribute):
                break
        else:
            notes.append(note)
    return row.model_copy(update={"notes": (*row.notes, *notes)}) if notes else row


def board_order(row: BoardRow) -> tuple[bool, str, str, bool, float, str, str, str, str, str]:
    """Return by what the rows of a board are sorted."""
    value = row.test_mean
    smoke, none = row.watermark is not None, value is None
    falling = -get_metric(row.metric).sign * (value or 0.0)
    name = (row.model, row.tier, row.budget, row.study, row.protocol)
    return (smoke, row.dataset, row.dataset_digest, none, falling, *name)


def _finished(run: StoredRun) -> bool:
    """Whether a run counts; an ok one without a finite accuracy has nothing to count."""
    return run.status == "ok" and finite(run.test_accuracy) is not None


def _first(values: Iterable[float | None]) -> float | None:
    return next((value for value in values if value is not None), None)


def joined(values: Iterable[str]) -> str:
    """Write a fact of several runs once, or all that it is."""
    found = sorted(set(values))
    return found[0] if len(found) == 1 else " / ".join(value or "unknown" for value in found)
