"""The one writer of MLflow: a parent run for each sweep, children for trials and final runs."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from benchmark.config import RunSpec
from benchmark.data.ledger import user_name
from benchmark.plan import Plan
from benchmark.tracking import names
from benchmark.tracking.environment import git_state, versions
from benchmark.training.result import EpochReport, Result

_FLUSH_SECONDS = 5.0
_MOST_METRICS = 1000  # of one request


class Tracker:
    """Writes one sweep.

    Parameters
    ----------
    client : mlflow.MlflowClient
        A store that answers.
    plan : Plan
        The sweep.
    artifacts : str or None
        Where a new experiment keeps its artifacts; None leaves it to the server.

    Attributes
    ----------
    experiment_id, parent_id : str
        The data set's experiment, and the sweep's run in it.
    """

    parent_kind, run_kind, command = names.SWEEP, names.FINAL_RUN, "benchmark.sweep"
    sets_seeds = True  # whether the sweep is asked for as many seeds as the plan says

    def __init__(self, client: Any, plan: Plan, artifacts: str | None) -> None:
        self.client = client
        self._plan = plan
        self.experiment_id = _experiment(client, plan.dataset.name, artifacts)
        self.parent_id = ""
        self._pending: dict[str, list[Any]] = {}
        self._flushed: dict[str, float] = {}

    def _tags(self) -> dict[str, str]:
        plan = self._plan
        commit, dirty = git_state()
        tags = {
            names.MODEL: plan.model.label,
            names.DATASET: plan.dataset.name,
            names.DATASET_DIGEST: plan.dataset.digest,
            names.STUDY: plan.study,
            names.BUDGET: plan.config.budget,
            names.PROTOCOL: plan.protocol,
            names.VERSIONS: versions(),
            names.USER: user_name(),
            names.SOURCE: self.command,
        }
        if commit:
            tags |= {names.GIT_COMMIT: commit, names.GIT_DIRTY: str(dirty).lower()}
        return tags

    def _search_runs(self, *conditions: str) -> list[Any]:
        filters = [f"tags.`{names.STUDY}` = '{self._plan.study}'", *conditions]
        return all_runs(self.client, [self.experiment_id], " and ".join(filters))

    def begin(self) -> None:
        """Find the sweep's run and reopen it, or make it; close children that were left running."""
        found = self._search_runs(f"tags.`{names.KIND}` = '{self.parent_kind}'")
        for child in self._search_runs(f"tags.`{names.KIND}` != '{self.parent_kind}'", "status = 'RUNNING'"):
            self.client.set_tag(child.info.run_id, names.STATUS, "interrupted")
            self.client.set_terminated(child.info.run_id, "KILLED")
        if found:
            self.parent_id = str(found[0].info.run_id)
            self.client.update_run(self.parent_id, status="RUNNING")
            if self.sets_seeds:
                self.tag(self.parent_id, names.SEEDS_EXPECTED, str(self._plan.config.seeds))
            return
        tags = {
            **self._tags(),
            names.KIND: self.parent_kind,
            names.SEEDS_EXPECTED: str(self._plan.config.seeds),
        }
        run = self.client.create_run(self.experiment_id, tags=tags, run_name=self._plan.study)
        self.parent_id = str(run.info.run_id)
        config = self._plan.config.model_dump(exclude={"overrides", "study"})
        self._log_batch(self.parent_id, params={name: str(value) for name, value in config.items()})
        self._log_dataset(self.parent_id)

    def _log_dataset(self, run_id: str) -> None:
        from mlflow.entities import Dataset, DatasetInput, InputTag

        dataset = self._plan.dataset
        entity = Dataset(
            name=dataset.name,
            digest=dataset.digest,
            source_type="textbench",
            source=json.dumps({"home": dataset.home, "validation_share": dataset.validation_share}),
            profile=json.dumps({**dataset.sizes, "classes": list(dataset.class_names)}),
        )
        self.client.log_inputs(
            run_id, [DatasetInput(dataset=entity, tags=[InputTag("mlflow.data.context", "training")])]
        )

    def start(self, spec: RunSpec, run_name: str, tags: Mapping[str, str]) -> str:
        """Begin a child run, with every hyper-parameter as a param; return its id."""
        own = {
            names.PARENT: self.parent_id,
            names.PROTOCOL: spec.protocol,
            names.SPEC_ID: spec.spec_id,
            names.CONFIG_ID: spec.config_id,
        }
        run = self.client.create_run(
            self.experiment_id, tags={**self._tags(), **own, **tags}, run_name=run_name
        )
        run_id = str(run.info.run_id)
        self._log_batch(run_id, params={name: str(value) for name, value in spec.flat().items()})
        self._log_dataset(run_id)
        self.client.log_dict(run_id, spec.model_dump(mode="json"), names.SPEC_JSON)
        self._flushed[run_id] = time.monotonic()
        return run_id

    def epoch(self, run_id: str, report: EpochReport) -> None:
        """Take an epoch's metrics; they are sent together, at most every five seconds."""
        self._pending.setdefault(run_id, []).extend(
            _metric(name, value, report.epoch) for name, value in report.metrics.items()
        )
        if time.monotonic() - self._flushed[run_id] >= _FLUSH_SECONDS:
            self._flush(run_id)

    def _flush(self, run_id: str, more: Iterable[Any] = (), tags: Mapping[str, str] | None = None) -> None:
        metrics = [*self._pending.pop(run_id, ()), *more]
        self._log_batch(run_id, metrics=metrics, tags=tags or {})
        self._flushed[run_id] = time.monotonic()

    def end(self, run_id: str, result: Result, artifacts: Path | None = None) -> None:
        """End a child run with its summaries, status and artifacts.

        Parameters
        ----------
        run_id : str
            From `start`.
        result : Result
            What came out.
        artifacts : Path, optional
            Folder whose content becomes the run's artifacts.
        """
        if artifacts is not None:
            self.client.log_artifacts(run_id, str(artifacts))
        summaries = {
            names.BEST_VAL_ACCURACY: result.best_val_accuracy,
            names.BEST_VAL_LOSS: result.best_val_loss,
            names.BEST_EPOCH: result.best_epoch,
            names.EPOCHS_RUN: result.epochs_run,
            names.TRAIN_SECONDS: result.train_seconds,
            names.EXAMPLES_PER_SECOND: result.examples_per_second,
            names.PARAMETERS: result.parameters,
            names.TEST_ACCURACY: result.test_accuracy,
            names.TEST_LOSS: result.test_loss,
        }
        known = {name: value for name, value in {**result.reports, **summaries}.items() if value is not None}
        metrics = [_metric(name, value, 0) for name, value in known.items()]
        tags = {
            names.STATUS: result.status,
            names.DEVICE: result.device,
            names.COMPILE: result.compile,
        }
        self._flush(run_id, metrics, tags)
        ends = {"ok": "FINISHED", "pruned": "FINISHED", "interrupted": "KILLED"}
        self.client.set_terminated(run_id, ends.get(result.status, "FAILED"))

    def finals(self) -> list[Any]:
        """Return the MLflow runs of this sweep's final phase that came to an end."""
        runs = self._search_runs(f"tags.`{names.KIND}` = '{self.run_kind}'")
        return [run for run in runs if run.info.status in ("FINISHED", "FAILED")]

    def tag(self, run_id: str, name: str, value: str) -> None:
        """Set a tag of a run."""
        self.client.set_tag(run_id, name, value)

    def finish(self, totals: Mapping[str, float], artifacts: Path) -> None:
        """End the sweep's run with its totals and the pictures and tables of the search."""
        self._log_batch(self.parent_id, metrics=[_metric(name, value, 0) for name, value in totals.items()])
        self.client.log_artifacts(self.parent_id, str(artifacts))
        self.client.set_terminated(self.parent_id, "FINISHED")

    def abort(self, status: str) -> None:
        """End the sweep's run before its time (``KILLED`` or ``FAILED``)."""
        with contextlib.suppress(Exception):  # the first error is the one to be shown
            self.client.set_terminated(self.parent_id, status)

    def _log_batch(
        self,
        run_id: str,
        *,
        metrics: Iterable[Any] = (),
        params: Mapping[str, str] | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> None:
        from mlflow.entities import Param, RunTag

        metrics = list(metrics)
        for start in range(_MOST_METRICS, len(metrics), _MOST_METRICS):
            self.client.log_batch(run_id, metrics=metrics[start : start + _MOST_METRICS])
        self.client.log_batch(
            run_id,
            metrics=metrics[:_MOST_METRICS],
            params=[Param(name, value) for name, value in (params or {}).items()],
            tags=[RunTag(name, value) for name, value in (tags or {}).items()],
        )


class FurtherTracker(Tracker):
    """Adds runs to a sweep that `compare` asks for; the sweep's own number of seeds stays."""

    command, sets_seeds = "benchmark.compare", False


def _metric(name: str, value: float, step: int) -> Any:
    from mlflow.entities import Metric

    return Metric(name, float(value), int(time.time() * 1000), step)


def _experiment(client: Any, name: str, artifacts: str | None) -> str:
    found = client.get_experiment_by_name(name)
    if found is None:
        return str(client.create_experiment(name, artifact_location=artifacts))
    if found.lifecycle_stage == "deleted":
        client.restore_experiment(found.experiment_id)
    return str(found.experiment_id)


def all_runs(client: Any, experiment_ids: list[str], filters: str) -> list[Any]:
    """Return every run that fits, page by page: one request stops at 1,000."""
    runs: list[Any] = []
    token = None
    while True:
        page = client.search_runs(experiment_ids, filters, max_results=1000, page_token=token)
        runs.extend(page)
        token = page.token
        if not token:
            return runs
