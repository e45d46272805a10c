"""Files that several processes share: written whole or not at all, locked, and where they are in ``mlruns``.

Locks are `filelock`'s: they disappear with the process that holds them.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from filelock import BaseFileLock, FileLock, Timeout

import benchmark

_ASKING_SECONDS = 0.05  # another process that asks at the same time is not taken for the owner


@contextlib.contextmanager
def written_whole(target: Path, *, durable: bool = False) -> Iterator[Path]:
    """Give a free path beside a target: what the block makes there, a file or a folder, becomes the target.

    A folder takes the place of none or of an empty one. Where the block fails, nothing is left.

    Parameters
    ----------
    target : Path
        In a folder that exists.
    durable : bool
        Whether a power cut must not undo it either.

    Raises
    ------
    OSError
        When nothing can be written there, or the target cannot be replaced.
    """
    temporary = target.with_name(f".{target.name}.{uuid.uuid4().hex[:8]}.tmp")
    try:
        yield temporary
        if durable:
            sync_to_disk(temporary)
        temporary.replace(target)
    finally:
        delete(temporary)
    if durable:
        sync_to_disk(target.parent)


def write_whole(target: Path, content: str | bytes, *, durable: bool = False) -> None:
    """Write a file, a text in UTF-8, so that no reader sees half of it; see `written_whole`."""
    with written_whole(target, durable=durable) as temporary:
        temporary.write_bytes(
            content.encode("utf-8", "surrogateescape") if isinstance(content, str) else content
        )


def sync_to_disk(path: Path) -> None:
    """Bring a file's content, or the names in a folder, to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def delete(path: Path) -> None:
    """Delete a file, or a folder with all that is in it; there may be none."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            path.unlink()


def guard(path: Path) -> BaseFileLock:
    """Return the lock that guards a file, for a ``with`` that waits for its turn; ``PATH.lock`` stays."""
    return FileLock(f"{path}.lock")


def lock(path: Path, seconds: float = 0.0) -> BaseFileLock | None:
    """Lock a file for this process alone; it is made where it is missing.

    Parameters
    ----------
    path : Path
        In a folder that exists.
    seconds : float
        How long to wait for it.

    Returns
    -------
    filelock.BaseFileLock or None
        What `unlock` takes, or None where somebody else has the lock.

    Raises
    ------
    OSError
        When the file cannot be made, or its file system knows no locks.
    """
    if not path.parent.is_dir():  # which filelock would make
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path.parent))
    taken = FileLock(path, seconds, thread_local=False, fallback_to_soft=False)
    try:
        taken.acquire()
    except Timeout:
        return None
    return taken


def unlock(taken: BaseFileLock) -> None:
    """Give a lock back and delete its file; one that cannot be deleted any more is nobody's lock."""
    # Deleted while it is still locked: who waits for it notices that the file is a different one.
    with contextlib.suppress(OSError):
        Path(taken.lock_file).unlink()
    taken.release()


@contextlib.contextmanager
def held(path: Path, seconds: float = 0.0) -> Iterator[bool]:
    """Hold a lock while the block runs; the value is False where somebody else has it. See `lock`."""
    taken = lock(path, seconds)
    try:
        yield taken is not None
    finally:
        if taken is not None:
            unlock(taken)


def is_locked(path: Path) -> bool:
    """Whether a process holds the lock; the file that a dead one left is deleted."""
    if not path.exists():
        return False
    with held(path, _ASKING_SECONDS) as free:
        return not free


def shipped_folder(installed: str, in_checkout: str) -> Path | None:
    """Return a folder of files that come with the package, from a wheel or a checkout; None where it is gone.

    Parameters
    ----------
    installed : str
        Its name in the package, as a wheel has it.
    in_checkout : str
        Its path in a checkout.
    """
    package = Path(benchmark.__file__).resolve().parent
    folders = package / installed, package.parent / in_checkout
    return next((folder for folder in folders if folder.is_dir()), None)


@dataclass(frozen=True)
class RunsFolder:
    """What lies where in ``mlruns``.

    Attributes
    ----------
    path : Path
        The folder.
    """

    path: Path

    @property
    def ledger(self) -> Path:
        """The ledger of test reads."""
        return self.path / "ledger.jsonl"

    @property
    def studies(self) -> Path:
        """Journals and locks of the studies."""
        return self.path / "studies"

    @property
    def spool(self) -> Path:
        """Records of runs that are not in MLflow yet."""
        return self.path / "spool"

    @property
    def artifacts(self) -> Path:
        """Artifacts of the runs in an embedded store, by data set."""
        return self.path / "artifacts"
