"""Facts of a data set, and how `datasets show` prints them: class counts, lengths, empty and repeated texts.

They are found out while the data set is prepared, of the test split too, so that showing them later is
not a test read; examples are of the training split alone.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmark.data.cache import META
from benchmark.data.dataset import Dataset, MappedTexts, TextWriter
from benchmark.data.files import FirstFew
from benchmark.data.source import SPLITS
from benchmark.support.errors import spelled
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


def find_facts(
    splits: Mapping[str, tuple[TextWriter, NDArray[np.int64]]], empty: FirstFew, classes: int
) -> dict[str, Any]:
    """Return the facts, ready for JSON.

    Parameters
    ----------
    splits : mapping
        Of train, validation and test: where their texts were written, and which rows there are theirs.
    empty : FirstFew
        The texts without a character.
    classes : int
        How many there are.
    """
    hashes = {split: np.array(writer.hashes)[rows] for split, (writer, rows) in splits.items()}
    names = {split: [writer.names[row] for row in rows] for split, (writer, rows) in splits.items()}
    visible = np.concatenate([hashes["train"], hashes["validation"]])
    return {
        "class_counts": {
            split: np.bincount(np.array(writer.labels)[rows], minlength=classes).tolist()
            for split, (writer, rows) in splits.items()
        },
        "lengths": {
            split: _quantiles(np.diff(writer.token_ends)[rows])
            for split, (writer, rows) in splits.items()
            if split != "test"
        },
        "duplicates": list(_duplicates(hashes, names)),
        "test_duplicates": int(np.isin(hashes["test"], visible).sum()),
        "empty": {"texts": empty.count, "first": empty.first},
    }


def _duplicates(
    hashes: Mapping[str, NDArray[np.uint64]], names: Mapping[str, Sequence[str]]
) -> Iterator[dict[str, Any]]:
    """Yield how many texts repeat within each split and between two, and the names of the first few."""
    distinct, firsts = {}, {}
    for split, own in hashes.items():
        distinct[split], firsts[split], back = np.unique(own, return_index=True, return_inverse=True)
        first = firsts[split][back]
        repeats = np.flatnonzero(first != np.arange(len(own)))
        pairs = [[names[split][first[row]], names[split][row]] for row in repeats[:_FEW]]
        if pairs:
            yield {"parts": [split], "texts": len(repeats), "first": pairs}
    for a, b in combinations(hashes, 2):
        _, in_a, in_b = np.intersect1d(distinct[a], distinct[b], assume_unique=True, return_indices=True)
        rows = sorted(zip(firsts[a][in_a], firsts[b][in_b], strict=True))
        pairs = [[names[a][row], names[b][other]] for row, other in rows[:_FEW]]
        if pairs:
            yield {"parts": [a, b], "texts": len(rows), "first": pairs}


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
        Ready for JSON. Counts of the test split were made when the data set was prepared; examples are of
        the training split.
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
    lines += ["", f"{'texts':<{width}}" + "".join(f"{split:>12}" for split in SPLITS)]
    for number, name in enumerate(facts["classes"]):
        counts = (facts["class_counts"][split][number] for split in SPLITS)
        lines.append(f"{name:<{width}}" + "".join(f"{count:>12,}" for count in counts))
    lines += ["", "tokens"]
    for split, quantiles in facts["lengths"].items():
        lines.append(f"  {split:<12}" + ", ".join(f"{name} {value:,}" for name, value in quantiles.items()))
    said = [*(_repeated(record) for record in facts["duplicates"]), *facts["notices"]]
    if facts["empty"]["texts"]:
        number = facts["empty"]["texts"]
        what = "1 text is empty" if number == 1 else f"{number:,} texts are empty"
        said.append(f"{what}: {_few(facts['empty'])}")
    lines += ["", *(f"notice: {spelled(line)}" for line in said)] if said else []
    lines += ["", "examples of train", *(f"  [{one['class']}] {one['text']}" for one in facts["examples"])]
    return "\n".join(map(printable, lines))


def _examples(dataset: Dataset) -> list[dict[str, str]]:
    """Return the first training texts, of different classes as far as there are."""
    mapped, rows = MappedTexts(dataset.folder / "open"), np.load(dataset.folder / "train_rows.npy")
    labels = np.asarray(mapped.labels)[rows]
    _, first = np.unique(labels, return_index=True)
    chosen = [*sorted(first.tolist()), *range(len(rows))]
    places = sorted(list(dict.fromkeys(chosen))[:_EXAMPLES])
    return [
        {"class": dataset.class_names[labels[place]], "text": _shorten(mapped.text(int(rows[place])))}
        for place in places
    ]


def _shorten(text: str) -> str:
    joined = " ".join(text[: 20 * _SHOWN].split())
    return joined if len(joined) <= _SHOWN else joined[: _SHOWN - 1] + "…"


def _repeated(record: dict[str, Any]) -> str:
    pairs = {"texts": record["texts"], "first": [" = ".join(pair) for pair in record["first"]]}
    number, splits = record["texts"], record["parts"]
    if len(splits) == 1:
        what = "1 text repeats" if number == 1 else f"{number:,} texts repeat"
        return f"{what} another of {splits[0]}: {_few(pairs)}"
    what = "1 text stands" if number == 1 else f"{number:,} texts stand"
    return f"{what} in both {' and '.join(splits)}: {_few(pairs)}"


def _few(record: dict[str, Any]) -> str:
    return ", ".join(record["first"]) + (", …" if record["texts"] > len(record["first"]) else "")


def _meta(dataset: Dataset) -> dict[str, Any]:
    meta: dict[str, Any] = json.loads((dataset.folder / META).read_bytes())
    return meta
