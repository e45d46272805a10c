"""The board: final runs in, ranked rows out, and nothing claimed that the seeds do not support."""

from __future__ import annotations

import math
import statistics
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from benchmark.report.rows import WATERMARK, BoardRow
from benchmark.stats.intervals import MIN_SEEDS, Interval, mean_interval
from benchmark.tracking.records import FinalRun

_USUAL_PROTOCOL = "inductive"


def build_board(runs: Sequence[FinalRun], looks: Mapping[str, int]) -> list[BoardRow]:
    """Compute the rows of a board.

    Parameters
    ----------
    runs : sequence of FinalRun
        Final runs, in any order and with any status.
    looks : mapping of str to int
        How often each model has read the test part, by its name.

    Returns
    -------
    list of BoardRow
        One row for each data set (by digest), model, tier, budget, study and protocol; by mean test
        accuracy, best first, then rows without a finished seed, then smoke tests.

    Notes
    -----
    For each seed the latest ok run counts. A seed without one counts as diverged or failed by its
    latest run (``failed``, ``oom``, ``timeout``), or as missing where there is none or it was
    interrupted: nothing is known about such a seed, and the same command again runs it.

    Ranks are given among rows of the same data set, budget and protocol only. **Provisional rule**:
    going down by the mean, a row joins the current rank where its interval overlaps the interval of
    the rank's first row, or where either has no interval; otherwise its rank is its place (1, 1, 3).
    Overlap is conservative: it separates fewer rows than a paired comparison of the same seeds would.
    """
    groups: dict[tuple[str, ...], list[FinalRun]] = defaultdict(list)
    for run in runs:
        for tier in dict.fromkeys(run.tiers):
            key = (run.dataset_digest, run.model, tier, run.budget, run.study, run.protocol)
            groups[key].append(run)
    rows = [_row(key[2], group, looks.get(key[1], 0)) for key, group in groups.items()]
    return _ranked(sorted(rows, key=_order))


def _row(tier: str, runs: list[FinalRun], looks: int) -> BoardRow:
    by_seed: dict[int, list[FinalRun]] = defaultdict(list)
    for run in sorted(runs, key=lambda run: (run.ended_at, run.run_id)):
        by_seed[run.seed].append(run)
    counted = [ok[-1] for _, tries in sorted(by_seed.items()) if (ok := [r for r in tries if _finished(r)])]
    lost = [tries[-1].status for tries in by_seed.values() if not any(_finished(r) for r in tries)]
    expected = max(len(by_seed), *(run.seeds_expected for run in runs))
    n_diverged, interrupted = lost.count("diverged"), lost.count("interrupted")
    n_failed = len(lost) - n_diverged - interrupted
    accuracies = [run.test_accuracy for run in counted if run.test_accuracy is not None]
    interval = _clipped(mean_interval(accuracies))
    latest = max(counted or runs, key=lambda run: (run.ended_at, run.run_id))
    smoke, searched = latest.budget == "smoke", tier != "default"
    row = BoardRow(
        rank=None,
        model=latest.model,
        tier=tier,
        budget=latest.budget,
        dataset=latest.dataset,
        dataset_digest=latest.dataset_digest,
        study=latest.study,
        protocol=latest.protocol,
        test_accuracy_mean=_mean(accuracies),
        test_accuracy_ci_low=interval.low if interval else None,
        test_accuracy_ci_high=interval.high if interval else None,
        test_accuracy_std=statistics.stdev(accuracies) if len(accuracies) > 1 else None,
        test_accuracy_median=_median(accuracies),
        test_accuracy_min=min(accuracies, default=None),
        test_accuracy_max=max(accuracies, default=None),
        test_loss_mean=_mean([run.test_loss for run in counted]),
        n_seeds=len(counted),
        seeds_expected=expected,
        n_failed=n_failed,
        n_diverged=n_diverged,
        n_missing=expected - len(counted) - n_failed - n_diverged,
        val_accuracy_mean=_mean([run.val_accuracy for run in counted]),
        parameters=latest.parameters,
        train_seconds_median=_median([run.train_seconds for run in counted]),
        epochs_median=_median([run.epochs_run for run in counted]),
        search_trials=latest.search_trials if searched else 0,
        search_seconds=_finite(latest.search_seconds) if searched else 0.0,
        device=_joined(run.device for run in counted or runs),
        versions=_joined(run.versions for run in counted or runs),
        git_commit=_joined(run.git_commit for run in counted or runs),
        test_looks=looks,
        watermark=WATERMARK if smoke else None,
        notes=(),
        run_ids=tuple(run.run_id for run in counted),
    )
    return row.model_copy(update={"notes": _notes(row, counted)})


def _notes(row: BoardRow, counted: list[FinalRun]) -> tuple[str, ...]:
    notes = []
    for count, word in ((row.n_missing, "missing"), (row.n_failed, "failed"), (row.n_diverged, "diverged")):
        if count:
            notes.append(f"{count} of {row.seeds_expected} seeds {word}")
    if row.n_seeds < MIN_SEEDS:
        notes.append(f"no interval: needs {MIN_SEEDS} seeds, has {row.n_seeds}")
    if row.protocol != _USUAL_PROTOCOL:
        notes.append(f"protocol {row.protocol}: ranked among its own kind only")
    for what in ("device", "versions", "git_commit"):
        if len({getattr(run, what) for run in counted}) > 1:
            notes.append(f"seeds differ in {what.replace('_', ' ')}: {getattr(row, what)}")
    return tuple(notes)


def _ranked(rows: list[BoardRow]) -> list[BoardRow]:
    """Give ranks to sorted rows; the rule stands in `build_board`."""
    place: dict[tuple[str, str, str], int] = defaultdict(int)
    top: dict[tuple[str, str, str], BoardRow] = {}
    ranked = []
    for row in rows:
        if row.watermark is not None or row.test_accuracy_mean is None:
            ranked.append(row)
            continue
        race = (row.dataset_digest, row.budget, row.protocol)
        place[race] += 1
        leader = top.get(race)
        joins = leader is not None and not _separated(leader, row)
        rank = leader.rank if leader is not None and joins else place[race]
        ranked.append(row.model_copy(update={"rank": rank}))
        if not joins:
            top[race] = ranked[-1]
    return ranked


def _separated(a: BoardRow, b: BoardRow) -> bool:
    first, second = _interval(a), _interval(b)
    return first is not None and second is not None and not first.overlaps(second)


def _interval(row: BoardRow) -> Interval | None:
    if row.test_accuracy_ci_low is None or row.test_accuracy_ci_high is None:
        return None
    return Interval(row.test_accuracy_ci_low, row.test_accuracy_ci_high, 0.95)


def _order(row: BoardRow) -> tuple[bool, str, str, bool, float, str, str, str, str, str]:
    mean = row.test_accuracy_mean
    smoke, none = row.watermark is not None, mean is None
    names = (row.model, row.tier, row.budget, row.study, row.protocol)
    return (smoke, row.dataset, row.dataset_digest, none, -(mean or 0.0), *names)


def _finished(run: FinalRun) -> bool:
    """Whether a run counts; an ok one without a finite accuracy has nothing to count."""
    return run.status == "ok" and _finite(run.test_accuracy) is not None


def _clipped(interval: Interval | None) -> Interval | None:
    """Cut an interval of accuracies to [0, 1], where every mean accuracy lies."""
    if interval is None:
        return None
    return Interval(max(0.0, interval.low), min(1.0, interval.high), interval.level)


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def _complete(values: Sequence[float | None]) -> list[float]:
    """Return the values, or nothing where one is absent: no mean skips what is missing."""
    found = [value for value in map(_finite, values) if value is not None]
    return found if len(found) == len(values) else []


def _mean(values: Sequence[float | None]) -> float | None:
    found = _complete(values)
    return statistics.fmean(found) if found else None


def _median(values: Sequence[float | None]) -> float | None:
    found = _complete(values)
    return float(statistics.median(found)) if found else None


def _joined(values: Iterable[str]) -> str:
    return " / ".join(sorted(set(values)))
