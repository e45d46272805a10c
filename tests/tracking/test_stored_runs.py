"""Runs read straight from the embedded database are those that MLflow's client gives."""

import math
import sqlite3
from pathlib import Path

import pytest

from benchmark.tracking import names
from benchmark.tracking.store import LazyClient, connect, ensure_runs_folder, open_store, resolve_uri
from benchmark.tracking.stored_runs import experiment_id, stored_runs

KINDS = (names.SWEEP, names.FINAL_RUN)


@pytest.fixture
def store():
    """A store with runs of all kinds, and what MLflow treats specially."""
    ensure_runs_folder(Path("mlruns"))
    client = connect(resolve_uri(None, Path("mlruns")))
    experiment = client.create_experiment('it\'s "data"')
    other = client.create_experiment("other")
    for place, (where, kind) in enumerate(
        [
            (experiment, names.SWEEP),
            (experiment, names.FINAL_RUN),
            (experiment, names.FINAL_RUN),
            (experiment, names.TRIAL_RUN),
            (experiment, names.PUBLISHED_RUN),
            (other, names.FINAL_RUN),
            (experiment, names.FINAL_RUN),
        ]
    ):
        run = client.create_run(where, tags={names.KIND: kind, names.SEED: str(place)})
        for step, value in enumerate((0.5, 0.75)):
            client.log_metric(run.info.run_id, names.TEST_ACCURACY, value, step=step)
        client.log_metric(run.info.run_id, "nothing", math.nan)
        client.log_metric(run.info.run_id, "endless", -math.inf)
        if place != 1:
            client.set_terminated(run.info.run_id, "FINISHED" if place else "KILLED")
    client.delete_run(run.info.run_id)
    return client


def as_comparable(runs):
    return {
        run.run_id: (run.status, run.end_time, dict(run.tags), {k: repr(v) for k, v in run.metrics.items()})
        for run in runs
    }


@pytest.mark.parametrize("kinds", [KINDS, (names.FINAL_RUN,), (names.TRIAL_RUN,)])
def test_both_ways_give_the_same(store, kinds):
    lazy = open_store(resolve_uri(None, Path("mlruns")))
    assert isinstance(lazy, LazyClient)
    known = experiment_id(lazy, 'it\'s "data"')
    assert known == experiment_id(store, 'it\'s "data"')
    runs = stored_runs(lazy, known, kinds)
    assert as_comparable(runs) == as_comparable(stored_runs(store, known, kinds))
    assert len(runs) == {2: 3, 1: 2 if names.FINAL_RUN in kinds else 1}[len(kinds)]
    assert all(run.metrics[names.TEST_ACCURACY] == 0.75 for run in runs)
    assert "_client" not in vars(lazy)  # MLflow was not asked


def test_an_unknown_data_set_has_no_experiment(store):
    lazy = open_store(resolve_uri(None, Path("mlruns")))
    assert experiment_id(lazy, "nothing") is None
    assert experiment_id(store, "nothing") is None


def test_tables_of_another_version_are_left_to_mlflow(store):
    with sqlite3.connect("mlruns/other.db") as database:
        database.execute("CREATE TABLE runs (id TEXT)")
    lazy = LazyClient(resolve_uri(None, Path("mlruns")))
    lazy.database = Path("mlruns/other.db")
    known = experiment_id(lazy, "other")
    assert known == experiment_id(store, "other")
    assert as_comparable(stored_runs(lazy, known, KINDS)) == as_comparable(stored_runs(store, known, KINDS))


def test_what_is_not_in_the_tables_is_asked_of_the_client(store):
    lazy = open_store(resolve_uri(None, Path("mlruns")))
    assert lazy.get_experiment_by_name("other").name == "other"
