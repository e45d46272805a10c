"""Runs of another folder: carried in full, also from a folder that was moved, and each only once."""

import math
import shutil
from pathlib import Path

import pytest
from mlflow.entities import Metric, Param, RunTag

from benchmark import merge
from benchmark.tracking import names
from benchmark.tracking.runs_query import all_runs
from benchmark.tracking.store import connect, default_artifacts

POINTS = [("loss", 0.9, 1), ("loss", math.nan, 2), ("loss", 0.5, 3), ("val_loss", math.inf, 3)]


@pytest.fixture
def folder(empty_database):
    """Make a folder with an empty store."""

    def make(name):
        runs = Path(name) / "mlruns"
        runs.mkdir(parents=True)
        shutil.copy(empty_database, runs / "mlflow.db")
        return runs

    return make


def client_of(runs):
    return connect(f"sqlite:///{(runs / 'mlflow.db').resolve()}")


def fill(runs, kinds, status="FINISHED", key=None):
    """Make a sweep's run, and children of it."""
    client = client_of(runs)
    experiment = client.create_experiment("toy", default_artifacts("sqlite:", runs, "toy"))
    parent = None
    for number, kind in enumerate(kinds):
        tags = {names.KIND: kind, names.STUDY: "mine"}
        own = {names.PARENT: parent, names.STATUS: "ok", names.SPEC_ID: f"spec {number}"}
        tags |= own if parent else {names.SEEDS_EXPECTED: "3"}
        tags |= {names.RUN_KEY: f"{key + number:032x}"} if key is not None else {}
        run = client.create_run(experiment, 1000 + number, tags, f"run {number}").info.run_id
        parent = parent or run
        points = [Metric(name, value, 2000 + step, step) for name, value, step in POINTS]
        params = [Param(f"p{index}", "x" * 500) for index in range(150)]
        for start in (0, 100):
            client.log_batch(run, params=params[start : start + 100])
        client.log_batch(run, metrics=points, tags=[RunTag("later", "yes")])
        client.log_text(run, f"content of {number}", "deep/er/note.txt")
        client.set_terminated(run, status, 5000 + number)
    return client


def runs_of(client):
    experiment = client.get_experiment_by_name("toy")
    return sorted(all_runs(client, [experiment.experiment_id], ""), key=lambda run: run.info.start_time)


def facts(client, run, *leaving_out):
    history = [
        (point.key, repr(point.value), point.timestamp, point.step)
        for name in run.data.metrics
        for point in client.get_metric_history(run.info.run_id, name)
    ]
    tags = {name: value for name, value in run.data.tags.items() if name not in leaving_out}
    note = Path(client.download_artifacts(run.info.run_id, "deep/er/note.txt")).read_text()
    info = run.info
    return info.run_name, info.start_time, info.end_time, info.status, run.data.params, tags, history, note


@pytest.mark.parametrize("key", [None, 7])
def test_a_moved_folder_is_carried_in_full_and_once(folder, key, capsys):
    runs = folder("far/away")
    client = fill(runs, (names.SWEEP, names.FINAL_RUN, names.FINAL_RUN), key=key)
    own = (names.PARENT, names.RUN_KEY)
    expected = [facts(client, run, *own) for run in runs_of(client)]
    assert sum(len(history) for *_, history, _ in expected) == 3 * len(POINTS)
    Path("far").rename("near")  # as when it was brought from another machine: MLflow's paths lead nowhere
    target = folder("here")
    for _ in range(2):
        assert merge.main(["near/away", "--into", "here"]) == 0
        here = client_of(target)
        found = runs_of(here)
        assert [facts(here, run, *own) for run in found] == expected
        assert [run.data.tags.get(names.PARENT) for run in found] == [None] + 2 * [found[0].info.run_id]
    assert "0 final runs" in capsys.readouterr().out
    assert not Path("far").exists()


def test_what_went_on_elsewhere_is_brought_up_to_date(folder, capsys):
    runs, target = folder("there"), folder("here")
    client = fill(runs, (names.SWEEP, names.FINAL_RUN), key=1)
    child = runs_of(client)[1].info.run_id
    client.update_run(child, status="RUNNING")
    assert merge.main(["there", "--into", "here"]) == 0
    assert [run.info.status for run in runs_of(client_of(target))] == ["FINISHED", "RUNNING"]
    client.log_metric(child, names.TEST_ACCURACY, 0.75, 9000, 0)
    client.set_terminated(child, "FINISHED", 9001)
    assert merge.main(["there", "--into", "here"]) == 0
    sweep, final = runs_of(client_of(target))
    assert (final.info.status, final.info.end_time) == ("FINISHED", 9001)
    assert final.data.metrics[names.TEST_ACCURACY] == 0.75
    assert sweep.info.status == "KILLED"  # until the sweep's command has ended it


def test_artifacts_that_are_not_there_are_told_of(folder, capsys):
    runs = folder("there")
    fill(runs, (names.SWEEP, names.FINAL_RUN, names.FINAL_RUN), key=1)
    shutil.rmtree(runs / "artifacts")
    assert merge.main(["there"]) == 0
    assert "there: 2 runs came without artifacts" in capsys.readouterr().err


def test_an_experiment_whose_name_leaves_the_folder_is_refused(folder, capsys):
    runs = folder("there")
    client = client_of(runs)
    experiment = client.create_experiment("../../evil")
    client.create_run(experiment, 1, {names.KIND: names.FINAL_RUN})
    assert merge.main(["there"]) == 2
    error = capsys.readouterr().err
    assert "an experiment has the name '../../evil', which is no name of a data set" in error
    assert not Path("mlruns").exists()
