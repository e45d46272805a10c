"""An engine that does not train: what is left of a sweep is its bookkeeping."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

import numpy as np

from benchmark.execution.engine import Handler, Job
from benchmark.spec.result import EpochReport, Result

METRICS = ("loss", "accuracy", "val_loss", "val_accuracy", "learning_rate", "epoch_seconds")
TEST_TEXTS = 25_000  # as many as IMDB has: a final run's predictions are stored


@dataclass
class Idle:
    """An engine whose runs cost nothing.

    Parameters
    ----------
    epochs : int
        Epochs that each run reports.

    Attributes
    ----------
    ends : list of float
        When each run was recorded.
    """

    epochs: int
    ends: list[float] = field(default_factory=list)
    chance: np.random.Generator = field(default_factory=lambda: np.random.default_rng(0))

    def run(self, handler: Handler) -> None:
        """Run all jobs at once, one after another."""
        while not handler.finished and (job := handler.next()):
            handler.started(job)
            accuracy = float(self.chance.random())
            for epoch in range(1, self.epochs + 1):
                report = EpochReport(epoch, self.epochs, dict.fromkeys(METRICS, accuracy), accuracy)
                handler.epoch(job, report)
            handler.ended(job, self._result(job, accuracy))
            self.ends.append(time.perf_counter())

    def _result(self, job: Job, accuracy: float) -> Result:
        history = {name: [accuracy] * self.epochs for name in METRICS}
        result = Result("ok", history=history, best_val_accuracy=accuracy, train_seconds=1.0)
        if job.spec.kind == "final":
            result.test_accuracy, result.test_loss = accuracy, 1 - accuracy
            result.test_probabilities = self.chance.dirichlet((1, 1), TEST_TEXTS).astype(np.float32)
            result.test_labels = self.chance.integers(0, 2, TEST_TEXTS, dtype=np.int32)
        return result

    def close(self) -> None:
        """Do nothing."""
