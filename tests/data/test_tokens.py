"""The forms of tokens against UAX 29 as other libraries have it."""

import random

import pytest

from benchmark.data.text import tokenize
from benchmark.data.tokens import FORMS, split

TEXTS = {
    "english": "It wasn't GOOD: 3.14 stars!<br /><br />A dull, lifeless film.",
    "german": "Größe und Übermut — das war ein Straßenfest!",
    "turkish": "İstanbul'da IŞIK güzel değil mi?",
    "greek": "Ο Σίσυφος ΠΟΛΎΣ",
    "russian": "Ужасный фильм, не смотрите: 2/10.",
    "arabic": "هذا الفيلم رائع، أَنصَحُ بِهِ!",
    "hebrew": "הסרט הזה נהדר, צה\"ל וג'ירפה.",
    "hindi": "यह फ़िल्म बहुत अच्छी है।",
    "thai": "หนังเรื่องนี้ดีมาก",
    "chinese": "味道让人失望，服务让人失望。",
    "japanese": "この映画はとても良かったです。テレビ",
    "korean": "이 영화는 정말 재미있었다!",
    "emoji": "good 👍🏽👩‍👩‍👧‍👦 🇩🇪🇫🇷 ❤️ :-)",
    "marks": "e\u0301 n\u0303o a\u0300\u0323 각 \u1112\u1161\u11ab \U0001d538",
    "spaces": "a\u00a0b\u2028c\u3000d\u200be\tf\r\ng\x0bh",
    "nothing": " \t ",
}


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
        assert split(text, "unicode_words") == [word for word in words(spaced) if word != " "], name


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


@pytest.mark.parametrize("form", FORMS)
def test_composed_and_decomposed_text_is_cut_at_the_same_places(form):
    assert len(split("écran très élevé", form)) == len(
        split("e\u0301cran tre\u0300s e\u0301leve\u0301", form)
    ) or (form == "subwords")


def test_merges_are_applied_in_the_order_they_were_learned():
    assert split("Abab abc", "subwords", ("a b", "ab ab", "▁ ab")) == ["▁", "abab", "▁ab", "c"]
    assert split("aaa", "subwords", ("a a",)) == ["▁", "aa", "a"]
