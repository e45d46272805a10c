"""The plainest engine: one run after another in this process."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from benchmark.config import CompileMode, Device
from benchmark.data.dataset import Dataset
from benchmark.execution.engine import Handler, Job
from benchmark.training.train import train


@dataclass(frozen=True)
class InlineEngine:
    """Trains in this process.

    Attributes
    ----------
    dataset : Dataset
        The prepared data set of every job.
    ledger : Path
        Ledger of test reads.
    device : {"auto", "cpu", "gpu"}
        Where to train.
    compile : {"auto", "fit", "graph", "xla"}
        How epochs are run.
    """

    dataset: Dataset
    ledger: Path
    device: Device = "auto"
    compile: CompileMode = "auto"

    def run(self, jobs: Iterable[Job], handler: Handler) -> None:
        """Run all jobs, one after another."""
        for job in jobs:
            handler.started(job)
            result = train(
                job.spec,
                self.dataset,
                on_epoch=lambda report, job=job: handler.epoch(job, report),  # type: ignore[misc]
                device=self.device,
                compile=self.compile,
                ledger=self.ledger,
                servable=job.servable,
            )
            handler.ended(job, result)
