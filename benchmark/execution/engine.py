"""What every engine does, and what it needs to know of a run."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from benchmark.config import RunSpec
from benchmark.training.result import EpochReport, Result


@dataclass(frozen=True)
class Job:
    """One run that is to be trained.

    Attributes
    ----------
    number : int
        Identity within the sweep.
    spec : RunSpec
        The run.
    servable : Path or None
        Folder for the servable model, if it is to be kept.
    """

    number: int
    spec: RunSpec
    servable: Path | None = None


class Handler(Protocol):
    """The parent's side: it alone writes to Optuna and MLflow."""

    def started(self, job: Job) -> None:
        """Take note that a job begins."""
        ...

    def epoch(self, job: Job, report: EpochReport) -> bool:
        """Take note of an epoch; the answer False ends the run as pruned."""
        ...

    def ended(self, job: Job, result: Result) -> None:
        """Take note of a result."""
        ...


class Engine(Protocol):
    """Runs jobs; each is taken from the iterable only when there is room for it."""

    def run(self, jobs: Iterable[Job], handler: Handler) -> None:
        """Run all jobs, telling the handler what happens."""
        ...
