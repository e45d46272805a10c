"""Token ids of forms other than words: made once, ranked and learned by the training split."""

import json
import sys
from dataclasses import replace

import numpy as np
import pytest
from languages import Languages

from benchmark.data.cache import cache_root
from benchmark.data.dataset import MappedTexts
from benchmark.data.prepare import prepare
from benchmark.data.source import Row
from benchmark.data.subwords import learn, need_tokenizers
from benchmark.data.token_ids import _opened
from benchmark.data.tokens import split
from benchmark.spec.config import ViewSettings
from benchmark.support.errors import UserError

FORMS = ("unicode_words", "characters", "subwords")


class Clauses:
    """Training texts of two clauses; those of validation and test have a clause of theirs many times."""

    name = "clauses"
    class_names = ("a", "b")
    validation_share = 0.0
    home = "made for the tests"

    def key(self):
        return "clauses"

    def rows(self):
        for number in range(20):
            yield Row("train", ("red green", "red blue")[number % 2], number % 2)
            yield Row("validation", "violet violet violet", number % 2)
            yield Row("test", "yellow yellow yellow", number % 2)


@pytest.fixture(scope="module")
def languages():
    return prepare(Languages())


@pytest.mark.parametrize("form", FORMS)
def test_ids_stand_for_the_tokens_of_the_texts(languages, form):
    view = ViewSettings(tokens=form, vocabulary_size=200, sequence_length=1000)
    words = ["", "?", *languages.vocabulary(view)]
    assert len(words) == languages.vocabulary_size(view) <= 200
    merges = languages.tokenised(view).merges
    for split_name in ("train", "validation"):
        cut = languages.view(split_name, view)
        for ids, text in zip(cut.x, cut.texts(), strict=True):
            tokens = [token if token in words else "?" for token in split(text, form, merges)]
            assert [words[number] for number in ids if number] == tokens[: languages.length(view)]


@pytest.mark.parametrize("form", FORMS)
def test_the_most_frequent_token_of_the_training_split_comes_first(languages, form):
    view = ViewSettings(tokens=form, vocabulary_size=100_000, sequence_length=1000)
    counts = np.bincount(languages.view("train", view).x.ravel())[2:]
    assert (np.diff(counts) <= 0).all()
    assert languages.length(view) == (languages.view("train", view).x > 0).sum(axis=1).max()


def test_each_form_is_made_once_and_again_where_it_is_damaged(languages):
    view = ViewSettings(tokens="characters")
    folder = languages.tokenised(view).folder
    assert folder.parent == cache_root() / "tokens"
    made = (folder / "vocabulary.txt").stat().st_mtime_ns
    _opened.cache_clear()
    assert languages.tokenised(replace_size(view)).folder == folder
    assert (folder / "vocabulary.txt").stat().st_mtime_ns == made
    whole = (folder / "open" / "tokens.npy").read_bytes()
    (folder / "open" / "tokens.npy").write_bytes(whole[:-4] + b"\0\0\0\1")
    _opened.cache_clear()
    languages.tokenised(view)
    assert (folder / "open" / "tokens.npy").read_bytes() == whole


def replace_size(view):
    return view.model_copy(update={"vocabulary_size": 77, "sequence_length": 5})


def test_ids_of_other_content_are_made_again(languages):
    view = ViewSettings(tokens="characters")
    file = languages.tokenised(view).folder / "meta.json"
    assert json.loads(file.read_text())["digest"] == languages.digest
    replace(languages, digest="0" * 32).tokenised(view)
    assert json.loads(file.read_text())["digest"] == "0" * 32
    _opened.cache_clear()
    languages.tokenised(view)
    assert json.loads(file.read_text())["digest"] == languages.digest


def test_subwords_are_learned_on_the_training_split_alone():
    clauses = prepare(Clauses())
    view = ViewSettings(tokens="subwords")
    assert {"▁red", "▁green", "▁blue"} <= set(clauses.vocabulary(view))
    assert not [token for token in clauses.vocabulary(view) if set(token) & set("voyw")]
    assert (clauses.view("validation", view).x == 1).any()  # of "violet" letters are unknown
    test = MappedTexts(clauses.folder / "test", clauses.tokenised(view).folder / "test")
    assert 1 in test.tokens


def test_subwords_are_as_many_as_the_vocabulary_has_ids(languages):
    texts = ["the cat sat on the mat"] * 3 + ["a rat ran"] * 2
    few, many = learn(texts, 20), learn(texts, 1000)
    assert len(few) == 20 - 2 - 10  # ten characters
    assert len(many) > len(few)
    small = ViewSettings(tokens="subwords", vocabulary_size=60)
    large = ViewSettings(tokens="subwords", vocabulary_size=600)
    assert languages.vocabulary_size(small) == 60
    assert languages.tokenised(small).folder != languages.tokenised(large).folder
    assert languages.view("train", small).x.max() == 59


def test_learning_is_the_same_each_time():
    texts = ["ab ba abba baab"] * 5 + ["cd dc"] * 5
    assert learn(texts, 100) == learn(texts[::-1], 100)


def test_a_missing_library_is_named_in_one_line(monkeypatch):
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    with pytest.raises(UserError, match=r"^tokens subwords: .*pip install 'textbench\[subwords\]'$"):
        need_tokenizers()
