"""What tests of whole processes share: the runs that a sweep left, and processes to be killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import psutil
from mlflow import MlflowClient

from benchmark.spec.config import CONFIRMING
from benchmark.tracking import names
from benchmark.tracking.runs import all_runs

TIMELESS = (names.BEST_VAL_ACCURACY, names.BEST_VAL_LOSS, names.TEST_ACCURACY, names.TEST_LOSS)
"""Metrics that do not depend on the time a run took."""


def runs(folder: Path = Path(), dataset: str = "sample") -> list[Any]:
    """Every run of a data set in the store of a folder."""
    client = MlflowClient(f"sqlite:///{(folder / 'mlruns' / 'mlflow.db').resolve()}")
    experiment = client.get_experiment_by_name(dataset)
    return [] if experiment is None else all_runs(client, [experiment.experiment_id], "")


def of_kind(found: list[Any], kind: str, status: str | None = None) -> list[Any]:
    """Runs of a kind, and where a status is named with that status."""
    tags = [(run, run.data.tags) for run in found]
    return [
        run
        for run, own in tags
        if own[names.KIND] == kind and (status is None or own.get(names.STATUS) == status)
    ]


def outcome(found: list[Any]) -> set[tuple[Any, ...]]:
    """Spec and timeless metrics of every successful trial and final run."""
    successful = [*of_kind(found, names.TRIAL_RUN, "ok"), *of_kind(found, names.FINAL_RUN, "ok")]
    return {
        (run.data.tags[names.SPEC_ID], *(run.data.metrics.get(name) for name in TIMELESS))
        for run in successful
    }


def repeated(found: list[Any], kind: str) -> dict[str, int]:
    """Specs with more than one run that counts."""
    ended = [run for run in of_kind(found, kind) if run.data.tags.get(names.STATUS) != "interrupted"]
    counts = Counter(run.data.tags[names.SPEC_ID] for run in ended)
    return {spec: count for spec, count in counts.items() if count > 1}


def check_slots(trials: list[Any], count: int, further: int) -> None:
    """Each slot of a search has one run, and so many runs confirm its best configurations."""
    slots = sorted(int(run.data.tags[names.TRIAL]) for run in trials)
    assert slots[:count] == list(range(count))
    assert len(set(slots[count:])) == len(slots[count:]) == further, slots
    assert all(slot >= CONFIRMING for slot in slots[count:])


def start_sweep(*words: object, **options: Any) -> subprocess.Popen[str]:
    """Start a sweep in a process group of its own, its output in ``sweep.log``."""
    with Path("sweep.log").open("a") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "benchmark.sweep", *map(str, words)],
            stdout=log,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
            **options,
        )


def workers_of(process: subprocess.Popen[str]) -> list[psutil.Process]:
    """The worker processes of a sweep that are there now."""
    try:
        children = psutil.Process(process.pid).children()
        return [child for child in children if "spawn_main" in " ".join(child.cmdline())]
    except psutil.Error:
        return []


def kill(*pids: int) -> None:
    """Kill processes with -9; one that has ended by itself is fine."""
    for pid in pids:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
