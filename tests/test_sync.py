"""``sync``: what could not be delivered is delivered by hand, once."""

import json
from pathlib import Path

import pytest

from benchmark import sync
from benchmark.__main__ import COMMANDS
from benchmark.tracking.record import Point, Record
from benchmark.tracking.runs import all_runs
from benchmark.tracking.spool import Spool
from benchmark.tracking.store import connect, resolve_uri

RUNS = Path("mlruns")


@pytest.fixture(autouse=True)
def _own_requests(monkeypatch):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "10")


def wait_for(uri, *numbers, **changes):
    """Leave runs in the spool, as a sweep does whose store has gone."""
    spool = Spool(RUNS, uri)
    for number in numbers:
        values = {"key": f"{number:032x}", "experiment": "toy", "run_name": f"run {number}"}
        point = Point("loss", 0.5, 1000, 1)
        record = Record(**{**values, "metrics": (point,), "status": "FINISHED", "end_time": 2000, **changes})
        spool.commit(record, lambda folder, text=str(number): (folder / "note.txt").write_text(text))
    return spool


def test_sync_is_a_command():
    assert COMMANDS["sync"][0] == "benchmark.sync"


def test_nothing_waits(capsys):
    assert sync.main([]) == 0
    assert capsys.readouterr().out == "delivered 0 runs, 0 left\n"
    assert not RUNS.exists()


def test_what_waits_is_delivered_once(uri, capsys):
    wait_for(uri, 1, 2)
    wait_for(uri, 2, metrics=(), tags={"later": "yes"})  # a change of the second
    wait_for("https://me:s3cr3t@tracking.example", 3)
    for expected in ("delivered 2 runs, 0 left", "delivered 0 runs, 0 left"):
        assert sync.main([]) == 0
        output = capsys.readouterr().out
        assert expected in output
        assert "1 more for https://tracking.example: " in output
        assert "s3cr3t" not in output
    client = connect(uri)
    experiment = client.get_experiment_by_name("toy")
    runs = all_runs(client, [experiment.experiment_id], "")
    assert sorted(run.info.run_name for run in runs) == ["run 1", "run 2"]
    assert all(len(client.get_metric_history(run.info.run_id, "loss")) == 1 for run in runs)
    assert {run.data.tags.get("later") for run in runs} == {None, "yes"}


def test_what_the_store_refuses_stays_and_is_tried_again(uri, capsys):
    spool = wait_for(uri, 1, params={"not a name: %": "1"})
    for _ in range(2):
        assert sync.main([]) == 1
        output = capsys.readouterr()
        assert output.out == "delivered 0 runs, 1 left\n"
        assert "refused" in output.err
        assert "Invalid parameter name" in output.err or "Invalid value" in output.err
    assert spool.refused() == 1


def test_a_store_that_does_not_answer(capsys):
    RUNS.mkdir()
    address = "http://me:s3cr3t@127.0.0.1:9"
    spool = wait_for(address, 1)
    assert sync.main(["--tracking-uri", address]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: tracking server http://127.0.0.1:9 does not answer")
    assert "s3cr3t" not in error
    assert error.count("\n") == 1
    assert len(spool.records()) == 1


def test_a_damaged_file_is_told_of_and_kept(capsys):
    uri = resolve_uri(None, RUNS)
    RUNS.mkdir()
    spool = wait_for(uri, 1)
    (name,) = spool.names()
    path = spool.home / f"{name}.json"
    path.write_text(json.dumps({"sha256": "0", "record": None}))
    assert sync.main([]) == 0
    output = capsys.readouterr()
    assert output.out == "delivered 0 runs, 0 left\n"
    assert "damaged" in output.err
    assert (spool.home / f"{name}.damaged").exists()
    assert not (RUNS / "mlflow.db").exists()
