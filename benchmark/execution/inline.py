"""The plainest engine: one run after another in this process."""

from __future__ import annotations

import time
from dataclasses import dataclass

from benchmark.execution.engine import PAUSE, Handler, Workplace
from benchmark.training.train import train


@dataclass(frozen=True)
class InlineEngine:
    """Trains in this process.

    Attributes
    ----------
    place : Workplace
        What all runs share.
    """

    place: Workplace

    def run(self, handler: Handler) -> None:
        """Run all jobs, one after another."""
        place = self.place
        while not handler.finished:
            job = handler.next()
            if job is None:
                time.sleep(PAUSE)
                continue
            handler.started(job)
            result = train(
                job.spec,
                job.dataset or place.dataset,
                on_epoch=lambda report, job=job: handler.epoch(job, report),  # type: ignore[misc]
                device=place.device,
                compile=place.compile,
                deterministic=place.deterministic,
                ledger=place.ledger,
                servable=job.servable,
                measure=job.measure,
            )
            handler.ended(job, result)

    def close(self) -> None:
        """Do nothing: this process goes on."""


engine = InlineEngine
"""The name by which `benchmark.conformance` finds the engine of a file; the file is its template, too."""
