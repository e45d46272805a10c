"""A packed model answers every form of request that MLflow documents, where Textbench is not installed."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import benchmark
from benchmark.models.nbsvm import build
from benchmark.models.task import Task
from benchmark.serving.mlflow_model import Servable
from benchmark.serving.stored_models import pack_model
from benchmark.training.saving_pipelines import save_pipeline

TEXTS = ["good film", "bad film"]
SPLIT = {"columns": ["text"], "data": [[text] for text in TEXTS]}
FORMS = [
    {"inputs": TEXTS},
    {"instances": TEXTS},
    {"dataframe_split": SPLIT},
    {"dataframe_records": [{"text": text} for text in TEXTS]},
    {"inputs": [[text] for text in TEXTS]},
    {"inputs": {"text": TEXTS}},
    {"instances": [{"text": text} for text in TEXTS]},
]
EMPTY = [{"inputs": []}, {"instances": []}, {"dataframe_records": []}]
WRONG = [
    ({"inputs": [None]}, "None in row 1"),
    ({"inputs": [1, 2]}, "1 in row 1"),
    ({"inputs": 3}, "3"),
    ({"dataframe_records": [{"text": "a"}, {"text": None}]}, "in row 2"),
    ({"dataframe_split": {"columns": ["a", "b"], "data": [["x", "y"]]}}, "2 columns"),
    ({"instances": [["a", "b"]]}, "in row 1"),
]
SERVE = """
import json, sys
hidden = sys.argv[1]
sys.path[:] = [place for place in sys.path if place != hidden]
import importlib.util
assert getattr(importlib.util.find_spec("benchmark"), "origin", None) is None
import mlflow.pyfunc, numpy, pandas
from mlflow.pyfunc.scoring_server import invocations
model = mlflow.pyfunc.load_model("packed")
answers = []
for request in json.load(open("requests.json")):
    try:
        answer = invocations(json.dumps(request), "application/json", model, None)
        answers.append([answer.status, json.loads(answer.response)])
    except mlflow.MlflowException as error:
        answers.append([error.get_http_status_code(), error.message])
texts = json.load(open("requests.json"))[0]["inputs"]
for given in (texts, pandas.Series(texts), numpy.array(texts), pandas.DataFrame({"any": texts})):
    answers.append([0, {"predictions": model.predict(given).to_dict("records")}])
print(json.dumps(answers))
"""


@pytest.fixture(scope="module")
def packed(tmp_path_factory):
    """A folder with a packed model, requests, and what `Servable` answers."""
    folder = tmp_path_factory.mktemp("served")
    pipeline = build(Task(("neg", "pos"), 0, 0)).fit(["a good film", "a bad film"] * 4, [1, 0] * 4)
    save_pipeline(folder / "servable", pipeline, ["neg", "pos"])
    pack_model(folder / "servable", folder / "packed")
    requests = [*FORMS, *EMPTY, *(request for request, _ in WRONG)]
    (folder / "requests.json").write_text(json.dumps(requests))
    return folder


@pytest.mark.long
def test_every_documented_form_of_a_request_is_answered(packed):
    root = str(Path(benchmark.__file__).parents[1])
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    command = [sys.executable, "-c", SERVE, root]
    done = subprocess.run(command, cwd=packed, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    answers = json.loads(done.stdout.splitlines()[-1])
    expected = Servable(packed / "servable").predict(TEXTS)
    wrong = answers[len(FORMS) + len(EMPTY) :][: len(WRONG)]
    for _, answer in [*answers[: len(FORMS)], *answers[-4:]]:
        rows = answer["predictions"]
        assert [row["label"] for row in rows] == ["pos", "neg"]
        for row, (negative, positive) in zip(rows, expected, strict=True):
            assert row["probability_neg"] == pytest.approx(negative)
            assert row["probability_pos"] == pytest.approx(positive)
    assert [status for status, _ in answers[: len(FORMS) + len(EMPTY)]] == [200] * (len(FORMS) + len(EMPTY))
    assert [answer for _, answer in answers[len(FORMS) :][: len(EMPTY)]] == [{"predictions": []}] * len(EMPTY)
    for (status, message), (_, named) in zip(wrong, WRONG, strict=True):
        assert status == 400
        assert "expected texts" in message
        assert named in message


def test_a_packed_model_is_a_few_files(packed):
    folder = packed / "packed"
    files = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    ours = {"mlflow_model.py", "text.py", "tokens.py", "unicode_classes.txt", "scores.py"}
    kept = {"artifacts/servable/text.json", "artifacts/servable/pipeline.skops"}
    assert files == ours | kept | {"MLmodel", "conda.yaml", "python_env.yaml", "requirements.txt"}
