"""Delivery of records to MLflow, so that a repetition changes nothing."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from benchmark.tracking import names
from benchmark.tracking.record import Record
from benchmark.tracking.store import reason, refused

Answer = TypeVar("Answer")

# MLflow takes 100 params and 1,000 things in all with one request.
_MOST_PARAMS, _MOST_METRICS = 100, 800


def ensure_experiment(
    client: Any, name: str, location: str | None, on_restored: Callable[[], None] = lambda: None
) -> str:
    """Return the id of a data set's experiment, which is made or restored where it must be.

    Parameters
    ----------
    client : mlflow.MlflowClient
        The store.
    name : str
        Name of the data set.
    location : str or None
        Where a new experiment keeps its artifacts; None leaves it to the server.
    on_restored : callable
        Called where it was deleted: it may have runs that could not be found before.
    """
    found = client.get_experiment_by_name(name)
    if found is None:
        try:
            kind = {names.EXPERIMENT_KIND: names.MODEL_DEVELOPMENT}
            return str(client.create_experiment(name, artifact_location=location, tags=kind))
        except Exception:
            found = client.get_experiment_by_name(name)
            if found is None:  # else another process has made it meanwhile
                raise
    if found.lifecycle_stage == "deleted":
        client.restore_experiment(found.experiment_id)
        on_restored()
    show_runs(client, found)
    return str(found.experiment_id)


def show_runs(client: Any, experiment: Any) -> None:
    """Let MLflow's UI open an experiment on its runs, where nobody has said otherwise."""
    if names.EXPERIMENT_KIND not in experiment.tags:
        with contextlib.suppress(Exception):  # a store that cannot be written shows its runs less well
            client.set_experiment_tag(
                experiment.experiment_id, names.EXPERIMENT_KIND, names.MODEL_DEVELOPMENT
            )


class Refused(Exception):
    """The store will never take a record; or it lacks the run that the record changes or belongs to."""


@dataclass
class _Known:
    """What the store is known to have of a run, so that a delivery that was cut short goes on there.

    Attributes
    ----------
    has : set of object
        Metrics, names of params, and files that it has.
    tags : dict of str to str
        Those that it has.
    """

    run_id: str
    has: set[object] = field(default_factory=set)
    tags: dict[str, str] = field(default_factory=dict)


class Delivery:
    """Brings runs to where their records say they should be.

    Parameters
    ----------
    client : mlflow.MlflowClient or benchmark.tracking.store.StoreClient
        The store; it must not repeat requests by itself, since the answer to a creation may be lost.
    progress : callable
        Called after each step that was taken; questions are none.
    """

    def __init__(self, client: Any, progress: Callable[[], None] = lambda: None) -> None:
        self._store = client
        self._progress = progress
        self._experiments: dict[str, str] = {}
        self._runs: dict[str, _Known] = {}
        self._unsure: set[str] = set()

    @property
    def _client(self) -> Any:
        """MLflow's client, which asks once: what fails is repeated as a whole."""
        return self._store.connect() if hasattr(self._store, "connect") else self._store

    def run_id(self, key: str) -> str | None:
        """Return MLflow's id of a run, where it is known already."""
        known = self._runs.get(key)
        return known.run_id if known else None

    def deliver(self, record: Record) -> None:
        """Make a run, or bring it up to date.

        Raises
        ------
        Refused
            When it never will be.
        Exception
            When the store did not do it; it may do it later.
        """
        try:
            self._deliver(record)
        except Exception as error:
            if not refused(error):
                raise
            # Perhaps somebody has deleted the run or the experiment.
            self._runs.pop(record.key, None)
            self._runs.pop(record.parent_key or "", None)
            self._experiments.pop(record.experiment, None)
            raise Refused(reason(error)) from error

    def _deliver(self, record: Record) -> None:
        known = self._known(record)
        self._log(known, record)
        if record.artifacts is not None:
            self._upload(known, record.artifacts)
        if record.status in ("FINISHED", "FAILED", "KILLED"):
            self._do(self._client.set_terminated, known.run_id, record.status, record.end_time)
            if record.key in self._unsure:
                self._find(record, record.key, keep=known.run_id)
                self._unsure.discard(record.key)
            known.has.clear()
        elif record.status is not None:
            self._do(self._client.update_run, known.run_id, status=record.status)

    def _do(self, request: Callable[..., Answer], *words: Any, **options: Any) -> Answer:
        answer = request(*words, **options)
        self._progress()
        return answer

    def _known(self, record: Record) -> _Known:
        """Find or make the run of a record."""
        if record.key and record.key in self._runs:
            return self._runs[record.key]
        run_id = record.run_id or self._find(record, record.key)
        known = self._create(record) if run_id is None else _Known(run_id)
        if record.key:
            self._runs[record.key] = known
        return known

    def _find(self, record: Record, key: str, keep: str | None = None) -> str | None:
        """Return the id of the run with a key in a record's experiment; of several, all but one are deleted.

        There are several when the answer to a creation was so late that it was taken for lost.
        """
        where = [self._experiment(record)]
        found = self._client.search_runs(where, f"tags.`{names.RUN_KEY}` = '{key}'")
        found = sorted(found, key=lambda run: (run.info.status == "RUNNING", run.info.run_id))
        ids = [str(run.info.run_id) for run in found]
        if not ids:
            return None
        kept = keep if keep in ids else ids[0]
        for run_id in ids:
            if run_id != kept:
                self._client.delete_run(run_id)
        return kept

    def _create(self, record: Record) -> _Known:
        if not record.run_name:
            raise Refused("its run is not in the store")
        tags = {**record.tags, names.RUN_KEY: record.key}
        parent = record.parent_id or self._parent(record)
        if parent is not None:
            tags[names.PARENT] = parent
        experiment = self._experiment(record)
        try:
            run = self._do(self._client.create_run, experiment, record.start_time, tags, record.run_name)
        except Exception:
            self._unsure.add(record.key)
            raise
        return _Known(str(run.info.run_id), tags=tags)

    def _parent(self, record: Record) -> str | None:
        if record.parent_key is None:
            return None
        if record.parent_key not in self._runs:
            found = self._find(record, record.parent_key)
            if found is None:
                raise Refused("the run of its sweep is not in the store")
            self._runs[record.parent_key] = _Known(found)
        return self._runs[record.parent_key].run_id

    def _experiment(self, record: Record) -> str:
        name = record.experiment
        if name not in self._experiments:
            self._experiments[name] = ensure_experiment(self._client, name, record.location)
        return self._experiments[name]

    def _log(self, known: _Known, record: Record) -> None:
        """Log data set, params, metrics and tags, but for those that the run is known to have."""
        from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, Param, RunTag

        if record.dataset is not None and record.dataset["digest"] not in known.has:
            dataset = Dataset(source_type="textbench", **record.dataset)
            used = DatasetInput(dataset=dataset, tags=[InputTag("mlflow.data.context", "training")])
            self._do(self._client.log_inputs, known.run_id, [used])
            known.has.add(record.dataset["digest"])
        tags = {name: value for name, value in record.tags.items() if known.tags.get(name) != value}
        new_params = [item for item in record.params.items() if item not in known.has]
        new_metrics = [point for point in record.metrics if point not in known.has]
        while new_params or new_metrics or tags:
            params, new_params = new_params[:_MOST_PARAMS], new_params[_MOST_PARAMS:]
            points, new_metrics = new_metrics[:_MOST_METRICS], new_metrics[_MOST_METRICS:]
            self._do(
                self._client.log_batch,
                known.run_id,
                metrics=[Metric(*point) for point in points],
                params=[Param(*item) for item in params],
                tags=[RunTag(*item) for item in tags.items()],
            )
            known.has.update(params, points)
            known.tags.update(tags)
            tags = {}

    def _upload(self, known: _Known, folder: Path) -> None:
        """Upload files one by one, so that a delivery that was cut short need not start again."""
        for path in sorted(folder.rglob("*")):
            if path.is_file() and path not in known.has:
                place = path.parent.relative_to(folder).as_posix()
                self._do(self._client.log_artifact, known.run_id, str(path), None if place == "." else place)
                known.has.add(path)
