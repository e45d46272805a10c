"""The cache folder: entries that are whole or absent, written by one process at a time."""

from __future__ import annotations

import errno
import glob
import hashlib
import json
import os
import re
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import platformdirs
from filelock import BaseFileLock
from numpy.typing import NDArray

from benchmark.support.errors import UserError, causes, one_line
from benchmark.support.files import delete, guard, write_whole, written_whole
from benchmark.support.printable import redacted

META = "meta.json"
Files = dict[str, NDArray[np.uint8]]
"""Contents of files by their paths below a folder, as arrays, which Ray hands on without copying them."""

_CHUNK = 1 << 22
_FULL = (errno.ENOSPC, errno.EDQUOT)
# NumPy says how many items it could not write; HDF5, TensorFlow, shutil and SQLite use words, too.
_SAYS_FULL = "|".join(
    [*map(os.strerror, _FULL), "database or disk is full", r"\d+ requested and \d+ written"]
)
_DENIED = (errno.EACCES, errno.EPERM, errno.EROFS, errno.EIO, errno.ESTALE)
_SAYS_DENIED = "readonly database|unable to open database file|disk I/O error"  # SQLite
_GONE = (errno.ENOENT, errno.ENOTDIR)
_NEVER = "(?!)"


def cache_root() -> Path:
    """Return the cache folder: ``BENCHMARK_CACHE_DIR``, or the platform's place for caches."""
    return Path(os.environ.get("BENCHMARK_CACHE_DIR") or platformdirs.user_cache_dir("textbench"))


def locked(path: Path) -> BaseFileLock:
    """Return the lock that guards a cache path; the folder is made if it is missing."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if not os.access(path.parent, os.W_OK):
            raise PermissionError(13, "Permission denied")
    except OSError as error:
        raise UserError(
            f"the cache folder {path.parent} cannot be written ({one_line(error)}); "
            "set BENCHMARK_CACHE_DIR to a folder that can"
        ) from error
    return guard(path)


def disk_is_full(error: BaseException | None) -> bool:
    """Whether an error says that nothing more can be written, or comes from one that says so."""
    return _cause(error, _FULL, _SAYS_FULL) is not None


def storage_failure(error: BaseException) -> str | None:
    """Say in one line that a file cannot be written any more, and what to do; None for other errors."""
    kept = "what was recorded is kept: "
    if disk_is_full(error):
        what, way_out, shown = "the disk is full", f"{kept}free some room", error
    elif denied := _cause(error, _DENIED, _SAYS_DENIED):
        what, way_out, shown = "a file cannot be read or written", f"{kept}put that right", denied
    # Optuna hides such an error of its lock behind a RuntimeError.
    elif isinstance(error, OSError | RuntimeError) and (gone := _cause(error, _GONE, _NEVER)):
        what, way_out, shown = "a file or folder is gone", "put it back where it was", gone
    else:
        return None
    reason = redacted(" ".join(str(shown).split()))[:300]
    return f"{what} ({reason}); {way_out} and run the same command again"


def _cause(error: BaseException | None, numbers: tuple[int, ...], words: str) -> BaseException | None:
    """Return the error, or the first that it came from, with one of these numbers or words of the system."""
    for cause in causes(error):
        if (isinstance(cause, OSError) and cause.errno in numbers) or re.search(words, str(cause)):
            return cause
    return None


def remembered(
    kind: str,
    identity: dict[str, Any],
    measure: Callable[[], dict[str, Any]],
    valid: Callable[[dict[str, Any]], bool] = lambda result: True,
) -> dict[str, Any]:
    """Return what was once measured on this machine, or measure it now and keep it.

    Parameters
    ----------
    kind : str
        Folder of the cache.
    identity : dict
        What the measurement depends on, as JSON; it is kept beside the result for a reader.
    measure : callable
        Gives the result, as JSON. Of several processes one measures, and the others wait for it.
    valid : callable
        Whether what was kept may be used; otherwise it is measured again.
    """
    file = _memory(kind, identity)
    with locked(file):
        result = recalled(kind, identity)
        if result is None or not valid(result):
            result = measure()
            write_whole(file, json.dumps({**identity, "result": result}, indent=1))
    return result


def recalled(kind: str, identity: dict[str, Any]) -> dict[str, Any] | None:
    """Return what was measured on this machine, see `remembered`, or None where nothing was."""
    try:
        result: dict[str, Any] = json.loads(_memory(kind, identity).read_text(encoding="utf-8"))["result"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return result


def _memory(kind: str, identity: dict[str, Any]) -> Path:
    digest = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:16]
    return cache_root() / kind / f"{digest}.json"


def write_entry(folder: Path, fill: Callable[[Path], dict[str, Any]]) -> None:
    """Make a cache entry: fill a temporary folder, seal it with checksums, rename it.

    The caller holds the entry's lock, see `locked`.

    Parameters
    ----------
    folder : Path
        Where the entry will stand; replaced if it exists (it was found damaged).
    fill : callable
        Writes its files into the folder it is given, and returns the entry's description.
    """
    for leftover in folder.parent.glob(f".{glob.escape(folder.name)}.*.tmp"):  # of a process that was killed
        delete(leftover)
    with written_whole(folder) as temporary:
        temporary.mkdir()
        description = fill(temporary)
        files = sorted(path for path in temporary.rglob("*") if path.is_file())
        seals = {path.relative_to(temporary).as_posix(): _seal(path) for path in files}
        content = {**description, "files": seals}
        (temporary / META).write_text(json.dumps({**content, "seal": _seal_of(content)}, indent=1))
        delete(folder)


def read_entry(folder: Path) -> dict[str, Any] | None:
    """Return an entry's description, or None where it is missing or damaged.

    Every file, and the description itself, is held against its CRC-32 (about a gigabyte a second), so
    that flipped bits are noticed before they become results.
    """
    try:
        description: dict[str, Any] = json.loads((folder / META).read_bytes())
        whole = description.pop("seal") == _seal_of(description) and all(
            list(_seal(folder / name)) == seal for name, seal in description["files"].items()
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
    return description if whole else None


def _seal_of(description: dict[str, Any]) -> int:
    return zlib.crc32(json.dumps(description, sort_keys=True).encode())


def _seal(path: Path) -> tuple[int, int]:
    checksum = 0
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            checksum = zlib.crc32(chunk, checksum)
    return path.stat().st_size, checksum


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


def unpack_entry(scratch: Path, files: Files) -> dict[str, Any]:
    """Write the files of an entry that was sent, and return its description, for `write_entry`."""
    unpack(files, scratch)
    description = read_entry(scratch)  # against the checksums that the sender made
    (scratch / META).unlink()
    if description is None:
        raise UserError("the copy of the data set that was sent is damaged; check disk and memory there")
    return {name: value for name, value in description.items() if name != "files"}
