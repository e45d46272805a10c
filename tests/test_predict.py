"""Raw text in, answer out, from the command line."""

import io
import json
import shlex
import sys
from pathlib import Path

import pytest

from benchmark import export, predict, sweep
from benchmark.config import ViewSettings


@pytest.fixture
def swept():
    words = ["--model", "tfidf-logreg", "--dataset", "sample", "--trials", "1", "--seeds", "1"]
    assert sweep.main(words) == 0
    return words


def feed(monkeypatch, content):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))


def test_texts_from_arguments_file_and_standard_input(swept, monkeypatch, capsys, tmp_path):
    texts = ["The acting was superb and the story was moving.", "The plot was dull."]
    capsys.readouterr()
    assert predict.main(["--best", "sample", *texts]) == 0
    first = capsys.readouterr()
    assert "model: tfidf-logreg" in first.err
    lines = [line.split("\t") for line in first.out.splitlines()]
    assert [line[0] for line in lines] == ["pos", "neg"]
    assert [line[2] for line in lines] == texts
    assert all(0.5 <= float(line[1]) <= 1 for line in lines)

    (tmp_path / "texts.txt").write_text("\n".join(texts))
    assert predict.main(["--best", "sample", "--file", "texts.txt"]) == 0
    assert capsys.readouterr().out == first.out
    feed(monkeypatch, "\n".join(texts).encode())
    assert predict.main(["--best", "sample"]) == 0
    assert capsys.readouterr().out == first.out


def test_the_best_row_of_one_architecture(swept, capsys):
    assert sweep.main(["--model", "majority", "--dataset", "sample", "--trials", "1", "--seeds", "1"]) == 0
    capsys.readouterr()
    assert predict.main(["--best", "sample", "--model", "majority", "great"]) == 0
    assert "model: majority, " in capsys.readouterr().err
    assert predict.main(["--best", "sample", "--model", "majorty", "great"]) == 2
    assert "did you mean 'majority'?" in capsys.readouterr().err
    assert predict.main(["--model-uri", "runs:/0/model", "--model", "majority", "great"]) == 2
    assert "goes with --best" in capsys.readouterr().err


def test_json_lines_hold_all_probabilities(swept, capsys):
    capsys.readouterr()
    assert predict.main(["--best", "sample", "--json", "It was great.", "It was bad."]) == 0
    records = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    for record in records:
        assert set(record["probabilities"]) == {"neg", "pos"}
        assert sum(record["probabilities"].values()) == pytest.approx(1)
        assert record["probability"] == max(record["probabilities"].values())


def test_a_sweep_names_the_best_of_its_models_in_a_command_that_can_be_pasted(capsys, swept):
    (line,) = [line for line in capsys.readouterr().out.splitlines() if "benchmark.predict" in line]
    assert predict.main(["--best", "sample", "a text"]) == 0
    expected = capsys.readouterr().out
    assert predict.main(shlex.split(line.partition("benchmark.predict ")[2])) == 0
    assert capsys.readouterr().out == expected
    assert sweep.main([*swept, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["model_uri"] in line


OWN = """
import keras

class Pool(keras.layers.Layer):
    def call(self, x):
        return keras.ops.max(x, axis=1)

def build(task):
    ids = keras.Input((task.columns,), dtype="int32")
    x = Pool()(keras.layers.Embedding(task.vocabulary_size, 4)(ids))
    return keras.Model(ids, keras.layers.Dense(task.n_outputs)(x))
"""
STEPS = """
from sklearn.feature_extraction.text import HashingVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer

INPUT = "texts"

def shout(texts):
    return [text.upper() for text in texts]

def build(task):
    words = HashingVectorizer(n_features=64, lowercase=False)
    steps = [("shout", FunctionTransformer(shout)), ("words", words), ("linear", LogisticRegression())]
    return Pipeline(steps)
"""


def test_a_network_with_a_layer_of_its_own_is_there_without_its_file(sample, capsys):
    Path("own.py").write_text(OWN)
    words = ["--dataset", "sample", "--trials", "1", "--seeds", "1", "--epochs", "1"]
    assert sweep.main(["--model", "own.py:build", *words]) == 0
    assert "cannot be stored" not in capsys.readouterr().out
    Path("own.py").unlink()
    assert predict.main(["--best", "sample", "--model", "own", "great"]) == 0
    assert export.main(["--best", "sample", "--output", "out"]) == 0
    output = capsys.readouterr().out
    assert "no model.keras: it has layers or functions that are not Keras's own" in output
    assert {path.name for path in Path("out").iterdir()} >= {"saved_model", "vocabulary.txt", "README.md"}


def test_a_sweep_says_so_where_its_model_cannot_be_stored(sample, capsys):
    Path("steps.py").write_text(STEPS)
    words = ["--dataset", "sample", "--trials", "1", "--seeds", "1"]
    assert sweep.main(["--model", "steps.py:build", *words]) == 0
    lines = capsys.readouterr().out.splitlines()
    (line,) = [line for line in lines if "cannot be stored" in line]
    assert "seed 0" in line
    assert "shout" in line
    assert not [line for line in lines if "benchmark.predict" in line]
    assert predict.main(["--best", "sample", "great"]) == 2
    assert "has a stored model" in capsys.readouterr().err


def test_a_model_by_its_uri_or_folder(swept, capsys):
    capsys.readouterr()
    predict.main(["--best", "sample", "great"])
    captured = capsys.readouterr()
    run_id = captured.err.split("run ")[1].split()[0]
    assert predict.main(["--model-uri", f"runs:/{run_id}/model", "great"]) == 0
    assert capsys.readouterr().out == captured.out
    (folder,) = Path("mlruns/artifacts").glob(f"**/{run_id}/artifacts/model")
    assert predict.main(["--model-uri", str(folder), "great"]) == 0
    assert capsys.readouterr().out == captured.out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["great"], "name one model"),
        (["--best", "sample", "great"], "run a sweep first"),
        (["--best", "sample", "--file", "nowhere.txt"], "--file nowhere.txt: no such file"),
        (["--model-uri", "runs:/0000/model", "great"], "run a sweep first"),
        (["--best", "sample", "--file", "x", "great"], "not both"),
    ],
)
def test_wrong_requests(words, message, capsys):
    assert predict.main(words) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_no_texts_and_no_utf8(swept, monkeypatch, capsys):
    feed(monkeypatch, b"\n\n")
    assert predict.main(["--best", "sample"]) == 2
    assert "there are no texts" in capsys.readouterr().err
    feed(monkeypatch, b"caf\xe9\n")
    assert predict.main(["--best", "sample"]) == 2
    assert "standard input: not UTF-8 at byte 3" in capsys.readouterr().err
    assert predict.main(["--model-uri", "runs:/0000/model", "great"]) == 2
    assert "--model-uri runs:/0000/model: cannot be had" in capsys.readouterr().err


def test_a_model_of_version_0_1_0_with_a_layer_that_is_not_here(sample, capsys):
    import keras

    from benchmark.training.servable import save_servable

    class Odd(keras.layers.Layer):
        def call(self, x):
            return x

    ids = keras.Input((8,), dtype="int32")
    x = keras.layers.Embedding(20, 2)(ids)
    view = ViewSettings(vocabulary_size=20, sequence_length=8)
    plain = keras.Model(ids, keras.layers.Dense(1)(keras.layers.Flatten()(x)))
    save_servable(Path("odd"), plain, sample, view)
    keras.Model(ids, keras.layers.Dense(1)(keras.layers.Flatten()(Odd()(x)))).save("odd/model.keras")
    assert predict.main(["--model-uri", "odd", "great"]) == 2
    error = capsys.readouterr().err
    assert error == "error: --model-uri odd: the model cannot be loaded (its layer 'Odd' is not known here)\n"


def test_a_model_of_another_version(sample, capsys):
    import keras

    from benchmark.training.servable import save_servable

    ids = keras.Input((8,), dtype="int32")
    x = keras.layers.Flatten()(keras.layers.Embedding(20, 2)(ids))
    view = ViewSettings(vocabulary_size=20, sequence_length=8)
    save_servable(Path("old"), keras.Model(ids, keras.layers.Dense(1)(x)), sample, view)
    text = json.loads(Path("old/text.json").read_text())
    Path("old/text.json").write_text(json.dumps({**text, "standardizer": 0}))
    assert predict.main(["--model-uri", "old", "great"]) == 2
    error = capsys.readouterr().err
    assert (
        "--model-uri old: the model cannot be loaded (the model was made with standardiser version 0" in error
    )
    assert error.count("\n") == 1
