"""Metrics of the answered classes; how each example moves them is the gradient in the confusion matrix."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from benchmark.metrics.metric import FloatArray, Metric, Predictions


class ByClass(NamedTuple):
    """Figures of each class, each of shape (classes,); in scikit-learn's order and with its values.

    Attributes
    ----------
    precision, recall, f1 : ndarray of float
        In [0, 1]; 0 where they are undefined.
    support : ndarray of int
        Examples of the class.
    """

    precision: FloatArray
    recall: FloatArray
    f1: FloatArray
    support: NDArray[np.int64]


def by_class(confusion: ArrayLike) -> ByClass:
    """Return precision, recall, F1 and support of each class, from answers j to examples of class i.

    They are those of `sklearn.metrics.precision_recall_fscore_support` with ``zero_division=0``.
    """
    counts = np.asarray(confusion, dtype=np.int64)
    right, answered, support = np.diag(counts), counts.sum(axis=0), counts.sum(axis=1)

    def share(of: NDArray[np.int64], times: int = 1) -> FloatArray:
        return np.divide(times * right, of, out=np.zeros(len(of)), where=of > 0)

    return ByClass(share(answered), share(support), share(answered + support, 2), support)


def _accuracy(predictions: Predictions) -> float:
    return float(np.mean(predictions.answers == predictions.labels))


def _balanced_accuracy(predictions: Predictions) -> float:
    from sklearn.metrics import recall_score

    # Its balanced accuracy, without the warning about answered classes that have no example.
    present = np.unique(predictions.labels)
    return float(recall_score(predictions.labels, predictions.answers, labels=present, average="macro"))


def _macro_f1(predictions: Predictions) -> float:
    from sklearn.metrics import f1_score

    return float(f1_score(predictions.labels, predictions.answers, average="macro", zero_division=0.0))


def _mcc(predictions: Predictions) -> float:
    from sklearn.metrics import matthews_corrcoef

    return float(matthews_corrcoef(predictions.labels, predictions.answers))


def _influence(gradient: Callable[[FloatArray], FloatArray]) -> Callable[[Predictions], FloatArray]:
    """Make an influence of a gradient: all these metrics stay as they are when all counts are multiplied."""

    def influence(predictions: Predictions) -> FloatArray:
        by_cell = gradient(predictions.confusion.astype(np.float64))
        return len(predictions.labels) * by_cell[predictions.labels, predictions.answers]

    return influence


def _of_accuracy(counts: FloatArray) -> FloatArray:
    total = counts.sum()
    return np.asarray(np.eye(len(counts)) / total - np.trace(counts) / total**2)


def _of_balanced_accuracy(counts: FloatArray) -> FloatArray:
    examples, right = counts.sum(axis=1), np.diag(counts)
    present = examples > 0
    share = np.divide(1.0, examples, out=np.zeros_like(examples), where=present)
    return np.asarray((np.diag(share) - (right * share**2)[:, None]) / present.sum())


def _of_macro_f1(counts: FloatArray) -> FloatArray:
    right, size = np.diag(counts), counts.sum(axis=0) + counts.sum(axis=1)
    present = size > 0
    share = np.divide(1.0, size, out=np.zeros_like(size), where=present)
    less = 2 * right * share**2
    return np.asarray((np.diag(2 * share) - less[:, None] - less[None, :]) / present.sum())


def _of_mcc(counts: FloatArray) -> FloatArray:
    total, right = counts.sum(), np.trace(counts)
    true, answered = counts.sum(axis=1), counts.sum(axis=0)
    covariance = right * total - true @ answered
    of_true, of_answered = total**2 - true @ true, total**2 - answered @ answered
    if of_true == 0 or of_answered == 0:
        return np.zeros_like(counts)
    root = np.sqrt(of_true * of_answered)
    change = total * np.eye(len(counts)) + right - answered[:, None] - true[None, :]
    relative = (total - true[:, None]) / of_true + (total - answered[None, :]) / of_answered
    return np.asarray(change / root - covariance / root * relative)


ACCURACY = Metric("accuracy", "accuracy", _accuracy, _influence(_of_accuracy), by_class=False)
BALANCED_ACCURACY = Metric(
    "balanced_accuracy", "balanced accuracy", _balanced_accuracy, _influence(_of_balanced_accuracy)
)
MACRO_F1 = Metric(
    "macro_f1",
    "macro F1",
    _macro_f1,
    _influence(_of_macro_f1),
    absent_class="left out, or 0 where it is answered",
)
MCC = Metric(
    "mcc",
    "Matthews correlation",
    _mcc,
    _influence(_of_mcc),
    low=-1.0,
    absent_class="counts in the answers alone",
)
