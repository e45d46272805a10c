"""What a metric is, and the registry of all of them."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmark.support.errors import UserError, did_you_mean
from benchmark.support.registry import Registry

FloatArray = NDArray[np.float64]

METRICS = Registry(
    "metric",
    "textbench.metrics",
    {
        "accuracy": "benchmark.metrics.of_answers:ACCURACY",
        "balanced_accuracy": "benchmark.metrics.of_answers:BALANCED_ACCURACY",
        "macro_f1": "benchmark.metrics.of_answers:MACRO_F1",
        "mcc": "benchmark.metrics.of_answers:MCC",
        "roc_auc": "benchmark.metrics.of_probabilities:ROC_AUC",
        "average_precision": "benchmark.metrics.of_probabilities:AVERAGE_PRECISION",
        "log_loss": "benchmark.metrics.of_probabilities:LOG_LOSS",
        "brier": "benchmark.metrics.of_probabilities:BRIER",
        "ece": "benchmark.metrics.of_probabilities:ECE",
    },
)
"""Metrics by name; other packages add theirs through entry points."""

ACCURACY = "accuracy"
"""What is searched for and ranked by where nothing else is asked for."""

UNEVEN = 0.9
"""Share of one class from which on accuracy tells little apart."""


@dataclass(frozen=True, eq=False)
class Predictions:
    """What a model says of labelled texts.

    Attributes
    ----------
    labels : ndarray of int, shape (N,)
        True classes.
    probabilities : ndarray of float, shape (N, classes)
        Of each class, as they are stored (single precision).
    threshold : float or None
        Of two classes the second is answered from this probability on; None: the more probable one.
    """

    labels: NDArray[np.int32]
    probabilities: NDArray[np.float32]
    threshold: float | None = None

    @property
    def answers(self) -> NDArray[np.int64]:
        """The class that is answered, shape (N,)."""
        if self.threshold is not None:
            return (self.probabilities[:, 1] >= self.threshold).astype(np.int64)
        return np.asarray(self.probabilities.argmax(axis=1))

    @property
    def confusion(self) -> NDArray[np.int64]:
        """Examples of class i to which j is answered, shape (classes, classes)."""
        classes = self.probabilities.shape[1]
        flat = np.bincount(self.labels * classes + self.answers, minlength=classes**2)
        return flat.reshape(classes, classes)


@dataclass(frozen=True, eq=False)
class Metric:
    """A figure of predictions.

    Attributes
    ----------
    name : str
        As users type it, and as MLflow has it behind ``test_`` and ``val_``.
    title : str
        As people read it: ``macro F1``.
    of_predictions : callable
        `Predictions` in, the value out.
    influence : callable or None
        `Predictions` in; for each example, the derivative of the value by the example's weight out, shape
        (N,), with mean 0. None where it has none: then nothing is compared by it.
    larger_is_better : bool
        Its direction.
    low, high : float
        Its range.
    margin : float or None
        Half a point, or whatever differences are too small to matter; None where only the user can know.
    needs_probabilities : bool
        Whether the answered classes alone do not give it.
    needs_all_classes : bool
        Whether it is undefined where a class has no example.
    by_class : bool
        Whether an example weighs the more, the fewer examples its class has.
    ranked : bool
        Whether boards may be ranked and searches driven by it.
    percent : bool
        Whether people write it in percent, and its differences in points.
    absent_class : str
        What it does with a class that has no example, in words.
    """

    name: str
    title: str
    of_predictions: Callable[[Predictions], float]
    influence: Callable[[Predictions], FloatArray] | None = None
    larger_is_better: bool = True
    low: float = 0.0
    high: float = 1.0
    margin: float | None = 0.005
    needs_probabilities: bool = False
    needs_all_classes: bool = False
    by_class: bool = True
    ranked: bool = True
    percent: bool = True
    absent_class: str = "left out"

    @property
    def label(self) -> str:
        """Its title with its unit, for axes and headings: ``accuracy (%)``."""
        return f"{self.title} (%)" if self.percent else self.title

    @property
    def factor(self) -> float:
        """By what a value is multiplied before people read it."""
        return 100.0 if self.percent else 1.0

    @property
    def sign(self) -> int:
        """1 where more is better, -1 where less is."""
        return 1 if self.larger_is_better else -1

    @property
    def of_seeds(self) -> dict[str, Any]:
        """How an interval of its mean over seeds stays in its range: options of `mean_interval`.

        Accuracy's is cut at the ends, as it was before there were other metrics; the others' are made on a
        scale without ends.
        """
        return {"low": self.low, "high": self.high, "transformed": self.name != ACCURACY}

    def margin_for(self, points: float | None) -> float | None:
        """Return the margin that a user gave in hundredths, or as it is where the metric has no points."""
        if points is None:
            return self.margin
        return points if self.percent else 100 * points

    def value(self, predictions: Predictions) -> float:
        """Return its value, scikit-learn's where it is one of scikit-learn's; NaN where it is undefined."""
        if self.needs_all_classes and len(absent(predictions)):
            return float("nan")
        return float(self.of_predictions(predictions))

    def pseudo_values(self, predictions: Predictions, value: float | None = None) -> FloatArray | None:
        """Return the value plus each example's influence, shape (N,); None where that is undefined.

        Their mean is the value. Where the value is itself a mean over examples they are what it is the mean
        of; otherwise their variance over examples is, for many examples, N times that of the value. Who
        knows the value already can give it.
        """
        if self.influence is None or (self.needs_all_classes and len(absent(predictions))):
            return None
        return (self.value(predictions) if value is None else value) + self.influence(predictions)

    def unavailable(self, classes: Sequence[str], counts: Sequence[int], split: str) -> str | None:
        """Return why it cannot be computed on a split with so many examples of each class, or None."""
        if not self.needs_all_classes or all(counts):
            return None
        names = [name for name, count in zip(classes, counts, strict=True) if not count]
        undefined = f"{self.title} is undefined where a class has no example"
        return f"{undefined}; the {split} split has none of {names[0]}"


def absent(predictions: Predictions) -> NDArray[np.intp]:
    """Return the classes without an example."""
    counts = np.bincount(predictions.labels, minlength=predictions.probabilities.shape[1])
    return np.flatnonzero(counts == 0)


def get_metric(name: str, *, to_rank: bool = False) -> Metric:
    """Return a metric by name.

    Parameters
    ----------
    name : str
        Registered name.
    to_rank : bool
        Whether it is to drive a search or rank a board.

    Raises
    ------
    UserError
        When there is none of this name, with the nearest one, or it ranks nothing.
    """
    metric = _loaded(name)
    if to_rank and not metric.ranked:
        reason = f"{metric.title} describes a row and ranks nothing"
        expected = ", ".join(ranking_metrics())
        raise UserError(f"{reason}; expected one of {expected}", setting="metric", value=name)
    return metric


@functools.cache
def _loaded(name: str) -> Metric:
    if name not in METRICS:
        raise UserError(
            f"there is none of this name; {did_you_mean(name, METRICS)}", setting="metric", value=name
        )
    metric: Any = METRICS.load(name)
    if not isinstance(metric, Metric):
        raise UserError(f"the metric '{name}' is a {type(metric).__name__}; expected a benchmark Metric")
    return metric


def all_metrics() -> list[Metric]:
    """Return every registered metric."""
    return [get_metric(name) for name in METRICS]


def finite_values(predictions: Predictions) -> dict[str, float]:
    """Return every registered metric that has a finite value on predictions, by name."""
    values = {metric.name: metric.value(predictions) for metric in all_metrics()}
    return {name: value for name, value in values.items() if math.isfinite(value)}


def ranking_metrics() -> list[str]:
    """Return the names of the metrics by which boards are ranked."""
    return [metric.name for metric in all_metrics() if metric.ranked]
