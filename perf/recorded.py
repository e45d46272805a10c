"""Sweeps on IMDB, and what they have recorded, for the measurements beside this file."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mlflow import MlflowClient

from benchmark.tracking import names
from benchmark.tracking.runs_query import all_runs

RANDOM_SEARCH = ("--sampler", "random", "--pruner", "none", "--seeds", "1", "--timeout", "1000000")
"""Words of a sweep whose trials do not depend on each other, each trained to its end."""


def sweep(folder: str | Path, model: str, trials: int, words: Sequence[str] = RANDOM_SEARCH) -> None:
    """Carry out a sweep on IMDB (BENCHMARK_DATA_DIR) by this copy of the program, in silence."""
    command = [sys.executable, "-m", "benchmark.sweep", "--model", model, "--dataset", "imdb"]
    place = {"PYTHONPATH": str(Path(__file__).resolve().parents[1]), **os.environ}
    Path(folder).mkdir(parents=True, exist_ok=True)
    subprocess.run(
        [*command, "--trials", str(trials), *words],
        cwd=folder,
        env=place,
        check=True,
        stdout=subprocess.DEVNULL,
    )


def runs_of_kind(folder: str | Path, kind: str) -> list[Any]:
    """Return the runs on IMDB of one kind, `names.TRIAL_RUN` or `names.FINAL_RUN`."""
    client = MlflowClient(f"sqlite:///{folder}/mlruns/mlflow.db")
    experiment = client.get_experiment_by_name("imdb")
    assert experiment is not None
    runs = all_runs(client, [experiment.experiment_id], "")
    return [run for run in runs if run.data.tags[names.KIND] == kind]
