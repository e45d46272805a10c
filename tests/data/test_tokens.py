"""The forms of tokens against UAX 29 as other libraries have it."""

import random
from unicodedata import normalize

import pytest
from languages import FORMS_OF_UNICODE, TEXTS

from benchmark.data.subwords import learn
from benchmark.data.text import tokenize
from benchmark.data.tokens import FORMS, split, split_tensor


def test_words_are_those_of_the_tutorials():
    for text in TEXTS.values():
        assert split(text, "words") == [token.decode() for token in tokenize(text)]


def test_characters_are_grapheme_clusters():
    clusters = pytest.importorskip("uniseg.graphemecluster").grapheme_clusters
    for name, text in TEXTS.items():
        spaced = " ".join(text.lower().replace("<br />", " ").replace("\u200b", " ").split())
        assert split(text, "characters") == list(clusters(spaced.replace(" ", "▁"))), name


def test_unicode_words_are_those_of_uax_29():
    words = pytest.importorskip("uniseg.wordbreak").words
    for name, text in TEXTS.items():
        spaced = " ".join(text.lower().replace("<br />", " ").replace("\u200b", " ").split())
        assert split(text, "unicode_words") == [word.strip(" ") for word in words(spaced) if word != " "], (
            name
        )


def test_random_clusters():
    clusters = pytest.importorskip("uniseg.graphemecluster").grapheme_clusters
    draw = random.Random(0)
    ranges = [(0x300, 0x330), (0x900, 0x980), (0x1100, 0x1200), (0xAC00, 0xAC40), (0x1F1E6, 0x1F200)]
    ranges += [(0x1F440, 0x1F460), (0x1F3FB, 0x1F400), (0x200C, 0x2010), (0x61, 0x64), (0x600, 0x606)]
    for _ in range(2000):
        text = "".join(chr(draw.randrange(*draw.choice(ranges))) for _ in range(8))
        assert split(text, "characters") == list(clusters(text)), [hex(ord(one)) for one in text]


@pytest.mark.parametrize("form", FORMS)
def test_no_token_has_white_space_in_it(form):
    for text in TEXTS.values():
        tokens = split(text, form)
        assert " ".join(tokens).split(" ") == (tokens or [""])
        assert not set(" \t\r\n") & set("".join(tokens))


@pytest.mark.parametrize("form", ["words", "unicode_words", "characters"])
def test_composed_and_decomposed_text_is_cut_at_the_same_places(form):
    composed, decomposed = ("écran, élevé", "e\u0301cran, e\u0301leve\u0301")
    assert list(map(len, split(composed, form))) != list(map(len, split(decomposed, form)))
    assert [normalize("NFC", token) for token in split(decomposed, form)] == split(composed, form)


def test_merges_are_applied_in_the_order_they_were_learned():
    assert split("Abab abc", "subwords", ("a b", "ab ab", "▁ ab")) == ["▁", "abab", "▁ab", "c"]
    assert split("aaa", "subwords", ("a a",)) == ["▁", "aa", "a"]


def test_tensorflow_cuts_as_python_does():
    import tensorflow as tf

    texts = ["", *FORMS_OF_UNICODE.values(), "Σ" * 70, "🇩" * 7, "a\u200d👍b"]
    merges = learn(texts, 150)
    assert len(merges) > 50
    for form in FORMS:
        cut = split_tensor(tf.constant(texts), form, merges).to_list()
        for text, tokens in zip(texts, cut, strict=True):
            assert [token.decode() for token in tokens] == split(text, form, merges), (form, text)


@pytest.mark.parametrize("merges", [(), ("a b",)])
def test_tensorflow_cuts_subwords_with_few_merges(merges):
    import tensorflow as tf

    texts = ["abab", "", "ca b"]
    cut = split_tensor(tf.constant(texts), "subwords", merges).to_list()
    assert [[token.decode() for token in row] for row in cut] == [
        split(text, "subwords", merges) for text in texts
    ]
    assert split_tensor(tf.constant([], tf.string), "subwords", merges).to_list() == []
