"""What the databases of Optuna and MLflow have in common: their connections, their making, their errors."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from benchmark.support import files
from benchmark.support.errors import UserError, causes
from benchmark.support.printable import redacted

if TYPE_CHECKING:
    from sqlalchemy import URL, Connection, Engine

_MAKING_SECONDS = 120  # the first migrations of MLflow take a slow machine half a minute
_LOCKED_SECONDS = 20  # for which a SQLite file that another process writes is waited for
# What shows whether a database can be written, and is undone at once.
_WRITES = {"sqlite": "BEGIN IMMEDIATE", "postgresql": "CREATE TABLE textbench_doctor (id integer)"}
# Of libpq: a server that is not there, or a network that swallows packets, is noticed within a minute.
_LIBPQ = {
    "connect_timeout": "10",
    "keepalives_idle": "20",
    "keepalives_interval": "5",
    "keepalives_count": "4",
    "tcp_user_timeout": "30000",
}
_DAMAGED = "move it away, or bring back a copy"
_FIXES = {
    "password authentication failed|no password supplied": "give it by PGPASSWORD or ~/.pgpass",
    'database ".*" does not exist': "make it with createdb",
    'role ".*" does not exist': "make it with createuser, or name another user in the URL",
    "permission denied for schema": "make the user the owner of the database",
    "refused|No such file or directory|timeout expired": "start the server, or correct host and port",
    "could not translate|failed to resolve": "correct the name of the host",
    "starting up|shutting down": "try again in a moment",
    "file is not a database": "it is damaged or something else; move it away",
    "malformed": f"it is damaged; {_DAMAGED}",
    "database is locked": "another process writes it now; wait for it",
    "read-?only": "make it writable for this user",
    "unable to open database file": "make its folder, and make that writable for this user",
    "load plugin": "expected a URL such as postgresql://user@host/name or sqlite:///file.db",
}


@dataclass(frozen=True)
class Contents:
    """What is in a database.

    Attributes
    ----------
    tables : frozenset of str
        Their names.
    revision : str or None
        Which of its owner's migrations was the last one; None in an empty database.
    """

    tables: frozenset[str]
    revision: str | None


def parse(url: str) -> URL:
    """Return a database URL in parts, with a driver and settings that notice a lost connection.

    Raises
    ------
    UserError
        Where it cannot be one; a password is not repeated.
    """
    from sqlalchemy import make_url

    try:
        parsed = make_url(driver_url(url))
    except Exception:  # its message may hold the password
        scheme, found, _ = url.partition("://")
        shown = f"'{scheme}://…'" if found else "this"
        raise UserError(f"{shown} is not the URL of a database, as postgresql://user@host/name is") from None
    query = url.partition("?")[2]
    if parsed.get_backend_name() == "sqlite" and ("/" in query or (query and "=" not in query)):
        raise UserError(
            f"'{url}': what follows ? is not a setting of SQLite; write %3F for ? in the name of a file"
        )
    if parsed.get_backend_name() != "sqlite" and "@" in f"{parsed.host}{parsed.database}":
        raise UserError(
            f"'{redacted(url)}': characters such as @ and / of a password are written as %40 and %2F in a "
            "URL; better, leave the password out and give it by PGPASSWORD or ~/.pgpass"
        )
    if parsed.drivername in ("postgresql+psycopg", "postgresql+psycopg2"):
        return parsed.update_query_dict({**_LIBPQ, **parsed.query})
    return parsed


def driver_url(url: str) -> str:
    """Return the URL of a database as SQLAlchemy takes it: PostgreSQL with a driver that is there.

    Examples
    --------
    >>> driver_url("postgres://host/name")  # where psycopg is installed, or no driver at all
    'postgresql+psycopg://host/name'
    >>> driver_url("sqlite:///file.db")
    'sqlite:///file.db'
    """
    scheme, separator, rest = url.partition("://")
    if scheme.lower() not in ("postgres", "postgresql"):
        return url
    only_the_old_one = find_spec("psycopg") is None and find_spec("psycopg2") is not None
    return f"postgresql+{'psycopg2' if only_the_old_one else 'psycopg'}{separator}{rest}"


def engine_url(url: str) -> str:
    """Return a database URL as Optuna and MLflow get it; see `parse`."""
    parsed = parse(url)
    # Others stay as they are written: MLflow reads the path of a SQLite file from the text.
    return parsed.render_as_string(hide_password=False) if parsed.query.keys() >= _LIBPQ.keys() else url


def sqlite_uri(path: Path) -> str:
    """Return the URL of a SQLite file, whatever characters the names of its folders have.

    Raises
    ------
    UserError
        Where no URL leads there.
    """
    name = str(path.absolute())
    plain = f"sqlite:///{name}"
    if "?" not in name and "%" not in name and name.isprintable():
        return plain
    # MLflow makes the folders of an address "sqlite:///…" as they stand there: without turning %3F into ?.
    escaped = "sqlite+pysqlite:///" + name.replace("%", "%25").replace("?", "%3F")
    for uri in (plain, escaped):
        with contextlib.suppress(UserError, UnicodeError):
            os.fsencode(name).decode("utf-8")
            if sqlite_file(parse(uri)) == Path(name):
                return uri
    raise UserError(f"a database cannot be kept in {name}; run the command from a folder with a plainer name")


def sqlite_path(uri: str) -> Path | None:
    """Return the file of a SQLite database by its URL, or None where the database is another or has no file.

    Raises
    ------
    UserError
        Where it is not the URL of a database.
    """
    scheme, found, name = uri.partition(":///")
    if not found or scheme.partition("+")[0] != "sqlite":
        return None
    if "?" in name or "%" in name or name in ("", ":memory:"):
        return sqlite_file(parse(uri))
    return Path(name)  # importing SQLAlchemy takes longer than reading a board


def sqlite_file(url: URL) -> Path | None:
    """Return the file of a SQLite database, or None where the database is another or has no file."""
    name = url.database or ""
    if url.get_backend_name() != "sqlite" or name in ("", ":memory:") or name.startswith("file:"):
        return None
    return Path(name).absolute()


@contextlib.contextmanager
def inspected(url: URL) -> Iterator[Contents]:
    """Give what is in a database; until the block ends, no other process of ours makes its tables.

    Two that make them at the same time would fail both.

    Raises
    ------
    sqlalchemy.exc.SQLAlchemyError or ImportError
        Within seconds, where the database cannot be used; see `reason`.
    UserError
        Where another process makes the tables and does not come to an end.
    """
    file, engine = sqlite_file(url), _engine(url)
    if url.get_backend_name() != "postgresql":
        with _file_lock(file):
            yield _contents(engine) if file is None or file.exists() else Contents(frozenset(), None)
        return
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        _wait_for_lock(connection, url)
        yield _contents(engine)


def check_database(url: URL) -> Contents:
    """Return what is in a database that is whole and can be written; nothing is made or changed.

    Raises
    ------
    Exception
        As `inspected` does, also where the database is damaged or cannot be written.
    """
    from sqlalchemy import text

    sqlite, file = url.get_backend_name() == "sqlite", sqlite_file(url)
    with inspected(url) as contents:
        if url.get_backend_name() not in _WRITES or (sqlite and (file is None or not file.exists())):
            return contents
        with _engine(url).connect() as connection:
            if sqlite and (state := connection.scalar(text("PRAGMA quick_check(1)"))) != "ok":
                shown = " ".join(str(state).split())[:120]
                raise UserError(f"{file} is damaged ({shown}); {_DAMAGED}")
            connection.execute(text(_WRITES[url.get_backend_name()]))
            connection.rollback()
        return contents


def _engine(url: URL) -> Engine:
    from sqlalchemy import NullPool, create_engine

    seconds = {} if sqlite_file(url) is None else {"timeout": _LOCKED_SECONDS}
    return create_engine(url, poolclass=NullPool, connect_args=seconds)


def _contents(engine: Engine) -> Contents:
    from sqlalchemy import inspect, text

    with engine.connect() as connection:
        tables = frozenset(inspect(connection).get_table_names())
        if "alembic_version" not in tables:
            return Contents(tables, None)
        return Contents(tables, connection.execute(text("SELECT version_num FROM alembic_version")).scalar())


def _wait_for_lock(connection: Connection, url: URL) -> None:
    from sqlalchemy import text
    from sqlalchemy.exc import OperationalError

    connection.execute(text(f"SET lock_timeout = '{_MAKING_SECONDS}s'"))
    try:
        connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": lock_key("making of tables")})
    except OperationalError as error:
        if getattr(error.orig, "sqlstate", None) != "55P03":  # lock_not_available
            raise
        raise _busy(redacted(url.render_as_string(hide_password=True))) from error


@contextlib.contextmanager
def _file_lock(file: Path | None) -> Iterator[None]:
    if file is None:
        yield
        return
    with contextlib.ExitStack() as stack:
        # Without a folder, or in one that is not to be written, nothing can be made either.
        with contextlib.suppress(OSError):
            if not stack.enter_context(files.held(file.with_name(f"{file.name}.making"), _MAKING_SECONDS)):
                raise _busy(str(file))
        yield


def _busy(which: str) -> UserError:
    return UserError(
        f"{which}: another process has been making its tables for {_MAKING_SECONDS} s; wait for it"
    )


def lock_key(*words: str) -> int:
    """Return the number of an advisory lock: 64 bits, signed."""
    digest = hashlib.sha256("\0".join(("textbench", *words)).encode()).digest()
    return int.from_bytes(digest[:8], signed=True)


def reason(error: BaseException) -> str:
    """Return in one line why a database cannot be used, and what to do about it, without credentials."""
    if isinstance(error, ImportError):
        return f"its driver is not installed ({error}); for PostgreSQL: pip install 'textbench[postgres]'"
    original = next((found for cause in causes(error) if (found := getattr(cause, "orig", None))), error)
    text = str(original).strip().partition("\n")[0]
    shown = redacted(text)[:240] or type(error).__name__
    fix = next((fix for pattern, fix in _FIXES.items() if re.search(pattern, text)), None)
    return f"{shown}; {fix}" if fix else shown
