"""The stores of results and of searches: whether they answer, are whole, and can be written."""

from __future__ import annotations

import contextlib
import re
import sqlite3
import urllib.request
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

from benchmark.checkup.finding import Finding, Place, note, ok, problem
from benchmark.databases import parse, reason, sqlite_file
from benchmark.errors import UserError
from benchmark.tracking.store import check_server, resolve_uri
from benchmark.urls import redacted

if TYPE_CHECKING:
    from sqlalchemy import URL

_PATIENCE = 3  # seconds


class _Kind(NamedTuple):
    """Which of the two programs a store is for, and its tables."""

    owner: str
    tables: frozenset[str]
    option: str


_MLFLOW = _Kind("MLflow", frozenset({"experiments", "runs"}), "--tracking-uri")
_OPTUNA = _Kind("Optuna", frozenset({"studies", "trials"}), "--storage")


def tracking_store(place: Place) -> Iterator[Finding]:
    """Ask the store of results."""
    uri = resolve_uri(place.tracking_uri, place.runs)
    scheme = urlsplit(uri).scheme
    if scheme in ("http", "https"):
        yield from _server(uri)
    elif scheme in ("", "file"):
        yield problem(
            f"tracking URI '{uri}': MLflow no longer keeps runs in plain folders",
            "name sqlite:///mlruns/mlflow.db or a tracking server by --tracking-uri or MLFLOW_TRACKING_URI",
        )
    else:
        yield from _database(uri, _MLFLOW)


def search_store(place: Place) -> Iterator[Finding]:
    """Ask the store of searches, where one is named."""
    if place.storage:
        yield from _database(place.storage, _OPTUNA)
    else:
        yield ok("searches are kept as journal files below the folder of runs (no --storage)")


def _server(uri: str) -> Iterator[Finding]:
    try:
        check_server(uri)
    except UserError as error:
        yield problem(
            str(error).partition("; ")[0],
            f"mlflow server --port {urlsplit(uri).port or 80}, or mend the address",
        )
        return
    address = redacted(uri).rstrip("/")
    try:
        with urllib.request.urlopen(f"{address}/version", timeout=_PATIENCE) as answer:
            served = answer.read(40).decode("ascii", "replace").strip()
    except (OSError, ValueError):
        served = ""
    if not re.fullmatch(r"\d+\.\d+[\w.]*", served):
        yield note(
            f"{address} answers, but does not say that it is MLflow", "see that it is a tracking server"
        )
    elif served.split(".")[0] != _installed("mlflow").split(".")[0]:
        yield note(
            f"the tracking server {address} is MLflow {served}, and here is {_installed('mlflow')}",
            f"pip install 'mlflow=={served}', or the other way round",
        )
    else:
        yield ok(f"the tracking server {address} answers (MLflow {served})")


def _database(url: str, kind: _Kind) -> Iterator[Finding]:
    shown = redacted(url)
    try:
        parsed = parse(url)
    except UserError as error:
        yield problem(str(error), f"mend {kind.option}")
        return
    file = sqlite_file(parsed)
    if file is not None:
        yield from _sqlite(file, kind)
        return
    try:
        tables, writable = _ask(parsed)
    except Exception as error:  # each driver has errors of its own
        told, _, mend = reason(error).partition("; ")
        yield problem(f"{kind.option} {shown} cannot be used: {told}", mend or f"mend {kind.option}")
        return
    if not writable:
        yield problem(f"{kind.option} {shown} cannot be written", "make the user the owner of the database")
    else:
        yield _owned(shown, tables, kind)


def _ask(url: URL) -> tuple[frozenset[str], bool]:
    """Return the tables of a database, and whether further ones could be made; nothing is."""
    from sqlalchemy import NullPool, create_engine, inspect, text

    postgres = url.get_backend_name() == "postgresql"
    if postgres:
        url = url.update_query_dict({"connect_timeout": str(_PATIENCE)})
    with create_engine(url, poolclass=NullPool).connect() as connection:
        tables = frozenset(inspect(connection).get_table_names())
        question = (
            "SELECT current_setting('transaction_read_only') = 'off' "
            "AND has_schema_privilege(current_schema(), 'CREATE')"
        )
        return tables, bool(connection.execute(text(question)).scalar()) if postgres else True


def _sqlite(file: Path, kind: _Kind) -> Iterator[Finding]:
    """Look into a SQLite file as it is; one that is not there is not made."""
    if not file.exists():
        yield ok(f"the store {file} is not there yet; the first sweep makes it")
        return
    away = f"mv {file} {file}.damaged, or bring back a copy"
    try:
        # Not read-only: SQLite itself mends what a process left that was killed while it wrote.
        connection = sqlite3.connect(
            f"{file.as_uri()}?mode=rw", uri=True, timeout=_PATIENCE, isolation_level=None
        )
        with contextlib.closing(connection):
            state = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
            tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master")}
            revision = _revision(connection) if "alembic_version" in tables else None
            connection.execute("BEGIN IMMEDIATE")  # what a writer does first; nothing is written
            connection.execute("ROLLBACK")
    except sqlite3.Error as error:
        if "locked" in str(error):
            yield note(f"{file} is being written by another process now", "wait for it")
        elif "readonly" in str(error):
            yield problem(f"{file} cannot be written", f"chmod u+w {file}")
        else:
            yield problem(f"{file} is damaged or no SQLite database: {error}", away)
        return
    if state != "ok":
        yield problem(f"{file} is damaged: {' '.join(state.split())[:120]}", away)
    elif kind is _MLFLOW and revision is not None:
        yield _dated(file, revision) or _owned(str(file), frozenset(tables), kind)
    else:
        yield _owned(str(file), frozenset(tables), kind)


def _dated(file: Path, revision: str) -> Finding | None:
    """Say whether the tables are those of an older or newer MLflow; None where they are not."""
    here = _installed("mlflow")
    known, latest = _revisions()
    if not known or revision in latest:
        return None
    if revision in known:
        return problem(
            f"the tables of {file} are those of an older MLflow than {here}",
            f"make a copy of it, then: mlflow db upgrade sqlite:///{file}",
        )
    return problem(
        f"the tables of {file} are those of a newer MLflow than {here}, or of another program",
        "pip install -U mlflow, or name another database by --tracking-uri",
    )


def _owned(which: str, tables: frozenset[str], kind: _Kind) -> Finding:
    """Say whose tables a store holds; MLflow and Optuna would spoil each other's."""
    other = _OPTUNA if kind is _MLFLOW else _MLFLOW
    if tables >= other.tables:
        return problem(
            f"{which} is the database of {other.owner}; {kind.owner} needs one of its own",
            f"name another database by {kind.option}",
        )
    return ok(f"the store {which} answers" + ("" if tables else "; it is empty"))


def _revision(connection: sqlite3.Connection) -> str | None:
    row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    return None if row is None else str(row[0])


def _revisions() -> tuple[set[str], set[str]]:
    """Return all migrations that the installed MLflow knows, and the latest, without importing it."""
    spec = find_spec("mlflow")
    if spec is None or spec.origin is None:
        return set(), set()
    made, followed = set(), set()
    for file in (Path(spec.origin).parent / "store" / "db_migrations" / "versions").glob("*.py"):
        text = file.read_text(encoding="utf-8")
        made |= set(re.findall(r"^revision\s*=\s*[\"'](\w+)", text, re.MULTILINE))
        followed |= set(re.findall(r"^down_revision\s*=\s*[\"'](\w+)", text, re.MULTILINE))
    return made, made - followed


def _installed(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "none"
