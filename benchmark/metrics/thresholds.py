"""From which probability on the second of two classes is answered, chosen on labelled texts for a metric."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from benchmark.metrics.metric import FloatArray, Metric, Predictions, get_metric

MOST_CANDIDATES = 200
"""Thresholds that are tried at most, beside 0.5."""


def metric_of_answers(name: str) -> Metric:
    """Return what a threshold is chosen for: the metric, or balanced accuracy where no threshold moves it."""
    metric = get_metric(name)
    return get_metric("balanced_accuracy") if metric.needs_probabilities else metric


def best_threshold(predictions: Predictions, metric: Metric) -> float:
    """Return the threshold with the best value of a metric, of equal ones the nearest to 0.5.

    Tried are 0.5, as which the metric is never worse than without a threshold, and the midpoints between
    neighbouring probabilities; of many those at quantiles of each class, since of a rare class quantiles of
    all texts would see little.

    Parameters
    ----------
    predictions : Predictions
        Of two classes, on the validation split.
    metric : Metric
        Of the answered classes.
    """
    tried = [0.5, *_midpoints(predictions).tolist()]
    values = np.array([metric.sign * metric.value(replace(predictions, threshold=one)) for one in tried])
    best = np.flatnonzero(values == np.nanmax(values))
    return float(min((tried[place] for place in best), key=lambda one: abs(one - 0.5)))


def _midpoints(predictions: Predictions) -> FloatArray:
    """Return midpoints in single precision, in which probabilities are stored and compared."""
    scores = predictions.probabilities[:, 1]
    distinct = np.unique(scores)
    if len(distinct) > MOST_CANDIDATES:
        shares = np.linspace(0, 1, MOST_CANDIDATES // 2)
        by_class = [scores[predictions.labels == label] for label in np.unique(predictions.labels)]
        chosen = np.concatenate([np.quantile(one, shares, method="nearest") for one in by_class])
        places = np.unique(np.maximum(np.searchsorted(distinct, chosen), 1))
    else:
        places = np.arange(1, len(distinct))
    below, above = distinct[places - 1], distinct[places]
    middle = (below + above) / 2
    return np.asarray(np.where(middle > below, middle, above), dtype=np.float64)
