"""Raw text in, answer out, from the command line."""

import io
import json
import shlex
import shutil
import sys
from contextlib import redirect_stdout
from pathlib import Path

import pytest

from benchmark import export, predict, sweep
from benchmark.spec.config import ViewSettings

SWEEP = ["--model", "tfidf-logreg", "--dataset", "sample", "--trials", "1", "--seeds", "1"]


@pytest.fixture(scope="module")
def finished(sample, tmp_path_factory):
    """The folder of a finished sweep, and what it printed."""
    folder, printed = tmp_path_factory.mktemp("finished"), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(printed):
        patch.chdir(folder)
        assert sweep.main(SWEEP) == 0
    return folder, printed.getvalue()


@pytest.fixture
def swept(finished, tmp_path):
    """Be in a copy of that folder."""
    shutil.copytree(finished[0], tmp_path, dirs_exist_ok=True)
    return finished[1]


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
    (line,) = [line for line in swept.splitlines() if "benchmark.predict" in line]
    assert predict.main(["--best", "sample", "a text"]) == 0
    expected = capsys.readouterr().out
    assert predict.main(shlex.split(line.partition("benchmark.predict ")[2])) == 0
    assert capsys.readouterr().out == expected
    assert sweep.main([*SWEEP, "--json"]) == 0
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


@pytest.mark.long
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


@pytest.mark.long
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


@pytest.mark.long
def test_files_that_are_not_those_that_the_sweep_stored_do_not_answer(sample, capsys):
    assert sweep.main(SWEEP) == 0
    (file,) = Path("mlruns/artifacts").rglob("text.json")
    text = json.loads(file.read_text())
    file.write_text(json.dumps({**text, "class_names": text["class_names"][::-1]}))
    capsys.readouterr()
    assert predict.main(["--best", "sample", "great"]) == 2
    output, errors = capsys.readouterr()
    assert output == ""
    assert "the store was changed" in errors
    assert predict.main(["--best", "sample", "great", "--trust"]) == 0


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
        (["--best", "sample", "--file", ""], "--file: expected the path"),
        (["--best", "sample", "--file", "."], "--file .: is a directory"),
    ],
)
def test_wrong_requests(words, message, capsys):
    assert predict.main(words) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_no_texts_and_no_utf8(swept, monkeypatch, capsys):
    feed(monkeypatch, b"")
    assert predict.main(["--best", "sample"]) == 2
    assert "there are no texts" in capsys.readouterr().err
    feed(monkeypatch, b"caf\xe9\n")
    assert predict.main(["--best", "sample"]) == 2
    assert "standard input: not UTF-8 at byte 3 (line 1)" in capsys.readouterr().err
    for encoding in ("utf-16", "utf-16-le", "utf-32"):
        feed(monkeypatch, "good\n".encode(encoding))
        assert predict.main(["--best", "sample"]) == 2
        error = capsys.readouterr().err
        assert "iconv -f UTF-16 -t UTF-8" in error
        assert error.count("\n") == 1
    assert predict.main(["--model-uri", "runs:/0000/model", "great"]) == 2
    assert "--model-uri runs:/0000/model: unavailable" in capsys.readouterr().err


@pytest.fixture(scope="module")
def labeller(tmp_path_factory):
    """Words that name a stored model which takes no time to train."""
    from sklearn.feature_extraction.text import CountVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    from benchmark.training.saving_pipelines import save_pipeline

    pipeline = make_pipeline(CountVectorizer(), LogisticRegression())
    pipeline.fit(["good film", "bad film", "last one"], [1, 0, 0])
    folder = tmp_path_factory.mktemp("labeller")
    save_pipeline(folder, pipeline, ["b\x1bad", "good"])
    return ["--model-uri", str(folder)]


LINES = ["good film\u2028bad end", "good\x0cfilm", "good\x85film\x1c", "", "good\rfilm\x9b2J\u202e", "last"]
SHOWN = [
    r"good film\u2028bad end",
    r"good\x0cfilm",
    r"good\x85film\x1c",
    "",
    r"good\rfilm\x9b2J\u202e",
    "last",
]


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("last", [True, False])
def test_one_answer_a_line_in_order_and_nothing_steers_the_terminal(labeller, monkeypatch, capsys, end, last):
    content = ("\ufeff" + end.join(LINES) + end * last).encode()
    Path("texts.txt").write_bytes(content)
    capsys.readouterr()
    assert predict.main([*labeller, "--file", "texts.txt"]) == 0
    out = capsys.readouterr().out
    cells = [line.split("\t") for line in out.removesuffix("\n").split("\n")]
    assert [text for _, _, text in cells] == SHOWN
    assert {label for label, _, _ in cells} <= {r"b\x1bad", "good"}
    feed(monkeypatch, content)
    assert predict.main([*labeller, "--json"]) == 0
    lines = capsys.readouterr().out.removesuffix("\n").split("\n")
    assert [json.loads(line)["text"] for line in lines] == LINES
    assert all(line.isascii() and line.isprintable() for line in lines)
    assert predict.main([*labeller, *LINES]) == 0
    assert capsys.readouterr().out == out


def test_a_byte_order_mark_changes_no_answer(labeller, monkeypatch, capsys):
    for text in ("good film", "\ufeffgood film", "family \U0001f468\u200d\U0001f469 नमस्ते"):
        feed(monkeypatch, f"\ufeff{text.strip()}\n{text}\n".encode())
        capsys.readouterr()
        assert predict.main([*labeller]) == 0
        first, second = capsys.readouterr().out.splitlines()
        assert first == second
        assert first.endswith("\t" + text.removeprefix("\ufeff"))


def test_a_model_of_version_0_1_0_with_a_layer_that_is_not_here(sample, capsys):
    import keras

    from benchmark.training.saving import save_servable

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

    from benchmark.training.saving import save_servable

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
