"""Cross-validation: each fold of a data set without a test split is a data set of its own."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from functools import cached_property, partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmark.data.source import SPLIT_SEED, Row, Source, SourceOptions, get_source
from benchmark.support.errors import UserError

MIN_FOLDS = 5
"""Fewer say next to nothing about the spread over folds."""

_SUFFIX = "--{}-folds"  # no name that is made of a path has two dashes in a row
_SEED = SPLIT_SEED + 2


class Fold(NamedTuple):
    """Which fold a data set is.

    Attributes
    ----------
    number, of : int
        From 1, and how many there are.
    digest : str
        Of the data of all folds, and of how they are divided; the same for all of them.
    """

    number: int
    of: int
    digest: str

    def __str__(self) -> str:
        return f"fold {self.number} of {self.of}"

    @property
    def suffix(self) -> str:
        """What names of its studies end with, so that they stand in its order."""
        return f"-fold-{self.number:02d}"


def folds_name(name: str, folds: int | None) -> str:
    """Return the name that all folds of a data set have; without folds its own.

    Examples
    --------
    >>> folds_name("csv-mine", 10), folds_name("csv-mine", None)
    ('csv-mine--10-folds', 'csv-mine')
    """
    return name if folds is None else name + _SUFFIX.format(folds)


def parsed_name(name: str) -> tuple[str, int | None]:
    """Return the name without its folds, and their number: the inverse of `folds_name`."""
    found = re.fullmatch(f"(.+){_SUFFIX.format('([1-9][0-9]*)')}", name)
    return (found[1], int(found[2])) if found else (name, None)


def draw_folds(labels: NDArray[np.int32], groups: NDArray[Any], folds: int) -> NDArray[np.int64]:
    """Divide rows into folds of about the same size and the same shares of classes, groups kept together.

    Parameters
    ----------
    labels : ndarray of int32, shape [n]
        Class of each row, from 0.
    groups : ndarray, shape [n]
        Group of each row; a text without one is a group by itself.
    folds : int
        How many.

    Returns
    -------
    ndarray of int64, shape [n]
        Fold of each row, from 0: always the same for the same rows.

    Notes
    -----
    The largest group first, and among equals by chance, each goes where its classes are rarest so far: where
    the sum of squares of the folds' shares of each class grows least; of such folds to the smallest.
    """
    _, group, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    classes = np.zeros((len(sizes), int(labels.max()) + 1))
    np.add.at(classes, (group, labels), 1)
    chance = np.random.default_rng(_SEED).permutation(len(sizes))
    weights = 1 / np.maximum(classes.sum(axis=0), 1) ** 2
    filled, chosen = np.zeros((folds, classes.shape[1])), np.zeros(len(sizes), dtype=np.int64)
    for number in chance[np.argsort(-sizes[chance], kind="stable")]:
        grows = filled @ (weights * classes[number])
        chosen[number] = np.lexsort((filled.sum(axis=1), grows))[0]
        filled[chosen[number]] += classes[number]
    return chosen[group]


class _Drawn(NamedTuple):
    fold: list[int]
    digest: str


class Folds:
    """The folds of a source.

    Parameters
    ----------
    source : Source
        Without a test split of its own.
    number : int
        How many folds.
    """

    def __init__(self, source: Source, number: int) -> None:
        self.source, self.number = source, number

    @cached_property
    def drawn(self) -> _Drawn:
        """Fold of each row, from 1, and the digest of all of them.

        Raises
        ------
        UserError
            Where the data cannot be divided so.
        """
        source, labels, groups = self.source, [], []
        facts = [source.class_names, source.validation_share, self.number]
        digest = hashlib.sha256(json.dumps(facts).encode())
        texts, splits = [], set()
        for place, row in enumerate(source.rows()):
            splits.add(row.split)
            labels.append(row.label)
            groups.append(f"group {row.group}" if row.group else str(place))
            texts.append(hashlib.blake2b(row.text.encode("utf-8", "replace"), digest_size=16).digest())
        if getattr(source, "test_drawn", False):
            splits.discard("test")
        if own := sorted(splits - {"train"}):
            raise self._error(
                f"'{source.name}' has a {own[0]} split of its own; expected data without splits"
            )
        self._check(np.array(labels), groups)
        fold = (draw_folds(np.array(labels, dtype=np.int32), np.array(groups), self.number) + 1).tolist()
        for one in zip(fold, labels, groups, texts, strict=True):
            digest.update(repr(one).encode("utf-8", "surrogatepass"))
        return _Drawn(fold, digest.hexdigest()[:32])

    def _check(self, labels: NDArray[np.int64], groups: list[str]) -> None:
        """Refuse classes that cannot be in every fold, to be tested there and trained on elsewhere."""
        together = len(set(groups)) < len(groups)
        for label, name in enumerate(self.source.class_names):
            places = np.flatnonzero(labels == label)
            found = len({groups[place] for place in places})
            if found < self.number:
                texts = f"{found} {'group' if together else 'text'}{'' if found == 1 else 's'}"
                most = f"at most {found} folds" if found >= MIN_FOLDS else f"{MIN_FOLDS} or more"
                way_out = "" if found >= MIN_FOLDS else " of each class; add some, or leave the class out"
                raise self._error(
                    f"'{self.source.name}' has {texts} of class '{name}'; expected {most}{way_out}"
                )

    def _error(self, reason: str) -> UserError:
        return UserError(reason, setting="folds", value=self.number)


class FoldSource:
    """One of the folds: its texts are the test split, and the others are trained on.

    The validation split is drawn from the others as from the training split of any data set.
    """

    def __init__(self, folds: Folds, number: int) -> None:
        self._folds, self._number = folds, number
        source = folds.source
        self.name, self.home = folds_name(source.name, folds.number), source.home
        self.metric = getattr(source, "metric", None)
        self.spelling = getattr(source, "spelling", source.name)  # by which it is the user's, as the data are

    @property
    def class_names(self) -> tuple[str, ...]:
        """Those of the data."""
        return self._folds.source.class_names

    @property
    def validation_share(self) -> float:
        """Share of the training texts."""
        return self._folds.source.validation_share

    @property
    def notices(self) -> list[str]:
        """Those of the data, but for a test split that is drawn where there are no folds."""
        said: list[str] = list(getattr(self._folds.source, "notices", ()))
        return [notice for notice in said if "no test split" not in notice]

    @property
    def fold(self) -> Fold:
        """Which one it is."""
        return Fold(self._number, self._folds.number, self._folds.drawn.digest)

    def key(self) -> str:
        """Return the fingerprint of the data, and which fold it is."""
        return f"{self._folds.source.key()}|fold {self._number} of {self._folds.number}"

    def rows(self) -> Iterator[Row]:
        """Yield the rows of the data, of which those of this fold are the test split."""
        drawn = self._folds.drawn.fold
        for row, fold in zip(self._folds.source.rows(), drawn, strict=True):
            yield row._replace(split="test" if fold == self._number else "train")


def fold_sources(name: str, options: SourceOptions, folds: int) -> list[FoldSource]:
    """Return the folds of a data set by its name; see `benchmark.data.source.get_source`."""
    return list(map(partial(FoldSource, Folds(get_source(name, options), folds)), range(1, folds + 1)))
