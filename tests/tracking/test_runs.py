"""Runs read straight from the embedded database are those that MLflow's client gives."""

import math
import sqlite3
from pathlib import Path

import pytest

from benchmark.tracking import names
from benchmark.tracking.runs import find_runs
from benchmark.tracking.store import StoreClient, connect, ensure_runs_folder, resolve_uri

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
    return [
        (
            run.run_id,
            run.mlflow_status,
            run.start_time,
            run.end_time,
            dict(run.tags),
            repr(sorted(run.metrics.items())),
        )
        for run in runs
    ]


@pytest.mark.parametrize("dataset", ['it\'s "data"', None])
@pytest.mark.parametrize("kinds", [KINDS, (names.FINAL_RUN,), (names.TRIAL_RUN,)])
def test_both_ways_give_the_same(store, kinds, dataset):
    tables = StoreClient(resolve_uri(None, Path("mlruns")))
    runs = find_runs(tables, dataset, kinds)
    assert as_comparable(runs) == as_comparable(find_runs(store, dataset, kinds))
    here = {KINDS: 3, (names.FINAL_RUN,): 2, (names.TRIAL_RUN,): 1}[kinds]
    elsewhere = 1 if dataset is None and names.FINAL_RUN in kinds else 0
    assert len(runs) == here + elsewhere
    assert all(run.test_accuracy == 0.75 for run in runs)
    assert vars(tables)["_client"] is None  # MLflow was not asked


@pytest.mark.parametrize("seed", ["2", "none"])
def test_filters_hold_both_ways(store, seed):
    tables = StoreClient(resolve_uri(None, Path("mlruns")))
    for client in (tables, store):
        found = find_runs(client, kinds=KINDS, SEED=seed)
        assert [run.tags[names.SEED] for run in found] == [one for one in (seed,) if one != "none"]


def test_an_unknown_data_set_has_no_runs(store):
    tables = StoreClient(resolve_uri(None, Path("mlruns")))
    assert find_runs(tables, "nothing", KINDS) == find_runs(store, "nothing", KINDS) == []


def test_tables_of_another_version_are_left_to_mlflow(store):
    with sqlite3.connect("mlruns/other.db") as database:
        database.execute("CREATE TABLE runs (id TEXT)")
    tables = StoreClient(resolve_uri(None, Path("mlruns")))
    tables.file = Path("mlruns/other.db")
    assert as_comparable(find_runs(tables, "other", KINDS)) == as_comparable(find_runs(store, "other", KINDS))


def test_what_is_not_in_the_tables_is_asked_of_the_client(store):
    tables = StoreClient(resolve_uri(None, Path("mlruns")))
    assert tables.get_experiment_by_name("other").name == "other"
