"""A sweep on a Ray cluster that loses a node and gets another one: nothing lost, nothing twice."""

import os
import socket
import time
from collections import Counter
from pathlib import Path

import psutil
import pytest
from mlflow import MlflowClient
from outages import Server
from postgres import running
from processes import check_slots, kill, of_kind, repeated, runs, start_sweep
from tiny_encoders import needs_keras_hub, with_preset

from benchmark.data.cache import read_entry
from benchmark.data.ledger_chain import read_entries
from benchmark.tracking import names
from benchmark.tracking.runs import all_runs

pytestmark = pytest.mark.long

TRIALS, SEEDS = 24, 3
WORDS = ["--model", "avg-pool", "--dataset", "sample", "--trials", str(TRIALS), "--seeds", str(SEEDS)]
WORDS += ["--epochs", "2", "--sampler", "random", "--pruner", "none", "--timeout", "100000"]
WORDS += ["--set", "embedding_dropout=0.0", "--set", "batch_size=256", "--train-examples", "800"]
WORDS += ["--compile", "graph", "--engine", "ray", "--study", "on-a-cluster"]


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture
def cluster(tmp_path, monkeypatch):
    """Three nodes, each with a separate cache, and a way to add more."""
    pytest.importorskip("ray", reason="Ray is not installed: pip install 'textbench[ray]'")
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    from ray.cluster_utils import Cluster

    cluster = Cluster(shutdown_at_exit=False)

    def add(name):
        own = {**os.environ, "BENCHMARK_CACHE_DIR": str(tmp_path / name)}
        head = {"include_dashboard": False} if name == "node 0" else {}
        return cluster.add_node(num_cpus=1, env_vars=own, **head)

    cluster.add = add
    cluster.nodes = [add(f"node {number}") for number in range(3)]
    yield cluster
    cluster.shutdown()


def ended_trials():
    lines = Path("sweep.log").read_text().splitlines()
    return sum(line.startswith("trial ") and ": ok" in line for line in lines)


def wait_for_trials(number, process):
    give_up = time.monotonic() + 300
    while ended_trials() < number:
        assert process.poll() is None, Path("sweep.log").read_text()
        assert time.monotonic() < give_up, Path("sweep.log").read_text()
        time.sleep(0.1)


def copies(folder):
    """Whole copies of data sets in a cache, and what is left of others."""
    entries = [path for path in (folder / "datasets").iterdir() if path.is_dir()]
    return Counter("whole" if read_entry(path) else path.name for path in entries)


def test_a_node_is_lost_and_another_one_joins(cluster, sample, tmp_path, capsys):
    import optuna

    (tmp_path / "server").mkdir()
    tracking = Server(tmp_path / "server", free_port())
    with running() as postgres:
        try:
            tracking.start()
            place = ["--address", cluster.address, "--tracking-uri", tracking.address]
            place += ["--storage", postgres.url("ray", "postgresql+psycopg")]

            process = start_sweep(*WORDS, *place)
            wait_for_trials(5, process)
            cluster.remove_node(cluster.nodes[2], allow_graceful=False)
            cluster.add("node 3")
            at_kill = ended_trials()
            assert process.wait(280) == 0, Path("sweep.log").read_text()

            client = MlflowClient(tracking.address)
            experiment = client.get_experiment_by_name("sample")
            found = all_runs(client, [experiment.experiment_id], "")
            storage = postgres.url("ray", "postgresql+psycopg")
            study = optuna.load_study(study_name="on-a-cluster", storage=storage)
            states = Counter(trial.state.name for trial in study.trials)
        finally:
            tracking.stop()

    trials, finals = (of_kind(found, kind, "ok") for kind in (names.TRIAL_RUN, names.FINAL_RUN))
    interrupted = [run for run in found if run.data.tags.get(names.STATUS) == "interrupted"]
    looks = Counter(entry["spec_id"] for entry in read_entries(Path("mlruns/ledger.jsonl")))
    with capsys.disabled():
        print(
            f"\ntrials: {len(trials)} of {TRIALS + 2} ({at_kill} when the node was killed); final runs: "
            f"{len(finals)} of {2 * SEEDS}; interrupted: {len(interrupted)}; Optuna: {dict(states)}; "
            f"looks: {sum(looks.values())}"
        )
    assert at_kill < TRIALS  # the node was killed in the middle
    assert "(raylet)" not in Path("sweep.log").read_text()  # Ray's own words
    assert "of the Ray cluster is lost, " in Path("sweep.log").read_text()
    assert interrupted
    assert {run.info.status for run in found} == {"FINISHED", "KILLED"}
    assert not {**repeated(found, names.TRIAL_RUN), **repeated(found, names.FINAL_RUN)}
    check_slots(trials, TRIALS, further=2)
    assert states["COMPLETE"] == TRIALS
    assert not states["RUNNING"]
    assert looks == Counter(run.data.tags[names.SPEC_ID] for run in finals)
    assert set(looks.values()) == {1}
    assert len(looks) == 2 * SEEDS
    for number in (0, 1, 3):
        assert copies(tmp_path / f"node {number}") == {"whole": 1}


@needs_keras_hub
def test_nodes_encode_what_their_caches_lack(cluster, sample, tiny_preset, tmp_path):
    words = ["--model", "encoder-head", "--dataset", "sample", "--train-examples", "100", "--epochs", "2"]
    words += [*with_preset(tiny_preset()), "--trials", "3", "--seeds", "3"]
    process = start_sweep(*words, "--engine", "ray", "--address", cluster.address)
    assert process.wait(280) == 0, Path("sweep.log").read_text()
    trials, finals = (of_kind(runs(), kind) for kind in (names.TRIAL_RUN, names.FINAL_RUN))
    assert {run.data.tags[names.STATUS] for run in [*trials, *finals]} == {"ok"}
    used = [tmp_path / f"node {number}" for number in range(3) if (tmp_path / f"node {number}").exists()]
    assert used
    assert all(list((node / "encoded").glob("sample-*/1")) for node in used)


@pytest.mark.parametrize("name", ["raylet/raylet", "gcs_server"])
def test_a_ray_that_dies_ends_the_sweep_with_one_line(name, sample, monkeypatch):
    pytest.importorskip("ray", reason="Ray is not installed: pip install 'textbench[ray]'")
    monkeypatch.setenv("RAY_gcs_rpc_server_reconnect_timeout_s", "30")  # half of it is waited for
    process = start_sweep(*WORDS)
    try:
        wait_for_trials(1, process)
        children = psutil.Process(process.pid).children()
        (victim,) = [child.pid for child in children if name in " ".join(child.cmdline())]
        kill(victim)
        assert process.wait(280) == 1
    finally:
        kill(process.pid)
    last = Path("sweep.log").read_text().splitlines()[-1]
    assert last.startswith("error: ")
    assert "Ray cluster" in last
    assert name.rpartition("/")[2] in last
    assert "the same command continues it" in last
    assert 0 < ended_trials() < TRIALS
    # A total that leaves no slot out: one that was under way is dropped once others have made up the number.
    total = 3 + max(int(run.data.tags[names.TRIAL]) for run in of_kind(runs(), names.TRIAL_RUN))
    process = start_sweep(*WORDS, "--engine", "local", "--trials", total, "--seeds", 1)
    assert process.wait(300) == 0, Path("sweep.log").read_text()
    found = runs()
    check_slots(of_kind(found, names.TRIAL_RUN, "ok"), total, further=2)
    assert not {**repeated(found, names.TRIAL_RUN), **repeated(found, names.FINAL_RUN)}
