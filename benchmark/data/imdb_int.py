"""IMDB reviews as the arrays of `keras.datasets.imdb`, turned back into words; their pickles are not run.

Source: ``keras.datasets.imdb.load_data`` and ``get_word_index``; the validation split is that of the
TensorFlow tutorial "Text classification with movie reviews" (``x_train[:10000]``).
"""

from __future__ import annotations

import json
import pickle
import zipfile
from array import array
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from benchmark.data.files import fingerprint, stamp
from benchmark.data.source import Row, SourceOptions
from benchmark.support.errors import MissingResource, UserError, one_line

PAD, START, UNK, UNUSED = range(4)
INDEX_FROM = 3
"""Ids of `load_data`: four that stand for no word, and the word of rank ``r`` is ``r + INDEX_FROM``."""

SPECIAL = ("‹pad›", "‹start›", "‹unk›", "‹unused›")
"""Words for them. ``<START>`` would lose its brackets in `tokenize` and become the word "start"."""

_VALIDATION = 10_000
_LARGEST = 1 << 30  # bytes of an array, against archives that unfold into all of memory
_SHUFFLE_SEED = 113  # as in Keras; the files have one class after the other
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
                "`validation_share`: 'imdb-int' already has a validation split, the first "
                f"{_VALIDATION:,} of train"
            )
        self._folder = options.data_dir
        self._files = [(self._folder or Path()) / path for path in (_ARRAYS, _WORDS)]

    def key(self) -> str:
        """Return a digest of the two files' sizes and times."""
        return fingerprint(map(stamp, self._files))

    def rows(self) -> Iterator[Row]:
        """Yield validation, train and test in the order of `load_data`, words joined by spaces."""
        for path, file in zip((_ARRAYS, _WORDS), self._files, strict=True):
            if self._folder is None or not file.is_file():
                where = "no folder was given" if self._folder is None else f"{self._folder} lacks {path}"
                raise MissingResource(
                    f"data set 'imdb-int' needs {_ARRAYS} and {_WORDS} below `data_dir`: {where}; they are "
                    "the files of keras.datasets.imdb (load_data and get_word_index fetch them)"
                )
        arrays, words = NpzFile(self._files[0]), word_table(self._files[1])
        generator = np.random.RandomState(_SHUFFLE_SEED)
        for split in ("train", "test"):
            texts, labels = arrays.lists(f"x_{split}"), arrays.integers(f"y_{split}").tolist()
            if len(texts) != len(labels):
                raise UserError(
                    f"{self._files[0]}: x_{split} has {len(texts)} entries and y_{split} {len(labels)}"
                )
            order = np.arange(len(texts))
            generator.shuffle(order)
            for place, number in enumerate(order.tolist()):
                own = "validation" if split == "train" and place < _VALIDATION else split
                ids = [START, *(rank + INDEX_FROM for rank in texts[number])]  # the file holds ranks
                yield Row(own, decode_ids(ids, words), labels[number], f"{split} {place}")

    def at_hand(self) -> bool:
        """Return whether both files are there."""
        return self._folder is not None and all(map(Path.is_file, self._files))


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


class NpzFile:
    """Reads arrays out of an ``.npz`` file; whatever is not a plain array or lists of integers is refused.

    Parameters
    ----------
    path : Path
        The file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def integers(self, name: str) -> NDArray[np.int64]:
        """Return a one-dimensional array of integers."""
        values = self._read(name)
        if not isinstance(values, np.ndarray) or values.ndim != 1 or values.dtype.kind not in "iu":
            raise self._error(name, "expected a one-dimensional array of integers")
        return values.astype(np.int64)

    def lists(self, name: str) -> list[array[int]]:
        """Return an object array of lists of integers, as `keras.datasets.imdb` has them."""
        values = self._read(name)
        if isinstance(values, np.ndarray):
            raise self._error(name, "expected an array of lists of integers")
        result = []
        for number, value in enumerate(values):
            if type(value) is not list or any(type(item) is not int for item in value):
                raise self._error(name, f"entry {number} is not a list of integers")
            try:
                result.append(array("i", value))
            except OverflowError:
                raise self._error(name, f"entry {number} has a number above {2**31 - 1}") from None
        return result

    def _read(self, name: str) -> NDArray[Any] | list[Any]:
        """Return an array, or the list behind an object array."""
        try:
            with zipfile.ZipFile(self._path) as archive:
                member = f"{name}.npy"
                if member not in archive.namelist():
                    raise self._error(name, "it is not there")
                if archive.getinfo(member).file_size > _LARGEST:
                    raise self._error(name, f"it is larger than {_LARGEST >> 30} GiB")
                with archive.open(member) as file:
                    return _read_array(file)
        except UserError:
            raise
        except Exception as error:  # pickle and zipfile raise nearly anything on damaged data
            raise self._error(name, f"it cannot be read ({one_line(error, named=True)})") from error

    def _error(self, name: str, what: str) -> UserError:
        return UserError(f"{self._path}, array '{name}': {what}")


def _read_array(file: IO[bytes]) -> NDArray[Any] | list[Any]:
    if np.lib.format.read_magic(file) != (1, 0):
        raise ValueError("expected version 1.0 of the format")
    shape, _, dtype = np.lib.format.read_array_header_1_0(file)
    if not dtype.hasobject:
        file.seek(0)
        array: NDArray[Any] = np.lib.format.read_array(file, allow_pickle=False)
        return array
    values = unpickle(file)
    if shape != (len(values),):
        raise ValueError(f"the header says shape {shape}, the content {len(values)}")
    return values


_NAMES = {
    ("numpy", "ndarray"),
    ("numpy", "dtype"),
    ("numpy.core.multiarray", "_reconstruct"),
    ("numpy._core.multiarray", "_reconstruct"),
    ("_codecs", "encode"),  # how protocol 2 writes b"b"
}


class _Stub:
    """Stands for whatever a pickled array names: it does nothing, and keeps the last part of its state."""

    items: Any = None

    def __init__(self, *_: object) -> None: ...

    def __setstate__(self, state: Any) -> None:
        self.items = state[-1]  # (version, shape, dtype, order, entries)


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> type[_Stub]:
        if (module, name) not in _NAMES:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, which no array of numbers needs")
        return _Stub


def unpickle(file: IO[bytes]) -> list[Any]:
    """Return the entries of a pickled one-dimensional object array, running nothing that it names.

    A pickle is a program. The few names that NumPy writes for such an array stand here for a class that
    only keeps the entries; every other name ends the reading.

    Parameters
    ----------
    file : binary file
        At the first byte of the pickle.

    Returns
    -------
    list
        The entries: lists, numbers, strings and what else a pickle can hold without naming anything.

    Raises
    ------
    pickle.UnpicklingError
        For a pickle of anything else.
    """
    result = _Unpickler(file).load()
    if not isinstance(result, _Stub) or type(result.items) is not list:
        raise pickle.UnpicklingError("it holds no object array")
    return result.items
