"""Facts of a data set, and how `datasets show` prints them: class counts, lengths, empty and repeated texts.

They are found out while the data set is prepared, of the test split too, so that showing them later is
not a test read; examples are of the training split alone.
"""

from __future__ import annotations

import hashlib
import json
from array import array
from collections.abc import Iterator, Sequence
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmark.data.cache import META
from benchmark.data.dataset import Dataset, Store
from benchmark.data.files import FirstFew
from benchmark.data.source import SPLITS, Row
from benchmark.support.printable import printable

_FEW = 3
_EXAMPLES = 3
_SHOWN = 160
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
        part = np.full(len(test), SPLITS.index("test"))
        visible = np.flatnonzero(~test)
        part[visible[train]] = SPLITS.index("train")
        part[visible[validation]] = SPLITS.index("validation")
        labels, hashes = np.array(self._labels, dtype=np.int64), np.array(self._hashes, dtype=np.uint64)
        return {
            "class_counts": {
                name: np.bincount(labels[part == number], minlength=classes).tolist()
                for number, name in enumerate(SPLITS)
            },
            "lengths": {"train": _quantiles(lengths[train]), "validation": _quantiles(lengths[validation])},
            "duplicates": list(self._duplicates(part)),
            "test_duplicates": int(np.isin(hashes[test], hashes[visible]).sum()),
            "empty": {"texts": self._empty.count, "first": self._empty.first},
        }

    def _duplicates(self, part: NDArray[np.int64]) -> Iterator[dict[str, Any]]:
        hashes = np.array(self._hashes, dtype=np.uint64)
        distinct, rows = {}, {}
        for number, name in enumerate(SPLITS):
            own = np.flatnonzero(part == number)
            distinct[name], first, back = np.unique(hashes[own], return_index=True, return_inverse=True)
            rows[name] = own[first]
            repeats = np.flatnonzero(first[back] != np.arange(len(own)))
            pairs = [(own[first[back[repeat]]], own[repeat]) for repeat in repeats[:_FEW]]
            yield from self._record([name], len(repeats), pairs)
        for a, b in combinations(SPLITS, 2):
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


def _quantiles(lengths: NDArray[np.int64]) -> dict[str, int]:
    if not len(lengths):
        return {}
    values = np.quantile(lengths, list(_QUANTILES.values()), method="inverted_cdf")
    return dict(zip(_QUANTILES, (int(value) for value in values), strict=True))


def notices(dataset: Dataset) -> list[str]:
    """Return what the source said when the data set was prepared."""
    said: list[str] = _meta(dataset)["notices"]
    return said


def shared_texts(dataset: Dataset) -> str:
    """Return which texts of one split also stand in a different one, or nothing."""
    said, size = [], dataset.sizes["test"]
    if number := dataset.test_duplicates:
        share = f"{number:,} of {size:,} ({100 * number / size:.3g} %)"
        said.append(f"test texts that also stand in train or validation: {share}")
    said += [
        f"texts in both train and validation: {record['texts']:,}"
        for record in _meta(dataset)["facts"]["duplicates"]
        if record["parts"] == ["train", "validation"]
    ]
    return "; ".join(said)


def describe(dataset: Dataset) -> dict[str, Any]:
    """Return everything about a data set that may be known without reading its test texts.

    Parameters
    ----------
    dataset : Dataset
        A prepared one.

    Returns
    -------
    dict
        Ready for JSON. Counts of the test part were made when the data set was prepared; examples are of
        the training part.
    """
    meta = _meta(dataset)
    return {
        "name": dataset.name,
        "digest": dataset.digest,
        "home": dataset.home,
        "classes": list(dataset.class_names),
        **dataset.sizes,
        "vocabulary": dataset.vocabulary_total,
        "longest": dataset.longest,
        "validation_share": dataset.validation_share,
        "folder": str(dataset.folder),
        **meta["facts"],
        "notices": meta["notices"],
        "examples": _examples(dataset),
    }


def to_text(facts: dict[str, Any]) -> str:
    """Return the facts of `describe` for a terminal."""
    lines = [
        f"{name:<18} {', '.join(value) if name == 'classes' else value}"
        for name, value in facts.items()
        if not isinstance(value, dict | list) or name == "classes"
    ]
    width = max(12, *(len(name) for name in facts["classes"])) + 2
    lines += ["", f"{'texts':<{width}}" + "".join(f"{part:>12}" for part in SPLITS)]
    for number, name in enumerate(facts["classes"]):
        counts = (facts["class_counts"][part][number] for part in SPLITS)
        lines.append(f"{name:<{width}}" + "".join(f"{count:>12,}" for count in counts))
    lines += ["", "tokens"]
    for part, quantiles in facts["lengths"].items():
        lines.append(f"  {part:<12}" + ", ".join(f"{name} {value:,}" for name, value in quantiles.items()))
    said = [*(_repeated(record) for record in facts["duplicates"]), *facts["notices"]]
    if facts["empty"]["texts"]:
        number = facts["empty"]["texts"]
        what = "1 text is empty" if number == 1 else f"{number:,} texts are empty"
        said.append(f"{what}: {_few(facts['empty'])}")
    lines += ["", *(f"notice: {line}" for line in said)] if said else []
    lines += ["", "examples of train", *(f"  [{one['class']}] {one['text']}" for one in facts["examples"])]
    return "\n".join(map(printable, lines))


def _examples(dataset: Dataset) -> list[dict[str, str]]:
    """Return the first training texts, of different classes as far as there are."""
    store, rows = Store(dataset.folder / "open"), np.load(dataset.folder / "train_rows.npy")
    labels = np.asarray(store.labels)[rows]
    _, first = np.unique(labels, return_index=True)
    chosen = [*sorted(first.tolist()), *range(len(rows))]
    places = sorted(list(dict.fromkeys(chosen))[:_EXAMPLES])
    return [
        {"class": dataset.class_names[labels[place]], "text": _shorten(store.text(int(rows[place])))}
        for place in places
    ]


def _shorten(text: str) -> str:
    joined = " ".join(text[: 20 * _SHOWN].split())
    return joined if len(joined) <= _SHOWN else joined[: _SHOWN - 1] + "…"


def _repeated(record: dict[str, Any]) -> str:
    pairs = {"texts": record["texts"], "first": [" = ".join(pair) for pair in record["first"]]}
    number, parts = record["texts"], record["parts"]
    if len(parts) == 1:
        what = "1 text repeats" if number == 1 else f"{number:,} texts repeat"
        return f"{what} another of {parts[0]}: {_few(pairs)}"
    what = "1 text stands" if number == 1 else f"{number:,} texts stand"
    return f"{what} in both {' and '.join(parts)}: {_few(pairs)}"


def _few(record: dict[str, Any]) -> str:
    return ", ".join(record["first"]) + (", …" if record["texts"] > len(record["first"]) else "")


def _meta(dataset: Dataset) -> dict[str, Any]:
    meta: dict[str, Any] = json.loads((dataset.folder / META).read_bytes())
    return meta
