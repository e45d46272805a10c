"""What a sweep in a folder has recorded, for the measurements beside this file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mlflow import MlflowClient

from benchmark.tracking import names
from benchmark.tracking.runs_query import all_runs


def runs_of_kind(folder: str | Path, kind: str) -> list[Any]:
    """Return the runs on IMDB of one kind, `names.TRIAL_RUN` or `names.FINAL_RUN`."""
    client = MlflowClient(f"sqlite:///{folder}/mlruns/mlflow.db")
    experiment = client.get_experiment_by_name("imdb")
    assert experiment is not None
    runs = all_runs(client, [experiment.experiment_id], "")
    return [run for run in runs if run.data.tags[names.KIND] == kind]
