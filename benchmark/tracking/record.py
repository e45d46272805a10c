"""A record: all that MLflow is to know of a run, from its start until it is delivered."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Mapping
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Self

from pydantic import ConfigDict, Field

import benchmark
from benchmark.data.files import folder_digest
from benchmark.data.ledger_chain import user_name
from benchmark.spec.config import Frozen
from benchmark.support.printable import redacted
from benchmark.tracking import names

if TYPE_CHECKING:
    from benchmark.data.dataset import Dataset
    from benchmark.plan.run_specs import Plan
    from benchmark.spec.result import Result

MlflowStatus = Literal["RUNNING", "FINISHED", "FAILED", "KILLED"]
"""As MLflow names them."""

_HEX = r"[0-9a-f]{32}"
_ENDS: dict[str, MlflowStatus] = {"ok": "FINISHED", "pruned": "FINISHED", "interrupted": "KILLED"}


class Point(NamedTuple):
    """A value of a metric; the time is in milliseconds since the epoch."""

    name: str
    value: float
    timestamp: int
    step: int


class Record(Frozen):
    """One run, or what changes in one: all that is needed to make it without any previous write.

    It starts with what does not change, gets metrics while the run is under way, and a status when it ends.
    Then it is committed to the spool, and delivered.

    Attributes
    ----------
    key : str
        Our id of the run, its tag `benchmark.tracking.names.RUN_KEY`; empty for a run that has none.
    run_id : str or None
        MLflow's id, where it is known.
    experiment, location : str, str or None
        The data set's name, and where the artifacts of a new experiment go.
    run_name : str
        Empty for a record that only changes a run.
    start_time, end_time : int or None
        Milliseconds since the epoch.
    parent_key, parent_id : str or None
        The sweep's run.
    metrics : tuple of Point
        With the times at which they were measured, so that a repetition is known as one.
    dataset : dict of str to str or None
        Name, digest, source and profile of the data set, as MLflow describes it.
    status : str or None
        MLflow's; None leaves it as it is.
    name, artifacts : str, Path or None
        Of a record in the spool: names are in the order in which records were committed; and the folder of
        the run's artifacts.
    """

    model_config = ConfigDict(ser_json_inf_nan="constants")

    key: str = Field(default="", pattern=f"^({_HEX})?$")
    run_id: str | None = Field(default=None, pattern=f"^{_HEX}$")
    experiment: str
    location: str | None = None
    run_name: str = ""
    start_time: int | None = None
    end_time: int | None = None
    parent_key: str | None = Field(default=None, pattern=f"^{_HEX}$")
    parent_id: str | None = Field(default=None, pattern=f"^{_HEX}$")
    params: dict[str, str] = Field(default_factory=dict)
    tags: dict[str, str] = Field(default_factory=dict)
    metrics: tuple[Point, ...] = ()
    dataset: dict[str, str] | None = None
    status: MlflowStatus | None = None
    name: str = Field(default="", exclude=True, repr=False)
    artifacts: Path | None = Field(default=None, exclude=True, repr=False)

    def measured(self, values: Mapping[str, float | None], step: int = 0) -> Self:
        """Return the run with further metrics, measured now; those that are None are left out."""
        now = milliseconds()
        points = [Point(name, float(value), now, step) for name, value in values.items() if value is not None]
        return self.model_copy(update={"metrics": (*self.metrics, *points)})

    def with_result(self, result: Result) -> Self:
        """Return the run, finished with a result."""
        tags: dict[str, Any] = {
            names.STATUS: result.status,
            names.DEVICE: result.device,
            names.MACHINE: result.machine,
            names.COMPILE: result.compile,
            names.WORKERS: result.workers,
        }
        if result.threads is not None:  # unknown where the process was lost
            tags[names.THREADS] = result.threads
        if result.compile_failures:
            tags[names.COMPILE_FAILURES] = result.compile_failures
        if result.deterministic:
            tags[names.DETERMINISTIC] = result.deterministic
        if result.servable is not None:
            tags[names.MODEL_DIGEST] = folder_digest(result.servable)
        changes = {
            "tags": {**self.tags, **cleaned(tags)},
            "status": _ENDS.get(result.status, "FAILED"),
            "end_time": milliseconds(),
        }
        summaries = {name: getattr(result, name) for name in names.SUMMARIES}
        return self.model_copy(update=changes).measured({**result.reports, **result.figures, **summaries})


def sweep_tags(plan: Plan, command: str) -> dict[str, str]:
    """Return the tags that all runs of a sweep have.

    Parameters
    ----------
    plan : Plan
        The sweep.
    command : str
        Which command makes the runs.
    """
    tags = {
        names.MODEL: plan.model.label,
        names.DATASET: plan.dataset.name,
        names.DATASET_DIGEST: plan.dataset.digest,
        names.STUDY: plan.study,
        names.BUDGET: plan.config.budget,
        names.PROTOCOL: plan.protocol,
        names.METRIC: plan.metric,
        names.VERSIONS: versions(),
        names.USER: user_name(),
        names.SOURCE: command,
    }
    if fold := plan.dataset.fold:
        tags |= {names.FOLD: f"{fold.number} of {fold.of}", names.FOLDS_DIGEST: fold.digest}
    commit, dirty = git_state()
    return {**tags, names.GIT_COMMIT: commit, names.GIT_DIRTY: str(dirty).lower()} if commit else tags


def dataset_input(dataset: Dataset) -> dict[str, str]:
    """Return a data set as MLflow describes it: name, digest, source and profile."""
    source = {"home": redacted(dataset.home), "validation_share": dataset.validation_share}
    profile: dict[str, Any] = {**dataset.sizes, "classes": list(dataset.class_names)}
    if dataset.fold:
        profile["folds_digest"] = dataset.fold.digest
    return {
        "name": dataset.name,
        "digest": dataset.digest,
        "source": json.dumps(source),
        "profile": json.dumps(profile),
    }


def milliseconds() -> int:
    """Return the time as MLflow counts it."""
    return int(time.time() * 1000)


def clean(value: str) -> str:
    """Return a text as it may be stored: without passwords, and with nothing that a database rejects."""
    return redacted(value).replace("\0", "").encode("utf-8", "replace").decode()


def cleaned(values: Mapping[str, Any]) -> dict[str, str]:
    """Return tags or params as they may be stored."""
    return {name: clean(str(value)) for name, value in values.items()}


@cache
def versions() -> str:
    """Return the versions that decide a result, for example ``"tensorflow 2.21.0, keras 3.15.1"``."""
    packages = ("tensorflow", "keras", "scikit-learn", "numpy")
    found = {"textbench": benchmark.__version__, **{name: version(name) for name in packages}}
    return ", ".join(f"{name} {number}" for name, number in found.items())


@cache
def git_state() -> tuple[str, bool]:
    """Return the commit of the checkout that this code runs from, and whether it has changes.

    An installed copy has neither: ``("", False)``.
    """
    folder = Path(__file__).parents[2]
    if not (folder / ".git").exists():
        return "", False
    command = ["git", "-C", str(folder), "status", "--porcelain=v2", "--branch"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=10)
    except (OSError, subprocess.SubprocessError):
        return "", False
    # "# branch.oid COMMIT" comes first, changes follow what starts with "#".
    lines = done.stdout.splitlines()
    return lines[0].split()[-1], not lines[-1].startswith("#")
