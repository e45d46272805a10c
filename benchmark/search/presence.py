"""Which processes are alive, and what each of them has taken: locks that disappear with their process."""

from __future__ import annotations

import contextlib
import hashlib
import re
import threading
import time
import uuid
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import BaseFileLock

from benchmark.data.cache import disk_is_full
from benchmark.search.storage import named, patiently
from benchmark.support import files
from benchmark.support.databases import lock_key, parse, sqlite_file
from benchmark.support.errors import UserError, one_line
from benchmark.support.retries import awaited

if TYPE_CHECKING:
    from sqlalchemy import URL

_BEAT_SECONDS = 2.0
# So long a living process may be without its locks: its connection broke, or the server was restarted.
_GRACE_SECONDS = 10.0
_POLL_SECONDS = 0.2
_GHOST_SECONDS = 5.0


def _own_name(token: str) -> str:
    return f"process {token}"


class FilePresence:
    """Presence by files that are locked and vanish when they are released.

    Parameters
    ----------
    folder : Path
        Where they lie; it is made where it is missing.
    study : str
        What they are named after.

    Attributes
    ----------
    token : str
        The process's own name, which is locked from the beginning.
    """

    def __init__(self, folder: Path, study: str) -> None:
        self.token = uuid.uuid4().hex
        self._folder, self._study = folder, study
        self._held: dict[str, BaseFileLock] = {}
        try:
            folder.mkdir(parents=True, exist_ok=True)
            for path in folder.glob(f"{_cleaned(study)}.process-*.lock"):
                files.is_locked(path)  # deletes what a killed process left
            # Somebody may look at the new file just now, and lock it while looking: so wait a little.
            taken = files.lock(self._path(_own_name(self.token)), seconds=10)
        except OSError as error:
            if disk_is_full(error):
                raise
            raise UserError(f"{folder}: locks are unavailable there ({one_line(error)})") from error
        assert taken is not None
        self._held[_own_name(self.token)] = taken

    def _path(self, name: str) -> Path:
        digest = hashlib.sha256(f"{self._study}\0{name}".encode()).hexdigest()[:12]
        return self._folder / f"{_cleaned(self._study)}.{_cleaned(name)}-{digest}.lock"

    def take(self, name: str) -> bool:
        """Try to lock a name for this process alone, at once.

        Returns
        -------
        bool
            Whether it is ours now, also if it was before. Where the connection to the database was lost and
            somebody else took the name meanwhile, False until the name is released: so ask again before
            the result of long work is written.
        """
        if name not in self._held:
            taken = files.lock(self._path(name))
            if taken is None:
                return False
            self._held[name] = taken
        return True

    def release(self, name: str) -> None:
        """Give a name back; one that is not ours is left as it is."""
        taken = self._held.pop(name, None)
        if taken is not None:
            files.unlock(taken)

    def alive(self, token: str) -> bool:
        """Whether the process with that token is still there."""
        return _own_name(token) in self._held or files.is_locked(self._path(_own_name(token)))

    def close(self) -> None:
        """Give everything back, the token too."""
        for name in list(self._held):
            self.release(name)


def _cleaned(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9_-]+", "-", text)[:80]


def _until_known(question: Callable[[], bool | None]) -> bool:
    """Ask the database, which may be away for a while, until the answer is not None."""
    return bool(awaited(partial(patiently, question), _POLL_SECONDS))


class DatabasePresence:
    """Presence by advisory locks of PostgreSQL, which belong to a connection of their own.

    A thread looks every two seconds whether the connection is still there, and connects and takes the locks
    again where it is not. After a lost connection a living process is without its locks for a moment. So
    another one counts as dead only when its lock has been missing for ten seconds, and where the connection
    was lost, or the server has been restarted, nothing new is taken for ten seconds.

    Parameters
    ----------
    url : sqlalchemy.URL
        The database.
    study : str
        What the locks belong to.

    Raises
    ------
    sqlalchemy.exc.SQLAlchemyError or ImportError
        Where the database cannot be used.
    """

    def __init__(self, url: URL, study: str) -> None:
        from sqlalchemy import NullPool, create_engine

        self.token = uuid.uuid4().hex
        self._study = study
        self._engine = create_engine(url, poolclass=NullPool, isolation_level="AUTOCOMMIT")
        self._guard = threading.RLock()
        self._connection: Any = None
        self._held = {_own_name(self.token)}
        self._lost: set[str] = set()
        self._present: set[int] = set()
        self._seen: dict[int, float] = {}
        self._watching_since = self._others_are_back = 0.0
        self._connect()
        self._closed = threading.Event()
        self._watcher = threading.Thread(target=self._watch, name="presence", daemon=True)
        self._watcher.start()

    def take(self, name: str) -> bool:
        """See `FilePresence.take`; in the first ten seconds after a lost connection, new names wait."""
        return _until_known(partial(self._take, name))

    def _take(self, name: str) -> bool | None:
        """Take a name; None while others may still be about to take again what was theirs."""
        with self._guard:
            self._ask("SELECT 1")  # where the connection is lost, the locks are taken again
            if name in self._held:
                return True
            if name in self._lost:
                return False
            if time.monotonic() < self._others_are_back:
                return None
            if self._lock(name):
                self._held.add(name)
            return name in self._held

    def release(self, name: str) -> None:
        """See `FilePresence.release`."""
        with self._guard:
            self._lost.discard(name)
            if name in self._held:
                self._held.discard(name)
                if self._connection is not None:  # otherwise the lock went with the connection
                    with contextlib.suppress(Exception):
                        self._ask("SELECT pg_advisory_unlock(:key)", key=self._key(name))

    def alive(self, token: str) -> bool:
        """See `FilePresence.alive`; in the first ten seconds of a connection it waits until they are over."""
        return _until_known(partial(self._alive, self._key(_own_name(token))))

    def _alive(self, key: int) -> bool | None:
        """Whether a lock is there, or was a moment ago; None where nobody has watched for long enough."""
        self._look()
        with self._guard:
            now = time.monotonic()
            if key in self._present:
                return True
            if now - max(self._watching_since, self._seen.get(key, 0.0)) >= _GRACE_SECONDS:
                return False
            return True if now - self._watching_since >= _GRACE_SECONDS else None

    def close(self) -> None:
        """See `FilePresence.close`."""
        self._closed.set()
        with self._guard:
            self._drop()
            self._held.clear()
        self._watcher.join(timeout=_BEAT_SECONDS)
        self._engine.dispose()

    def _key(self, name: str) -> int:
        return lock_key(self._study, name)

    def _ask(self, words: str, **values: object) -> Any:
        """Return the rows of an answer; connect first where there is no connection."""
        from sqlalchemy import text

        with self._guard:
            if self._connection is None:
                self._connect()
            try:
                return self._connection.execute(text(words), values).all()
            except BaseException:
                self._drop()
                raise

    def _lock(self, name: str) -> bool:
        ((taken,),) = self._ask("SELECT pg_try_advisory_lock(:key)", key=self._key(name))
        return bool(taken)

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(Exception):
                connection.invalidate()
                connection.close()

    def _connect(self) -> None:
        """Connect, and take again what was ours; what somebody else has taken meanwhile is lost."""
        self._connection = self._engine.connect()
        settings = {
            "application_name": f"textbench {self.token}",
            # So that the locks of a machine that has vanished are free within a minute.
            "tcp_keepalives_idle": "20",
            "tcp_keepalives_interval": "5",
            "tcp_keepalives_count": "4",
        }
        for name, value in settings.items():
            self._ask("SELECT set_config(:name, :value, false)", name=name, value=value)
        self._end_ghosts()
        for name in sorted(self._held):
            if not self._lock(name):
                self._held.discard(name)
                self._lost.add(name)
        self._present, self._seen = set(), {}
        self._others_are_back = time.monotonic() + self._seconds_to_wait()
        self._watching_since = time.monotonic()

    def _seconds_to_wait(self) -> float:
        """Return how long others may need to take again what they had before the connection was lost."""
        if self._watching_since:
            return _GRACE_SECONDS
        ((seconds,),) = self._ask(
            "SELECT extract(epoch FROM clock_timestamp() - pg_postmaster_start_time())::float8"
        )
        return max(0.0, _GRACE_SECONDS - float(seconds))

    def _end_ghosts(self) -> None:
        """End earlier connections of this process that the server takes for alive: they hold its locks."""
        ghosts = (
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE application_name = :name AND pid <> pg_backend_pid()"
        )
        name = f"textbench {self.token}"
        awaited(lambda: None if self._ask(ghosts, name=name) else True, _POLL_SECONDS, _GHOST_SECONDS)

    def _look(self) -> None:
        """Note which locks there are in the database."""
        rows = self._ask(
            "SELECT (classid::bigint << 32) | objid::bigint FROM pg_locks "
            "WHERE locktype = 'advisory' AND objsubid = 1 AND granted "
            "AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
        )
        with self._guard:
            now = time.monotonic()
            self._present = {int(key) for (key,) in rows}
            self._seen.update(dict.fromkeys(self._present, now))

    def _watch(self) -> None:
        while not self._closed.wait(_BEAT_SECONDS):
            with self._guard, contextlib.suppress(Exception):
                if not self._closed.is_set():
                    self._look()


Presence = FilePresence | DatabasePresence
"""One process among those that work on the same study."""


def open_presence(storage: str | None, folder: Path, study: str) -> Presence:
    """Return the presence that belongs to a storage.

    Parameters
    ----------
    storage : str or None
        URL of Optuna's database, or None for a journal file.
    folder : Path
        Of the journal file; the locks lie there, too.
    study : str
        Other studies have locks of their own.

    Raises
    ------
    UserError
        Where locks are unavailable.

    Notes
    -----
    PostgreSQL keeps the locks itself. For SQLite they are files beside the database, for a journal and any
    other database files in `folder`: processes on such a database see each other only if they share it.
    """
    if storage is None:
        return FilePresence(folder, study)
    with named(storage):
        url = parse(storage)
        if url.get_backend_name() == "postgresql":
            return DatabasePresence(url, study)
    database = sqlite_file(url)
    return FilePresence(folder if database is None else database.parent, study)
