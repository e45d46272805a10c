"""Tokens: the same as TensorFlow's own steps give."""

import random
import re
import string
import unicodedata

import pytest

from benchmark.data.text import tokenize
from benchmark.support.tensorflow_setup import quiet_tensorflow

NASTY = [
    "It wasn't GOOD.<br /><br />At all!",
    "<BR />x<br/>y<br  />z",
    "<br<br /> />",
    "a<br />b",
    "",
    " \t\n\r\x0b\x0c ",
    "...!?",
    "a\x1cb\x1fc",
    "a\x85b\u00a0c\u2003d\u2028e\u3000f",
    "«Guillemets» – “quotes”… ¿qué?",
    "ÄÖÜ ẞ STRASSE ſ Ǆ ǅ",
    "ΟΔΥΣΣΕΥΣ ΑΣ. ΑΣ'Α Σ ΑΣ\u0301",
    "İstanbul I\u0307 ıI",
    "日本語 テスト　全角",
    "e\u0301E\u0301 \u200b\ufeff\u00ad",
    "👩‍👩‍👧 🇫🇷 𝔘𝔫𝔦 𐐀",
    "I scored 10/10 -- co-operate e.g. $5",
    "a_b^c`d~e|f\\g[h]i{j}k",
]


def by_tensorflow(texts):
    """Standardise and split as the tutorial does, with TensorFlow's operations."""
    quiet_tensorflow()
    import tensorflow as tf

    lowered = tf.strings.lower(tf.constant([text.encode() for text in texts]), encoding="utf-8")
    spaced = tf.strings.regex_replace(lowered, "<br />", " ")
    bare = tf.strings.regex_replace(spaced, f"[{re.escape(string.punctuation)}]", "")
    return tf.strings.split(bare).to_list()


def test_nasty_texts():
    assert [tokenize(text) for text in NASTY] == by_tensorflow(NASTY)


def test_random_texts():
    generator = random.Random(0)
    pieces = [
        *string.printable,
        *string.punctuation,
        *("<br />", "<BR />", "<br", " />", "&lt;", "don't", "THE "),
        *"ÀÉÎÕÜßẞŒŠŽŸÇÑØÅ ΑΒΓΔΣσςΩ АБВГДЯЁ İıI\u0307 ǅﬁ №℃Ω 日本語 אבג عربي हिन्दी",
        *"\x1c\x1d\x85\u00a0\u2003\u2028\u2029\u200b\u200d\u3000\ufeff\u0301\u0345🎬🇩🇪𝔘𐐀",
    ]
    texts = ["".join(generator.choices(pieces, k=generator.randrange(60))) for _ in range(4000)]
    assert [tokenize(text) for text in texts] == by_tensorflow(texts)


def test_every_character_beside_letters():
    # Unicode 3.2, which comes with Python, so that the result does not hang on the version of either.
    known = (chr(code) for code in range(1, 0x110000))
    characters = [c for c in known if unicodedata.ucd_3_2_0.category(c) not in ("Cn", "Cs", "Co")]
    assert len(characters) > 90_000
    texts = [f"Ab{character}Cd" for character in characters]
    assert [tokenize(text) for text in texts] == by_tensorflow(texts)


def test_a_lone_surrogate_is_no_word():
    assert tokenize("so \ud800 good\udfff") == [b"so", b"good"]


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("Don't", [b"dont"]),
        ("good.Bad", [b"goodbad"]),
        ("x<br />y", [b"x", b"y"]),
        ("É\u00a0a", ["é\u00a0a".encode()]),
    ],
)
def test_what_the_steps_mean(text, tokens):
    assert tokenize(text) == tokens
