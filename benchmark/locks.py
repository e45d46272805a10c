"""Locks on files: they disappear with the process that holds them, and the file goes with the lock."""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from pathlib import Path

_POLL_SECONDS = 0.05


def lock(path: Path, seconds: float = 0.0) -> int | None:
    """Lock a file for this process alone; it is made where it is missing.

    Parameters
    ----------
    path : Path
        In a folder that exists.
    seconds : float
        How long to wait for it.

    Returns
    -------
    int or None
        The descriptor that `unlock` takes, or None where somebody else has the lock.

    Raises
    ------
    OSError
        When the file cannot be made, or its file system knows no locks.
    """
    deadline = time.monotonic() + seconds
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _is_file(descriptor, path):
                return descriptor
        except BlockingIOError:
            if time.monotonic() >= deadline:
                os.close(descriptor)
                return None
            time.sleep(_POLL_SECONDS)
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)


def unlock(path: Path, descriptor: int) -> None:
    """Give a lock back and delete its file; one that cannot be deleted any more is nobody's lock."""
    # Deleted while it is still locked: who waits for it notices that the file is another one.
    with contextlib.suppress(OSError):
        path.unlink()
    os.close(descriptor)


def is_locked(path: Path) -> bool:
    """Whether a process holds the lock; the file that a dead one left is deleted.

    Only for a lock that nobody takes again once it is free: otherwise the file that is deleted could be
    one that is being locked just now.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        # Shared, so that two who ask at the same time do not take each other for the owner.
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        with contextlib.suppress(OSError):
            path.unlink()
        return False
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)


def _is_file(descriptor: int, path: Path) -> bool:
    """Whether the file that was opened is still the one at the path."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False
