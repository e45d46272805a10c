"""Runs as they are read: one type, and one query with filters."""

from __future__ import annotations

import json
import math
import sqlite3
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import unquote, urlsplit

from benchmark.metrics.metric import ACCURACY
from benchmark.spec.config import RunSpec
from benchmark.spec.result import BEST_VALUE
from benchmark.tracking import names
from benchmark.tracking.record import Point, Record
from benchmark.tracking.spool import Spool

Answer = TypeVar("Answer")


class _Tag:
    """A tag as an attribute; empty where a run lacks it."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __get__(self, run: StoredRun, kind: type) -> str:
        return run.tags.get(self._name, "")


class _Metric:
    """The last value of a metric as an attribute; None where a run lacks it."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __get__(self, run: StoredRun, kind: type) -> float | None:
        return run.metrics.get(self._name)


@dataclass(frozen=True)
class StoredRun:
    """A run as MLflow has it, or will have it once the spool is delivered.

    Attributes
    ----------
    run_id : str
        MLflow's id; empty while the run is in the spool only.
    mlflow_status : str
        ``RUNNING``, ``FINISHED``, ``FAILED`` or ``KILLED``; how a run finished is its `status`.
    start_time, end_time : int
        Milliseconds since the epoch; 0 where unknown.
    tags : dict of str to str
        All of them; many are attributes, too.
    metrics : dict of str to float
        The last value of each; many are attributes, too.
    curves : dict of str to list of float
        Metrics by epoch, where they were asked for.
    """

    run_id: str
    mlflow_status: str = "RUNNING"
    start_time: int = 0
    end_time: int = 0
    tags: Mapping[str, str] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    curves: Mapping[str, list[float]] = field(default_factory=dict)

    key = _Tag(names.RUN_KEY)
    kind = _Tag(names.KIND)
    model, budget, protocol = _Tag(names.MODEL), _Tag(names.BUDGET), _Tag(names.PROTOCOL)
    dataset, dataset_digest = _Tag(names.DATASET), _Tag(names.DATASET_DIGEST)
    study, spec_id = _Tag(names.STUDY), _Tag(names.SPEC_ID)
    device, versions, git_commit = _Tag(names.DEVICE), _Tag(names.VERSIONS), _Tag(names.GIT_COMMIT)
    machine, deterministic = _Tag(names.MACHINE), _Tag(names.DETERMINISTIC)
    labels_only = _Tag(names.LABELS_ONLY)
    search_ended, test_duplicates = _Tag(names.SEARCH_ENDED), _Tag(names.TEST_DUPLICATES)
    made_for = _Tag(names.MADE_FOR)
    test_accuracy, test_loss = _Metric(names.TEST_ACCURACY), _Metric(names.TEST_LOSS)
    val_accuracy = _Metric(names.BEST_VAL_ACCURACY)
    train_seconds, epochs_run = _Metric(names.TRAIN_SECONDS), _Metric(names.EPOCHS_RUN)
    search_seconds = _Metric(names.SEARCH_SECONDS)

    @property
    def data_digest(self) -> str:
        """Digest of the data; of those of all folds together, where they are divided into folds."""
        return self.tags.get(names.FOLDS_DIGEST, self.dataset_digest)

    @property
    def fold(self) -> tuple[int, int] | None:
        """Which fold its data are, from 1, and of how many; None where they are not divided."""
        number, _, folds = self.tags.get(names.FOLD, "").partition(" of ")
        return (int(number), int(folds)) if folds else None

    @property
    def best_value(self) -> float | None:
        """The metric on the validation split at the restored epoch."""
        return self.metrics.get(BEST_VALUE.format(self.optimised_for))

    @property
    def finished(self) -> bool:
        """Whether the run came to an end by itself."""
        return self.mlflow_status in ("FINISHED", "FAILED")

    @property
    def status(self) -> str:
        """``ok``, ``pruned``, ``diverged``, ``failed``, ``oom``, ``timeout`` or ``interrupted``."""
        return self.tags.get(names.STATUS, "failed" if self.finished else "interrupted")

    @property
    def settled(self) -> bool:
        """Whether a final run need not be done again; one that failed by accident is tried again."""
        return self.finished and self.status in ("ok", "diverged")

    @property
    def ended_at(self) -> float:
        """Seconds since the epoch."""
        return self.end_time / 1000

    @property
    def tiers(self) -> tuple[str, ...]:
        """``default``, ``tuned``, or both where the winner of the search is the default."""
        tier = self.tags.get(names.TIER, "")
        return () if tier == names.NO_TIER else tuple(tier.split("+"))

    @property
    def seed(self) -> int:
        """Index of the seed bundle, from 0."""
        return int(self.tags[names.SEED])

    @property
    def seeds_expected(self) -> int:
        """How many seeds the sweep was asked for."""
        return int(self.tags.get(names.SEEDS_EXPECTED, 0))

    @property
    def parameters(self) -> int | None:
        """Number of weights."""
        value = self.metrics.get(names.PARAMETERS)
        return None if value is None else int(value)

    @property
    def optimised_for(self) -> str:
        """The metric that search and early stopping followed."""
        return self.tags.get(names.METRIC, ACCURACY)

    @property
    def search_trials(self) -> int:
        """Number of trials of the search that chose the configuration."""
        return int(self.metrics.get(names.SEARCH_TRIALS, 0))


def find_runs(
    client: Any,
    dataset: str | None = None,
    kinds: Collection[str] = names.KINDS,
    *,
    spool: Spool | None = None,
    **tags: str,
) -> list[StoredRun]:
    """Return the runs that fit, the latest first.

    Parameters
    ----------
    client : mlflow.MlflowClient or benchmark.tracking.store.StoreClient
        The store. Runs that were deleted in it are not found.
    dataset : str, optional
        Name of the data set, which is the name of the experiment; by default all are searched.
    kinds : collection of str
        Values of `benchmark.tracking.names.KIND`; by default all.
    spool : Spool, optional
        What waits for the store; the runs are returned as they will be once it is delivered.
    **tags : str
        Names are those of `benchmark.tracking.names`.
    """
    # The spool first: what is delivered meanwhile is then read twice, and not missed.
    # What was refused is done all the same: the test split is not read again.
    records = [] if spool is None else [*spool.refused_runs(), *spool.records()]
    wanted = {getattr(names, name): value for name, value in tags.items()}
    runs = _ask_tables(client, lambda database: _read_tables(database, dataset, kinds, wanted))
    if runs is None:
        runs = _ask_client(client, dataset, kinds, wanted)
    found = [
        run
        for run in _overlaid(runs, (record for record in records if dataset in (None, record.experiment)))
        if run.kind in kinds and all(run.tags.get(tag) == value for tag, value in wanted.items())
    ]
    return sorted(found, key=lambda run: (-run.start_time, run.run_id))


def _ask_client(
    client: Any, dataset: str | None, kinds: Collection[str], tags: Mapping[str, str]
) -> list[StoredRun]:
    """Ask MLflow's client, once for each kind: its filters know no "or"."""
    ids = _experiment_ids(client, dataset)
    found = []
    for kind in kinds if ids else ():
        asked = " and ".join(_condition(*item) for item in {**tags, names.KIND: kind}.items())
        for run in all_runs(client, ids, asked):
            info, times = run.info, (run.info.start_time or 0, run.info.end_time or 0)
            found.append(StoredRun(info.run_id, info.status, *times, run.data.tags, run.data.metrics))
    return found


def _experiment_ids(client: Any, dataset: str | None) -> list[str]:
    if dataset is None:
        return [str(experiment.experiment_id) for experiment in client.search_experiments()]
    experiment = client.get_experiment_by_name(dataset)
    return [] if experiment is None else [str(experiment.experiment_id)]


def _condition(tag: str, value: str) -> str:
    quote = '"' if "'" in value else "'"
    return f"tags.`{tag}` = {quote}{value}{quote}"


def _ask_tables(client: Any, question: Callable[[sqlite3.Connection], Answer]) -> Answer | None:
    """Ask an embedded store without MLflow; None where it is not one, or its tables are not as expected.

    They give 2,000 runs in a tenth of the client's time.
    """
    file = getattr(client, "file", None)
    if file is None:
        return None
    try:
        with closing(sqlite3.connect(f"{file.resolve().as_uri()}?mode=ro", uri=True, timeout=10)) as database:
            return question(database)
    except sqlite3.Error:
        return None


def _read_tables(
    database: sqlite3.Connection, dataset: str | None, kinds: Collection[str], tags_wanted: Mapping[str, str]
) -> list[StoredRun]:
    chosen = (
        "SELECT runs.run_uuid FROM runs JOIN experiments USING (experiment_id) "
        "WHERE runs.lifecycle_stage = 'active' AND experiments.lifecycle_stage = 'active' "
        "AND experiments.name = coalesce(?, experiments.name)"
    )
    which = [dataset]
    for tag, values in ((names.KIND, kinds), *((tag, (value,)) for tag, value in tags_wanted.items())):
        marks = ", ".join("?" * len(values))
        chosen += f" AND run_uuid IN (SELECT run_uuid FROM tags WHERE key = ? AND value IN ({marks}))"
        which += [tag, *values]

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


def artifact_folder(client: Any, run_id: str) -> Path | None:
    """Return the folder of a run's artifacts in an embedded store; None where it is not on this machine."""
    words = "SELECT artifact_uri FROM runs WHERE run_uuid = ?"
    row = _ask_tables(client, lambda database: database.execute(words, (run_id,)).fetchone())
    uri = urlsplit(row[0] if row else "")
    return Path(unquote(uri.path)) if uri.scheme == "file" else None


def artifact_path(client: Any, run_id: str, name: str) -> Path:
    """Return an artifact of a run as a file of this machine; the client's error where it is unavailable."""
    folder = artifact_folder(client, run_id)
    return folder / name if folder else Path(client.download_artifacts(run_id, name))


def read_spec(client: Any, run_id: str) -> RunSpec:
    """Return the spec of a trial or final run; the client's error where it is unavailable."""
    return RunSpec.model_validate_json(artifact_path(client, run_id, names.SPEC_JSON).read_bytes())


def read_points(client: Any, run_id: str, metrics: Iterable[str]) -> list[Point]:
    """Return all values of a run's metrics with their times and steps."""
    words = "SELECT key, value, is_nan, timestamp, step FROM metrics WHERE run_uuid = ? ORDER BY key, step"
    found = _ask_tables(client, lambda database: database.execute(words, (run_id,)).fetchall())
    if found is None:
        histories = {name: client.get_metric_history(run_id, name) for name in sorted(metrics)}
        return [
            Point(name, point.value, point.timestamp, point.step)
            for name, points in histories.items()
            for point in sorted(points, key=lambda point: point.step)
        ]
    wanted = set(metrics)
    return [
        Point(name, math.nan if is_nan else value, timestamp, step)
        for name, value, is_nan, timestamp, step in found
        if name in wanted
    ]


def _overlaid(runs: Iterable[StoredRun], records: Iterable[Record]) -> list[StoredRun]:
    """Return runs as they will be once records are delivered, which are given in order."""
    known = {run.key or run.run_id: run for run in runs}
    for record in records:
        name = record.key or record.run_id or ""
        run = known.get(name)
        if run is None:
            if not record.run_name:
                continue
            run = StoredRun("", start_time=record.start_time or 0, tags={names.RUN_KEY: record.key})
        known[name] = replace(
            run,
            mlflow_status=record.status or run.mlflow_status,
            end_time=record.end_time or run.end_time,
            tags={**run.tags, **record.tags},
            metrics={**run.metrics, **{point.name: point.value for point in record.metrics}},
        )
    return list(known.values())


def all_runs(client: Any, experiment_ids: list[str], filters: str = "") -> list[Any]:
    """Return every run that fits as MLflow's client gives it, page by page: one request stops at 1,000."""
    runs: list[Any] = []
    token = None
    while True:
        page = client.search_runs(experiment_ids, filters, max_results=1000, page_token=token)
        runs.extend(page)
        token = page.token
        if not token:
            return runs


def read_curves(client: Any, run_id: str) -> dict[str, list[float]]:
    """Return a run's metrics by epoch that are drawn; empty where it has none."""
    histories = {name: client.get_metric_history(run_id, name) for name in names.CURVES}
    return {
        name: [point.value for point in sorted(points, key=lambda point: point.step)]
        for name, points in histories.items()
    }


def dataset_inputs(client: Any, dataset: str) -> list[Any]:
    """Return what MLflow has of the data of a data set's sweeps: digest, source and profile of each."""
    ids = _experiment_ids(client, dataset)
    sweeps = all_runs(client, ids, _condition(names.KIND, names.SWEEP))
    return [item.dataset for run in sweeps for item in run.inputs.dataset_inputs]


def class_names(client: Any, dataset: str) -> dict[str, tuple[str, ...]]:
    """Return the names of the classes by digest, where they were recorded, of the data sets of a name.

    The digest of all folds of a data set has them, too.
    """
    found: dict[str, tuple[str, ...]] = {}
    for one in dataset_inputs(client, dataset):
        if one.profile:
            profile = json.loads(one.profile)
            found |= dict.fromkeys(
                {one.digest, profile.get("folds_digest", one.digest)}, tuple(profile["classes"])
            )
    return found
