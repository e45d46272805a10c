"""What is asked of a data set before it is prepared: see `benchmark.data.source.Source`."""

from __future__ import annotations

import hashlib
import sys
import tracemalloc
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import ClassVar

from benchmark.data.prepare import prepare
from benchmark.data.source import DATASETS, PREFIXES, Row, Source, SourceOptions, get_source
from benchmark.support.registry import load_target
from benchmark.testing.suite import Suite, name_of

_SPLITS = ("train", "validation", "test")
_SHARED = 0.01  # of the test texts; real data sets have a few texts twice
_WORTH_MEASURING = 16_000_000  # characters
_STREAMED = 0.5  # of them at most may be in memory at a time
_READ = """
import json, sys
from benchmark.testing.datasets import open_source, read
source = open_source(sys.argv[1], sys.argv[2])
print(json.dumps([source.key(), read(source.rows()).digest]))
"""


@dataclass
class _Reading:
    """What one reading of the rows has shown."""

    sizes: Counter[tuple[str, int]] = field(default_factory=Counter)
    texts: dict[str, list[bytes]] = field(default_factory=lambda: {split: [] for split in _SPLITS})
    characters: int = 0
    peak: int = 0
    digest: str = ""


def open_source(target: str, data_dir: str | Path = "") -> Source:
    """Return the source of a registered name, of ``dir:PATH`` and the like, or of a file's function."""
    options = SourceOptions(Path(data_dir) if data_dir else None)
    if target in DATASETS or target.partition(":")[0] in PREFIXES:
        return get_source(target, options)
    source: Source = load_target(target, "dataset")(options)
    return source


def read(rows: Iterable[Row], classes: int = sys.maxsize) -> _Reading:
    """Read rows and check each."""
    reading, digest = _Reading(), hashlib.sha256()
    for row in rows:
        _check(row, classes)
        content = hashlib.sha256(row.text.encode()).digest()
        digest.update(repr((row.split, row.label, content)).encode())
        reading.sizes[row.split, row.label] += 1
        reading.texts[row.split].append(content)
        reading.characters += len(row.text)
    reading.digest = digest.hexdigest()
    return reading


def _check(row: Row, classes: int) -> None:
    is_row = all(hasattr(row, name) for name in Row._fields)
    assert is_row, f"a row is {str(row)[:80]!r}; yield Row(split, text, label)"
    where = f" ({row.where})" if row.where else ""
    assert row.split in _SPLITS, f"a row is of split {row.split!r}{where}; expected {', '.join(_SPLITS)}"
    kind = type(row.text).__name__
    assert isinstance(row.text, str), f"a text is {kind}{where}; expected str, as text.decode('utf-8')"
    assert row.text.strip(), f"a text of {row.split} is empty{where}; leave it out"
    broken = any("\ud800" <= char <= "\udfff" for char in row.text)
    assert not broken, f"a text of {row.split} is not UTF-8{where}; decode its bytes with errors='replace'"
    is_int = isinstance(row.label, int) and not isinstance(row.label, bool)
    assert is_int, f"a label is {type(row.label).__name__} {row.label!r}{where}; expected an int: int(label)"
    message = f"a row of {row.split} has label {row.label}{where}, and there are {classes} class_names"
    assert 0 <= row.label < classes, message


class DatasetSuite(Suite):
    """What is asked of a data set.

    Attributes
    ----------
    dataset : str or callable
        A registered name, ``dir:PATH`` and the like, ``path/to/file.py:source``, or the function itself.
    data_dir : str or Path
        Folder with data that is not fetched.
    """

    dataset: ClassVar[str | Callable[[SourceOptions], Source]]
    data_dir: ClassVar[str | Path] = ""
    basic = ("test_attributes", "test_rows")

    @classmethod
    def open(cls) -> Source:
        """Return a fresh source."""
        return open_source(name_of(cls.dataset), cls.data_dir)

    @classmethod
    @cache
    def source(cls) -> Source:
        """Return the source that most tests are about."""
        return cls.open()

    @classmethod
    @cache
    def reading(cls) -> _Reading:
        """Return what the first reading has shown, and the memory that the source took meanwhile."""
        tracemalloc.start()
        try:
            reading = read(cls.source().rows(), len(cls.source().class_names))
            own = 2 * sys.getsizeof(hashlib.sha256().digest()) * reading.sizes.total()
            reading.peak = tracemalloc.get_traced_memory()[1] - own
            return reading
        finally:
            tracemalloc.stop()

    def test_attributes(self) -> None:
        """The source has a name, a home, class names, a validation share and a key."""
        source = self.source()
        names, share = source.class_names, source.validation_share
        is_tuple = isinstance(names, tuple) and all(isinstance(name, str) and name for name in names)
        assert is_tuple, f"class_names is {names!r}; expected a tuple of texts, as ('neg', 'pos')"
        assert len(set(names)) == len(names) > 1, f"class_names is {names!r}; expected two or more, each once"
        is_share = isinstance(share, int | float) and 0 <= share < 1
        assert is_share, f"validation_share is {share!r}; expected a number from 0 to below 1"
        for name, text in (("name", source.name), ("home", source.home), ("key()", source.key())):
            is_text = isinstance(text, str) and text
            assert is_text, f"{name} is {text!r}; expected a text that is not empty"

    def test_rows(self) -> None:
        """Rows have the right types, a known split, a text, and a label within the names."""
        assert self.reading().sizes, "rows() yields nothing; yield Row(split, text, label) for each text"

    def test_splits(self) -> None:
        """There are texts to train on, of each class, to validate with and to test; the splits share none."""
        reading, share = self.reading(), self.source().validation_share
        count = len(reading.texts["validation"])
        message = f"{count} rows are validation, and validation_share is {share}"
        assert bool(count) != bool(share), f"{message}; expected either such rows or a share of train"
        for label, name in enumerate(self.source().class_names):
            assert reading.sizes["train", label], f"no text of train is of the class '{name}'; leave it out"
        known, tests = {*reading.texts["train"], *reading.texts["validation"]}, reading.texts["test"]
        shared = sum(text in known for text in tests)
        message = f"{shared:,} of {len(tests):,} test texts are also in train or validation"
        assert shared <= _SHARED * len(tests), f"{message}; leave them out there"

    def test_repeatable(self) -> None:
        """Rows are the same when they are read again, from the same source and from a fresh one."""
        first = self.reading()
        for which, source in (("read again", self.source()), ("of a fresh source", self.open())):
            again = read(source.rows())
            message = f"the rows {which} are {'different' if again.sizes else 'none'}"
            assert again.digest == first.digest, f"{message}; rows() starts again each time"

    def test_key(self) -> None:
        """Key and rows are the same in every process, whatever its hash seed."""
        here = [self.source().key(), self.reading().digest]
        assert self.open().key() == here[0], "key() of a fresh source differs; make it of what rows depend on"
        for seed in "12":
            there = self.run_python(_READ, name_of(type(self).dataset), self.data_dir, PYTHONHASHSEED=seed)
            message = "in another process key() or the rows differ"
            assert there == here, (
                f"{message}; use hashlib for hash(), and sorted() for sets and lists of files"
            )

    def test_streams(self) -> None:
        """Rows come one by one, without all of them in memory."""
        rows, reading = self.source().rows(), self.reading()
        assert isinstance(rows, Iterator), f"rows() returns a {type(rows).__name__}; yield rows"
        message = f"{reading.peak / 1e6:.0f} MB are held while {reading.characters / 1e6:.0f} MB are read"
        is_small = reading.characters < _WORTH_MEASURING
        assert is_small or reading.peak < _STREAMED * reading.characters, (
            f"{message}; yield each row before the next is read"
        )

    def test_prepares(self) -> None:
        """It is prepared as for a sweep, with each row once."""
        sizes, count = prepare(self.source()).sizes, self.reading().sizes.total()
        assert sum(sizes.values()) == count, f"{count} rows became {sum(sizes.values())} texts"
