"""Folders that are written: whether they can be, how much room they have, and whether locks work there."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from benchmark import locks
from benchmark.checkup.finding import Finding, Place, note, ok, problem
from benchmark.data.cache import cache_root

_GB = 1e9
_LITTLE_ROOM, _NO_ROOM = 2 * _GB, 0.2 * _GB  # the reviews of IMDB take 0.11 GB of the cache


def runs_folder(place: Place) -> Iterator[Finding]:
    """Find out whether runs can be kept."""
    runs = place.runs.absolute()
    reason = _why_not(runs)
    if reason:
        yield problem(
            f"the folder {runs}, where runs are kept, cannot be written: {reason}",
            f"mv {runs} {runs}.old"
            if runs.exists() and not runs.is_dir()
            else f"chown -R $USER {nearest(runs)}",
        )
        return
    yield ok(f"runs are kept in {runs}" + ("" if runs.is_dir() else ", which the first sweep makes"))
    left = sum(1 for path in (runs / "spool").rglob("*") if path.is_file()) if runs.is_dir() else 0
    if left:
        yield note(
            f"{runs / 'spool'} has {left} files of results that the tracking store has not got yet",
            "python -m benchmark.sync",
        )


def cache_folder(place: Place) -> Iterator[Finding]:
    """Find out whether prepared data can be kept, and how much is there."""
    cache = cache_root().absolute()
    reason = _why_not(cache)
    if reason:
        yield problem(
            f"the cache folder {cache} cannot be written: {reason}",
            "export BENCHMARK_CACHE_DIR=FOLDER, one that can be written",
        )
        return
    size = sum(path.stat().st_size for path in cache.rglob("*") if path.is_file()) / _GB
    yield ok(f"the cache is {cache} ({size:.2f} GB)")


def room(place: Place) -> Iterator[Finding]:
    """Measure the room on the disks that are written."""
    disks: dict[int, Path] = {}
    for folder in (place.runs, cache_root(), Path(tempfile.gettempdir())):
        there = nearest(folder)
        disks.setdefault(there.stat().st_dev, there)
    for folder in disks.values():
        free = shutil.disk_usage(folder).free
        message = f"{free / _GB:.1f} GB are free on the disk of {folder}"
        if free < _NO_ROOM:
            yield problem(
                f"only {message}", "free some room, or move mlruns and BENCHMARK_CACHE_DIR elsewhere"
            )
        elif free < _LITTLE_ROOM:
            yield note(f"only {message}", "free some room before a long sweep")
        else:
            yield ok(message)


def file_locks(place: Place) -> Iterator[Finding]:
    """Try the locks on which processes rely that share a folder."""
    for folder in {nearest(place.runs): None, nearest(cache_root()): None}:
        path = folder / f".textbench-doctor-{os.getpid()}.lock"
        try:
            first = locks.lock(path)
        except OSError as error:
            if os.access(folder, os.W_OK):
                yield problem(
                    f"files in {folder} cannot be locked: {error.strerror}", _elsewhere(folder, place)
                )
            continue  # that it cannot be written is the finding of another check
        if first is None:
            continue
        try:
            second = locks.lock(path)
            if second is None:
                yield ok(f"locks work in {folder}")
                continue
            os.close(second)
            yield problem(
                f"locks have no effect in {folder}: two sweeps could do the same runs",
                _elsewhere(folder, place),
            )
        finally:
            locks.unlock(path, first)


def nearest(path: Path) -> Path:
    """Return a folder that is there: the path, or the nearest above it."""
    return next(folder for folder in (path.absolute(), *path.absolute().parents) if folder.is_dir())


def _why_not(folder: Path) -> str:
    """Say why nothing can be written into a folder, or into the nearest above it; "" where it can."""
    if folder.exists() and not folder.is_dir():
        return "it is a file"
    above = next(path for path in (folder, *folder.parents) if path.exists())
    if not above.is_dir():
        return f"{above} is a file"
    try:
        with tempfile.NamedTemporaryFile(dir=above, prefix=".textbench-doctor-"):
            return ""
    except OSError as error:
        return (error.strerror or str(error)).lower()


def _elsewhere(folder: Path, place: Place) -> str:
    if folder == nearest(place.runs):
        return "run the commands from a folder on a disk of this machine"
    return "export BENCHMARK_CACHE_DIR=FOLDER, on a disk of this machine"
