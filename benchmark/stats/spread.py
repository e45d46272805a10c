"""How values of test examples spread: all alike, or within classes that count the same at any size."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmark.stats.intervals import Interval, bounded, check_level
from benchmark.stats.moderation import FloatArray

MIN_EXAMPLES = 100
"""With fewer test examples nothing is claimed of a difference."""
MIN_OF_CLASS = 20
"""With fewer test examples of a class nothing is claimed where each class counts the same."""

_NOTHING = 1e-12  # of a squared difference


@dataclass(frozen=True, eq=False)
class Spread:
    """How the differences of pairs of rows spread over examples; as `Differences` has it.

    Attributes
    ----------
    spread : ndarray
        For each pair, the sum of squared deviations from its mean, of as many examples as there are.

    Notes
    -----
    With d the differences of a class of n examples, less their mean, its part of the spread is
    ``n / (n - 1) Σd²``, and ``κ = n Σd⁴ / (Σd²)²`` says how few of them it is made of: 3 where they are
    normal, about n / m where m of n answers differ. Its variance has ``2 (n - 1) / (κ - 1)`` degrees of
    freedom, at most n - 1, and Satterthwaite's (1946) are those of the sum. An example that is added
    weighs ``Σd⁴ / Σd²``: a whole answer where few answers differ, and little where many differ a bit.
    """

    spread: FloatArray
    freedom: FloatArray | float = np.inf
    weight: FloatArray | float = 1.0
    constant: NDArray[np.bool_] | bool = False
    n_of_class: int | None = None


def spread_by_class(
    profiles: FloatArray,
    first: NDArray[np.intp],
    second: NDArray[np.intp],
    classes: NDArray[np.integer[Any]] | None,
) -> Spread:
    """Return how differences spread over examples, of profiles without their means, shape (rows, N)."""

    def squares(part: FloatArray) -> FloatArray:
        products = part @ part.T
        found = products[first, first] + products[second, second] - 2 * products[first, second]
        return np.asarray(np.maximum(found, 0.0), dtype=np.float64)

    if classes is None:
        return Spread(squares(profiles))

    def fourth_powers(part: FloatArray) -> FloatArray:
        squared = np.square(part)
        even, odd = squared @ squared.T, (squared * part) @ part.T
        found = even[first, first] + even[second, second] + 6 * even[first, second]
        return np.asarray(np.maximum(found - 4 * (odd[first, second] + odd[second, first]), 0.0))

    n = profiles.shape[1]
    labels, counts = np.unique(classes, return_counts=True)
    whole, uncertain, weight = (np.zeros(len(first)) for _ in range(3))
    constant = np.zeros(len(first), dtype=bool)
    for label, count in zip(labels, counts, strict=True):
        part = profiles[:, classes == label]
        means = part.mean(axis=1)
        part = part - means[:, None]
        within = squares(part)
        fourth = np.minimum(fourth_powers(part), within**2)  # as it is, whatever is lost by rounding
        same = within <= _NOTHING * n
        constant |= same
        # A sum of squares varies by tails - 1; by 2 where differences are normal.
        tails = np.divide(count * fourth, within**2, out=np.full(len(first), 3.0), where=~same)
        # Where there is no difference to go by, it is that of a right answer in balanced accuracy.
        unit = np.full(len(first), float(np.square(n / (len(counts) * count))))
        weight += np.divide(fourth, within, out=unit, where=~same)
        within *= count / max(count - 1, 1)
        whole += within + count * np.square(means[first] - means[second])
        uncertain += within**2 * np.maximum((tails - 1) / 2, 1) / max(count - 1, 1)
    freedom = np.divide(whole**2, uncertain, out=np.full(len(first), np.inf), where=uncertain > 0)
    return Spread(whole, freedom, weight, constant, int(counts.min()))


def scarce_class(profile: FloatArray, classes: NDArray[np.integer[Any]] | None) -> int | None:
    """Return the class that too little is known of for an interval; None where there is none.

    It has fewer than `MIN_OF_CLASS` test examples, or all of them the same value: all are right, or none.
    """
    if classes is None:
        return None
    labels, counts = np.unique(classes, return_counts=True)
    if counts.min() < MIN_OF_CLASS:
        return int(labels[counts.argmin()])
    alike = (np.ptp(profile[classes == label]) <= np.sqrt(_NOTHING) for label in labels)
    return next((int(label) for label, same in zip(labels, alike, strict=True) if same), None)


def sampling_of(
    profile: FloatArray,
    classes: NDArray[np.integer[Any]] | None,
    low: float,
    high: float,
    level: float = 0.95,
) -> tuple[float, Interval] | None:
    """Return how far a metric of these trained models may be off because of the test set's size.

    Parameters
    ----------
    profile : ndarray, shape (N,)
        For each test example, the mean over seeds of its pseudo-values.
    classes : ndarray of int, shape (N,), or None
        The class of each example, where an example weighs the more, the fewer its class has.
    low, high : float
        Range of the metric.
    level : float
        Nominal coverage, in (0, 1).

    Returns
    -------
    tuple of (float, Interval), or None
        Standard error over other test sets of this size and kind, and the interval that follows, by
        Student's t on the degrees of freedom of the small classes. None where there is a `scarce_class`.

    Notes
    -----
    Where classes count, a pair of examples of each is added, weighing what `Spread` says: few examples may be
    all that the variance is made of.

    For accuracy `benchmark.stats.intervals.sampling_error` is better: it needs no normal distribution.
    """
    check_level(level)
    from scipy.special import ndtri, stdtrit

    n, mean = profile.size, float(profile.mean())
    both = np.stack([profile - mean, np.zeros(n)])
    found = spread_by_class(both, np.array([0]), np.array([1]), classes)
    if scarce_class(profile, classes) is not None:
        return None
    added = 2 * float(np.broadcast_to(found.weight, 1)[0]) if classes is not None else 0.0
    error = float(np.sqrt(found.spread[0] + added)) / n
    freedom = float(np.broadcast_to(found.freedom, 1)[0])
    at = (1 - level) / 2
    quantile = -float(ndtri(at) if np.isinf(freedom) else stdtrit(freedom, at))
    return error, bounded(mean, quantile * error, level, low, high)
