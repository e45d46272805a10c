"""Counts of n-grams that the next runs of a process need again: of other penalties, and of other seeds."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from hashlib import sha256
from typing import Any

from scipy import sparse
from sklearn.feature_extraction.text import CountVectorizer

from benchmark.data.dataset import View
from benchmark.models.ngram_counts import NgramCounts

_LARGEST_KEPT = 1 << 30  # bytes of all matrices

_kept: OrderedDict[tuple[str, ...], tuple[Any, float]] = OrderedDict()
"""By what is counted and where: the result, and the seconds that it took. The oldest one goes first."""


class Counts:
    """What the first step of a pipeline counts.

    Parameters
    ----------
    step : CountVectorizer or NgramCounts
        Not fitted; see `is_counted`.
    train : View
        The texts that it learns n-grams from.
    dataset_digest : str
        Of the data set of all views.

    Attributes
    ----------
    step : CountVectorizer or NgramCounts
        The same, once `learned` was called a fitted one, which runs share.
    spared : float
        Seconds that runs before have spared this one.
    """

    def __init__(self, step: Any, train: View, dataset_digest: str) -> None:
        self.step, self.train, self.spared = step, train, 0.0
        self._mine: set[tuple[str, ...]] = set()
        self._learned: sparse.csr_matrix | None = None
        self._key = (
            type(step).__name__,
            repr(sorted(step.get_params().items())),
            dataset_digest,
            _name(train),
        )

    def learned(self) -> sparse.csr_matrix:
        """Fit the step; return the counts of the training texts, which are not to be changed."""

        def fit() -> tuple[Any, sparse.csr_matrix]:
            return self.step, self.step.fit_transform(self.train.texts())

        if self._learned is None:
            self.step, self._learned = self._keep("fit", fit)
        return self._learned

    def of(self, view: View) -> sparse.csr_matrix:
        """Return the counts of a view, which are not to be changed, once the step is fitted."""
        if _name(view) == _name(self.train):
            return self.learned().sorted_indices()  # as if they had been counted again
        return self._keep(_name(view), lambda: self.step.transform(view.texts()))

    def _keep(self, what: str, make: Callable[[], Any]) -> Any:
        key = (*self._key, what)
        if key not in _kept:
            started = time.perf_counter()
            _kept[key] = make(), time.perf_counter() - started
        elif key not in self._mine:
            self.spared += _kept[key][1]
        self._mine.add(key)
        _kept.move_to_end(key)
        found = _kept[key][0]
        while sum(_bytes(made) for made, _ in _kept.values()) > _LARGEST_KEPT:
            _kept.popitem(last=False)
        return found


def is_counted(step: Any) -> bool:
    """Whether a step counts n-grams, the same ones for the same texts."""
    return type(step) in (CountVectorizer, NgramCounts)


def _name(view: View) -> str:
    return f"{view.mapped.folder} {sha256(view.rows.tobytes()).hexdigest()}"


def _bytes(made: Any) -> int:
    counts = made[1] if isinstance(made, tuple) else made
    return int(counts.data.nbytes + counts.indices.nbytes)
