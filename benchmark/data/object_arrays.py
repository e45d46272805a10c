"""Ragged arrays of whole numbers out of ``.npz`` files, without doing what the pickle in them says."""

from __future__ import annotations

import pickle
import zipfile
from array import array
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from benchmark.support.errors import UserError, one_line

_LARGEST = 1 << 30  # bytes of an array, against archives that unfold into all of memory


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
                if f"{name}.npy" not in archive.namelist():
                    raise self._error(name, "it is not there")
                if archive.getinfo(f"{name}.npy").file_size > _LARGEST:
                    raise self._error(name, f"it is larger than {_LARGEST >> 30} GiB")
                with archive.open(f"{name}.npy") as file:
                    return _read_array(file)
        except UserError:
            raise
        except Exception as error:  # pickle and zipfile raise nearly anything on damaged data
            raise self._error(name, f"it cannot be read ({one_line(error, named=True)})") from error

    def _error(self, name: str, what: str) -> UserError:
        return UserError(f"{self._path}, array '{name}': {what}")


def _read_array(file: IO[bytes]) -> NDArray[Any] | list[Any]:
    version = np.lib.format.read_magic(file)
    read_header = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    shape, fortran, dtype = read_header[version](file)
    if dtype.hasobject:
        values = unpickle(file)
        if shape != (len(values),):
            raise ValueError(f"the header says shape {shape}, the content {len(values)}")
        return values
    count = int(np.prod(shape, dtype=np.int64))
    content = file.read(count * dtype.itemsize)
    return np.frombuffer(content, dtype=dtype, count=count).reshape(shape, order="F" if fortran else "C")


def unpickle(file: IO[bytes]) -> list[Any]:
    """Return the entries of a pickled one-dimensional object array, running nothing that it names.

    A pickle is a program. The four names that NumPy writes for such an array stand here for functions
    and classes of our own that only keep the entries; every other name ends the reading.

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

    class Array:
        items: Any = None

        def __setstate__(self, state: Any) -> None:
            self.items = state[-1]  # (version, shape, dtype, order, entries)

    class Dtype:
        def __init__(self, *_: object) -> None: ...

        def __setstate__(self, _: object) -> None: ...

    def reconstruct(*_: object) -> Array:
        return Array()

    def encode(*_: object) -> bytes:  # how protocol 2 writes b"b"
        return b""

    # Made anew for each pickle, so that one which sets attributes on them changes nothing else.
    allowed = {
        ("numpy", "ndarray"): Array,
        ("numpy", "dtype"): Dtype,
        ("numpy.core.multiarray", "_reconstruct"): reconstruct,
        ("numpy._core.multiarray", "_reconstruct"): reconstruct,
        ("_codecs", "encode"): encode,
    }

    class Unpickler(pickle.Unpickler):
        def find_class(self, module: str, name: str) -> Any:
            if (module, name) not in allowed:
                raise pickle.UnpicklingError(f"it asks for {module}.{name}, which no array of numbers needs")
            return allowed[module, name]

    result = Unpickler(file).load()
    if not isinstance(result, Array) or type(result.items) is not list:
        raise pickle.UnpicklingError("it holds no object array")
    return result.items
