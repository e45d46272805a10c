"""Where the tracking store is, whether it can be used, and a client that is patient with it."""

from __future__ import annotations

import http.client
import logging
import os
import re
import shutil
import sqlite3
import threading
import urllib.error
import urllib.request
import uuid
import warnings
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

from benchmark.data.cache import cache_root, locked, read_entry, remembered, write_entry
from benchmark.support.databases import (
    Contents,
    check_database,
    engine_url,
    inspected,
    parse,
    sqlite_file,
    sqlite_path,
    sqlite_uri,
)
from benchmark.support.databases import reason as database_reason
from benchmark.support.errors import UserError, one_line
from benchmark.support.files import RunsFolder
from benchmark.support.printable import redacted
from benchmark.support.retries import retried

Answer = TypeVar("Answer")

DATABASE = "mlflow.db"
UI_PORT = 5000
_PATIENCE, _ANSWER_PATIENCE = 3.0, 10.0
_DATABASES = ("sqlite", "postgres", "postgresql", "mysql", "mssql")
_OPTUNA_TABLES = frozenset({"studies", "trials"})
# What MLflow answers to a request that it understood and will never carry out.
_REFUSALS = frozenset(
    {"INVALID_PARAMETER_VALUE", "BAD_REQUEST", "RESOURCE_DOES_NOT_EXIST", "RESOURCE_ALREADY_EXISTS"}
)
_SQL_REFUSALS = frozenset({"DataError", "IntegrityError", "StatementError"})
_CAUSE = re.compile(r"""\(Caused by \w+\(['"](?:.*: )?(.+?)['"]\)\)$""")
_READS = ("get_", "search_", "list_", "download_")


def resolve_uri(tracking_uri: str | None, runs: Path) -> str:
    """Return the tracking URI: the option, ``MLFLOW_TRACKING_URI``, or SQLite in the runs folder."""
    return tracking_uri or os.environ.get("MLFLOW_TRACKING_URI") or sqlite_uri((runs / DATABASE).resolve())


def ensure_runs_folder(runs: Path, make: bool = True) -> None:
    """Make the runs folder, unless `make` is False, and make sure that it can be written.

    Raises
    ------
    UserError
        Before anything is started, where it cannot.
    """
    places = RunsFolder(runs)
    for folder in (runs, places.studies, places.artifacts, places.spool):
        check_writable(folder, make)
    for file in (places.ledger, places.ledger.with_name(f"{places.ledger.name}.lock")):
        if file.exists():
            check_writable(file)


def nearest(path: Path) -> Path:
    """Return the path where it is there, else the nearest of the folders above it."""
    return next(above for above in (path.absolute(), *path.absolute().parents) if above.exists())


def check_writable(path: Path, make: bool = True) -> None:
    """Refuse a file or folder that cannot be written.

    Parameters
    ----------
    path : Path
        A folder that is missing is made.
    make : bool
        Whether that is so; otherwise it is found out whether it could be made.

    Raises
    ------
    UserError
        Which names it.
    """
    try:
        if path.is_file():
            path.open("ab").close()
            return
        if make:
            path.mkdir(parents=True, exist_ok=True)
        probe = nearest(path) / f".probe-{os.getpid()}"
        probe.write_bytes(b"")
        probe.unlink()
    except OSError as error:
        what = "file" if path.is_file() else "folder"
        raise UserError(
            f"the {what} {path} cannot be written ({one_line(error)}); make it writable, or run the command "
            "from a folder that is"
        ) from error


def refused(error: Exception) -> bool:
    """Whether a store will never do what it was asked to; otherwise it may, later."""
    code = getattr(error, "error_code", None)
    if code is not None:
        cause = error.__cause__
        if cause is not None and type(cause).__module__.startswith("sqlalchemy"):
            return type(cause).__name__ in _SQL_REFUSALS
        return code in _REFUSALS
    status = getattr(getattr(error, "response", None), "status_code", None)
    if status is not None:  # of an upload
        return 400 <= status < 500 and status not in (401, 403, 407, 408, 425, 429)
    return not (isinstance(error, OSError) or type(error).__module__.startswith("sqlalchemy"))


def reason(error: Exception) -> str:
    """Say in a few words why a store did not do something, without passwords."""
    text = str(error).strip().partition("\n")[0]
    cause = _CAUSE.search(text)  # what MLflow says of a request that failed is long
    return redacted(cause[1] if cause else text)[:160] or type(error).__name__


def tried(write: Callable[[], None]) -> bool:
    """Write what can be made again at any time; return whether the store took all of it."""
    try:
        write()
    except Exception as error:
        if not of_store(error):
            raise
        return False
    return True


def of_store(error: Exception) -> bool:
    """Whether an error is the tracking store's, or that of the way there."""
    # MLflow takes seconds to import.
    return type(error).__module__ == "mlflow.exceptions" or isinstance(error, OSError)


def patiently(ask: Callable[[], Answer], patience: float | None = None) -> Answer:
    """Ask until there is an answer, or `patience` seconds (by default 10) have passed.

    Raises
    ------
    Exception
        The last one; at once where the store refuses.
    """
    return retried(ask, lambda error: not refused(error), _ANSWER_PATIENCE if patience is None else patience)


class StoreClient:
    """A client that connects once it is needed, and asks again where a question has no answer.

    What it writes is tried once. Importing MLflow takes longer than reading a board, so `find_runs` reads
    the tables of an embedded store instead.

    Parameters
    ----------
    uri : str
        As for `connect`.
    client : mlflow.MlflowClient, optional
        One that is connected already.

    Attributes
    ----------
    file : Path or None
        Of an embedded store.
    """

    def __init__(self, uri: str, client: Any = None) -> None:
        self.file, self._uri, self._client = sqlite_path(uri), uri, client
        self._lock = threading.Lock()

    def connect(self) -> Any:
        """Return the `mlflow.MlflowClient` itself, which is not patient."""
        with self._lock:  # of two threads, one imports MLflow
            if self._client is None:
                self._client = connect(self._uri)
            return self._client

    def __getattr__(self, name: str) -> Any:
        value = getattr(self.connect(), name)
        if not name.startswith(_READS):
            return value
        return lambda *words, **options: patiently(lambda: value(*words, **options))


def connect(uri: str) -> Any:
    """Return an `mlflow.MlflowClient` for a store that answers; a new database gets its tables.

    Parameters
    ----------
    uri : str
        ``sqlite:///…``, ``postgresql://…``, or the ``http(s)`` address of a tracking server.

    Raises
    ------
    UserError
        Within seconds, where the store cannot be used.

    Notes
    -----
    For the process that the user started, not for its workers: it makes the tables of a new database, while
    others that want the same wait.
    """
    with _usable(uri) as database:
        return _database_client(uri) if database else patiently(partial(_client, uri), _PATIENCE)


def check_store(uri: str) -> bool:
    """Whether a store has its tables; it is checked as `connect` does, and nothing is made or changed.

    Raises
    ------
    UserError
        Where a sweep could not use it.
    """
    with _usable(uri) as database:
        if not database:
            patiently(partial(_client, uri), _PATIENCE)
            return True
        url = parse(uri)
        if (file := sqlite_file(url)) is not None:
            check_writable(file if file.exists() else file.parent, make=False)
        contents = check_database(url)
        _check_tables(contents, redacted(uri))
        return bool(contents.tables)


@contextmanager
def _usable(uri: str) -> Iterator[bool]:
    """Return whether a store is a database, and let errors name the store."""
    scheme = urlsplit(uri).scheme
    if scheme in ("", "file"):
        raise UserError(
            f"tracking URI '{uri}': MLflow no longer keeps runs in plain folders; use "
            "sqlite:///mlruns/mlflow.db or the address of a tracking server"
        )
    if scheme in ("http", "https"):
        check_server(uri)
    _set_up_mlflow()
    try:
        yield scheme.partition("+")[0] in _DATABASES
    except UserError as error:
        raise UserError(f"tracking store: {error}") from error
    except Exception as error:
        raise UserError(f"tracking store {redacted(uri)} cannot be used: {database_reason(error)}") from error


def _set_up_mlflow() -> None:
    """Import MLflow without its warnings, and let it say little."""
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "10")
    os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import mlflow  # noqa: F401
    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.WARNING)
    # It prints a traceback of each question that a database does not answer, and raises it, too.
    logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)


def _client(uri: str) -> Any:
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=uri)
    client.search_experiments(max_results=1)
    return client


def _database_client(uri: str) -> Any:
    url = parse(uri)
    file = sqlite_file(url)
    if file is not None:
        file.parent.mkdir(parents=True, exist_ok=True)
    with inspected(url) as contents:
        if file is not None and not contents.tables:
            _make_file(file)
        else:
            _check_tables(contents, redacted(uri))
        return _client(engine_url(uri))


def _make_file(file: Path) -> None:
    """Make a SQLite store under another name: migrations that were cut off cannot be continued."""
    for remains in file.parent.glob(f"{file.name}.unfinished-*"):
        remains.unlink()
    # MLflow remembers each file that it has opened, so that a name is used once.
    unfinished = file.with_name(f"{file.name}.unfinished-{uuid.uuid4().hex[:8]}")
    try:
        _copy_of_tables(unfinished)
    except (UserError, OSError):  # a cache that cannot be used
        _client(sqlite_uri(unfinished))
    unfinished.replace(file)


def _copy_of_tables(file: Path) -> None:
    """Copy a store without contents, which is made once for each version of MLflow: that takes seconds."""
    folder = cache_root() / "mlflow" / version("mlflow")
    with locked(folder):
        if read_entry(folder) is None:
            write_entry(folder, _make_tables)
        shutil.copyfile(folder / DATABASE, file)


def _make_tables(folder: Path) -> dict[str, Any]:
    file = folder / DATABASE
    _client(sqlite_uri(file))
    with closing(sqlite3.connect(file)) as database, database:
        database.execute("DELETE FROM experiments")  # the first one knows the folder that it was made in
    return {"revision": _newest_revision()}  # now that MLflow is imported


def is_ready(uri: str) -> bool:
    """Whether a store is a SQLite file with the tables of this MLflow, which is not imported for that."""
    file = sqlite_path(uri)
    if file is None or not file.is_file():
        return False
    try:
        with closing(sqlite3.connect(f"{file.resolve().as_uri()}?mode=ro", uri=True)) as database:
            found = database.execute("SELECT version_num FROM alembic_version").fetchall()
    except sqlite3.Error:
        return False
    return found == [(_newest_revision(),)]


def _newest_revision() -> str:
    """Return the last of MLflow's migrations, which is remembered: MLflow takes seconds to import."""

    def look() -> dict[str, Any]:
        return {"revision": _migrations().get_current_head()}

    try:
        return str(remembered("mlflow", {"version": version("mlflow")}, look)["revision"])
    except (UserError, OSError):  # a cache that cannot be used
        return str(look()["revision"])


def _migrations() -> Any:
    import mlflow
    from alembic.script import ScriptDirectory

    return ScriptDirectory(str(Path(mlflow.__file__).parent / "store" / "db_migrations"))


def _check_tables(contents: Contents, which: str) -> None:
    """Refuse tables that MLflow would spoil or could not read."""
    if contents.tables >= _OPTUNA_TABLES:
        raise UserError(
            f"{which} is Optuna's database; MLflow needs a separate one; name a different database"
        )
    if contents.revision is None:
        return
    if contents.revision == _newest_revision():
        return
    if any(contents.revision == migration.revision for migration in _migrations().walk_revisions()):
        raise UserError(
            f"the tables of {which} are those of an older MLflow; make a backup, then: mlflow db upgrade URI"
        )
    raise UserError(
        f"the tables of {which} are those of a newer MLflow than {version('mlflow')}, or of another "
        "program; update with pip install -U mlflow, or name another database"
    )


def check_server(uri: str) -> None:
    """Raise `UserError` where nothing answers at the address of a tracking server."""
    # Without user and password, which this question does not need and urllib takes for a part of the host.
    address = redacted(uri).rstrip("/")
    try:
        with urllib.request.urlopen(f"{address}/health", timeout=_PATIENCE):
            return
    except urllib.error.HTTPError:
        return  # something answers; whether it is MLflow shows at the first request
    except (OSError, ValueError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", error)
        raise UserError(
            f"tracking server {address} does not answer ({reason}); start it, or leave out "
            "`tracking_uri` and MLFLOW_TRACKING_URI to use mlruns/mlflow.db"
        ) from error


def default_artifacts(uri: str, runs: Path, dataset: str) -> str | None:
    """Return where artifacts of an experiment go: beside an embedded database, else the server's choice."""
    if urlsplit(uri).scheme in ("http", "https"):
        return None
    return (RunsFolder(runs).artifacts / dataset).resolve().as_uri()


def ui_address(uri: str) -> str:
    """Return where the MLflow UI of a store is: the server itself, or where ``benchmark.ui`` starts it."""
    if urlsplit(uri).scheme in ("http", "https"):
        return redacted(uri).rstrip("/")
    return f"http://127.0.0.1:{UI_PORT}"
