"""A row by a metric: its figures, from stored predictions, and what comparisons need of them."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmark.board.ranking import LEVEL, Values
from benchmark.board.rows import BoardRow
from benchmark.metrics.metric import Metric
from benchmark.spec.result import BEST_VALUE, TEST_VALUE
from benchmark.stats.intervals import mean_interval, mean_of
from benchmark.stats.spread import sampling_of, scarce_class
from benchmark.tracking.predictions import PredictionReader
from benchmark.tracking.runs import StoredRun

WITHHELD: dict[str, Any] = dict.fromkeys(
    "test_" + name for name in ("mean", "ci_low", "ci_high", "std", "median", "min", "max")
) | {"val_mean": None, "val_test_gap": None, "test_values": ()}
"""What a row has whose figures are not shown."""


def figures(
    values: Sequence[float], validation: Sequence[float | None], metric: Metric, *, folds: bool = False
) -> dict[str, Any]:
    """Return the fields of a row that say how large a metric is.

    Parameters
    ----------
    values : sequence of float
        On the test split, of each seed.
    validation : sequence of float or None
        On the validation split.
    metric : Metric
        Which one it is.
    folds : bool
        Whether the values are of folds instead of seeds.
    """
    average, interval = mean(values), mean_interval(values, LEVEL, **metric.of_seeds, folds=folds)
    on_validation = mean(validation)
    return {
        "metric": metric.name,
        "test_mean": average,
        "test_ci_low": interval.low if interval else None,
        "test_ci_high": interval.high if interval else None,
        "test_std": statistics.stdev(values) if len(values) > 1 else None,
        "test_median": median(values),
        "test_min": min(values, default=None),
        "test_max": max(values, default=None),
        "test_values": tuple(values),
        "val_mean": on_validation,
        "val_test_gap": None if on_validation is None or average is None else on_validation - average,
    }


def by_metric(
    row: BoardRow,
    metric: Metric,
    runs: Mapping[str, StoredRun],
    predictions: PredictionReader,
    labels: NDArray[np.int32] | None,
) -> tuple[BoardRow, Values]:
    """Return a row with the figures of a metric other than accuracy, and the pseudo-values of its runs.

    Parameters
    ----------
    row : BoardRow
        By accuracy.
    metric : Metric
        Which one is wanted.
    runs : mapping of str to StoredRun
        By id, all runs of the row.
    predictions : PredictionReader
        Of these runs. Where a run has none, what was recorded of it counts.
    labels : ndarray of int, shape (N,), or None
        True classes of the test split.

    Returns
    -------
    BoardRow
        Without figures, and with a note, where a run has no value.
    dict of int to ndarray
        By seed; empty where the row cannot be compared.
    """
    withheld = {**WITHHELD, "metric": metric.name}
    without = dict.fromkeys(("sampling_error", "sampling_ci_low", "sampling_ci_high"))
    row = row.model_copy(update=without)
    if row.test_mean is None:
        return row.model_copy(update=withheld), {}
    if metric.needs_probabilities and any(runs[run_id].labels_only for run_id in row.run_ids):
        note = f"{metric.title} is unknown: it gives classes, and no probabilities"
        return row.model_copy(update={**withheld, "notes": (*row.notes, note)}), {}
    found = [predictions.measured(run_id, metric) for run_id in row.run_ids]
    recorded = [runs[run_id].metrics.get(TEST_VALUE.format(metric.name), math.nan) for run_id in row.run_ids]
    values = [one.value if one else value for one, value in zip(found, recorded, strict=True)]
    if not all(map(math.isfinite, values)):
        why = "undefined: a class has no test example" if all(found) else "unknown: no stored predictions"
        note = f"{metric.title} is {why}"
        return row.model_copy(update={**withheld, "notes": (*row.notes, note)}), {}
    validation = [runs[run_id].metrics.get(BEST_VALUE.format(metric.name)) for run_id in row.run_ids]
    row = row.model_copy(update=figures(values, validation, metric))
    known = {
        seed: one.pseudo_values
        for seed, one in zip(row.seeds, found, strict=True)
        if one is not None and one.pseudo_values is not None
    }
    if row.watermark is not None or len(known) < len(found):
        return row, {}
    profile = np.asarray(np.mean(list(known.values()), axis=0, dtype=np.float64))
    classes = labels if metric.by_class else None
    sampling = sampling_of(profile, classes, metric.low, metric.high, LEVEL)
    if sampling is None:
        scarce = predictions.class_name(row.dataset_digest, scarce_class(profile, classes))
        note = f"no intervals: too few test examples of class {scarce}, or it has all or none of them right"
        changes = {"test_ci_low": None, "test_ci_high": None, "notes": (*row.notes, note)}
        return row.model_copy(update=changes), known
    error, interval = sampling
    ends = {"sampling_ci_low": interval.low, "sampling_ci_high": interval.high}
    return row.model_copy(update={"sampling_error": error, **ends}), known


def mean(values: Sequence[float | None]) -> float | None:
    """Return the mean; None where there is none: no mean skips what is missing."""
    found = _complete(values)
    return mean_of(found) if found else None


def median(values: Sequence[float | None]) -> float | None:
    """Return the median; None where there is none."""
    found = _complete(values)
    return float(statistics.median(found)) if found else None


def finite(value: float | None) -> float | None:
    """Return a value; None where it is not finite."""
    return value if value is not None and math.isfinite(value) else None


def _complete(values: Sequence[float | None]) -> list[float]:
    found = [value for value in map(finite, values) if value is not None]
    return found if len(found) == len(values) else []
