"""Which examples make a batch, in which order."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmark.data.text import PAD

_WINDOW = 50  # batches among whose texts those of similar length are brought together


@dataclass(frozen=True)
class Batches:
    """The batches of one epoch.

    Attributes
    ----------
    order : ndarray of int32, shape [n]
        A permutation of the examples.
    size : int
        Examples a batch; the last one may be smaller.
    widths : ndarray of int32, shape [batches]
        Columns of each batch; empty where all keep the view's.
    side : {"", "pre", "post"}
        Where texts are padded, and so where batches are cut; "" leaves them as they are.
    """

    order: NDArray[np.int32]
    size: int
    widths: NDArray[np.int32]
    side: str = ""

    def rows(self) -> Iterator[NDArray[np.int32]]:
        """Yield the examples of each batch."""
        for start in range(0, len(self.order), self.size):
            yield self.order[start : start + self.size]


def shuffled(generator: np.random.Generator, count: int, size: int) -> Batches:
    """Return batches in a random order, the last one smaller where it must be."""
    order = generator.permutation(count).astype(np.int32)
    return Batches(order, size, np.zeros(0, dtype=np.int32))


def bucketed(generator: np.random.Generator, lengths: NDArray[np.int64], size: int, side: str) -> Batches:
    """Return batches of texts of similar length, in a random order.

    The examples are shuffled, sorted by length within windows of 50 batches, cut into batches, and those
    shuffled again. An incomplete batch is drawn from all lengths and stands last.

    Parameters
    ----------
    generator : numpy.random.Generator
        The run's ``shuffle`` stream.
    lengths : ndarray of int64, shape [n]
        Tokens of each text.
    size : int
        Examples a batch.
    side : {"pre", "post"}
        Where texts are padded.
    """
    order = generator.permutation(len(lengths)).astype(np.int32)
    whole = len(order) // size * size
    window = _WINDOW * size
    for start in range(0, whole, window):
        part = order[start : min(start + window, whole)]
        part[:] = part[np.argsort(lengths[part], kind="stable")]
    batches = order[:whole].reshape(-1, size)
    batches = batches[generator.permutation(len(batches))]
    parts = [*batches, order[whole:]] if whole < len(order) else list(batches)
    widths = [max(int(lengths[part].max()), 1) for part in parts]
    return Batches(np.concatenate(parts), size, np.array(widths, dtype=np.int32), side)


def text_lengths(x: NDArray[np.int32]) -> NDArray[np.int64]:
    """Return the number of tokens of each row of ids, int64 [n]."""
    return np.count_nonzero(x != PAD, axis=1)
