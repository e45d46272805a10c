"""What is asked of a data set before it is prepared: see `benchmark.data.source.Source`."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tracemalloc
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import benchmark
from benchmark.conformance.check import Check, Failed, NotMeant, Options
from benchmark.data.prepare import prepare
from benchmark.data.source import DATASETS, PREFIXES, Row, Source, SourceOptions, get_source
from benchmark.support.registry import load_target

_PARTS = ("train", "validation", "test")
_SHARED = 0.01  # of the test texts; real data sets have a few texts twice
_WORTH_MEASURING = 16_000_000  # bytes of texts
_STREAMED = 0.5  # of them at most may be in memory at a time
_READ = """
import sys
from pathlib import Path
from benchmark.conformance.datasets import fingerprint, open_source
source = open_source(sys.argv[1], Path(sys.argv[2]) if sys.argv[2] else None)
print(source.key(), fingerprint(source.rows()))
"""


@dataclass
class _Seen:
    """What one reading of the rows has shown."""

    sizes: Counter[tuple[str, int]] = field(default_factory=Counter)
    texts: dict[str, set[bytes]] = field(default_factory=dict)
    tests: list[bytes] = field(default_factory=list)
    size: int = 0
    peak: int = 0
    digest: str = ""


class DataSet:
    """A data set that is looked at."""

    def __init__(self, target: str, data_dir: Path | None) -> None:
        self.target, self.data_dir = target, data_dir

    def close(self) -> None:
        """Do nothing: nothing is held."""

    def open(self) -> Source:
        """Return a fresh source."""
        return open_source(self.target, self.data_dir)

    @cached_property
    def source(self) -> Source:
        """The source that most checks look at."""
        return self.open()

    @cached_property
    def seen(self) -> _Seen:
        """The first reading; its rows are checked meanwhile."""
        return _read(self.source)


def open_source(target: str, data_dir: Path | None = None) -> Source:
    """Return the source of a registered name, of ``dir:PATH`` and the like, or of a file's function."""
    options = SourceOptions(data_dir)
    if target in DATASETS or target.partition(":")[0] in PREFIXES:
        return get_source(target, options)
    source: Source = load_target(target, "dataset")(options)
    return source


def fingerprint(rows: Iterable[Row]) -> str:
    """Return a digest of rows in their order."""
    digest = hashlib.sha256()
    for row in rows:
        digest.update(repr((row.part, row.text, int(row.label))).encode("utf-8", "backslashreplace"))
    return digest.hexdigest()


def attributes(data: DataSet) -> str:
    """The source says what it is."""
    source = data.source
    for name in ("name", "home", "class_names", "validation_share", "key", "rows"):
        if not hasattr(source, name):
            raise Failed(f"it has no '{name}'", f"add '{name}'; see Source in benchmark/data/source.py")
    names = source.class_names
    if not (isinstance(names, tuple) and all(isinstance(name, str) and name for name in names)):
        raise Failed(f"class_names is {names!r}", 'a tuple of texts, as ("neg", "pos")')
    if len(set(names)) != len(names) or len(names) < 2:
        raise Failed(f"class_names is {names!r}", "two or more names, each once")
    share = source.validation_share
    if not (isinstance(share, int | float) and 0 <= share < 1):
        raise Failed(f"validation_share is {share!r}", "a number from 0 to below 1, as 0.2")
    for name, text in (("name", source.name), ("home", source.home), ("key()", source.key())):
        if not (isinstance(text, str) and text):
            raise Failed(f"{name} is {text!r}", "a text that is not empty")
    return f"'{source.name}' with the classes {', '.join(names)}"


def rows(data: DataSet) -> str:
    """Rows have the right types, a known part, and a label within the names."""
    count = sum(data.seen.sizes.values())
    if not count:
        raise Failed("rows() yields nothing", "yield Row(part, text, label) for each text")
    return f"{count:,} rows"


def texts(data: DataSet) -> str:
    """No text is empty, and each can be written as UTF-8."""
    for row in data.source.rows():
        where = f" ({row.where})" if row.where else ""
        if not row.text.strip():
            raise Failed(f"a text of {row.part} is empty{where}", "leave it out")
        try:
            row.text.encode("utf-8")
        except UnicodeEncodeError as error:
            raise Failed(
                f"a text of {row.part} cannot be written as UTF-8{where}: {error.reason}",
                'decode its bytes with errors="replace"',
            ) from error
    return "none is empty"


def parts(data: DataSet) -> str:
    """There is something to train on, to validate with and to test; the parts share no texts."""
    seen, names = data.seen, data.source.class_names
    sizes = {part: sum(seen.sizes[part, label] for label in range(len(names))) for part in _PARTS}
    if not sizes["train"] or not sizes["test"]:
        missing = "train" if not sizes["train"] else "test"
        raise Failed(f"there is no text of {missing}", f'yield Row("{missing}", text, label), too')
    if bool(sizes["validation"]) == bool(data.source.validation_share):
        raise Failed(
            f"{sizes['validation']} rows are validation, and validation_share is "
            f"{data.source.validation_share}",
            "either yield a validation part and say 0, or yield none and say the share of train for it",
        )
    for label, name in enumerate(names):
        if not seen.sizes["train", label]:
            raise Failed(
                f"no text of train is of the class '{name}'", "leave the class out, or mend the labels"
            )
    known = seen.texts.get("train", set()) | seen.texts.get("validation", set())
    shared = sum(text in known for text in seen.tests)
    if shared > _SHARED * len(seen.tests):
        raise Failed(
            f"{shared:,} of {len(seen.tests):,} test texts also stand in train or validation",
            "leave them out of train: who has seen a text has not to guess",
        )
    told = ", ".join(f"{part} {size:,}" for part, size in sizes.items() if size)
    return f"{told}; {shared} test texts also stand in the others"


def repeatable(data: DataSet) -> str:
    """Rows are the same again, from the same source and from a fresh one."""
    for which, source in (("read again", data.source), ("of a fresh source", data.open())):
        if (found := fingerprint(source.rows())) != data.seen.digest:
            empty = found == fingerprint(())
            raise Failed(
                f"the rows {which} are {'none' if empty else 'others, or in another order'}",
                "make rows() a generator that begins anew, in a fixed order, and seed what it draws",
            )
    return "the same rows each time"


def key(data: DataSet) -> str:
    """Key and rows are the same in every process, whatever its hash seed."""
    if data.source.key() != data.open().key():
        raise Failed("key() of a fresh source is another one", "make it from what the rows depend on")
    answers = {_elsewhere(data, seed) for seed in ("1", "2")}
    if answers != {f"{data.source.key()} {data.seen.digest}"}:
        raise Failed(
            "in another process key() or the rows are others",
            "use hashlib instead of hash(), and sorted() for sets and for lists of files",
        )
    return "the same in every process"


def streams(data: DataSet) -> str:
    """Rows come one by one."""
    found = data.source.rows()
    if not isinstance(found, Iterator):
        raise Failed(
            f"rows() returns a {type(found).__name__}", "yield rows: data sets may be larger than the memory"
        )
    seen = data.seen
    if seen.size < _WORTH_MEASURING:
        return "rows() is a generator; too small for its memory to matter"
    if seen.peak > _STREAMED * seen.size:
        raise Failed(
            f"{seen.peak / 1e6:.0f} MB are held while {seen.size / 1e6:.0f} MB of texts are read",
            "read, yield and forget: one file or one record at a time",
        )
    return f"{seen.peak / 1e6:.0f} MB are held while {seen.size / 1e6:.0f} MB of texts are read"


def prepares(data: DataSet) -> str:
    """It can be prepared as for a sweep."""
    dataset = prepare(data.source)
    counted = sum(data.seen.sizes.values())
    if sum(dataset.sizes.values()) != counted:
        raise Failed(f"{counted} rows became {sum(dataset.sizes.values())} texts", "yield each row once")
    return f"{dataset.vocabulary_total:,} words, longest text {dataset.longest:,} words"


def _read(source: Source) -> _Seen:
    """Read all rows, check each, and measure the memory that is held meanwhile."""
    seen, digest, names = _Seen(), hashlib.sha256(), source.class_names
    held = 0  # by this function itself
    tracemalloc.start()
    try:
        for row in source.rows():
            _check(row, len(names))
            content = hashlib.sha256(row.text.encode("utf-8", "backslashreplace")).digest()
            digest.update(repr((row.part, row.text, row.label)).encode("utf-8", "backslashreplace"))
            seen.sizes[row.part, row.label] += 1
            seen.size += len(row.text)
            held += 2 * sys.getsizeof(content)  # it stands in a set, too
            if row.part == "test":
                seen.tests.append(content)
            else:
                seen.texts.setdefault(row.part, set()).add(content)
        seen.peak = max(0, tracemalloc.get_traced_memory()[1] - held)
    finally:
        tracemalloc.stop()
    seen.digest = digest.hexdigest()
    return seen


def _check(row: Row, classes: int) -> None:
    if not (isinstance(row, tuple) and hasattr(row, "part") and hasattr(row, "where")):
        raise Failed(f"a row is {str(row)[:80]!r}", "yield benchmark.data.source.Row(part, text, label)")
    where = f" ({row.where})" if row.where else ""
    if row.part not in _PARTS:
        raise Failed(f"a row is of part {row.part!r}{where}", "train, validation or test")
    if not isinstance(row.text, str):
        raise Failed(f"a text is {type(row.text).__name__}{where}", 'a str; bytes: text.decode("utf-8")')
    if not isinstance(row.label, int) or isinstance(row.label, bool):
        raise Failed(f"a label is {type(row.label).__name__} {row.label!r}{where}", "an int: int(label)")
    if not 0 <= row.label < classes:
        raise Failed(
            f"a row of {row.part} has label {row.label}{where}, and there are {classes} class_names",
            f"labels from 0 to {classes - 1}",
        )


def _elsewhere(data: DataSet, seed: str) -> str:
    """Return key and digest of the rows as another process finds them."""
    root = str(Path(benchmark.__file__).parents[1])
    path = os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH"))))
    done = subprocess.run(
        [sys.executable, "-c", _READ, data.target, str(data.data_dir or "")],
        env={**os.environ, "PYTHONPATH": path, "PYTHONHASHSEED": seed},
        capture_output=True,
        text=True,
    )
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise Failed(
            f"it cannot be read in another process ({last[:200]})", "keep no state outside the source"
        )
    return done.stdout.strip()


CHECKS = (
    Check(attributes, basic=True),
    Check(rows, basic=True),
    Check(texts),
    Check(parts),
    Check(repeatable),
    Check(key),
    Check(streams),
    Check(prepares),
)


def open_subject(target: str, options: Options) -> DataSet:
    """Return the data set of a target."""
    if options.settings:
        raise NotMeant("--set is for models")
    return DataSet(target, options.data_dir)
