"""A sweep whose process is killed without warning goes on where it was, and nothing is counted twice."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from mlflow import MlflowClient

from benchmark import sweep
from benchmark.tracking import names
from benchmark.tracking.tracker import all_runs

WORDS = ["--model", "avg-pool", "--dataset", "sample", "--sampler", "random", "--pruner", "none"]
WORDS += ["--trials", "4", "--seeds", "2", "--epochs", "3", "--set", "embedding_dropout=0.0"]


def runs():
    client = MlflowClient(f"sqlite:///{Path('mlruns/mlflow.db').resolve()}")
    experiment = client.get_experiment_by_name("sample")
    return [] if experiment is None else all_runs(client, [experiment.experiment_id], "")


def successful(kind):
    found = [run for run in runs() if run.data.tags[names.KIND] == kind]
    return [run for run in found if run.data.tags.get(names.STATUS) == "ok"]


def outcome():
    """Spec and metrics of every successful run that do not depend on time."""
    timeless = (names.BEST_VAL_ACCURACY, names.BEST_VAL_LOSS, names.TEST_ACCURACY, names.TEST_LOSS)
    return {
        (run.data.tags[names.SPEC_ID], *(run.data.metrics.get(name) for name in timeless))
        for kind in ("trial", "final")
        for run in successful(kind)
    }


@pytest.mark.long
def test_killed_sweeps_end_like_an_undisturbed_one(sample, tmp_path, monkeypatch):
    (tmp_path / "whole").mkdir()
    (tmp_path / "killed").mkdir()
    monkeypatch.chdir(tmp_path / "whole")
    assert sweep.main(WORDS) == 0
    expected = outcome()

    monkeypatch.chdir(tmp_path / "killed")
    for ended_runs in (1, 2, 2):  # in the search, in the search again, in the final phase
        kill_after(ended_runs)
        assert [run for run in runs() if run.info.status == "RUNNING"]
    assert sweep.main(WORDS) == 0
    assert outcome() == expected
    ended = runs()
    assert not [run for run in ended if run.info.status == "RUNNING"]
    assert len(successful("trial")) == 4
    specs = [run.data.tags[names.SPEC_ID] for run in successful("final")]
    assert len(specs) == len(set(specs))
    cut_short = [run for run in ended if run.data.tags.get(names.STATUS) == "interrupted"]
    assert all(run.info.status == "KILLED" for run in cut_short)


def kill_after(ended_runs):
    """Start the sweep and kill it with -9 while the run after so many ended ones is under way."""
    command = [sys.executable, "-m", "benchmark.sweep", *WORDS]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True)
    for line in process.stdout:
        ended_runs -= line.startswith(("trial ", "final "))
        if not ended_runs:
            break
    assert process.poll() is None, "the sweep was over before it could be killed"
    time.sleep(0.5)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
