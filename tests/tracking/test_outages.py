"""Real tracking servers that fail, hang and go: nobody waits for them, and everything arrives once."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from outages import Proxy, Server
from tracked import EPOCHS, artifacts, final, make_plan_of, runs_of, trial
from waiting import until

from benchmark import sweep
from benchmark.tracking import names, store
from benchmark.tracking.spool import Spool
from benchmark.tracking.store import connect
from benchmark.tracking.tracker import Tracker

pytestmark = pytest.mark.long

RUNS = Path("mlruns")
PATIENCE = 60.0
TRIALS, FINALS = 6, 3


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture(autouse=True)
def _short_requests(monkeypatch):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "5")
    monkeypatch.delenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", raising=False)


@pytest.fixture(scope="module")
def steady(tmp_path_factory):
    """A server for all tests that spare it."""
    server = Server(tmp_path_factory.mktemp("server"), free_port())
    server.start()
    yield server
    server.stop()


def check(address, dataset, trials=TRIALS, finals=FINALS):
    """Every run is there once, whole."""
    client = connect(address)
    runs = runs_of(client, dataset)
    kinds = [run.data.tags[names.KIND] for run in runs]
    assert {kind: kinds.count(kind) for kind in set(kinds)} == {"sweep": 1, "trial": trials, "final": finals}
    keys = {run.data.tags[names.RUN_KEY] for run in runs}
    assert len(keys) == len(runs)
    (sweep_run,) = [run for run in runs if run.data.tags[names.KIND] == "sweep"]
    for run in runs:
        assert run.info.status == "FINISHED"
        assert [item.dataset.name for item in run.inputs.dataset_inputs] == [dataset]
        files = artifacts(client, run.info.run_id)
        if run is sweep_run:
            assert files == {"totals.txt": 5}
            continue
        assert run.data.tags[names.PARENT] == sweep_run.info.run_id
        assert set(files) == {"note.txt"}
        assert files["note.txt"] == 5
        for name in ("loss", "val_accuracy"):
            steps = [point.step for point in client.get_metric_history(run.info.run_id, name)]
            assert sorted(steps) == list(range(1, EPOCHS + 1))


def finish(tracker):
    tracker.finish({}, lambda folder: (folder / "totals.txt").write_text("hello") and None)


def test_a_server_that_answers_half_of_all_requests_with_500(steady, outbox):
    plan = make_plan_of("half")
    proxy = Proxy(steady.address, 0)
    with proxy.listening() as address:
        client = connect(address)
        proxy.mode = "half"
        box = outbox(client, Spool(RUNS, address))
        tracker = Tracker(client, plan, None, box)
        tracker.begin()
        for slot in range(TRIALS):
            trial(tracker, plan, slot)
        for place in range(FINALS):
            final(tracker, plan, place)
        finish(tracker)
        assert box.close(PATIENCE) == 0
        assert proxy.failed > 50
    check(steady.address, "half")


def test_a_server_that_hangs(steady, outbox, monkeypatch):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "2")
    plan = make_plan_of("hangs")
    proxy = Proxy(steady.address)
    with proxy.listening() as address:
        client = connect(address)
        box = outbox(client, Spool(RUNS, address))
        tracker = Tracker(client, plan, None, box)
        tracker.begin()
        trial(tracker, plan, 0)
        assert box.drain(PATIENCE) == 0
        proxy.mode = "hang"
        for slot in range(1, TRIALS):
            trial(tracker, plan, slot)
        assert box.drain(0.5) == TRIALS - 1
        proxy.mode = "through"
        for place in range(FINALS):
            final(tracker, plan, place)
        finish(tracker)
        assert box.close(PATIENCE) == 0
    check(steady.address, "hangs")


def test_a_server_that_is_stopped_for_a_while(tmp_path, outbox):
    """It goes, comes back, and goes again; what was left then is delivered by ``sync``."""
    plan, notices = make_plan_of("stopped"), []
    server = Server(tmp_path, free_port())
    try:
        server.start()
        client = connect(server.address)
        box = outbox(client, Spool(RUNS, server.address), notices)
        tracker = Tracker(client, plan, None, box)
        tracker.begin()
        trial(tracker, plan, 0)
        server.stop()
        trial(tracker, plan, 1)
        trial(tracker, plan, 2)
        until(lambda: notices)
        assert len(box.spool.names()) >= 2
        assert len(notices) == 1
        server.start()
        trial(tracker, plan, 3)
        assert box.drain(PATIENCE) == 0
        assert len(notices) == 2
        server.stop()
        for slot in range(4, TRIALS):
            trial(tracker, plan, slot)
        for place in range(FINALS):
            final(tracker, plan, place)
        finish(tracker)
        left = TRIALS - 4 + FINALS + 1
        assert box.close(1.0) == left
        assert sync(server.address).returncode == 2
        server.start()
        answer = sync(server.address)
        assert (answer.returncode, answer.stdout) == (
            0,
            f"delivered {TRIALS - 4 + FINALS + 1} runs, 0 left\n",
        )
        check(server.address, "stopped")
    finally:
        server.stop()


def sync(address):
    words = [sys.executable, "-m", "benchmark.sync", "--tracking-uri", address]
    path = os.pathsep.join([str(Path(sweep.__file__).parents[1]), os.environ.get("PYTHONPATH", "")])
    return subprocess.run(words, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": path})


def test_a_sweep_on_a_server_that_answers_half_of_all_requests_with_500(steady, sample, capsys, monkeypatch):
    # Ten in a row may fail by chance, and a busy machine has no time for more in what a user would wait.
    monkeypatch.setattr(store, "_ANSWER_PATIENCE", 120.0)
    words = ["--model", "majority", "--dataset", "sample", "--trials", "3", "--seeds", "2", "--json"]
    proxy = Proxy(steady.address, 5)
    with proxy.listening() as address:
        proxy.mode = "half"
        assert sweep.main([*words, "--tracking-uri", address]) == 0
        assert proxy.failed > 20
    (row,) = json.loads(capsys.readouterr().out)["board"]["rows"][:1]
    assert len(row["run_ids"]) == 2
    client = connect(steady.address)
    runs = runs_of(client, "sample")
    ended = [(run.data.tags[names.KIND], run.info.status) for run in runs]
    assert sorted(set(ended)) == [("final", "FINISHED"), ("sweep", "FINISHED"), ("trial", "FINISHED")]
    assert len({run.data.tags[names.RUN_KEY] for run in runs}) == len(runs)
    specs = [run.data.tags[names.SPEC_ID] for run in runs if run.data.tags[names.KIND] == "final"]
    assert len(specs) == len(set(specs)) >= 2
