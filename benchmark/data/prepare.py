"""The data set of a command: a source is read once, streaming, into a cache entry of token ids and texts."""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import json
import re
import time
from array import array
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmark.data.cache import META, Files, cache_root, locked, unpack_entry, write_entry
from benchmark.data.data_profile import find_facts, notices, shared_texts
from benchmark.data.dataset import Dataset, TextWriter
from benchmark.data.files import FirstFew
from benchmark.data.folds import fold_sources
from benchmark.data.labels import rating
from benchmark.data.scripts import fitting_tokens
from benchmark.data.source import (
    SPELLED,
    SPLITS,
    Row,
    Source,
    SourceOptions,
    get_source,
    own_files,
    split_validation,
)
from benchmark.data.text import STANDARDIZER_VERSION, tokenize
from benchmark.data.tfds_source import ImdbSource
from benchmark.data.token_ids import rank_words
from benchmark.support.errors import UserError
from benchmark.support.printable import redacted

_FORMAT = 2
_LINE_EVERY = 3.0  # seconds, while texts are read
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def choose_dataset(
    name: str | None,
    options: SourceOptions,
    notice: Callable[[str], None],
    line: Callable[[str], None] = lambda _: None,
    progress: Callable[[str], None] | None = None,
) -> Dataset:
    """Return the prepared data set that was asked for.

    Parameters
    ----------
    name : str or None
        A name, ``dir:PATH``, ``csv:PATH``, ``hf:NAME`` or ``tfds:NAME``, which never falls back. None means
        ``imdb`` where it is prepared or can be fetched, otherwise ``sample``.
    options : SourceOptions
        Data folder, validation share, encoding and columns.
    notice : callable
        Gets that ``sample`` is taken instead, and why, and what was left out of files or drawn from them.
    line : callable
        Gets why ``imdb`` is taken where no name was given, and which test texts are training texts, too.
    progress : callable, optional
        Gets how far the preparation is; by default `line` does.
    """
    _check_share(options)
    if name is None:
        dataset = _default(options, notice, line)
    else:
        dataset = prepare(get_source(name, options), progress or line)
        if said := notices(dataset):
            notice("\n".join(said))
    if shared := shared_texts(dataset):
        line(f"{dataset.name}: {shared}")
    return dataset


def choose_folds(
    name: str | None,
    options: SourceOptions,
    folds: int,
    notice: Callable[[str], None],
    line: Callable[[str], None],
) -> list[Dataset]:
    """Return the prepared folds of the data set that was asked for; other parameters as in `choose_dataset`.

    Raises
    ------
    UserError
        Where there is no name, or the data cannot be divided so.
    """
    _check_share(options)
    if name is None:
        raise UserError("name the data set to be divided with `dataset`", setting="folds", value=folds)
    datasets = [prepare(source, line) for source in fold_sources(name, options, folds)]
    if said := dict.fromkeys(one for dataset in datasets for one in notices(dataset)):
        notice("\n".join(said))
    if shared := sum(dataset.test_duplicates for dataset in datasets):
        line(f"{datasets[0].name}: texts of a fold that also stand in a different one: {shared:,}")
    return datasets


def _default(options: SourceOptions, notice: Callable[[str], None], line: Callable[[str], None]) -> Dataset:
    """Return IMDB where it is at hand or can be fetched, otherwise the sample; say which, and why."""
    for option in options.given():
        raise UserError(
            "name the data set that it is about with `dataset`", setting=SPELLED.get(option, option)
        )
    imdb = ImdbSource(options)
    found, reason = "", "no network"
    if cached(imdb) is not None:
        found = "prepared in the cache"
    elif (folder := imdb.find()) is not None:
        found = f"found in {folder}"
    elif imdb.reachable():
        try:
            prepare(imdb, line)
            found = "fetched"
        except UserError as error:  # something answers, as behind some proxies, but not the data
            reason = str(error)
    if found:
        line(f"imdb: {found} (a different data set: `dataset`)")
        return prepare(imdb, line)
    ignored = "" if options.validation_share is None else " (`validation_share` has no effect on it)"
    notice(
        f"The IMDB reviews are neither on this machine nor can they be fetched ({reason}), so this takes "
        f"'sample', the built-in data set made by the program{ignored}. Its results say nothing about real "
        "reviews. To use the real ones, give a folder that has them with `data_dir`."
    )
    return prepare(get_source("sample", SourceOptions(options.data_dir)), line)


def _check_share(options: SourceOptions) -> None:
    if options.validation_share is not None and not options.validation_share < 1:
        raise UserError(f"got {options.validation_share}, expected less than 1", setting="validation_share")


def prepare(source: Source, line: Callable[[str], None] = lambda _: None) -> Dataset:
    """Return the prepared data set, from the cache where it is whole, otherwise made now.

    Several processes may ask at once: one prepares, the others wait and use what it made. A damaged
    entry is noticed by its checksums and made again.

    Parameters
    ----------
    source : Source
        Where the texts come from.
    line : callable
        Gets every few seconds how many texts have been read, where there is no whole entry.

    Returns
    -------
    Dataset
        Opened on memory-mapped files.
    """
    folder = _entry(source)
    dataset = Dataset.open(folder)
    if dataset is None:
        if len(source.class_names) < 2:  # asked first: a source that reads its data for it may raise here
            names = list(source.class_names)
            raise UserError(f"data set '{source.name}' has one class only, {names}; expected two or more")
        dataset = _made_once(folder, lambda scratch: _fill(scratch, source, line))
    if dataset is None:
        raise UserError(f"the cache entry {folder} is damaged as soon as it is written; check the disk")
    return dataset


def _made_once(
    folder: Path, fill: Callable[[Path], dict[str, Any]], digest: str | None = None
) -> Dataset | None:
    """Return the data set of a cache entry that one process makes, and the others wait for."""
    with locked(folder):
        if Dataset.open(folder, digest) is None:
            write_entry(folder, fill)
    return Dataset.open(folder, digest)


def cached(source: Source) -> Dataset | None:
    """Return the data set if a whole cache entry of it exists."""
    return Dataset.open(_entry(source))


def find_prepared(digest: str) -> Dataset | None:
    """Return the prepared data set with this content, where the cache has a whole one."""
    for path in sorted((cache_root() / "datasets").glob(f"*/{META}")):
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError, RecursionError):
            # The digest first: to open an entry, all of it is read.
            if json.loads(path.read_bytes())["digest"] == digest and (dataset := Dataset.open(path.parent)):
                return dataset
    return None


def find_entry(entry: str, digest: str) -> Dataset | None:
    """Return a data set that this machine's cache has.

    Parameters
    ----------
    entry : str
        Name of its folder, by which it is known how it was prepared.
    digest : str
        Of its content.

    Returns
    -------
    Dataset or None
        None where the entry is missing, damaged, or of a different content.
    """
    return Dataset.open(cache_root() / "datasets" / entry, digest)


def receive(entry: str, digest: str, files: Files) -> Dataset:
    """Put a data set that was sent into this machine's cache: once, however many processes are sent it.

    Parameters
    ----------
    entry, digest : str
        As in `find_entry`.
    files : dict
        From `benchmark.data.cache.pack`, of the sender's entry.

    Returns
    -------
    Dataset
        From the cache.

    Raises
    ------
    UserError
        When the cache cannot be written, or what arrived is not what was sent.
    """
    dataset = _made_once(
        cache_root() / "datasets" / entry, lambda scratch: unpack_entry(scratch, files), digest
    )
    if dataset is None:
        raise UserError(f"the copy of data set '{entry}' that was sent is not the one that was asked for")
    return dataset


def _entry(source: Source) -> Path:
    """Return the folder of a source's cache entry.

    Its name, which a plug-in may have chosen, is that of folders here and of an experiment in MLflow.
    """
    if not _NAME.fullmatch(source.name):
        raise UserError(
            f"data set '{source.name}': expected a name of letters, digits, '.', '_' and '-', which begins "
            "with a letter or digit"
        )
    key = hashlib.sha256(f"{_FORMAT}|{STANDARDIZER_VERSION}|{source.key()}".encode()).hexdigest()[:16]
    return cache_root() / "datasets" / f"{source.name}-{key}"


def _fill(folder: Path, source: Source, line: Callable[[str], None]) -> dict[str, Any]:
    visible, test = TextWriter(folder / "open"), TextWriter(folder / "test")
    numbers: defaultdict[bytes, int] = defaultdict(itertools.count().__next__)
    own_validation, empty = array("b"), FirstFew()
    named: defaultdict[str, int] = defaultdict(itertools.count().__next__)
    grouped = {visible: array("i"), test: array("i")}
    digest = hashlib.sha256(json.dumps([source.class_names, source.validation_share]).encode())
    last_line = time.monotonic()
    for number, row in enumerate(source.rows(), 1):
        if number > 1 and time.monotonic() - last_line >= _LINE_EVERY:
            line(f"{source.name}: {number - 1:,} texts read")
            last_line = time.monotonic()
        _check(row, source)
        name = row.where or f"text {number}"
        ids = array("i", [numbers[token] for token in tokenize(row.text)])
        writer = test if row.split == "test" else visible
        content = writer.add(row.text, ids, row.label, name)
        grouped[writer].append(named[row.group] if row.group else -1)
        if row.split != "test":
            own_validation.append(row.split == "validation")
        if not content.strip():
            empty.add(name)
        digest.update(f"\x00{row.split}\x00{row.label}\x00{len(content)}\x00".encode())
        digest.update(content)
        if row.group:
            digest.update(f"\x00{len(row.group)}\x00{row.group}".encode("utf-8", "surrogatepass"))
    visible.close()
    test.close()

    groups = _save_groups(grouped, len(named))
    train, validation = split_validation(
        np.array(visible.labels),
        np.array(own_validation, dtype=bool),
        source.validation_share,
        groups[0] if groups else None,
    )
    np.save(folder / "train_rows.npy", train)
    np.save(folder / "validation_rows.npy", validation)
    auto, said = fitting_tokens(list(numbers), visible, train)
    if not own_files(getattr(source, "spelling", "")):
        auto = "words"
    elif auto != "words":
        said = f"{said.partition(': try')[0]}: tokens are {auto} unless `set` tokens=… says otherwise"
    words, rank = rank_words(list(numbers), visible, train)
    (folder / "vocabulary.txt").write_bytes(b"\n".join(words))
    visible.finish(rank)
    test.finish(rank)
    sizes = {"train": len(train), "validation": len(validation), "test": len(test.labels)}
    for split, size in sizes.items():
        if not size:
            raise UserError(f"data set '{source.name}' has no {split} texts")
    splits = {"train": (visible, train), "validation": (visible, validation)}
    splits["test"] = (test, np.arange(len(test.labels)))
    found = find_facts(splits, empty, len(source.class_names))
    _check_classes(source, found["class_counts"])
    return {
        "name": source.name,
        "digest": digest.hexdigest()[:32],
        "home": redacted(source.home),
        "class_names": list(source.class_names),
        "validation_share": source.validation_share,
        "standardizer": STANDARDIZER_VERSION,
        "sizes": sizes,
        "vocabulary": len(words),
        "longest": visible.longest(train),
        "facts": found,
        "notices": [
            *getattr(source, "notices", ()),  # optional, see `Source`
            *_unvalidated(source, found["class_counts"]),
            *([f"{getattr(source, 'spelling', source.name)}: {said}"] if said else []),
        ],
        "auto_tokens": auto,
        "metric": getattr(source, "metric", None),
        "fold": getattr(source, "fold", None),
    }


def _check(row: Row, source: Source) -> None:
    if row.split not in SPLITS:
        raise UserError(
            f"data set '{source.name}': a text is of split '{row.split}'; expected train, validation or test"
        )
    if not 0 <= row.label < len(source.class_names):
        raise UserError(
            f"data set '{source.name}': a text of {row.split} has label {row.label}; "
            f"expected 0 to {len(source.class_names) - 1}"
        )


def _check_classes(source: Source, counts: dict[str, list[int]]) -> None:
    names = source.class_names
    said = f" (its label {said})" if (said := rating(names)) else ""
    trained = [name for name, count in zip(names, counts["train"], strict=True) if count]
    for split in ("test", "validation"):
        for name, count in zip(names, counts[split], strict=True):
            if count and name not in trained:
                alike = next((one for one in trained if one.casefold() == name.casefold()), None)
                hint = f", or name it '{alike}' if it is that one" if alike else ""
                texts = "text" if count == 1 else "texts"
                raise UserError(
                    f"data set '{source.name}': the class '{name}' has {count:,} {split} {texts} and none to "
                    f"train on; add some to train, or remove these{hint}{said}"
                )


def _unvalidated(source: Source, counts: dict[str, list[int]]) -> Iterator[str]:
    """Yield which classes of the training split have no validation text, and the way out, if there is any."""
    few, most = FirstFew(), 0
    for name, *numbers in zip(source.class_names, *(counts[split] for split in SPLITS), strict=True):
        if numbers[0] and not numbers[1]:
            few.add(f"'{name}'")
            most = max(most, sum(numbers))
    if few.count:
        what = "1 class has" if few.count == 1 else f"{few.count:,} classes have"
        named = getattr(source, "spelling", source.name)
        hint = f"; leave out classes of few texts with `min_per_class` {most + 1}" if own_files(named) else ""
        yield f"{named}: {what} no validation text, so no search sees their errors ({few}){hint}"


def _save_groups(grouped: dict[TextWriter, array[int]], named: int) -> list[NDArray[np.int32]]:
    """Write the group of each row, where there are any; a row without one (-1) gets one of its own."""
    saved: list[NDArray[np.int32]] = []
    for writer, numbers in grouped.items() if named else ():
        groups = np.array(numbers, dtype=np.int32)
        alone = np.flatnonzero(groups < 0)
        groups[alone] = np.arange(named, named + len(alone), dtype=np.int32)
        named += len(alone)
        writer.save_groups(groups)
        saved.append(groups)
    return saved
