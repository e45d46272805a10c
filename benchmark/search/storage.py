"""Optuna's storage: a journal file or a database, and patience while the database is away."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from optuna.storages import BaseStorage, JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend

from benchmark.support.databases import (
    Contents,
    check_database,
    engine_url,
    inspected,
    parse,
    reason,
    sqlite_file,
)
from benchmark.support.errors import Unfinished, UserError, causes, one_line
from benchmark.support.printable import redacted
from benchmark.support.retries import retried

T = TypeVar("T")

_MLFLOW_TABLES = frozenset({"experiments", "runs"})
_LONGEST_PAUSE = 2.0
_LONGEST_HELD = 1.0  # seconds; Optuna holds the lock of a journal while it writes one line
# What PostgreSQL says of a connection, not of a question: it is lost, the server stops, starts, is full.
_AWAY_STATES = ("08", "57P", "53300")


def open_storage(storage: str | None, journal: Path) -> BaseStorage:
    """Return the storage of a study; the tables of a new database are made.

    Parameters
    ----------
    storage : str or None
        URL of a database, or None for the journal.
    journal : Path
        The journal file, in a folder that exists.

    Raises
    ------
    UserError
        Where it cannot be used; the message is without the credentials of the URL.
    """
    if storage is None:
        return open_journal(journal)
    with named(storage), inspected(parse(storage)) as contents:
        _check_owner(contents, redacted(storage))
        return RDBStorage(engine_url(storage), _engine_settings(storage))


def open_journal(path: Path) -> JournalStorage:
    """Open a study's journal, new or old; the caller holds the study's own lock.

    What a process that was killed, or a full disk, has left of an operation is undone: a last line without
    its end was never acknowledged, since Optuna reports an operation only when its line is whole and on the
    disk. It is cut off. So is Optuna's own lock, a link beside the file, where its owner is gone: the next
    process would wait 30 seconds for it, and for ever where it names a relative path.

    Parameters
    ----------
    path : Path
        ``mlruns/studies/<study>.journal``.

    Raises
    ------
    UserError
        For a journal that is damaged elsewhere than at its end: names file and line, changes nothing.
    """
    _free(path.with_name(f"{path.name}.lock"))
    _cut_off(path)
    backend = _Journal(str(path))
    try:
        return JournalStorage(backend)
    except OSError:
        raise
    except Exception as error:  # replaying damaged operations, Optuna raises nearly anything
        raise _damaged(path, backend.line, one_line(error, named=True)) from error


class _Journal(JournalFileBackend):
    """Optuna's journal, which remembers the last line that was read."""

    line = 0

    def read_logs(self, log_number_from: int) -> Generator[dict[str, Any], None, None]:
        for self.line, log in enumerate(super().read_logs(log_number_from), log_number_from + 1):
            yield log


def _free(lock: Path) -> None:
    """Remove a lock whose owner is gone.

    Safe, since the caller holds the study's own lock: whoever has this one is not a process of ours, unless
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


def _cut_off(path: Path) -> None:
    """Cut off a last line without its end; every other line must be an operation."""
    whole = 0
    if not path.exists():
        return
    with path.open("r+b") as file:
        for number, line in enumerate(file, 1):
            if not line.endswith(b"\n"):
                break
            try:
                operation = json.loads(line)
            except (ValueError, RecursionError) as error:
                raise _damaged(path, number, str(error)) from error
            if not isinstance(operation, dict) or "op_code" not in operation:
                raise _damaged(path, number, "this is not an operation of Optuna")
            whole += len(line)
        file.truncate(whole)


def _damaged(path: Path, line: int, reason: str) -> UserError:
    reason = " ".join(reason.split())[:200]
    return UserError(
        f"the study's journal {path}, line {line} is damaged ({reason}); restore it from a copy, or move it "
        "away to start the search again"
    )


def check_storage(storage: str) -> bool:
    """Whether a database has tables; it is checked as `open_storage` does, and nothing is made or changed.

    Raises
    ------
    UserError
        Where a sweep could not use it.
    """
    with named(storage):
        url = parse(storage)
        contents = check_database(url)
        _check_owner(contents, redacted(storage))
        file = sqlite_file(url)
        if file is not None and not file.parent.is_dir():
            raise UserError(f"there is no folder {file.parent}; make it")
        return bool(contents.tables)


@contextmanager
def named(storage: str) -> Iterator[None]:
    """Let errors name the storage, without the credentials of its URL."""
    try:
        yield
    except UserError as error:
        raise UserError(error, setting="storage") from error
    except Exception as error:
        message = f"cannot be used: {reason(error)}"
        raise UserError(message, setting="storage", value=redacted(storage)) from error


def _engine_settings(url: str) -> dict[str, object]:
    if url.startswith("sqlite"):
        return {"connect_args": {"timeout": 60}}
    # One process asks one thing at a time; a connection is looked at before it is used again.
    return {"pool_pre_ping": True, "pool_size": 1, "max_overflow": 4, "pool_recycle": 1800}


def _check_owner(contents: Contents, which: str) -> None:
    if contents.tables >= _MLFLOW_TABLES:
        raise UserError(
            f"{which} is MLflow's database; Optuna needs one of its own; name a different database"
        )


def patiently(question: Callable[[], T], seconds: float = 60) -> T:
    """Ask a storage, and ask again while its database is away.

    Parameters
    ----------
    question : callable
        May be asked twice: where the connection is lost before the answer has come, what it asked for may
        have been done.
    seconds : float
        How long to go on.

    Raises
    ------
    Unfinished
        When the database is still away after that time.
    """
    try:
        return retried(question, is_away, seconds, longest_pause=_LONGEST_PAUSE)
    except Exception as error:
        if not is_away(error):
            raise
        raise Unfinished(
            f"`storage`: the database has been away for {seconds:.0f} s ({reason(error)}); what was done is "
            "recorded; the same command continues it"
        ) from error


def is_away(error: BaseException) -> bool:
    """Whether an error says that the database cannot be reached now, or is locked."""
    from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError

    for cause in causes(error):
        if not isinstance(cause, DBAPIError):
            continue
        if cause.connection_invalidated:
            return True
        if isinstance(cause, OperationalError | InterfaceError):
            return _tells_of_connection(cause.orig)
    return False


def _tells_of_connection(error: BaseException | None) -> bool:
    if type(error).__module__.startswith("sqlite3"):
        return "locked" in str(error)
    state = getattr(error, "sqlstate", None) or getattr(error, "pgcode", None)
    # Without a state it is libpq that speaks: it found no server, or lost it.
    return state is None or state.startswith(_AWAY_STATES)
