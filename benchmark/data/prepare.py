"""Preparation: a source is read once, streaming, into a cache entry of token ids and texts."""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import json
import re
from array import array
from collections import defaultdict
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from benchmark.data.cache import META, cache_root, locked, read_entry, write_entry
from benchmark.data.data_profile import FactFinder
from benchmark.data.dataset import Dataset
from benchmark.data.source import Row, Source
from benchmark.data.splits import SPLIT_SEED, draw_stratified
from benchmark.data.text import OOV, STANDARDIZER_VERSION, tokenize
from benchmark.support.errors import UserError
from benchmark.support.printable import redacted

_FORMAT = 2
_CHUNK = 1 << 22
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def prepare(source: Source) -> Dataset:
    """Return the prepared data set, from the cache where it is whole, otherwise made now.

    Several processes may ask at once: one prepares, the others wait and use what it made. A damaged
    entry is noticed by its checksums and made again.

    Parameters
    ----------
    source : Source
        Where the texts come from.

    Returns
    -------
    Dataset
        Opened on memory-mapped files.
    """
    dataset = cached(source)
    if dataset is not None:
        return dataset
    if len(source.class_names) < 2:  # asked first: a source that reads its data for it may raise here
        raise UserError(
            f"data set '{source.name}' has one class only, {list(source.class_names)}; expected two or more"
        )
    folder = _entry(source)
    with locked(folder):
        dataset = cached(source)
        if dataset is not None:
            return dataset
        write_entry(folder, lambda scratch: _fill(scratch, source))
    dataset = cached(source)
    if dataset is None:
        raise UserError(f"the cache entry {folder} is damaged as soon as it is written; check the disk")
    return dataset


def cached(source: Source) -> Dataset | None:
    """Return the data set if a whole cache entry of it exists."""
    folder = _entry(source)
    meta = read_entry(folder)
    return None if meta is None else Dataset.from_meta(folder, meta)


def find_prepared(digest: str) -> Dataset | None:
    """Return the prepared data set with this content, where the cache has a whole one."""
    for path in sorted((cache_root() / "datasets").glob(f"*/{META}")):
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError, RecursionError):
            if json.loads(path.read_bytes())["digest"] == digest and (meta := read_entry(path.parent)):
                return Dataset.from_meta(path.parent, meta)
    return None


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


class _Writer:
    """Texts, provisional token ids and labels of the rows that may be seen, or of the test part."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.folder = folder
        self._texts: IO[bytes] = (folder / "texts.bin").open("wb")
        self._tokens: IO[bytes] = (folder / "tokens.tmp").open("wb")
        self.labels = array("i")
        self._text_ends = array("q", [0])
        self.token_ends = array("q", [0])

    def add(self, text: str, ids: array[int], label: int) -> bytes:
        content = text.encode("utf-8", errors="replace")
        self._texts.write(content)
        ids.tofile(self._tokens)
        self.labels.append(label)
        self._text_ends.append(self._text_ends[-1] + len(content))
        self.token_ends.append(self.token_ends[-1] + len(ids))
        return content

    def close(self) -> None:
        self._texts.close()
        self._tokens.close()
        np.save(self.folder / "labels.npy", np.array(self.labels, dtype=np.int32))
        np.save(self.folder / "text_ends.npy", np.array(self._text_ends, dtype=np.int64))
        np.save(self.folder / "token_ends.npy", np.array(self.token_ends, dtype=np.int64))

    def lengths(self) -> NDArray[np.int64]:
        ends = np.array(self.token_ends, dtype=np.int64)
        return ends[1:] - ends[:-1]

    def provisional(self) -> NDArray[np.int32]:
        path = self.folder / "tokens.tmp"
        if path.stat().st_size == 0:
            return np.zeros(0, dtype=np.int32)
        return np.memmap(path, dtype=np.int32, mode="r")

    def finish(self, rank: NDArray[np.int32]) -> None:
        """Replace provisional ids by their rank in the training part."""
        provisional = self.provisional()
        # Not through a memory map: on a full disk the kernel ends a process that writes into one.
        with (self.folder / "tokens.npy").open("wb") as file:
            header = np.lib.format.header_data_from_array_1_0(provisional)
            np.lib.format.write_array_header_1_0(file, header)
            for start in range(0, len(provisional), _CHUNK):
                file.write(rank[provisional[start : start + _CHUNK]].tobytes())
        del provisional
        (self.folder / "tokens.tmp").unlink()


def _fill(folder: Path, source: Source) -> dict[str, Any]:
    open_part, test = _Writer(folder / "open"), _Writer(folder / "test")
    numbers: defaultdict[bytes, int] = defaultdict(itertools.count().__next__)
    own_validation, facts = array("b"), FactFinder()
    digest = hashlib.sha256(json.dumps([source.class_names, source.validation_share]).encode())
    for row in source.rows():
        _check(row, source)
        ids = array("i", [numbers[token] for token in tokenize(row.text)])
        if row.part == "test":
            content = test.add(row.text, ids, row.label)
        else:
            content = open_part.add(row.text, ids, row.label)
            own_validation.append(row.part == "validation")
        digest.update(f"\x00{row.part}\x00{row.label}\x00{len(content)}\x00".encode())
        digest.update(content)
        facts.add(row, content)
    open_part.close()
    test.close()

    train, validation = split_validation(
        np.array(open_part.labels, dtype=np.int32),
        np.array(own_validation, dtype=np.int8).astype(bool),
        source.validation_share,
    )
    np.save(folder / "train_rows.npy", train)
    np.save(folder / "validation_rows.npy", validation)
    words, rank = _rank(list(numbers), open_part, train)
    (folder / "vocabulary.txt").write_bytes(b"\n".join(words))
    open_part.finish(rank)
    test.finish(rank)
    sizes = {"train": len(train), "validation": len(validation), "test": len(test.labels)}
    for part, size in sizes.items():
        if not size:
            raise UserError(f"data set '{source.name}' has no {part} texts")
    found = facts.finish(train, validation, open_part.lengths(), len(source.class_names))
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
        "longest": int(open_part.lengths()[train].max(initial=1)),
        "facts": found,
        "notices": list(getattr(source, "notices", ())),  # optional, see `Source`
    }


def _check(row: Row, source: Source) -> None:
    if row.part not in ("train", "validation", "test"):
        raise UserError(
            f"data set '{source.name}': a text is of part '{row.part}'; expected train, validation or test"
        )
    if not 0 <= row.label < len(source.class_names):
        raise UserError(
            f"data set '{source.name}': a text of {row.part} has label {row.label}; "
            f"expected 0 to {len(source.class_names) - 1}"
        )


def _check_classes(source: Source, counts: dict[str, list[int]]) -> None:
    names = source.class_names
    trained = [name for name, count in zip(names, counts["train"], strict=True) if count]
    for split in ("test", "validation"):
        for name, count in zip(names, counts[split], strict=True):
            if count and name not in trained:
                alike = next((one for one in trained if one.casefold() == name.casefold()), None)
                hint = f", or name it '{alike}' if it is that one" if alike else ""
                texts = "text" if count == 1 else "texts"
                raise UserError(
                    f"data set '{source.name}': the class '{name}' has {count:,} {split} {texts} and none to "
                    f"train on; add some to train, or remove these{hint}"
                )


def split_validation(
    labels: NDArray[np.int32], own: NDArray[np.bool_], share: float
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the rows of the training and validation parts.

    Parameters
    ----------
    labels : ndarray of int32, shape [n]
        Class of every row that is not test.
    own : ndarray of bool, shape [n]
        True where the source itself says validation.
    share : float
        Where no row is the source's own validation: share of each class that is drawn, by a fixed
        seed.

    Returns
    -------
    train, validation : ndarray of int64
        Row numbers, ascending.
    """
    if not own.any():
        own = draw_stratified(labels, share, SPLIT_SEED)
    return np.flatnonzero(~own), np.flatnonzero(own)


def _rank(
    words: list[bytes], part: _Writer, rows: NDArray[np.int64]
) -> tuple[list[bytes], NDArray[np.int32]]:
    """Rank words by frequency in the training rows, ties by the word; unseen ones become OOV."""
    counts = np.zeros(len(words), dtype=np.int64)
    provisional, ends = part.provisional(), part.token_ends
    for row in rows.tolist():
        np.add.at(counts, provisional[ends[row] : ends[row + 1]], 1)
    order = sorted(np.flatnonzero(counts), key=lambda number: (-counts[number], words[number]))
    rank = np.full(len(words), OOV, dtype=np.int32)
    rank[order] = np.arange(len(order), dtype=np.int32) + OOV + 1
    return [words[number] for number in order], rank
