"""Sweeps for the measurements beside this file: planned, run by the command, or run without training."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from mlflow import MlflowClient

from benchmark.data.prepare import prepare
from benchmark.data.source import SourceOptions, get_source
from benchmark.display.live import PlainDisplay
from benchmark.driver.session import open_session
from benchmark.driver.sweep_driver import Sweep
from benchmark.execution.engine import Handler, Job
from benchmark.plan.run_specs import Plan, make_plan
from benchmark.spec.config import CONFIRMING, SweepConfig
from benchmark.spec.result import EpochReport, Result
from benchmark.tracking import names
from benchmark.tracking.runs import all_runs

RANDOM_SEARCH = ("--sampler", "random", "--pruner", "none", "--seeds", "1", "--timeout", "1000000")
"""Words of a sweep whose trials do not depend on each other, each trained to its end."""
METRICS = ("loss", "accuracy", "val_loss", "val_accuracy", "learning_rate", "epoch_seconds")
TEST_TEXTS = 25_000  # as many as IMDB has: a final run's predictions are stored


def planned(model: str, dataset: str, space: Path | None = None, **settings: Any) -> Plan:
    """Prepare a data set (of BENCHMARK_DATA_DIR), and plan a sweep that trains on all its training texts.

    Further settings are those of `SweepConfig`.
    """
    folder = os.environ.get("BENCHMARK_DATA_DIR")
    data = prepare(get_source(dataset, SourceOptions(Path(folder) if folder else None)))
    common = {"budget": "quick", "trials": 1, "seeds": 1, "train_share": 1, "pruner": "none"}
    return make_plan(model, data, SweepConfig(**{**common, **settings}), space)


def sweep(folder: str | Path, *words: str, **environment: str) -> tuple[float, float]:
    """Carry out a sweep by the command of this copy of the program.

    Returns
    -------
    float, float
        Seconds from the start of the command to its plan, and to the end of its last trial; what confirms the
        best does not count.
    """
    Path(folder).mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "benchmark.sweep", *words]
    place = {"PYTHONPATH": str(Path(__file__).resolve().parents[1]), **os.environ, **environment}
    plan = last = 0.0
    started = time.monotonic()
    with subprocess.Popen(command, cwd=folder, env=place, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if not plan and " trials, " in line:
                plan = time.monotonic() - started
            if re.match(r"trial \d+: (ok|pruned|diverged)", line):
                last = time.monotonic() - started
    if process.returncode:
        raise SystemExit(f"exit code {process.returncode}: {' '.join(command)}")
    return plan, last


def runs_of_kind(folder: str | Path, kind: str) -> list[Any]:
    """Return the runs on IMDB of one kind, `names.TRIAL_RUN` or `names.FINAL_RUN`.

    Further runs of the best configurations of a search are left out.
    """
    client = MlflowClient(f"sqlite:///{folder}/mlruns/mlflow.db")
    experiment = client.get_experiment_by_name("imdb")
    assert experiment is not None
    runs = all_runs(client, [experiment.experiment_id], "")
    return [
        run
        for run in runs
        if run.data.tags[names.KIND] == kind and int(run.data.tags.get(names.TRIAL, 0)) < CONFIRMING
    ]


@contextmanager
def idle_sweep(
    epochs: int, storage: str | None = None, tracking: str | None = None, **settings: Any
) -> Iterator[tuple[Sweep, Idle]]:
    """Open a sweep of avg-pool on `sample` in this folder, with an engine that does not train.

    What is left of it is its bookkeeping.
    """
    plan = planned("avg-pool", "sample", epochs=epochs, **settings)
    with (
        Path(os.devnull).open("w") as nowhere,
        open_session(Path("mlruns"), tracking, PlainDisplay(nowhere), storage=storage) as session,
        closing(Sweep(plan, session)) as opened,
    ):
        yield opened, Idle(epochs)


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
