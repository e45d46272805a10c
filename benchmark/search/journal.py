"""Optuna's journal of a study: made whole after a crash, and opened with errors that name file and line."""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Generator
from pathlib import Path
from typing import Any

from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from benchmark.support.errors import UserError, one_line

_LONGEST_HELD = 1.0  # seconds; Optuna holds its lock while it writes one line
_CHUNK = 1 << 16


def open_journal(path: Path) -> JournalStorage:
    """Open a study's journal, new or old; the caller holds the study's own lock.

    Parameters
    ----------
    path : Path
        ``mlruns/studies/<study>.journal``.

    Raises
    ------
    UserError
        For a journal that is damaged elsewhere than at its end: names file and line, changes nothing.
    """
    mend(path)
    backend = _Backend(str(path))
    try:
        return JournalStorage(backend)
    except OSError:
        raise
    except Exception as error:  # replaying damaged operations, Optuna raises nearly anything
        raise _damaged(path, backend.line, one_line(error, named=True)) from error


def mend(path: Path) -> bool:
    """Undo what a process that was killed, or a full disk, has left of an operation.

    A last line without its end was never acknowledged: Optuna tells nobody of an operation before its
    line is whole and on the disk. It is cut off. So is Optuna's own lock, a link beside the file, where
    its owner is gone: the next process would wait 30 seconds for it.

    Parameters
    ----------
    path : Path
        The journal. The caller holds the study's own lock, so no other process of ours has it open.

    Returns
    -------
    bool
        Whether something was cut off.

    Raises
    ------
    UserError
        For a line in the middle that is no operation: names file and line, and leaves the file alone.
    """
    _free(path.with_name(f"{path.name}.lock"))
    if not path.exists():
        return False
    whole = _check(path)
    with path.open("r+b") as file:
        if file.seek(0, os.SEEK_END) == whole:
            return False
        file.truncate(whole)
        os.fsync(file.fileno())
    return True


def _check(path: Path) -> int:
    """Return the number of bytes in whole lines, each of which is an operation."""
    whole = 0
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            if not line.endswith(b"\n"):
                break
            try:
                operation = json.loads(line)
            except (ValueError, RecursionError) as error:
                raise _damaged(path, number, str(error)) from error
            if not isinstance(operation, dict) or "op_code" not in operation:
                raise _damaged(path, number, "this is no operation of Optuna")
            whole += len(line)
    return whole


def _free(lock: Path) -> None:
    """Remove a lock whose owner is gone.

    Safe, since the caller holds the study's own lock: whoever has this one is no process of ours, unless
    it was killed. Another program, as a dashboard that writes a note, has it for the time of one line, so
    a lock that is older than a second is nobody's.
    """
    if lock.is_symlink():
        with contextlib.suppress(FileNotFoundError):
            left = _LONGEST_HELD - (time.time() - lock.lstat().st_mtime)
            time.sleep(min(max(left, 0.0), _LONGEST_HELD))  # not longer, where the clock was set back
            lock.unlink()
    for renamed in lock.parent.glob("*.rename"):  # killed between the two steps in which Optuna gives it up
        if renamed.is_symlink() and renamed.name.startswith(lock.name):
            renamed.unlink(missing_ok=True)


class _Backend(JournalFileBackend):
    """Optuna's backend, which remembers the last line that was read."""

    line = 0

    def read_logs(self, log_number_from: int) -> Generator[dict[str, Any], None, None]:
        for self.line, log in enumerate(super().read_logs(log_number_from), log_number_from + 1):
            yield log


def _damaged(path: Path, line: int, reason: str) -> UserError:
    reason = " ".join(reason.split())[:200]
    return UserError(
        f"the study's journal {path}, line {line} is damaged ({reason}); restore it from a copy, or move it "
        "away to start the search anew"
    )
