"""One run after another in this process: a template to start an engine of your own from."""

from __future__ import annotations

import time

from benchmark.execution.engine import PAUSE, Engine, Handler, Job, Workplace
from benchmark.spec.result import EpochReport, Result, Status
from benchmark.training.train import train


class OneByOne:
    """Replace `_train` by what carries out a run elsewhere, and calls `handler.epoch` here."""

    def __init__(self, place: Workplace) -> None:
        self._place = place

    def run(self, handler: Handler) -> None:
        """Run jobs until there are no more."""
        while not handler.finished:
            job = handler.next()
            if job is None:  # none at present
                time.sleep(PAUSE)
                continue
            handler.started(job)
            handler.ended(job, self._train(job, handler))

    def close(self) -> None:
        """Give back what the engine holds."""

    def _train(self, job: Job, handler: Handler) -> Result:
        def on_epoch(report: EpochReport) -> Status | None:
            return handler.epoch(job, report)

        place = self._place
        return train(
            job.spec,
            place.dataset,
            on_epoch=on_epoch,
            device=place.device,
            compile=place.compile,
            ledger=place.ledger,
            servable=job.servable,
        )


def engine(place: Workplace) -> Engine:
    """Return the engine."""
    return OneByOne(place)
