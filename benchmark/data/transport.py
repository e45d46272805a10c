"""A prepared data set on its way to the cache of another machine, and files in general."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmark.data.cache import META, cache_root, locked, read_entry, write_entry
from benchmark.data.dataset import Dataset
from benchmark.support.errors import UserError

Files = dict[str, NDArray[np.uint8]]
"""Contents of files by their paths below a folder, as arrays, which Ray hands on without copying them."""


def pack(folder: Path) -> Files:
    """Read all files below a folder."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): np.fromfile(path, dtype=np.uint8) for path in files}


def unpack(files: Files, folder: Path) -> None:
    """Write files into a folder, which is made where it is missing."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        path = folder / name
        if not path.resolve().is_relative_to(folder.resolve()):
            raise ValueError(f"'{name}' leaves its folder")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.data)


def find(entry: str, digest: str) -> Dataset | None:
    """Return a data set that this machine's cache has.

    Parameters
    ----------
    entry : str
        Name of its folder, which tells how it was prepared.
    digest : str
        Of its content.

    Returns
    -------
    Dataset or None
        None where the entry is missing, damaged, or of another content.
    """
    return Dataset.open(cache_root() / "datasets" / entry, digest)


def receive(entry: str, digest: str, files: Files) -> Dataset:
    """Put a data set that was sent into this machine's cache: once, however many processes are sent it.

    Parameters
    ----------
    entry, digest : str
        As in `find`.
    files : dict
        From `pack`, of the sender's entry.

    Returns
    -------
    Dataset
        From the cache.

    Raises
    ------
    UserError
        When the cache cannot be written, or what arrived is not what was sent.
    """
    folder = cache_root() / "datasets" / entry
    with locked(folder):
        dataset = find(entry, digest)
        if dataset is None:
            write_entry(folder, lambda scratch: _fill(scratch, files))
            dataset = find(entry, digest)
    if dataset is None:
        raise UserError(f"the copy of data set '{entry}' that was sent is not the one that was asked for")
    return dataset


def _fill(scratch: Path, files: Files) -> dict[str, object]:
    unpack(files, scratch)
    description = read_entry(scratch)  # against the checksums that the sender made
    (scratch / META).unlink()
    if description is None:
        raise UserError("the copy of the data set that was sent is damaged; check disk and memory there")
    return {name: value for name, value in description.items() if name != "files"}
