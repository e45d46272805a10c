"""Facts of a data set that hold no text: class counts, lengths, empty and repeated texts.

They are found out while the data set is prepared, of the test part too, so that showing them later is
not a look at it.
"""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Iterator, Sequence
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmark.data.files import FirstFew
from benchmark.data.source import Row

PARTS = ("train", "validation", "test")
_FEW = 3
_WITH_TEST = (["train", "test"], ["validation", "test"])
_QUANTILES = {
    "shortest": 0.0,
    "5 %": 0.05,
    "25 %": 0.25,
    "median": 0.5,
    "75 %": 0.75,
    "95 %": 0.95,
    "longest": 1.0,
}


class FactFinder:
    """Takes rows one by one; keeps eight bytes of each text, and the names of the rows."""

    def __init__(self) -> None:
        self._hashes, self._labels, self._test = array("Q"), array("i"), array("b")
        self._names: list[str] = []
        self._empty = FirstFew()

    def add(self, row: Row, content: bytes) -> None:
        """Take a row and its text in UTF-8; one that the source gave no name is counted."""
        self._names.append(row.where or f"text {len(self._names) + 1}")
        if not content.strip():
            self._empty.add(self._names[-1])
        self._hashes.append(int.from_bytes(hashlib.blake2b(content, digest_size=8).digest(), "little"))
        self._labels.append(row.label)
        self._test.append(row.part == "test")

    def finish(
        self,
        train: NDArray[np.int64],
        validation: NDArray[np.int64],
        lengths: NDArray[np.int64],
        classes: int,
    ) -> dict[str, Any]:
        """Return the facts, ready for JSON.

        Parameters
        ----------
        train, validation : ndarray of int64
            Numbers of the rows in these parts, among those that are not test.
        lengths : ndarray of int64
            Tokens of each row that is not test.
        classes : int
            How many there are.
        """
        test = np.array(self._test, dtype=np.int8).astype(bool)
        part = np.full(len(test), PARTS.index("test"))
        visible = np.flatnonzero(~test)
        part[visible[train]] = PARTS.index("train")
        part[visible[validation]] = PARTS.index("validation")
        labels, hashes = np.array(self._labels, dtype=np.int64), np.array(self._hashes, dtype=np.uint64)
        return {
            "class_counts": {
                name: np.bincount(labels[part == number], minlength=classes).tolist()
                for number, name in enumerate(PARTS)
            },
            "lengths": {"train": _quantiles(lengths[train]), "validation": _quantiles(lengths[validation])},
            "duplicates": list(self._duplicates(part)),
            "test_duplicates": int(np.isin(hashes[test], hashes[visible]).sum()),
            "empty": {"texts": self._empty.count, "first": self._empty.first},
        }

    def _duplicates(self, part: NDArray[np.int64]) -> Iterator[dict[str, Any]]:
        hashes = np.array(self._hashes, dtype=np.uint64)
        distinct, rows = {}, {}
        for number, name in enumerate(PARTS):
            own = np.flatnonzero(part == number)
            distinct[name], first, back = np.unique(hashes[own], return_index=True, return_inverse=True)
            rows[name] = own[first]
            repeats = np.flatnonzero(first[back] != np.arange(len(own)))
            pairs = [(own[first[back[repeat]]], own[repeat]) for repeat in repeats[:_FEW]]
            yield from self._record([name], len(repeats), pairs)
        for a, b in combinations(PARTS, 2):
            _, in_a, in_b = np.intersect1d(distinct[a], distinct[b], assume_unique=True, return_indices=True)
            order = np.argsort(rows[a][in_a], kind="stable")[:_FEW]
            pairs = list(zip(rows[a][in_a][order], rows[b][in_b][order], strict=True))
            yield from self._record([a, b], len(in_a), pairs)

    def _record(
        self, parts: list[str], texts: int, pairs: Sequence[tuple[Any, Any]]
    ) -> Iterator[dict[str, Any]]:
        if texts:
            first = [[self._names[row] for row in pair] for pair in pairs]
            yield {"parts": parts, "texts": texts, "first": first}


def count_test_duplicates(facts: dict[str, Any]) -> int:
    """Return how many test texts also stand in train or validation.

    Parameters
    ----------
    facts : dict
        From `FactFinder.finish`; those of an older version count a text that the test split repeats once.
    """
    pairs = [record["texts"] for record in facts["duplicates"] if record["parts"] in _WITH_TEST]
    return int(facts.get("test_duplicates", sum(pairs)))


def _quantiles(lengths: NDArray[np.int64]) -> dict[str, int]:
    if not len(lengths):
        return {}
    values = np.quantile(lengths, list(_QUANTILES.values()), method="inverted_cdf")
    return dict(zip(_QUANTILES, (int(value) for value in values), strict=True))
