"""A trained model leaves for good: from the command line."""

import json
from pathlib import Path

import pytest
from sklearn.dummy import DummyClassifier
from sklearn.pipeline import Pipeline

from benchmark import cli, export, predict, sweep
from benchmark.support.errors import UserError
from benchmark.training.saving_pipelines import save_pipeline

QUICK = ["--trials", "1", "--seeds", "1", "--epochs", "1", "--set", "sequence_length=16", "--budget", "smoke"]


@pytest.mark.long
def test_a_model_of_the_board_leaves(capsys, tmp_path):
    assert sweep.main(["--model", "avg-pool", "--dataset", "sample", *QUICK, "--json"]) == 0
    row, *_ = json.loads(capsys.readouterr().out)["board"]["rows"]
    assert export.main(["--best", "sample", "--output", "new/model"]) == 0
    captured = capsys.readouterr()
    assert f"model: avg-pool, {row['tier']}" in captured.err
    lines = captured.out.splitlines()
    assert [line.partition(":")[0] for line in lines] == [
        "new/model/saved_model",
        "new/model/model.keras",
        "new/model/README.md",
    ]
    assert "TextVectorization" in lines[1]
    names = {path.name for path in Path("new/model").iterdir()}
    assert names == {"saved_model", "model.keras", "vocabulary.txt", "classes.txt", "README.md"}
    assert [path.name for path in Path("new").iterdir()] == ["model"]
    text = Path("new/model/README.md").read_text()
    assert text.startswith("# avg-pool on sample\n")
    assert f"| test accuracy | {row['test_mean']:.4f} (of this training run) |" in text
    assert "| note | SMOKE TEST - not a result |" in text
    assert "| classes | neg, pos |" in text
    assert str(tmp_path) not in text

    import tensorflow as tf

    model = tf.saved_model.load("new/model/saved_model")
    answer = model.serving_default(tf.constant(["It was great."]))
    assert predict.main(["--best", "sample", "--json", "It was great."]) == 0
    captured = capsys.readouterr()
    record = json.loads(captured.out)
    assert answer["label"].numpy() == [record["label"].encode()]
    assert answer["probabilities"].numpy()[0].tolist() == list(record["probabilities"].values())

    run_id = captured.err.split("run ")[1].split()[0]
    Path("empty").mkdir()
    assert export.main(["--model-uri", f"runs:/{run_id}/model", "--output", "empty"]) == 0
    assert Path("empty/README.md").read_text() == text
    assert export.main(["--model-uri", "new/model", "--output", "again"]) == 2
    assert "there is no Textbench model in new/model" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--best", "sample"], "required: --output"),
        (["--output", "new"], "name one model"),
        (["--best", "sample", "--model-uri", "x", "--output", "new"], "name one model"),
        (["--best", "sample", "--output", "new"], "run a sweep first"),
        (["--model-uri", "pipeline", "--output", "full"], "--output full: the folder is not empty"),
        (["--model-uri", "pipeline", "--output", "file"], "--output file: this is a file"),
        (["--model-uri", "full", "--output", "new"], "there is no Textbench model in full"),
        (["--model-uri", "pipeline", "--output", "new"], "a scikit-learn pipeline cannot be a TensorFlow or"),
    ],
)
def test_wrong_requests(words, message, capsys):
    save_pipeline(Path("pipeline"), Pipeline([("prior", DummyClassifier())]), ["a", "b"])
    Path("full").mkdir()
    Path("full/file").touch()
    Path("file").touch()
    assert export.main(words) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert sorted(path.name for path in Path().iterdir()) == ["file", "full", "pipeline"]


def test_a_folder_that_cannot_be_made():
    Path("file").touch()
    with (
        pytest.raises(UserError, match="`output` file/new: not a directory"),
        cli.new_folder(Path("file/new")),
    ):
        pass


def test_it_is_among_the_commands_and_its_help_imports_nothing_heavy(run_python):
    from benchmark.__main__ import COMMANDS

    assert COMMANDS["export"][0] == export.__name__
    code = "import sys\nfrom benchmark import export\ntry: export.main(['--help'])\nexcept SystemExit: pass\n"
    heavy = "print([name for name in ('tensorflow', 'keras', 'mlflow', 'numpy') if name in sys.modules])"
    assert run_python(code + heavy).splitlines()[-1] == "[]"
