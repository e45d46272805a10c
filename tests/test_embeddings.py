"""Word vectors of a data set's texts, from the command line, and what is done with them."""

import json
import signal
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmark import cli, embeddings
from benchmark.data.text import tokenize
from benchmark.support.tensorflow_setup import quiet_tensorflow
from benchmark.vectors.text_files import identify, read_vectors

WORDS = ["--dataset", "sample", "--dim", "8", "--epochs", "1", "--min-count", "3"]


@pytest.fixture(autouse=True)
def _restore_signal():
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.fixture(scope="module")
def made(sample, tmp_path_factory):
    """The folder that the command made of ``sample``."""
    folder = tmp_path_factory.mktemp("embeddings") / "made"
    assert embeddings.main([*WORDS, "--output", str(folder)]) == 0
    return folder


def refused(capsys, *words):
    capsys.readouterr()
    before = {*Path.cwd().rglob("*")}
    assert embeddings.main([*WORDS, *words]) == 2
    out, errors = capsys.readouterr()
    assert out == ""
    assert errors.count("\n") == 1
    assert {*Path.cwd().rglob("*")} == before
    return errors.removeprefix("error: ").rstrip("\n")


def test_it_says_what_it_does(sample, capsys):
    Path("new").mkdir()  # empty, so it may be used
    assert embeddings.main([*WORDS, "--output", "new"]) == 0
    lines = capsys.readouterr().out.splitlines()
    tokens = sum(len(tokenize(text)) for text in sample.view("train", None).texts())
    assert lines[0] == "sample: reading the texts"
    assert lines[1].startswith(
        f"sample: 4,000 texts (4,000 of the training split, 0 unlabelled), {tokens:,} tokens"
    )
    assert lines[2].startswith("epoch 1 of 1, ")
    count = len(Path("new/vectors.txt").read_text().splitlines())
    assert lines[3].startswith(f"{count:,} words have a vector of 8: 9")
    assert lines[4] == "writing the vectors and the module"
    assert lines[5] == f"written: {Path('new/vectors.txt').absolute()} and {Path('new/module').absolute()}"
    assert [path.name for path in Path().iterdir()] == ["new"]


def test_the_folder_has_vectors_and_a_module_that_tell_where_they_come_from(made, sample):
    assert sorted(path.name for path in made.iterdir()) == ["module", "vectors.txt", "vectors.txt.json"]
    said = json.loads((made / "vectors.txt.json").read_text())
    assert said.pop("made_by") == (
        "python -m benchmark.embeddings --dataset sample --dim 8 --epochs 1 --words 50000 --min-count 3 "
        "--window 5 --method skipgram --workers 1 --seed 0"
    )
    vocabulary = [line.split(" ")[0] for line in (made / "vectors.txt").read_text().splitlines()]
    assert said == {
        "protocol": "unlabelled",
        "dataset": "sample",
        "dataset_digest": sample.digest,
        "texts": 4000,
        "words": len(vocabulary),
        "dim": 8,
    }
    assert (made / "module/textbench.json").read_bytes() == (made / "vectors.txt.json").read_bytes()
    resource = identify(str(made / "vectors.txt"))
    assert (resource.protocol, resource.dataset) == ("unlabelled", sample.digest)
    counts = {}
    for text in sample.view("train", None).texts():
        for token in tokenize(text):
            counts[token.decode()] = counts.get(token.decode(), 0) + 1
    assert set(vocabulary) == {word for word, count in counts.items() if count >= 3}


def test_module_and_file_hold_the_same_vectors(made):
    quiet_tensorflow()
    import tensorflow as tf

    words = (made / "module/assets/vocabulary.txt").read_text().splitlines()
    vectors, found = read_vectors(str(made / "vectors.txt"), words)
    assert found.all()
    module = tf.saved_model.load(str(made / "module"))
    np.testing.assert_allclose(np.asarray(module(tf.constant(words))), vectors, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--output", "full"], "the folder is not empty; name a new one"),
        (["--output", "file"], "this is a file"),
        (["--output", "file/new"], "file/new: not a directory"),
        (["--output", "new", "--dim", "0"], "argument --dim: got 0, expected 1 or more"),
        (
            ["--output", "new", "--method", "cbwo"],
            "argument --method: 'cbwo' is not a method; did you mean 'cbow'?",
        ),
        (["--output", "new", "--dataset", "imbd"], "there is no data set named 'imbd'; did you mean 'imdb'?"),
        (["--output", "new", "--epoch", "2"], "there is no option '--epoch'; did you mean '--epochs'?"),
        ([], "the following arguments are required: --output"),
    ],
)
def test_wrong_requests(capsys, words, message):
    Path("full").mkdir()
    Path("full/here.txt").write_text("")
    Path("file").write_text("")
    assert message in refused(capsys, *words)


def test_words_that_are_too_rare_leave_nothing_behind(sample, capsys):
    assert embeddings.main([*WORDS, "--output", "new", "--min-count", "1000000"]) == 2
    assert "--min-count 1000000: no word occurs that often" in capsys.readouterr().err
    assert list(Path().iterdir()) == []


def test_without_gensim_it_says_so_before_any_work(capsys, monkeypatch):
    for name in [name for name in sys.modules if name.partition(".")[0] == "gensim"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "gensim", None)  # as if it were not installed
    assert refused(capsys, "--output", "new").endswith("; pip install 'textbench[vectors]'")


INTERRUPTED = """
import sys
from benchmark import embeddings
sys.exit(embeddings.main(sys.argv[1:]))
"""


@pytest.mark.long
def test_an_interruption_leaves_nothing_behind(sample, start_python):
    process = start_python(INTERRUPTED, *WORDS, "--epochs", "100000", "--output", "new")
    while "epoch 1 of" not in process.stdout.readline():
        assert process.poll() is None
    process.terminate()
    _, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (cli.INTERRUPTED, "interrupted: nothing was written\n")
    assert list(Path().iterdir()) == []


def test_help_loads_nothing_heavy(run_python):
    code = """
import sys
from benchmark import embeddings
try:
    embeddings.main(["--help"])
except SystemExit:
    pass
print(sorted({"tensorflow", "gensim", "numpy", "mlflow", "optuna"} & set(sys.modules)))
"""
    lines = run_python(code).splitlines()
    assert any("more than one, two trainings give" in line for line in lines)
    assert lines[-1] == "[]"
