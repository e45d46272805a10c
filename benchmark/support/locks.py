"""Locks on files, by `filelock`: they disappear with the process that holds them."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator
from pathlib import Path

from filelock import BaseFileLock, FileLock, Timeout

_ASKING_SECONDS = 0.05  # another process that asks at the same time is not taken for the owner


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
