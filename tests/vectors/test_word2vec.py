"""Word vectors of a data set's texts: which texts, which words, and that like words come out alike."""

import sys
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from benchmark.data.prepare import prepare
from benchmark.data.source import SourceOptions, get_source
from benchmark.support.errors import UserError
from benchmark.vectors.word2vec import Corpus, VectorSettings, own_texts, train_vectors

SETTINGS = VectorSettings(
    dim=12, epochs=3, words=1000, min_count=2, window=3, method="skipgram", workers=1, seed=0
)


@pytest.fixture
def make_corpus(tmp_path):
    return lambda texts: Corpus(tmp_path / "tokens.txt", texts)


def meals(count=1500):
    """Texts in which one of two drinks stands among the same words, and one of two tools among others."""
    generator = np.random.default_rng(0)
    for _ in range(count):
        drink, tool = generator.choice(["tea", "coffee"]), generator.choice(["hammer", "saw"])
        yield f"we drink hot {drink} with milk"
        yield f"they work hard with a {tool} and nails"


def test_the_texts_of_the_training_part_and_unlabelled_ones_not_seen_elsewhere(make_source):
    rows = [
        (split, f"{split} {number}", number % 2)
        for split in ("train", "validation", "test")
        for number in range(6)
    ]
    source = make_source(rows, validation_share=0.0)
    dataset = prepare(source)
    training, unlabelled = own_texts(source, dataset)
    assert (list(training), list(unlabelled)) == ([f"train {number}" for number in range(6)], [])
    source.unlabelled = lambda: iter(["new one", "validation 3", "train 2", "new two"])
    training, unlabelled = own_texts(source, dataset)
    assert list(training) == [f"train {number}" for number in range(6)]
    assert list(unlabelled) == ["new one", "train 2", "new two"]


def test_of_imdb_the_drawn_validation_part_and_the_test_part_are_left_out(tiny_imdb, own_cache):
    """Its unlabelled reviews repeat two of the test split and one of train, which may become validation."""
    for share in (0.2, 0.6):
        source = get_source("imdb", SourceOptions(tiny_imdb, validation_share=share))
        dataset = prepare(source)
        training, unlabelled = map(list, own_texts(source, dataset))
        validation = dataset.view("validation", None).texts()
        assert sorted(training + validation) == sorted(f"train review {number}" for number in range(20))
        repeated = [] if "train review 3" in validation else ["train review 3"]
        assert unlabelled == ["new one", *repeated, "new two"]
    assert repeated == []  # so that both cases were tried


def test_tokens_are_those_of_the_data_sets(make_corpus):
    texts = ["It wasn't GOOD.<br /><br />At all!", "", "...", "GOOD\u00a0one", " ".join(["x"] * 25_000)]
    corpus = make_corpus(texts)
    lines = list(corpus)
    assert lines == list(corpus)
    assert lines[:2] == [["it", "wasnt", "good", "at", "all"], ["good\u00a0one"]]
    assert [len(line) for line in lines[2:]] == [10_000, 10_000, 5_000]
    assert corpus.texts == 5
    assert corpus.counts == Counter(word for line in lines for word in line)
    assert list(corpus.frequent(3, 1)) == ["x", "all", "at"]
    assert list(corpus.frequent(3, 2)) == ["x"]


@pytest.mark.parametrize("method", ["skipgram", "cbow"])
def test_words_that_stand_in_the_same_places_have_like_vectors(make_corpus, method):
    settings = replace(SETTINGS, method=method, epochs=10)
    words, vectors = train_vectors(make_corpus(meals()), settings)
    assert (vectors.shape, vectors.dtype) == ((len(words), 12), np.float32)
    unit = dict(zip(words, vectors / np.linalg.norm(vectors, axis=1, keepdims=True), strict=True))
    assert unit["tea"] @ unit["coffee"] > unit["tea"] @ unit["hammer"] + 0.2
    assert unit["saw"] @ unit["hammer"] > unit["saw"] @ unit["coffee"] + 0.2


def test_one_worker_gives_the_same_vectors_again_and_another_seed_others(make_corpus):
    corpus = make_corpus(meals(200))
    words, first = train_vectors(corpus, SETTINGS)
    again_words, again = train_vectors(corpus, SETTINGS)
    assert again_words == words
    assert np.array_equal(first, again)
    _, other = train_vectors(corpus, replace(SETTINGS, seed=2**40))
    assert not np.allclose(first, other)


@pytest.mark.long
def test_hash_randomisation_changes_nothing(run_python, monkeypatch, make_corpus, tmp_path):
    code = """
import sys
from pathlib import Path
from benchmark.vectors.word2vec import Corpus, VectorSettings, train_vectors
corpus = Corpus(Path(sys.argv[1]), sys.argv[2:])
words, vectors = train_vectors(corpus, VectorSettings(8, 2, 100, 1, 2, "cbow", 1, 0))
print(words, vectors.tolist())
"""
    texts = ["the cat sat on a mat", "a dog lay on the rug"] * 50
    monkeypatch.setenv("PYTHONHASHSEED", "1")
    printed = run_python(code, tmp_path / "other.txt", *texts)
    words, vectors = train_vectors(make_corpus(texts), VectorSettings(8, 2, 100, 1, 2, "cbow", 1, 0))
    assert printed == f"{words} {vectors.tolist()}\n"


def test_the_most_frequent_words_and_each_epoch_are_told(make_corpus):
    corpus, epochs = make_corpus(["a a a b b c"] * 10), []
    words, vectors = train_vectors(corpus, replace(SETTINGS, words=2), epochs.append)
    assert words == ["a", "b"]
    assert np.isfinite(vectors).all()
    assert epochs == [1, 2, 3]


def test_words_that_are_too_rare_are_one_line(make_corpus):
    with pytest.raises(UserError, match=r"^`min_count` 2: no word occurs that often in the texts$"):
        train_vectors(make_corpus(["one two three"]), SETTINGS)


def test_one_word_is_enough(make_corpus):
    words, vectors = train_vectors(make_corpus(["so so so"] * 5), SETTINGS)
    assert words == ["so"]
    assert np.isfinite(vectors).all()


def test_without_gensim_the_install_command_is_told(make_corpus, monkeypatch):
    for name in [name for name in sys.modules if name.partition(".")[0] == "gensim"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "gensim", None)  # as if it were not installed
    with pytest.raises(UserError, match=r"missing here; pip install 'textbench\[vectors\]'$"):
        train_vectors(make_corpus(["one two"]), SETTINGS)
