"""Counts of n-grams of tokens, as scikit-learn's `CountVectorizer` has them, several times as fast."""

from __future__ import annotations

from array import array
from collections import defaultdict
from collections.abc import Sequence
from itertools import count
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import sparse
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.feature_extraction.text import CountVectorizer

from benchmark.data.tokens import splitter

if TYPE_CHECKING:
    from benchmark.spec.config import Tokens

_SUBWORDS = 10_000  # as many as a view has by default


class NgramCounts(TransformerMixin, BaseEstimator):
    """Cut texts into tokens and count n-grams of these.

    An n-gram is the number of the one before its last token, and the number of that token: so each length is
    an array operation on that before. What occurs in too few texts is left out at once, since no longer
    n-gram with it can occur in more.

    Parameters
    ----------
    tokens : {"words", "unicode_words", "characters", "subwords"}
        What texts are cut into, see `benchmark.data.tokens.split`; subwords are learned when fitted.
    longest : int
        Longest n-gram; all shorter ones are counted, too.
    min_count : int
        Texts that an n-gram must occur in.
    most : int, optional
        Most n-grams, the most frequent first.
    binary : bool
        Whether an n-gram counts once in a text.

    Attributes
    ----------
    vocabulary_ : dict of str to int
        Columns of the n-grams, tokens joined by a space, once fitted.
    merges_ : tuple of str
        What subwords were learned.
    """

    def __init__(
        self,
        tokens: Tokens = "unicode_words",
        longest: int = 2,
        min_count: int = 1,
        most: int | None = None,
        binary: bool = False,
    ) -> None:
        self.tokens, self.longest, self.min_count = tokens, longest, min_count
        self.most, self.binary = most, binary

    def fit(self, texts: Sequence[str], y: Any = None) -> NgramCounts:
        """Learn the n-grams of raw texts."""
        self.fit_transform(texts)
        return self

    def fit_transform(self, texts: Sequence[str], y: Any = None) -> sparse.csr_matrix:
        """Learn the n-grams of raw texts; return their counts, float32 [n, n-grams]."""
        self.merges_: tuple[str, ...] = ()
        if self.tokens == "subwords":
            from benchmark.data.subwords import learn

            self.merges_ = learn(texts, _SUBWORDS)
        self._numbers: dict[str, int] = defaultdict(count().__next__)
        self._known: list[pd.Index] = []
        counts = self._count(texts, learning=True)
        self._numbers = dict(self._numbers)
        self._columns = np.arange(counts.shape[1])
        if self.most is not None and self.most < counts.shape[1]:
            order = np.argsort(-counts.sum(axis=0).A1, kind="stable")
            self._columns = np.sort(order[: self.most])
        names = self._names()
        self.vocabulary_ = {names[column]: number for number, column in enumerate(self._columns.tolist())}
        return self._chosen(counts)

    def transform(self, texts: Sequence[str]) -> sparse.csr_matrix:
        """Return the counts of the n-grams that were learned, float32 [n, n-grams], of raw texts."""
        return self._chosen(self._count(texts, learning=False))

    def plain(self) -> CountVectorizer:
        """Return scikit-learn's step that counts the same of tokens joined by spaces."""
        step = CountVectorizer(
            ngram_range=(1, self.longest),
            token_pattern="[^ ]+",
            lowercase=False,
            binary=self.binary,
            dtype=np.float32,
        )
        if hasattr(self, "vocabulary_"):
            step.vocabulary_ = self.vocabulary_
        return step

    def _chosen(self, counts: sparse.csc_matrix) -> sparse.csr_matrix:
        return (counts if len(self._columns) == counts.shape[1] else counts[:, self._columns]).tocsr()

    def _count(self, texts: Sequence[str], learning: bool) -> sparse.csc_matrix:
        """Count n-grams of each length, the known ones, or those that are then known."""
        numbers, ends = self._numbered(texts, learning)
        text = np.repeat(np.arange(len(texts), dtype=np.int32), np.diff(ends, prepend=0))
        starts, keys, blocks = np.arange(len(numbers), dtype=np.int32), numbers, []
        tokens = grams = np.full(len(numbers), -1, dtype=np.int32)
        for length in range(1, self.longest + 1):
            if length > 1:  # the token behind an n-gram is known and of the same text
                last = starts + (length - 1)
                inside = last < ends[text[starts]]
                inside[inside] = tokens[last[inside]] >= 0
                starts, grams = starts[inside], grams[inside]
                keys = grams.astype(np.int64) * len(self._known[0]) + tokens[last[inside]]
            if learning:
                grams, found = pd.factorize(keys)
                grams = grams.astype(np.int32)  # as many as can be: all arrays have one entry a token
            else:
                found = self._known[length - 1]
                grams = found.get_indexer(keys)
                starts, keys, grams = (part[grams >= 0] for part in (starts, keys, grams))
            counts = _counts(grams, text[starts], (len(texts), len(found)))
            if learning:
                kept = np.diff(counts.indptr) >= self.min_count
                self._known.append(pd.Index(found[kept]))
                grams = np.where(kept, np.cumsum(kept) - 1, -1).astype(np.int32)[grams]
                starts, grams, counts = starts[grams >= 0], grams[grams >= 0], counts[:, kept]
            if length == 1:
                tokens[starts] = grams
            blocks.append(counts)
        joined = sparse.hstack(blocks, format="csc")
        if self.binary:
            joined.data.fill(1)
        return joined

    def _numbered(self, texts: Sequence[str], learning: bool) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
        """Return the numbers of all tokens, -1 for unknown ones, and where each text ends."""
        cut, numbers, ends = splitter(self.tokens, self.merges_), array("i"), array("q")
        number = self._numbers.__getitem__ if learning else lambda token: self._numbers.get(token, -1)
        for text in texts:
            numbers.extend(map(number, cut(text)))
            ends.append(len(numbers))
        return np.array(numbers, dtype=np.int32), np.array(ends, dtype=np.int64)

    def _names(self) -> list[str]:
        """Return the n-grams of all lengths, in the order of their numbers."""
        words = list(self._numbers)
        names = tokens = [words[number] for number in self._known[0]]
        found = [*names]
        for known in self._known[1:]:
            before, last = np.divmod(known.to_numpy(dtype=np.int64), max(1, len(tokens)))
            pairs = zip(before.tolist(), last.tolist(), strict=True)
            names = [f"{names[gram]} {tokens[token]}" for gram, token in pairs]
            found += names
        return found


def _counts(grams: NDArray[Any], rows: NDArray[Any], shape: tuple[int, int]) -> sparse.csc_matrix:
    """Count pairs of a row and a gram; the rows are in order."""
    starts = np.searchsorted(rows, np.arange(shape[0] + 1))
    ones = np.ones(len(grams), dtype=np.float32)
    # By columns, equal pairs are neighbours: nothing has to be sorted.
    counts = sparse.csr_matrix((ones, grams.astype(np.int32), starts), shape=shape).tocsc()
    counts.sum_duplicates()
    return counts
