"""Runs of an experiment as plain records: through MLflow's client, or straight from the embedded database."""

from __future__ import annotations

import math
import sqlite3
from collections import defaultdict
from collections.abc import Callable, Collection
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import unquote, urlsplit

from benchmark.tracking import names
from benchmark.tracking.runs_query import all_runs

Answer = TypeVar("Answer")


@dataclass(frozen=True)
class StoredRun:
    """What the store knows of a run.

    Attributes
    ----------
    run_id, status : str
        MLflow's id, and ``FINISHED``, ``FAILED``, ``KILLED`` or ``RUNNING``.
    end_time : int or None
        Milliseconds since the epoch.
    tags : dict of str to str
        All of them.
    metrics : dict of str to float
        The last value of each.
    """

    run_id: str
    status: str
    end_time: int | None
    tags: dict[str, str] = field(default_factory=dict)
    metrics: dict[str, float] = field(default_factory=dict)


def stored_runs(client: Any, experiment_id: str, kinds: Collection[str]) -> list[StoredRun]:
    """Return the runs of an experiment that are of certain kinds (`benchmark.tracking.names.KIND`).

    Parameters
    ----------
    client : mlflow.MlflowClient or benchmark.tracking.store.LazyClient
        The store.
    experiment_id : str
        Of the data set.
    kinds : collection of str
        Which runs.

    Notes
    -----
    MLflow makes objects of every param, tag and metric of a run: 2,000 runs take it seconds. The tables of
    the embedded database give the same in a tenth of that. Where they are not as expected (another version of
    MLflow), and for any other store, the client is asked.
    """
    found = _ask(client, lambda database: _from_tables(database, experiment_id, kinds))
    if found is not None:
        return found
    kind = f"tags.`{names.KIND}`"
    filters = f"{kind} = '{next(iter(kinds))}'" if len(kinds) == 1 else f"{kind} != '{names.TRIAL_RUN}'"
    return [
        StoredRun(run.info.run_id, run.info.status, run.info.end_time, run.data.tags, run.data.metrics)
        for run in all_runs(client, [experiment_id], filters)
        if run.data.tags[names.KIND] in kinds
    ]


def experiment_id(client: Any, dataset: str) -> str | None:
    """Return the id of a data set's experiment, or None where it has none."""
    words = "SELECT experiment_id FROM experiments WHERE name = ? AND lifecycle_stage = 'active'"
    row = _ask(client, lambda database: database.execute(words, (dataset,)).fetchone())
    if row is not None:
        return str(row[0])
    found = client.get_experiment_by_name(dataset)
    return None if found is None else str(found.experiment_id)


def artifact(client: Any, run_id: str, name: str) -> Path:
    """Return the path of a run's artifact, fetched where it is elsewhere.

    Raises
    ------
    OSError or mlflow.exceptions.MlflowException
        When it is not there.
    """
    words = "SELECT artifact_uri FROM runs WHERE run_uuid = ?"
    row = _ask(client, lambda database: database.execute(words, (run_id,)).fetchone())
    uri = urlsplit(row[0] if row else "")
    if uri.scheme == "file":
        return Path(unquote(uri.path)) / name
    return Path(client.download_artifacts(run_id, name))


def _ask(client: Any, question: Callable[[sqlite3.Connection], Answer]) -> Answer | None:
    """Ask the embedded database; None where there is none, or its tables are not as expected."""
    path = getattr(client, "database", None)
    if path is None:
        return None
    try:
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True, timeout=10)) as database:
            return question(database)
    except sqlite3.Error:
        return None


def _from_tables(database: sqlite3.Connection, experiment_id: str, kinds: Collection[str]) -> list[StoredRun]:
    marks = ", ".join("?" * len(kinds))
    chosen = (
        "SELECT runs.run_uuid FROM runs JOIN tags ON tags.run_uuid = runs.run_uuid "
        "WHERE runs.experiment_id = ? AND runs.lifecycle_stage = 'active' "
        f"AND tags.key = ? AND tags.value IN ({marks})"
    )
    which = (experiment_id, names.KIND, *kinds)
    tags: dict[str, dict[str, str]] = defaultdict(dict)
    metrics: dict[str, dict[str, float]] = defaultdict(dict)
    for run, key, value in database.execute(
        f"SELECT run_uuid, key, value FROM tags WHERE run_uuid IN ({chosen})", which
    ):
        tags[run][key] = value
    for run, key, value, is_nan in database.execute(
        f"SELECT run_uuid, key, value, is_nan FROM latest_metrics WHERE run_uuid IN ({chosen})", which
    ):
        metrics[run][key] = math.nan if is_nan else value
    found = database.execute(
        f"SELECT run_uuid, status, end_time FROM runs WHERE run_uuid IN ({chosen}) "
        "ORDER BY start_time DESC, run_uuid",
        which,
    )
    return [StoredRun(run, status, end, tags[run], metrics[run]) for run, status, end in found]
