"""Reading an embedded store without MLflow: its tables give 2,000 runs in a tenth of the client's time."""

from __future__ import annotations

import math
import sqlite3
from collections import defaultdict
from collections.abc import Callable, Collection
from contextlib import closing
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import unquote, urlsplit

from benchmark.support.databases import sqlite_path
from benchmark.tracking import names
from benchmark.tracking.runs import StoredRun
from benchmark.tracking.store import connect

Answer = TypeVar("Answer")


class TablesFirst:
    """A client of a SQLite file that reads runs from its tables, and asks MLflow for everything else.

    Importing MLflow takes longer than reading a board, so that is done when something is asked of it.

    Parameters
    ----------
    uri : str
        ``sqlite:///…`` of a file that exists.
    """

    def __init__(self, uri: str) -> None:
        self.file = sqlite_path(uri)
        self._uri = uri

    @cached_property
    def _client(self) -> Any:
        return connect(self._uri)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def find_runs(self, dataset: str | None, kinds: Collection[str]) -> list[StoredRun] | None:
        """Read runs; None where the tables are not as expected, as with another version of MLflow."""
        return self._read(lambda database: _find_runs(database, dataset, kinds))

    def artifact_folder(self, run_id: str) -> Path | None:
        """Return the folder of a run's artifacts; None where it is not on this machine, or not known."""
        words = "SELECT artifact_uri FROM runs WHERE run_uuid = ?"
        row = self._read(lambda database: database.execute(words, (run_id,)).fetchone())
        uri = urlsplit(row[0] if row else "")
        return Path(unquote(uri.path)) if uri.scheme == "file" else None

    def _read(self, question: Callable[[sqlite3.Connection], Answer]) -> Answer | None:
        assert self.file is not None
        address = f"{self.file.resolve().as_uri()}?mode=ro"
        try:
            with closing(sqlite3.connect(address, uri=True, timeout=10)) as database:
                return question(database)
        except sqlite3.Error:
            return None


def open_store(uri: str) -> Any:
    """Return a client for reading: `TablesFirst` where the store is a SQLite file, else as `connect`."""
    file = sqlite_path(uri)
    return TablesFirst(uri) if file is not None and file.is_file() else connect(uri)


def _find_runs(database: sqlite3.Connection, dataset: str | None, kinds: Collection[str]) -> list[StoredRun]:
    marks = ", ".join("?" * len(kinds))
    chosen = (
        "SELECT runs.run_uuid FROM runs JOIN tags USING (run_uuid) JOIN experiments USING (experiment_id) "
        "WHERE runs.lifecycle_stage = 'active' AND experiments.lifecycle_stage = 'active' "
        f"AND experiments.name = coalesce(?, experiments.name) AND tags.key = ? AND tags.value IN ({marks})"
    )
    which = (dataset, names.KIND, *kinds)

    def rows(columns: str, table: str) -> sqlite3.Cursor:
        return database.execute(
            f"SELECT run_uuid, {columns} FROM {table} WHERE run_uuid IN ({chosen})", which
        )

    tags: dict[str, dict[str, str]] = defaultdict(dict)
    metrics: dict[str, dict[str, float]] = defaultdict(dict)
    for run, key, value in rows("key, value", "tags"):
        tags[run][key] = value
    for run, key, value, is_nan in rows("key, value, is_nan", "latest_metrics"):
        metrics[run][key] = math.nan if is_nan else value
    found = rows("status, start_time, end_time", "runs")
    return [
        StoredRun(run, status, start or 0, end or 0, tags[run], metrics[run])
        for run, status, start, end in found
    ]
