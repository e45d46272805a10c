"""Token ids of a data set: written row by row, ranked by the training split, kept in the cache by form."""

from __future__ import annotations

import itertools
import time
from array import array
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from benchmark.data.cache import cache_root, locked, read_entry, write_entry
from benchmark.data.text import OOV
from benchmark.data.tokens import FORMS_VERSION, splitter
from benchmark.support.errors import UserError

if TYPE_CHECKING:
    from benchmark.data.dataset import Dataset, MappedTexts
    from benchmark.spec.config import Tokens, ViewSettings

_CHUNK = 1 << 22
_ROWS = 4096  # texts read at a time
_LEARNED_FROM = 200_000  # texts that subwords are learned from, evenly drawn
_LINE_EVERY = 3.0  # seconds


class TokenWriter:
    """Writes the token ids of one folder of a cache entry: row by row, and once more when ranks are known.

    Attributes
    ----------
    folder : Path
        Made here.
    token_ends : array of int
        Where each row ends, after a 0.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.folder = folder
        self._tokens = (folder / "tokens.tmp").open("wb")
        self.token_ends = array("q", [0])

    def add_ids(self, ids: array[int]) -> None:
        """Add the provisional token ids of a row."""
        ids.tofile(self._tokens)
        self.token_ends.append(self.token_ends[-1] + len(ids))

    def close(self) -> None:
        """Write all but the token ids."""
        self._tokens.close()
        np.save(self.folder / "token_ends.npy", np.array(self.token_ends, dtype=np.int64))

    def provisional(self) -> NDArray[np.int32]:
        """Return the provisional ids of all rows, memory-mapped."""
        path = self.folder / "tokens.tmp"
        if path.stat().st_size == 0:
            return np.zeros(0, dtype=np.int32)
        return np.memmap(path, dtype=np.int32, mode="r")

    def finish(self, rank: NDArray[np.int32]) -> None:
        """Replace provisional ids by their rank in the training split."""
        provisional = self.provisional()
        # Not through a memory map: on a full disk the kernel ends a process that writes into one.
        with (self.folder / "tokens.npy").open("wb") as file:
            header = np.lib.format.header_data_from_array_1_0(provisional)
            np.lib.format.write_array_header_1_0(file, header)
            for start in range(0, len(provisional), _CHUNK):
                file.write(rank[provisional[start : start + _CHUNK]].tobytes())
        del provisional
        (self.folder / "tokens.tmp").unlink()

    def longest(self, rows: NDArray[np.int64]) -> int:
        """Return the tokens of the longest of some rows, 1 at least."""
        return int(np.diff(self.token_ends)[rows].max(initial=1))


def rank_words(
    words: list[bytes], written: TokenWriter, rows: NDArray[np.int64], learned: int = 0
) -> tuple[list[bytes], NDArray[np.int32]]:
    """Rank words by frequency in the training rows, ties by the word; unseen ones become OOV.

    The first `learned` ones were learned from these rows, and get a rank though none has them.
    """
    counts = np.zeros(len(words), dtype=np.int64)
    provisional, ends = written.provisional(), written.token_ends
    for row in rows.tolist():
        np.add.at(counts, provisional[ends[row] : ends[row + 1]], 1)
    known = np.flatnonzero((counts > 0) | (np.arange(len(words)) < learned))
    order = sorted(known, key=lambda number: (-counts[number], words[number]))
    rank = np.full(len(words), OOV, dtype=np.int32)
    rank[order] = np.arange(len(order), dtype=np.int32) + OOV + 1
    return [words[number] for number in order], rank


@dataclass(frozen=True)
class TokenisedDataset:
    """A data set's token ids in one form.

    Attributes
    ----------
    folder : Path
        Has ``open`` and ``test`` with ids, and ``vocabulary.txt``.
    vocabulary_total : int
        Distinct tokens of the training split.
    longest : int
        Tokens of the longest training text.
    merges : tuple of str
        What subwords were learned, see `benchmark.data.subwords.learn`.
    """

    folder: Path
    vocabulary_total: int
    longest: int
    merges: tuple[str, ...] = ()


def tokenised(dataset: Dataset, view: ViewSettings, line: Callable[[str], None]) -> TokenisedDataset:
    """Return a data set's token ids in the form of a view, from the cache where they are, otherwise made now.

    Words are those of the data set's entry. Every other form has an entry, and subwords one for each
    vocabulary size; of several processes one makes it, and the others wait.

    Parameters
    ----------
    dataset : Dataset
        The prepared data set.
    view : ViewSettings
        Its ``tokens`` and, for subwords, ``vocabulary_size`` matter.
    line : callable
        Gets every few seconds how many texts are done.

    Raises
    ------
    UserError
        When subwords are to be learned and their library is missing, or the cache cannot be written.
    """
    if view.tokens == "words":
        return TokenisedDataset(dataset.folder, dataset.vocabulary_total, dataset.longest)
    size = view.vocabulary_size if view.tokens == "subwords" else 0
    name = f"{dataset.folder.name}-{view.tokens}-{FORMS_VERSION}" + (f"-{size}" if size else "")
    folder = cache_root() / "tokens" / name
    if (found := _opened(folder, dataset.digest)) is None:
        with locked(folder):
            if _read(folder, dataset.digest) is None:
                write_entry(folder, lambda scratch: _fill(scratch, dataset, view.tokens, size, line))
        _opened.cache_clear()
        found = _opened(folder, dataset.digest)
    if found is None:
        raise UserError(f"the cache entry {folder} is damaged as soon as it is written; check the disk")
    return found


def _read(folder: Path, digest: str) -> dict[str, Any] | None:
    meta = read_entry(folder)
    return meta if meta and meta.get("digest") == digest else None


@lru_cache(8)
def _opened(folder: Path, digest: str) -> TokenisedDataset | None:
    """Return what a cache entry has: its checksums are read once in a process."""
    if (meta := _read(folder, digest)) is None:
        return None
    return TokenisedDataset(folder, meta["vocabulary"], meta["longest"], tuple(meta["merges"]))


def _fill(
    scratch: Path, dataset: Dataset, form: Tokens, size: int, line: Callable[[str], None]
) -> dict[str, Any]:
    splits = dataset.texts_to_tokenise()
    train = np.load(dataset.folder / "train_rows.npy")
    merges: tuple[str, ...] = ()
    if form == "subwords":
        from benchmark.data.subwords import learn

        line(f"{dataset.name}: learning subwords")
        merges = learn(_texts(splits["open"], train[:: max(1, len(train) // _LEARNED_FROM)]), size)
    numbers: defaultdict[str, int] = defaultdict(itertools.count().__next__)
    learned = len([numbers[merge.replace(" ", "")] for merge in merges])
    split, last_line, done = splitter(form, merges), time.monotonic(), 0
    written = {name: TokenWriter(scratch / name) for name in splits}
    for name, mapped in splits.items():
        for text in _texts(mapped, np.arange(len(mapped.labels))):
            if time.monotonic() - last_line >= _LINE_EVERY:
                line(f"{dataset.name}: {done:,} texts cut into {form.replace('_', ' ')}")
                last_line = time.monotonic()
            written[name].add_ids(array("i", [numbers[token] for token in split(text)]))
            done += 1
        written[name].close()
    words, rank = rank_words([word.encode() for word in numbers], written["open"], train, learned)
    (scratch / "vocabulary.txt").write_bytes(b"\n".join(words))
    for one in written.values():
        one.finish(rank)
    return {
        "digest": dataset.digest,
        "vocabulary": len(words),
        "longest": written["open"].longest(train),
        "merges": list(merges),
    }


def _texts(mapped: MappedTexts, rows: NDArray[np.int64]) -> Iterator[str]:
    for start in range(0, len(rows), _ROWS):
        yield from mapped.texts(rows[start : start + _ROWS])
