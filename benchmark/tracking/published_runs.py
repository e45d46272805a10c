"""Runs of published configurations, read back with their curves."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from benchmark.tracking import names
from benchmark.tracking.runs_query import all_runs


@dataclass(frozen=True)
class PublishedRun:
    """One run of a published configuration.

    Attributes
    ----------
    run_id, status : str
        In MLflow, and how it ended.
    metrics : dict of str to float
        The last value of each, test accuracy and loss among them.
    curves : dict of str to list of float
        Loss and accuracy by epoch, for training and validation; of an ok run only.
    """

    run_id: str
    status: str
    metrics: dict[str, float]
    curves: dict[str, list[float]]


def published_runs(client: Any, dataset: str, spec_ids: Iterable[str]) -> list[PublishedRun]:
    """Return the runs of some specs, of each the latest.

    Parameters
    ----------
    client : mlflow.MlflowClient
        The store.
    dataset : str
        Name of the experiment.
    spec_ids : iterable of str
        Which runs, in the order in which they are returned; one that was never begun is left out.
    """
    experiment = client.get_experiment_by_name(dataset)
    if experiment is None:
        return []
    latest: dict[str, Any] = {}
    found = all_runs(client, [experiment.experiment_id], f"tags.`{names.KIND}` = '{names.PUBLISHED_RUN}'")
    for run in sorted(found, key=lambda run: run.info.start_time):  # one that is ok is never run again
        latest[run.data.tags[names.SPEC_ID]] = run
    return [_record(client, latest[spec_id]) for spec_id in spec_ids if spec_id in latest]


def _status(run: Any) -> str:
    return str(run.data.tags.get(names.STATUS, "interrupted"))


def _record(client: Any, run: Any) -> PublishedRun:
    run_id = str(run.info.run_id)
    curves: dict[str, list[float]] = {}
    if _status(run) == "ok":
        for name in names.CURVES:
            points = sorted(client.get_metric_history(run_id, name), key=lambda point: point.step)
            curves[name] = [point.value for point in points]
    return PublishedRun(run_id, _status(run), dict(run.data.metrics), curves)
