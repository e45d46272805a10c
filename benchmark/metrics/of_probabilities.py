"""Metrics of probabilities: areas, which are of ranks, and losses, which are means over examples."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from benchmark.metrics.metric import FloatArray, Metric, Predictions

_RARE = 1 / 3
_BINS = 15
_ERROR = 0.05

_Influence = Callable[[FloatArray, NDArray[np.bool_]], FloatArray]


def positive_class(predictions: Predictions) -> int:
    """Of two classes, the one that average precision is of: the rare one, or else the second."""
    return int(np.mean(predictions.labels == 0) > _RARE)


def unordered(predictions: Predictions) -> bool:
    """Whether texts are ordered no better than by chance: no class can be told from the rest.

    By Mann and Whitney's (1947) test of each class's area under the ROC curve against 0.5, two-sided, at 5 %
    for all classes together (Bonferroni).
    """
    from scipy.special import ndtri
    from scipy.stats import rankdata

    scores = predictions.probabilities
    labels = [1] if scores.shape[1] == 2 else range(scores.shape[1])
    quantile = -float(ndtri(_ERROR / 2 / len(labels)))
    for label in labels:
        positive = predictions.labels == label
        n = int(positive.sum())
        m = len(positive) - n
        if n and m:
            area = (rankdata(scores[:, label])[positive].sum() - n * (n + 1) / 2) / (n * m)
            if abs(area - 0.5) > quantile * np.sqrt((n + m + 1) / (12 * n * m)):
                return False
    return True


def _roc_auc(predictions: Predictions) -> float:
    from sklearn.metrics import roc_auc_score

    classes = predictions.probabilities.shape[1]
    if classes == 2:
        return float(roc_auc_score(predictions.labels, predictions.probabilities[:, 1]))
    return float(
        roc_auc_score(
            predictions.labels, predictions.probabilities, multi_class="ovr", labels=np.arange(classes)
        )
    )


def _average_precision(predictions: Predictions) -> float:
    from sklearn.metrics import average_precision_score

    classes = predictions.probabilities.shape[1]
    if classes == 2:
        positive = positive_class(predictions)
        truth, scores = predictions.labels == positive, predictions.probabilities[:, positive]
        return float(average_precision_score(truth, scores))
    truth = predictions.labels[:, None] == np.arange(classes)
    return float(average_precision_score(truth, predictions.probabilities))


def _log_loss(predictions: Predictions) -> float:
    from sklearn.metrics import log_loss

    classes = np.arange(predictions.probabilities.shape[1])
    return float(log_loss(predictions.labels, predictions.probabilities, labels=classes))


def _brier(predictions: Predictions) -> float:
    from sklearn.metrics import brier_score_loss

    classes = predictions.probabilities.shape[1]
    if classes == 2:
        return float(brier_score_loss(predictions.labels, predictions.probabilities[:, 1], labels=[0, 1]))
    return float(brier_score_loss(predictions.labels, predictions.probabilities, labels=np.arange(classes)))


def _ece(predictions: Predictions) -> float:
    """Expected calibration error of the most probable class (Guo et al. 2017), in 15 bins of equal width."""
    sure = predictions.probabilities.max(axis=1).astype(np.float64)
    right = predictions.probabilities.argmax(axis=1) == predictions.labels
    # The bins are open below and closed above, as in the reference.
    bins = np.clip(np.ceil(sure * _BINS).astype(int) - 1, 0, _BINS - 1)
    gaps = np.bincount(bins, right - sure, minlength=_BINS)
    return float(np.abs(gaps).sum() / len(sure))


def _one_against_rest(influence: _Influence) -> Callable[[Predictions], FloatArray]:
    """Average the influence over classes, each against the rest; of two classes, one is enough."""

    def average(predictions: Predictions) -> FloatArray:
        scores = predictions.probabilities.astype(np.float64)
        classes = [positive_class(predictions)] if scores.shape[1] == 2 else range(scores.shape[1])
        parts = [influence(scores[:, c], predictions.labels == c) for c in classes]
        return np.asarray(np.mean(parts, axis=0))

    return average


def _of_roc_auc(scores: FloatArray, positive: NDArray[np.bool_]) -> FloatArray:
    """DeLong's placements: the share of the other class that an example stands on the right side of."""
    from scipy.stats import rankdata

    ranks = rankdata(scores)
    n, m = positive.sum(), len(scores) - positive.sum()
    found = np.empty(len(scores))
    found[positive] = (ranks[positive] - rankdata(scores[positive])) / m
    found[~positive] = 1 - (ranks[~positive] - rankdata(scores[~positive])) / n
    area = found[positive].mean()
    return np.asarray((found - area) * len(scores) / np.where(positive, n, m))


def _of_average_precision(scores: FloatArray, positive: NDArray[np.bool_]) -> FloatArray:
    """Return the derivative of ``Σ P(s_i) / n`` over positives, where P is the precision at a threshold.

    An example of either class adds to what stands at and above all thresholds at and below its score; a
    positive is a further term of the mean, too.
    """
    values, place = np.unique(-scores, return_inverse=True)  # thresholds, the highest first
    at = np.bincount(place, positive, minlength=len(values))
    above = np.cumsum(at)
    total = np.cumsum(np.bincount(place, minlength=len(values)))
    n, precision = at.sum(), above / total
    # What a further positive, or negative, above a threshold does to the terms of the positives there.
    gain, loss = (np.cumsum((at * part / total**2)[::-1])[::-1] for part in (total - above, above))
    whole = (at * precision).sum() / n
    further = np.where(positive, precision[place] - whole + gain[place], -loss[place])
    return np.asarray(len(scores) * further / n)


def _of_log_loss(predictions: Predictions) -> FloatArray:
    sure = _of_truth(predictions)
    least = float(np.finfo(predictions.probabilities.dtype).eps)  # as scikit-learn clips
    losses = -np.log(np.clip(sure, least, 1 - least))
    return np.asarray(losses - losses.mean())


def _of_brier(predictions: Predictions) -> FloatArray:
    wide = predictions.probabilities.astype(np.float64)
    squares = np.square(wide).sum(axis=1) - 2 * _of_truth(predictions) + 1
    losses = squares / 2 if wide.shape[1] == 2 else squares
    return np.asarray(losses - losses.mean())


def _of_truth(predictions: Predictions) -> FloatArray:
    rows = np.arange(len(predictions.labels))
    return predictions.probabilities.astype(np.float64)[rows, predictions.labels]


ROC_AUC = Metric(
    "roc_auc",
    "area under the ROC curve",
    _roc_auc,
    _one_against_rest(_of_roc_auc),
    needs_probabilities=True,
    needs_all_classes=True,
    absent_class="undefined",
)
AVERAGE_PRECISION = Metric(
    "average_precision",
    "average precision",
    _average_precision,
    _one_against_rest(_of_average_precision),
    needs_probabilities=True,
    needs_all_classes=True,
    absent_class="undefined",
)
LOG_LOSS = Metric(
    "log_loss",
    "log loss",
    _log_loss,
    _of_log_loss,
    larger_is_better=False,
    high=float("inf"),
    margin=None,
    needs_probabilities=True,
    by_class=False,
    percent=False,
    absent_class="counts by its probabilities alone",
)
BRIER = Metric(
    "brier",
    "Brier score",
    _brier,
    _of_brier,
    larger_is_better=False,
    high=2.0,
    margin=None,
    needs_probabilities=True,
    by_class=False,
    percent=False,
    absent_class="counts by its probabilities alone",
)
ECE = Metric(
    "ece",
    "expected calibration error",
    _ece,
    larger_is_better=False,
    needs_probabilities=True,
    by_class=False,
    ranked=False,
    absent_class="counts by its probabilities alone",
)
