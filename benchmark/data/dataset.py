"""A prepared data set: memory-mapped ids, labels and texts, and the views cut from them."""

from __future__ import annotations

import hashlib
import mmap
from array import array
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from benchmark.data.cache import read_entry
from benchmark.data.folds import Fold
from benchmark.data.text import OOV, cut
from benchmark.data.token_ids import TokenisedDataset, TokenWriter, tokenised
from benchmark.spec.config import ViewSettings

_VIEWS = 4  # two splits of two shapes
_LARGEST_KEPT = 1 << 28  # bytes
_GROUPS = "groups.npy"
_WITH_TEST = (["train", "test"], ["validation", "test"])


@dataclass(frozen=True)
class View:
    """A split of a data set as integer arrays.

    Attributes
    ----------
    x : ndarray of int32, shape [n, length]
        Token ids below the view's vocabulary size, 0 where padded.
    y : ndarray of int32, shape [n]
        Class numbers.
    rows : ndarray of int64, shape [n]
        Numbers of the rows in their split's files.
    mapped : MappedTexts
        Where the texts are.
    """

    x: NDArray[np.int32]
    y: NDArray[np.int32]
    rows: NDArray[np.int64]
    mapped: MappedTexts

    def texts(self) -> list[str]:
        """Return the raw texts of the rows, in their order."""
        return self.mapped.texts(self.rows)

    def groups(self) -> NDArray[np.int32] | None:
        """Return the group of each row, shape [n], in one numbering for all splits; None without groups."""
        file = self.mapped.folder / _GROUPS
        return np.load(file, mmap_mode="r")[self.rows] if file.exists() else None


class MappedTexts:
    """One folder of a cache entry: texts, token ids and labels, memory-mapped.

    Parameters
    ----------
    folder : Path
        The folder.
    ids : Path, optional
        The one that has the token ids, where they are not words.
    """

    def __init__(self, folder: Path, ids: Path | None = None) -> None:
        self.folder, self.ids = folder, ids or folder
        self.labels: NDArray[np.int32] = np.load(folder / "labels.npy", mmap_mode="r")
        self.tokens: NDArray[np.int32] = np.load(self.ids / "tokens.npy", mmap_mode="r")
        self.token_ends: NDArray[np.int64] = np.load(self.ids / "token_ends.npy", mmap_mode="r")

    def __reduce__(self) -> tuple[type[MappedTexts], tuple[Path, Path]]:
        # A data set goes to worker processes as a path: pickled maps would be copies of all the data.
        return MappedTexts, (self.folder, self.ids)

    def text(self, row: int) -> str:
        """Return the raw text of a row."""
        return self.texts(np.array([row]))[0]

    def texts(self, rows: NDArray[np.int64]) -> list[str]:
        """Return the raw texts of some rows."""
        ends = np.load(self.folder / "text_ends.npy", mmap_mode="r")
        if not ends[-1]:  # nothing but empty texts, and an empty file cannot be mapped
            return [""] * len(rows)
        with (
            (self.folder / "texts.bin").open("rb") as file,
            mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content,
        ):
            return [content[ends[row] : ends[row + 1]].decode("utf-8") for row in rows]

    def view(self, rows: NDArray[np.int64], settings: ViewSettings | None, length: int) -> View:
        """Cut the view of some rows at a length; without settings, one of texts and labels alone."""
        if settings is None:
            x = np.zeros((len(rows), 0), dtype=np.int32)
        else:
            x = cut(self.tokens, self.token_ends[:-1][rows], np.diff(self.token_ends)[rows], settings, length)
        return View(x=x, y=np.asarray(self.labels)[rows], rows=rows, mapped=self)


def text_hash(content: bytes) -> int:
    """Return 64 bits by which a text in UTF-8 is known."""
    return int.from_bytes(hashlib.blake2b(content, digest_size=8).digest(), "little")


class TextWriter(TokenWriter):
    """Writes the folder of a `MappedTexts`: row by row, and the token ids once their ranks are known."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._texts = (folder / "texts.bin").open("wb")
        self.labels, self.hashes = array("i"), array("Q")
        self.names: list[str] = []
        self._text_ends = array("q", [0])

    def add(self, text: str, ids: array[int], label: int, name: str) -> bytes:
        """Add a row, named for people, with provisional token ids, and return its text in UTF-8."""
        content = text.encode("utf-8", errors="replace")
        self._texts.write(content)
        self.add_ids(ids)
        self.labels.append(label)
        self.hashes.append(text_hash(content))
        self.names.append(name)
        self._text_ends.append(self._text_ends[-1] + len(content))
        return content

    def close(self) -> None:
        """Write all but the token ids."""
        super().close()
        self._texts.close()
        np.save(self.folder / "labels.npy", np.array(self.labels, dtype=np.int32))
        np.save(self.folder / "text_ends.npy", np.array(self._text_ends, dtype=np.int64))

    def save_groups(self, groups: NDArray[np.int32]) -> None:
        """Write the group of each row."""
        np.save(self.folder / _GROUPS, groups)


@lru_cache(_VIEWS)
def _view(
    folder: Path, ids: Path, digest: str, split: str, settings: ViewSettings | None, length: int
) -> View:
    """Return a view that runs of one shape share; the digest is there to notice a change."""
    rows = np.load(folder / f"{split}_rows.npy")
    view = MappedTexts(folder / "open", ids / "open").view(rows, settings, length)
    view.x.flags.writeable = False
    return view


@dataclass(frozen=True)
class Dataset:
    """A prepared data set. Its test split is not an attribute: see `ledger_chain.read_test_split`.

    Attributes
    ----------
    folder : Path
        The cache entry.
    name, digest : str
        Name for people, and digest of the content: texts, labels, classes and splits.
    class_names : tuple of str
        Names of the classes 0, 1, …
    sizes : dict of str to int
        Texts in train, validation and test.
    vocabulary_total : int
        Distinct words of the training split.
    longest : int
        Tokens of the longest training text.
    home : str
        Where it comes from.
    validation_share : float
        Share of train that became validation, 0 where the data set has that split.
    test_duplicates : int
        Test texts that also stand in train or validation.
    class_counts : dict of str to list of int
        Texts of each class in train, validation and test, as counted when it was prepared.
    metric : str or None
        What its source says that models are to be compared by.
    fold : Fold or None
        Which fold it is, where data without a test split were divided.
    auto_tokens : str
        Form of the tokens where nothing is set, see `benchmark.data.scripts`; ``words`` but for files of
        the user.
    """

    folder: Path
    name: str
    digest: str
    class_names: tuple[str, ...]
    sizes: dict[str, int]
    vocabulary_total: int
    longest: int
    home: str = ""
    validation_share: float = 0.0
    test_duplicates: int = 0
    class_counts: dict[str, list[int]] = field(default_factory=dict)
    metric: str | None = None
    fold: Fold | None = None
    auto_tokens: str = "words"

    @classmethod
    def open(cls, folder: Path, digest: str | None = None) -> Dataset | None:
        """Open a cache entry; None where it is missing, damaged, or its content has a different digest."""
        meta = read_entry(folder)
        if meta is None or digest not in (None, meta["digest"]):
            return None
        return cls(
            folder=folder,
            name=meta["name"],
            digest=meta["digest"],
            class_names=tuple(meta["class_names"]),
            sizes=meta["sizes"],
            vocabulary_total=meta["vocabulary"],
            longest=meta["longest"],
            home=meta["home"],
            validation_share=meta["validation_share"],
            test_duplicates=count_test_duplicates(meta["facts"]),
            class_counts=meta["facts"]["class_counts"],
            metric=meta.get("metric"),
            fold=Fold(*meta["fold"]) if meta.get("fold") else None,
            auto_tokens=meta.get("auto_tokens", "words"),  # an entry of before keeps its runs' ids
        )

    @property
    def title(self) -> str:
        """Its name for people, with the fold that it is."""
        return f"{self.name}, {self.fold}" if self.fold else self.name

    def tokenised(
        self, settings: ViewSettings, line: Callable[[str], None] = lambda _: None
    ) -> TokenisedDataset:
        """Return the token ids in the form of a view, see `benchmark.data.token_ids.tokenised`."""
        return tokenised(self, settings, line)

    def texts_to_tokenise(self) -> dict[str, MappedTexts]:
        """Return all texts by folder, of which nothing but token ids may be made."""
        return {name: MappedTexts(self.folder / name) for name in ("open", "test")}

    def length(self, settings: ViewSettings) -> int:
        """Columns of a view: its sequence length, or the longest training text where that is less."""
        return min(settings.sequence_length, self.tokenised(settings).longest)

    def vocabulary_size(self, settings: ViewSettings) -> int:
        """Ids of a view, PAD and OOV included: its setting, or all tokens where there are fewer."""
        return min(settings.vocabulary_size, self.tokenised(settings).vocabulary_total + OOV + 1)

    def vocabulary(self, settings: ViewSettings) -> list[str]:
        """Return the tokens with ids 2, 3, … of a view, most frequent first."""
        words = (self.tokenised(settings).folder / "vocabulary.txt").read_bytes().split(b"\n")
        return [word.decode("utf-8") for word in words[: self.vocabulary_size(settings) - OOV - 1]]

    def view(self, split: Literal["train", "validation"], settings: ViewSettings | None) -> View:
        """Cut a view of the training or validation split, in well under a second.

        Parameters
        ----------
        split : {"train", "validation"}
            Never the test split.
        settings : ViewSettings or None
            Tokens, vocabulary size, length, padding and truncation side; None for models that read raw
            texts.

        Returns
        -------
        View
            Arrays in memory, which runs of the same shape share.
        """
        if split not in ("train", "validation"):
            raise ValueError(f"got split {split!r}, expected 'train' or 'validation'")
        length = self.length(settings) if settings else 0
        kept = settings is not None and 4 * length * self.sizes[split] <= _LARGEST_KEPT
        make = _view if kept else _view.__wrapped__
        ids = self.tokenised(settings).folder if settings else self.folder
        return make(self.folder, ids, self.digest, split, settings, length)


def count_test_duplicates(facts: dict[str, Any]) -> int:
    """Return how many test texts stand in train or validation, too.

    Facts of an older version count a text that the test split repeats once.
    """
    pairs = [record["texts"] for record in facts["duplicates"] if record["parts"] in _WITH_TEST]
    return int(facts.get("test_duplicates", sum(pairs)))
