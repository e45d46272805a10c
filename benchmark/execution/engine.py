"""What every engine does, and what it needs to know of a run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from benchmark.data.dataset import Dataset
from benchmark.spec.config import CompileMode, Deterministic, Device, RunSpec
from benchmark.spec.result import EpochReport, Result, Status
from benchmark.support.source_files import Source

PAUSE = 0.2
"""Seconds after which time limits, a stop and other processes are checked again."""


@dataclass(frozen=True)
class Job:
    """One run that is to be trained.

    Attributes
    ----------
    number : int
        Identity within the phase; a run that is tried again has a different one.
    spec : RunSpec
        The run.
    servable : Path or None
        Folder for the servable model, if it is to be kept.
    code : Source or None
        The model's files as they were when the run was planned, for a model that is a file.
    label : str
        Name of the run within its phase, for people.
    tags : dict of str to str
        What MLflow is to know of the run beside its spec.
    measure : callable or None
        Measures the servable model, see `benchmark.training.train.train`; it is sent by its name.
    dataset : Dataset or None
        What it is trained on; None is the workplace's.
    """

    number: int
    spec: RunSpec
    servable: Path | None = None
    code: Source | None = None
    label: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    measure: Callable[[Path, list[str]], dict[str, float]] | None = None
    dataset: Dataset | None = None


@dataclass(frozen=True)
class Workplace:
    """What all runs of an engine share.

    Attributes
    ----------
    dataset : Dataset
        The prepared data set of every job that does not come with one.
    ledger : Path
        Ledger of test reads.
    device : {"auto", "cpu", "gpu"}
        Where to train.
    compile : {"auto", "fit", "graph", "numpy", "xla"}
        How epochs are run.
    run_timeout : float or None
        Seconds after which a worker's run is stopped with status ``timeout``.
    recycle : int or None
        Runs after which a worker is replaced by a fresh one.
    networks : bool
        Whether there may be networks among the runs, for which a worker imports TensorFlow before its first.
    deterministic : {"auto", "on", "off"}
        Whether a network's operations are deterministic.
    """

    dataset: Dataset
    ledger: Path
    device: Device = "auto"
    compile: CompileMode = "auto"
    run_timeout: float | None = None
    recycle: int | None = None
    networks: bool = True
    deterministic: Deterministic = "auto"


class Handler(Protocol):
    """The parent's side: it alone writes to Optuna and MLflow."""

    @property
    def stopping(self) -> bool:
        """Whether the runs under way are to end as soon as they can."""
        ...

    @property
    def finished(self) -> bool:
        """Whether there will be no further job once those under way have finished."""
        ...

    def next(self) -> Job | None:
        """Return a job, or None where there is none at present."""
        ...

    def started(self, job: Job) -> None:
        """Take note that a job starts."""
        ...

    def epoch(self, job: Job, report: EpochReport) -> Status | None:
        """Take note of an epoch; the answer is None, or the status with which the run is to end now."""
        ...

    def ended(self, job: Job, result: Result) -> None:
        """Take note of a result.

        ``interrupted`` means that the run has no result: it was stopped, or its process was lost.
        """
        ...


class Engine(Protocol):
    """Runs jobs; each is asked for only when there is room for it."""

    def run(self, handler: Handler) -> None:
        """Run jobs until there are no more, and report to the handler what happens."""
        ...

    def close(self) -> None:
        """Give back what the engine holds."""
        ...
