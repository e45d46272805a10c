"""Sweeps whose search and results are in PostgreSQL: alone, joined by a second process, through a restart."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import psutil
import pytest
from postgres import PASSWORD, free_port, running
from processes import check_slots, kill, of_kind, repeated

from benchmark import leaderboard, sweep
from benchmark.tracking import names
from benchmark.tracking.runs import all_runs
from benchmark.tracking.store import connect

pytestmark = pytest.mark.long

TRIALS, SEEDS = 6, 2
WORDS = ["--model", "avg-pool", "--dataset", "sample", "--sampler", "random", "--pruner", "none"]
WORDS += ["--trials", str(TRIALS), "--seeds", str(SEEDS), "--epochs", "1", "--set", "embedding_dropout=0.0"]
# Runs of some seconds, so that there is work left for a second process once it has started.
SLOWLY = ["--epochs", "20", "--set", "patience=20", "--set", "batch_size=32", "--compile", "graph"]


@pytest.fixture(scope="module")
def server():
    with running() as server:
        yield server


@pytest.fixture
def stores(server, request, monkeypatch):
    """Two new databases as options; the password comes from the environment, as the documentation advises."""
    monkeypatch.setenv("PGPASSWORD", PASSWORD)
    name = request.node.name[5:30]
    search, results = (server.url(f"{kind} {name}", credentials=False) for kind in ("optuna", "mlflow"))
    return ["--storage", search, "--tracking-uri", results]


def runs(stores):
    client = connect(stores[-1])
    experiment = client.get_experiment_by_name("sample")
    return [] if experiment is None else all_runs(client, [experiment.experiment_id], "")


def check_complete(stores):
    """Each slot and each final run has one successful run, and nothing is left open."""
    found = runs(stores)
    assert not [run for run in found if run.info.status == "RUNNING"]
    trials = of_kind(found, names.TRIAL_RUN, "ok")
    check_slots(trials, TRIALS, further=2)
    finals = of_kind(found, names.FINAL_RUN, "ok")
    tiers = {run.data.tags[names.TIER] for run in finals}
    assert len(finals) == SEEDS * (1 if tiers == {names.BOTH_TIERS} else 2)
    assert not repeated(found, names.TRIAL_RUN)
    assert not repeated(found, names.FINAL_RUN)
    return found


def start(folder, *words):
    """Start a sweep in a separate folder, as on another machine; its output goes to ``sweep.log`` there."""
    folder.mkdir(exist_ok=True)
    with (folder / "sweep.log").open("a") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "benchmark.sweep", *WORDS, *words],
            cwd=folder,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def ended_runs(folder):
    """Lines that tell of a trial or a final run."""
    lines = (folder / "sweep.log").read_text().splitlines()
    return [line for line in lines if line.startswith(("trial ", "final "))]


def wait_for_runs(process, folder, number=1):
    deadline = time.monotonic() + 300
    while len(ended_runs(folder)) < number:
        assert process.poll() is None, (folder / "sweep.log").read_text()
        assert time.monotonic() < deadline, (folder / "sweep.log").read_text()
        time.sleep(0.1)


def wait_for_end(process, folder):
    assert process.wait(600) == 0, (folder / "sweep.log").read_text()


def test_both_stores_in_one_server(sample, stores, server, capsys):
    assert sweep.main([*WORDS, *stores]) == 0
    found = check_complete(stores)
    assert not Path("mlruns/mlflow.db").exists()
    assert not list(Path("mlruns/studies").iterdir())  # neither journal nor locks
    assert not [run for run in found if PASSWORD in str(run.to_dictionary())]
    capsys.readouterr()
    assert sweep.main([*WORDS, *stores]) == 0
    assert "nothing to do" in capsys.readouterr().out
    assert len(check_complete(stores)) == len(found)
    assert leaderboard.main(["--format", "json", "--tracking-uri", stores[-1]]) == 0
    assert {len(row["run_ids"]) for row in json.loads(capsys.readouterr().out)["rows"]} == {SEEDS}


def test_a_second_process_is_refused_or_helps(sample, stores, tmp_path, capsys):
    here, there = tmp_path / "here", tmp_path / "there"
    first = start(here, *stores, *SLOWLY)
    wait_for_runs(first, here)
    second = start(there, *stores, *SLOWLY, "--join")
    assert sweep.main([*WORDS, *stores, *SLOWLY]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "is being worked on by another process" in line
    assert "--join" in line
    wait_for_end(first, here)
    wait_for_end(second, there)
    check_complete(stores)
    assert len(ended_runs(here)) + len(ended_runs(there)) == len(
        [run for run in runs(stores) if run.data.tags[names.KIND] in (names.TRIAL_RUN, names.FINAL_RUN)]
    )
    assert ended_runs(there)


def test_a_helper_goes_on_where_the_first_was_killed(sample, stores, tmp_path):
    here, there = tmp_path / "here", tmp_path / "there"
    first = start(here, *stores, *SLOWLY)
    wait_for_runs(first, here)
    second = start(there, *stores, *SLOWLY, "--join")
    wait_for_runs(second, there)
    kill(first.pid)
    first.wait()
    wait_for_end(second, there)
    # What the first had finished and not delivered lies in its own spool.
    wait_for_end(start(here, *stores, *SLOWLY), here)
    check_complete(stores)


def test_a_sweep_goes_on_when_the_server_comes_back(sample, stores, server, tmp_path):
    process = start(tmp_path, *stores)
    wait_for_runs(process, tmp_path)
    server.stop()
    time.sleep(5)
    server.start()
    wait_for_runs(process, tmp_path, 3)
    server.stop(signal.SIGQUIT)
    server.start()
    wait_for_end(process, tmp_path)
    check_complete(stores)
    assert "Traceback" not in (tmp_path / "sweep.log").read_text()


def test_what_is_killed_while_the_server_is_away_is_continued(sample, stores, server, tmp_path):
    process = start(tmp_path, *stores)
    wait_for_runs(process, tmp_path, 2)
    server.stop(signal.SIGQUIT)
    kill(process.pid)
    process.wait()
    failed = start(tmp_path, *stores)
    assert failed.wait(300) == 2
    assert "start the server" in (tmp_path / "sweep.log").read_text().splitlines()[-1]
    server.start()
    wait_for_end(start(tmp_path, *stores), tmp_path)
    check_complete(stores)


def test_the_ui_does_not_show_the_password_to_other_users(server, monkeypatch):
    url = server.url("ui")
    connect(url)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", url)
    port = free_port()
    with Path("ui.log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "benchmark.ui", "--port", str(port)],
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        wait_for_answer(f"http://127.0.0.1:{port}/health", process)
        started = [process, *psutil.Process(process.pid).children(recursive=True)]
        commands = [" ".join(psutil.Process(one.pid).cmdline()) for one in started]
        assert any("mlflow" in command for command in commands)
        assert not [command for command in commands if "s3cret" in command]
        assert "s3cret" not in Path("ui.log").read_text()
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(60)


def wait_for_answer(address, process):
    deadline = time.monotonic() + 180
    while True:
        assert process.poll() is None, Path("ui.log").read_text()
        try:
            with urllib.request.urlopen(address, timeout=5):
                return
        except OSError:
            assert time.monotonic() < deadline, Path("ui.log").read_text()
            time.sleep(0.5)
