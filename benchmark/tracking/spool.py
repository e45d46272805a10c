"""The spool: every result on disk, whole, before the tracking store learns of it."""

from __future__ import annotations

import contextlib
import hashlib
import re
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from benchmark.support.databases import sqlite_path
from benchmark.support.files import RunsFolder, delete, sync_to_disk, write_whole
from benchmark.support.printable import redacted
from benchmark.tracking.names import STUDY
from benchmark.tracking.record import Record

_FORM = '{{"sha256": "{}", "record": {}}}\n'
_FILLED = re.compile(rb'\{"sha256": "([0-9a-f]{64})", "record": (.*)\}\n', re.DOTALL)
_RECORDS = (".json", ".damaged", ".refused")
# Longer than anybody takes to fill a folder; what is older was left by a process that is gone.
_STALE_SECONDS = 3600.0


def store_name(uri: str, runs: Path) -> str:
    """Return a store's address as the spool writes it: without password, and as seen from `runs`.

    Examples
    --------
    >>> store_name("https://me:secret@host/", Path("mlruns"))
    'https://host'
    """
    name = redacted(uri)
    path = sqlite_path(uri)
    if path is None:
        return name.rstrip("/")
    file = path.resolve()
    folder = runs.resolve()  # which may be moved, with everything in it
    return (
        f"sqlite:///mlruns/{file.relative_to(folder)}" if file.is_relative_to(folder) else f"sqlite:///{file}"
    )


def spool_home(runs: Path, uri: str) -> Path:
    """Return the folder in which a store's records wait."""
    name = store_name(uri, runs).encode("utf-8", "surrogateescape")
    return RunsFolder(runs.resolve()).spool / hashlib.sha256(name).hexdigest()[:16]


class Spool:
    """What is still to be delivered to one store, in ``mlruns/spool/<digest of its address>/``.

    Parameters
    ----------
    runs : Path
        ``mlruns``.
    uri : str
        Address of the store; its password is not written.
    notice : callable, optional
        Called with a sentence on records that are damaged.

    Attributes
    ----------
    home : Path
        The folder. A record is ``<name>.json``, its artifacts are in ``<name>.files``.
    store : str
        The store's name, which ``store.txt`` has, too.
    """

    def __init__(self, runs: Path, uri: str, notice: Callable[[str], None] = lambda text: None) -> None:
        self.store = store_name(uri, runs)
        self.notice = notice
        self.home = spool_home(runs, uri)
        self.home.mkdir(parents=True, exist_ok=True)
        if not (self.home / "store.txt").exists():
            write_whole(self.home / "store.txt", f"{self.store}\n", durable=True)
        self._sweep()
        self._last = max([int(name.partition("-")[0]) for name in self._all_names()], default=0)

    def _all_names(self) -> list[str]:
        """Names of all records, those set aside included."""
        stems = {path.stem for path in self.home.glob("*-*") if not path.name.startswith(".")}
        return [stem for stem in stems if stem.partition("-")[0].isdecimal()]

    def _sweep(self) -> None:
        """Delete what a process left that died before it could commit or remove a record."""
        oldest = time.time() - _STALE_SECONDS
        owned = {path.stem for path in self.home.iterdir() if path.suffix in _RECORDS}
        for path in self.home.iterdir():
            orphan = path.suffix == ".files" and path.stem not in owned
            try:
                if (orphan or path.suffix == ".tmp") and path.stat().st_mtime < oldest:
                    delete(path)
            except OSError:
                continue

    def commit(self, record: Record, write: Callable[[Path], object] | None = None) -> str:
        """Take a record in; from then on it is not lost, whatever happens to this process.

        Parameters
        ----------
        record : Record
            What MLflow is to know.
        write : callable, optional
            Fills the folder of the run's artifacts.

        Returns
        -------
        str
            The record's name.

        Raises
        ------
        OSError
            When the disk is full or cannot be written; nothing is left then.
        """
        files = self.home / f".{uuid.uuid4().hex}.tmp"
        try:
            if write is not None:
                files.mkdir()
                write(files)
                for path in files.rglob("*"):
                    if path.is_file():
                        sync_to_disk(path)
            self._last = max(self._last + 1, time.time_ns())
            name = f"{self._last:020d}-{uuid.uuid4().hex[:8]}"
            if write is not None:
                files = files.rename(self.home / f"{name}.files")
            write_whole(self.home / f"{name}.json", _sealed(record), durable=True)
        except BaseException:
            delete(files)
            raise
        return name

    def names(self) -> list[str]:
        """Return the names of what waits, the oldest first."""
        return sorted(path.stem for path in self.home.glob("*.json") if not path.name.startswith("."))

    def record(self, name: str) -> Record | None:
        """Read a record; None where it is gone, or damaged: then it is set aside."""
        path = self.home / f"{name}.json"
        try:
            record = _opened(path.read_bytes())
        except FileNotFoundError:  # another process has delivered it
            return None
        except (ValueError, IsADirectoryError):
            self.set_aside(name, "damaged", "its content is not what was written")
            return None
        files = self.home / f"{name}.files"
        return record.model_copy(update={"name": name, "artifacts": files if files.is_dir() else None})

    def records(self) -> list[Record]:
        """Return what waits, the oldest first."""
        return [record for record in map(self.record, self.names()) if record is not None]

    def remove(self, name: str) -> None:
        """Delete a record that was delivered."""
        (self.home / f"{name}.json").unlink(missing_ok=True)
        delete(self.home / f"{name}.files")

    def set_aside(self, name: str, why: Literal["damaged", "refused"], reason: str) -> None:
        """Take a record out of the line, so that it does not hold up the others; nothing of it is deleted."""
        try:
            (self.home / f"{name}.json").rename(self.home / f"{name}.{why}")
        except FileNotFoundError:
            return
        kept = f"{self.home.parent.name}/{self.home.name}/{name}.{why}"
        self.notice(f"a result in the spool is {why} ({reason}); it is set aside as {kept}")

    def refused(self) -> int:
        """Return the number of records that the store refused."""
        return len(list(self.home.glob("*.refused")))

    def refused_runs(self, study: str | None = None) -> list[Record]:
        """Return the whole runs, of one study or all, that the store refused."""
        found = []
        for path in sorted(self.home.glob("*.refused")):
            with contextlib.suppress(OSError, ValueError):
                record = _opened(path.read_bytes())
                if record.run_name and study in (None, record.tags.get(STUDY)):
                    found.append(record)
        return found

    def take_back(self) -> None:
        """Put records that were refused back in line."""
        for path in self.home.glob("*.refused"):
            path.rename(path.with_suffix(".json"))


def other_stores(runs: Path, but: Path) -> dict[str, int]:
    """Return the stores that something waits for, and how many records; that of one folder is left out."""
    found = {}
    for folder in sorted(RunsFolder(runs.resolve()).spool.glob("*/")):
        waiting = len(list(folder.glob("*-*.json")))
        if waiting and folder != but:
            try:
                found[(folder / "store.txt").read_text(encoding="utf-8").strip()] = waiting
            except (OSError, UnicodeDecodeError):
                found[folder.name] = waiting
    return found


def _sealed(record: Record) -> str:
    content = record.model_dump_json()
    return _FORM.format(_digest(content.encode()), content)


def _opened(text: bytes) -> Record:
    """Return the record of a file.

    Raises
    ------
    ValueError
        When it is not, byte for byte, what `_sealed` made.
    """
    found = _FILLED.fullmatch(text)
    if found is None or found[1].decode() != _digest(found[2]):
        raise ValueError("the digest is a different one")
    return Record.model_validate_json(found[2])


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
