"""What any pre-trained model does in a session with the commands."""

import json

import mlflow
import pytest

from benchmark import predict


def check_session(capsys):
    """Check the runs that a sweep on `sample` has left in this folder, and what the best answers."""
    client = mlflow.MlflowClient("sqlite:///mlruns/mlflow.db")
    (experiment,) = (item for item in client.search_experiments() if item.name == "sample")
    runs = client.search_runs([experiment.experiment_id])
    assert {found.data.tags["benchmark.protocol"] for found in runs} == {"pretrained"}
    capsys.readouterr()
    assert predict.main(["--best", "sample", "--json", "a great film", "", "no such words"]) == 0
    answers = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [sum(answer["probabilities"].values()) for answer in answers] == pytest.approx([1, 1, 1])
