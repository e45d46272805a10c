"""Runs as they are read: one type, and one query with filters."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from benchmark.spec.config import RunSpec
from benchmark.tracking import names
from benchmark.tracking.records import Record
from benchmark.tracking.spool import Spool


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
        ``RUNNING``, ``FINISHED``, ``FAILED`` or ``KILLED``; how a run ended is its `status`.
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
    search_ended, test_duplicates = _Tag(names.SEARCH_ENDED), _Tag(names.TEST_DUPLICATES)
    test_accuracy, test_loss = _Metric(names.TEST_ACCURACY), _Metric(names.TEST_LOSS)
    val_accuracy = _Metric(names.BEST_VAL_ACCURACY)
    train_seconds, epochs_run = _Metric(names.TRAIN_SECONDS), _Metric(names.EPOCHS_RUN)
    search_seconds = _Metric(names.SEARCH_SECONDS)

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
    def search_trials(self) -> int:
        """Number of trials of the search that chose the configuration."""
        return int(self.metrics.get(names.SEARCH_TRIALS, 0))


def find_runs(
    client: Any,
    dataset: str | None = None,
    kinds: Collection[str] = (),
    *,
    spool: Spool | None = None,
    mlflow_status: str | None = None,
    **tags: str,
) -> list[StoredRun]:
    """Return the runs that fit, the latest first.

    Parameters
    ----------
    client : mlflow.MlflowClient or benchmark.tracking.tables.TablesFirst
        The store. Runs that were deleted in it are not found.
    dataset : str, optional
        Name of the data set, which is the name of the experiment; by default all are searched.
    kinds : collection of str
        Values of `benchmark.tracking.names.KIND`; none stands for all.
    spool : Spool, optional
        What waits for the store; the runs are returned as they will be once it is delivered.
    mlflow_status : str, optional
        As MLflow names it.
    **tags : str
        Names are those of `benchmark.tracking.names`.
    """
    # The spool first: what is delivered meanwhile is then read twice, and not missed.
    records = [] if spool is None else _waiting(spool, dataset)
    wanted = {getattr(names, name): value for name, value in tags.items()}
    read_tables = getattr(client, "find_runs", None)
    runs = read_tables(dataset, kinds) if read_tables and kinds else None
    if runs is None:
        runs = _ask(client, dataset, kinds, mlflow_status, wanted)
    found = [
        run
        for run in _overlaid(runs, records)
        if (not kinds or run.kind in kinds)
        and mlflow_status in (None, run.mlflow_status)
        and all(run.tags.get(tag) == value for tag, value in wanted.items())
    ]
    return sorted(found, key=lambda run: (-run.start_time, run.run_id))


def _waiting(spool: Spool, dataset: str | None) -> list[Record]:
    # What was refused is done all the same: the test split is not read again.
    records = [*spool.refused_runs(), *spool.records()]
    return [record for record in records if dataset in (None, record.experiment)]


def _ask(
    client: Any, dataset: str | None, kinds: Collection[str], status: str | None, tags: Mapping[str, str]
) -> list[StoredRun]:
    """Ask MLflow's client, once for each kind: its filters know no "or"."""
    ids = _experiment_ids(client, dataset)
    shared = [_condition(*item) for item in tags.items()]
    if status is not None:
        shared.append(f"attributes.status = '{status}'")
    filters = [" and ".join([*shared, _condition(names.KIND, kind)]) for kind in kinds]
    return [
        _stored(run)
        for asked in filters or [" and ".join(shared)]
        if ids
        for run in all_runs(client, ids, asked)
    ]


def _experiment_ids(client: Any, dataset: str | None) -> list[str]:
    if dataset is None:
        return [str(experiment.experiment_id) for experiment in client.search_experiments()]
    experiment = client.get_experiment_by_name(dataset)
    return [] if experiment is None else [str(experiment.experiment_id)]


def _condition(tag: str, value: str) -> str:
    quote = '"' if "'" in value else "'"
    return f"tags.`{tag}` = {quote}{value}{quote}"


def _stored(run: Any) -> StoredRun:
    info, data = run.info, run.data
    return StoredRun(
        str(info.run_id), str(info.status), info.start_time or 0, info.end_time or 0, data.tags, data.metrics
    )


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


def published_runs(client: Any, dataset: str, spec_ids: Iterable[str]) -> list[StoredRun]:
    """Return the runs of some specs of a published configuration, of each the latest.

    Parameters
    ----------
    client : mlflow.MlflowClient
        The store.
    dataset : str
        Name of the experiment.
    spec_ids : iterable of str
        Which runs, in the order in which they are returned; one that was never started is left out. Those
        that are ok have their curves.
    """
    runs = find_runs(client, dataset, (names.PUBLISHED_RUN,))
    latest = {run.spec_id: run for run in reversed(runs)}  # one that is ok is never run again
    found = [latest[spec_id] for spec_id in spec_ids if spec_id in latest]
    return [
        replace(run, curves=read_curves(client, run.run_id)) if run.status == "ok" else run for run in found
    ]


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


def read_spec(client: Any, run_id: str) -> tuple[RunSpec, dict[str, str]]:
    """Return the run spec of a final run, and its tags."""
    text = Path(client.download_artifacts(run_id, names.SPEC_JSON)).read_text(encoding="utf-8")
    return RunSpec.model_validate_json(text), dict(client.get_run(run_id).data.tags)


def sweep_params(client: Any, tags: Mapping[str, str]) -> dict[str, str]:
    """Return what the sweep was asked for that a run belongs to, by the run's tags."""
    params = client.get_run(tags[names.PARENT]).data.params
    return {name: value for name, value in params.items() if value != "None"}
