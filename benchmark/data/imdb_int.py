"""IMDB reviews as the arrays of `keras.datasets.imdb`, turned back into words.

Source: ``keras.datasets.imdb.load_data`` and ``get_word_index``; the validation part is that of the
TensorFlow tutorial "Text classification with movie reviews" (``x_train[:10000]``).
"""

from __future__ import annotations

import json
from array import array
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from benchmark.data.files import fingerprint, stamp
from benchmark.data.object_arrays import NpzFile
from benchmark.data.source import Row, Source, SourceOptions
from benchmark.support.errors import UserError, one_line

PAD, START, UNK, UNUSED = range(4)
INDEX_FROM = 3
"""Ids of `load_data`: four that stand for no word, and the word of rank ``r`` is ``r + INDEX_FROM``."""

SPECIAL = ("‹pad›", "‹start›", "‹unk›", "‹unused›")
"""Words for them. ``<START>`` would lose its brackets in `tokenize` and become the word "start"."""

_VALIDATION = 10_000
_SHUFFLE_SEED = 113  # Keras's own; the files have one class after the other
_ARRAYS, _WORDS = Path("keras", "imdb.npz"), Path("keras", "imdb_word_index.json")


class ImdbIntSource:
    """The pre-tokenised reviews of ``keras/imdb.npz`` in the data folder."""

    name = "imdb-int"
    class_names: tuple[str, ...] = ("neg", "pos")
    validation_share = 0.0
    home = "keras.datasets.imdb (keras/imdb.npz and keras/imdb_word_index.json)"

    def __init__(self, options: SourceOptions) -> None:
        if options.validation_share is not None:
            raise UserError(
                "--validation-share: 'imdb-int' has a validation part of its own, the first "
                f"{_VALIDATION:,} of train"
            )
        self._folder = options.data_dir

    def key(self) -> str:
        """Return a digest of the two files' sizes and times."""
        folder = self._folder or Path()
        return fingerprint([stamp(folder / _ARRAYS), stamp(folder / _WORDS)])

    def rows(self) -> Iterator[Row]:
        """Yield validation, train and test in the order of `load_data`, words joined by spaces."""
        folder = self._checked_folder()
        words = word_table(folder / _WORDS)
        arrays = NpzFile(folder / _ARRAYS)
        generator = np.random.RandomState(_SHUFFLE_SEED)
        for part in ("train", "test"):
            texts, labels = arrays.lists(f"x_{part}"), arrays.integers(f"y_{part}").tolist()
            if len(texts) != len(labels):
                raise UserError(
                    f"{folder / _ARRAYS}: x_{part} has {len(texts)} entries and y_{part} {len(labels)}"
                )
            order = np.arange(len(texts))
            generator.shuffle(order)
            for place, number in enumerate(order.tolist()):
                own = "validation" if part == "train" and place < _VALIDATION else part
                text = decode_ids(_ids(texts[number]), words)
                yield Row(own, text, labels[number], f"{part} {place}")

    def at_hand(self) -> bool:
        """Return whether both files are there."""
        folder = self._folder
        return folder is not None and all((folder / path).is_file() for path in (_ARRAYS, _WORDS))

    def _checked_folder(self) -> Path:
        for path in (_ARRAYS, _WORDS):
            if self._folder is None or not (self._folder / path).is_file():
                where = "no folder was given" if self._folder is None else f"{self._folder} lacks {path}"
                raise UserError(
                    f"data set 'imdb-int' needs {_ARRAYS} and {_WORDS} below --data-dir: {where}; they are "
                    "the files of keras.datasets.imdb (load_data and get_word_index fetch them)"
                )
        assert self._folder is not None
        return self._folder


def word_table(path: Path) -> dict[int, str]:
    """Return the word of each id of `load_data`, the special ones included.

    Parameters
    ----------
    path : Path
        ``imdb_word_index.json``: rank, from 1, by word.
    """
    try:
        index = json.loads(path.read_bytes())
        words = {int(rank) + INDEX_FROM: str(word) for word, rank in index.items()}
    except (OSError, ValueError, TypeError, AttributeError, RecursionError) as error:
        raise UserError(f"{path} cannot be read as a word index ({one_line(error, named=True)})") from None
    return {**words, **dict(enumerate(SPECIAL))}


def decode_ids(ids: Sequence[int], words: Mapping[int, str]) -> str:
    """Return the words of some ids, joined by spaces; an id without a word is UNK.

    Examples
    --------
    >>> decode_ids([0, 1, 4, 99, 3], {4: "film", **dict(enumerate(SPECIAL))})
    '‹pad› ‹start› film ‹unk› ‹unused›'
    """
    return " ".join(words.get(number, SPECIAL[UNK]) for number in ids)


def _ids(ranks: array[int]) -> list[int]:
    """Return the ids of `load_data` for a text of the file, which holds ranks."""
    return [START, *(rank + INDEX_FROM for rank in ranks)]


def source(options: SourceOptions) -> Source:
    """Return the source of the pre-tokenised reviews."""
    return ImdbIntSource(options)
