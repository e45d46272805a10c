"""Real servers: a tracking server, a served model, the UI. They take a minute, so they are marked long."""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import pytest
from mlflow import MlflowClient
from tiny_encoders import needs_keras_hub, with_preset, write_preset

from benchmark import leaderboard, sweep
from benchmark.tracking import names

pytestmark = pytest.mark.long

FAST = ["--model", "avg-pool", "--dataset", "sample", "--epochs", "1", "--trials", "1", "--seeds", "1"]


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextmanager
def server(*words, port, path):
    """Run a server until the block ends; it has to answer within two minutes."""
    log = Path(f"server-{port}.log")
    # `mlflow models serve` starts uvicorn by name; our own command must find it without help.
    programs = [str(Path(sys.executable).parent)] if words[0] == "mlflow" else []
    environment = {**os.environ, "PATH": os.pathsep.join([*programs, "/usr/bin", "/bin"])}
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", *words],
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env=environment,
        )
    try:
        for _ in range(240):
            assert process.poll() is None, log.read_text()
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=2):
                    break
            except OSError:
                time.sleep(0.5)
        else:
            pytest.fail(log.read_text())
        yield f"http://127.0.0.1:{port}"
    finally:
        os.killpg(process.pid, 15)
        process.wait(30)


def test_a_sweep_on_a_tracking_server(tmp_path, monkeypatch, capsys):
    port = free_port()
    words = ["mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    words += ["--backend-store-uri", f"sqlite:///{tmp_path}/server.db"]
    words += ["--artifacts-destination", str(tmp_path / "store")]
    with server(*words, port=port, path="/health") as address:
        assert sweep.main([*FAST, "--tracking-uri", address]) == 0
        monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
        capsys.readouterr()
        assert leaderboard.main(["--format", "json"]) == 0
        rows = json.loads(capsys.readouterr().out)["rows"]
        assert {row["tier"] for row in rows} == {"default", "tuned"}
        client = MlflowClient(address)
        (run_id,) = rows[0]["run_ids"]
        stored = {item.path for item in client.list_artifacts(run_id)}
        assert {names.SPEC_JSON, names.CURVES_PNG, names.PREDICTIONS, names.SERVABLE} <= stored
    assert not Path("mlruns/mlflow.db").exists()


@pytest.mark.parametrize("model", ["avg-pool", pytest.param("encoder-head", marks=needs_keras_hub)])
def test_a_served_model_answers_strings(tmp_path, model):
    words = ["--model", model, *FAST[2:]]
    if model == "encoder-head":
        preset = write_preset(tmp_path / "preset", "bert")
        words += with_preset(preset)
    assert sweep.main(words) == 0
    shutil.rmtree(tmp_path / "preset", ignore_errors=True)  # the stored model does not need it
    client = MlflowClient(f"sqlite:///{tmp_path}/mlruns/mlflow.db")
    experiment = client.get_experiment_by_name("sample")
    final = f"tags.`{names.KIND}` = 'final'"
    (run,) = client.search_runs([experiment.experiment_id], final)
    folder = client.download_artifacts(run.info.run_id, names.SERVABLE)
    port = free_port()
    words = ["mlflow", "models", "serve", "-m", folder, "--env-manager", "local", "--host", "127.0.0.1"]
    with server(*words, "--port", str(port), port=port, path="/ping") as address:
        body = json.dumps({"inputs": ["a superb, moving film", "it was dull"]}).encode()
        request = urllib.request.Request(f"{address}/invocations", body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=60) as answer:
            predictions = json.load(answer)["predictions"]
    assert [set(row) for row in predictions] == [{"label", "probability_neg", "probability_pos"}] * 2
    assert all(abs(row["probability_neg"] + row["probability_pos"] - 1) < 1e-5 for row in predictions)


def test_the_ui_shows_this_folder_on_loopback():
    assert sweep.main(FAST) == 0
    port = free_port()
    with server("benchmark.ui", "--port", str(port), port=port, path="/health") as address:
        request = urllib.request.Request(
            f"{address}/api/2.0/mlflow/experiments/search",
            json.dumps({"max_results": 10}).encode(),
            {"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            found = [experiment["name"] for experiment in json.load(answer)["experiments"]]
    assert "sample" in found
    listening = Path(f"server-{port}.log").read_text()
    assert f"running on http://127.0.0.1:{port}" in listening
