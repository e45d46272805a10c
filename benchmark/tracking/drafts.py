"""What is to be told to MLflow of a run, in full: of one under way, of one that ended, of a sweep's own."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from benchmark.data.files import folder_digest
from benchmark.data.ledger_chain import user_name
from benchmark.plan.run_specs import Plan
from benchmark.spec.config import RunSpec
from benchmark.spec.result import EpochReport, Result
from benchmark.support.printable import redacted
from benchmark.tracking import names
from benchmark.tracking.environment import git_state, versions
from benchmark.tracking.spool import Input, Point, Record, Status

_ENDS: dict[str, Status] = {"ok": "FINISHED", "pruned": "FINISHED", "interrupted": "KILLED"}


@dataclass
class Draft:
    """A run under way, with all that is known of it so far.

    Attributes
    ----------
    base : Record
        What does not change: key, name, params, tags, data set.
    spec : RunSpec
        The run.
    points : list of Point
        Its metrics, with the times at which they were told.
    """

    base: Record
    spec: RunSpec
    points: list[Point] = field(default_factory=list)

    def add(self, report: EpochReport) -> None:
        """Take an epoch's metrics."""
        now = milliseconds()
        self.points += [
            Point(name, float(value), now, report.epoch) for name, value in report.metrics.items()
        ]

    def record(self, **changes: Any) -> Record:
        """Return the run as it is now."""
        return self.base.model_copy(update={"metrics": tuple(self.points), **changes})

    def ended(self, result: Result, **changes: Any) -> Record:
        """Return the run as it ended."""
        now = milliseconds()
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
        tags: dict[str, Any] = {
            names.STATUS: result.status,
            names.DEVICE: result.device,
            names.COMPILE: result.compile,
            names.WORKERS: result.workers,
        }
        if result.threads is not None:  # unknown where the process was lost
            tags[names.THREADS] = result.threads
        if result.servable is not None:
            tags[names.MODEL_DIGEST] = folder_digest(result.servable)
        return self.record(
            tags={**self.base.tags, **cleaned(tags)},
            metrics=(*self.points, *summary_points({**result.reports, **summaries}, now)),
            status=_ENDS.get(result.status, "FAILED"),
            end_time=now,
            **changes,
        )


class Drafts:
    """Makes drafts and records of one sweep.

    Parameters
    ----------
    plan : Plan
        The sweep.
    location : str or None
        Where a new experiment keeps its artifacts; None leaves it to the server.
    command : str
        Which command makes the runs.
    """

    def __init__(self, plan: Plan, location: str | None, command: str) -> None:
        commit, dirty = git_state()
        self._plan, self._location = plan, location
        self._tags = {
            names.MODEL: plan.model.label,
            names.DATASET: plan.dataset.name,
            names.DATASET_DIGEST: plan.dataset.digest,
            names.STUDY: plan.study,
            names.BUDGET: plan.config.budget,
            names.PROTOCOL: plan.protocol,
            names.VERSIONS: versions(),
            names.USER: user_name(),
            names.SOURCE: command,
        }
        if commit:
            self._tags |= {names.GIT_COMMIT: commit, names.GIT_DIRTY: str(dirty).lower()}

    def change(self, key: str, run_id: str | None, **changes: Any) -> Record:
        """Return a record that changes a run."""
        experiment = self._plan.dataset.name
        return Record(key=key, run_id=run_id, experiment=experiment, location=self._location, **changes)

    def child(self, spec: RunSpec, name: str, tags: Mapping[str, str], parent_key: str) -> Draft:
        """Return the draft of a run that begins now, under a key of its own."""
        own = {
            names.PROTOCOL: spec.protocol,
            names.SPEC_ID: spec.spec_id,
            names.CONFIG_ID: spec.config_id,
        }
        key = uuid.uuid4().hex
        base = self._whole(key, name, spec.flat(), {**own, **tags}, parent_key=parent_key or None)
        return Draft(base, spec)

    def sweep(self, key: str, kind: str) -> Record:
        """Return the record of the sweep's own run."""
        config = self._plan.config
        tags = {names.KIND: kind, names.SEEDS_EXPECTED: str(config.seeds), **self.facts()}
        params = config.model_dump(exclude={"overrides", "study"})
        return self._whole(key, self._plan.study, params, tags, status="RUNNING")

    def facts(self) -> dict[str, str]:
        """Return what a sweep's own run says of its data set."""
        dataset = self._plan.dataset
        return {names.TEST_DUPLICATES: f"{dataset.test_duplicates} of {dataset.sizes['test']}"}

    def _whole(
        self, key: str, name: str, params: Mapping[str, Any], tags: Mapping[str, str], **more: Any
    ) -> Record:
        return self.change(
            key,
            None,
            run_name=clean(name),
            start_time=milliseconds(),
            params=cleaned(params),
            tags=cleaned({**self._tags, **tags}),
            dataset=self._input(),
            **more,
        )

    def _input(self) -> Input:
        dataset = self._plan.dataset
        source = {"home": redacted(dataset.home), "validation_share": dataset.validation_share}
        profile = {**dataset.sizes, "classes": list(dataset.class_names)}
        return Input(
            name=dataset.name, digest=dataset.digest, source=json.dumps(source), profile=json.dumps(profile)
        )


def milliseconds() -> int:
    """Return the time as MLflow counts it."""
    return int(time.time() * 1000)


def summary_points(values: Mapping[str, float | None], now: int) -> tuple[Point, ...]:
    """Return figures about a whole run as metrics; those that are None are left out."""
    return tuple(Point(name, float(value), now, 0) for name, value in values.items() if value is not None)


def clean(value: str) -> str:
    """Return a text as it may be stored: without passwords, and with nothing that a database rejects."""
    return redacted(value).replace("\0", "").encode("utf-8", "replace").decode()


def cleaned(values: Mapping[str, Any]) -> dict[str, str]:
    """Return tags or params as they may be stored."""
    return {name: clean(str(value)) for name, value in values.items()}
