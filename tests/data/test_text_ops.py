"""Text processing in TensorFlow's operations gives the words and ids of Python's."""

import random
import string

import numpy as np
import pytest

from benchmark.data.text import cut, tokenize
from benchmark.spec.config import ViewSettings
from benchmark.support.tensorflow_setup import quiet_tensorflow

NASTY = [
    "",
    "...!?",
    " \t\n\r\x0b\x0c ",
    "It wasn't GOOD.<br /><BR />At all!",
    "a<br/>b<br  />c<br<br /> />",
    "so\x00good \x00 bad",
    "ΟΔΥΣΣΕΥΣ ΑΣ. ΑΣ'Α Σ ΑΣ\u0301",
    "İI\u0307 ıI Ì J\u0301 ĮĨÍ",
    "a\x1cb\x85c\u00a0d\u2003e",
    "日本語 テスト 👩‍👩‍👧 𝔘 𐐀",
]


def words_of(texts):
    quiet_tensorflow()
    import tensorflow as tf

    from benchmark.data.text import split_words

    return split_words(tf.constant([text.encode() for text in texts])).to_list()


def test_words_are_those_of_python():
    assert words_of(NASTY) == [tokenize(text) for text in NASTY]


def test_random_texts():
    generator = random.Random(0)
    pieces = [*string.printable, *"\x00İıI\u0307ÌĮĨΣσςẞǅ\u00a0\u0301", "<br />", "<BR />", " "]
    texts = ["".join(generator.choices(pieces, k=generator.randrange(60))) for _ in range(2000)]
    assert words_of(texts) == [tokenize(text) for text in texts]


IN_A_LOCALE = """
import unicodedata
from benchmark.support.tensorflow_setup import quiet_tensorflow
quiet_tensorflow()
import tensorflow as tf
from benchmark.data.text import tokenize
from benchmark.data.text import split_words
known = [chr(code) for code in range(1, 0x110000)]
known = [c for c in known if unicodedata.ucd_3_2_0.category(c) in ("Lu", "Lt", "Ll", "Mn")]
texts = [f"Ab{c}I\\u0307{c}\\u0301 J{c}" for c in known]
found = split_words(tf.constant([text.encode() for text in texts])).to_list()
print(sum(words != tokenize(text) for words, text in zip(found, texts)), len(texts))
"""


@pytest.mark.long
def test_the_locale_of_the_machine_makes_no_difference(start_python, monkeypatch):
    # Of these, TensorFlow's own lower-casing follows the rules.
    started = []
    for locale in ("tr_TR.UTF-8", "lt_LT.UTF-8"):
        monkeypatch.setenv("LC_ALL", locale)
        started.append(start_python(IN_A_LOCALE))
    for process in started:
        output, errors = process.communicate(timeout=120)
        assert process.returncode == 0, errors
        different, texts = map(int, output.split())
        assert different == 0
        assert texts > 1000


@pytest.mark.parametrize("padding", ["pre", "post"])
@pytest.mark.parametrize("truncation", ["pre", "post"])
def test_ids_are_cut_as_in_training(padding, truncation):
    quiet_tensorflow()
    import tensorflow as tf

    from benchmark.data.text import cut_ids

    settings = ViewSettings(vocabulary_size=100, padding=padding, truncation=truncation)
    rows = [list(range(2, 2 + size)) for size in (0, 1, 3, 4, 5, 9, 0)]
    lengths = np.array([len(row) for row in rows])
    tokens = np.array([number for row in rows for number in row], dtype=np.int32)
    wanted = cut(tokens, np.cumsum(lengths) - lengths, lengths, settings, 4)
    ids = tf.ragged.constant(rows, dtype=tf.int64)
    np.testing.assert_array_equal(cut_ids(ids, settings, 4), wanted)
    assert cut_ids(ids, settings, 4).dtype == tf.int32
    none = tf.ragged.constant([[], []], dtype=tf.int64, ragged_rank=1)
    np.testing.assert_array_equal(cut_ids(none, settings, 4), np.zeros((2, 4)))
    assert cut_ids(none[:0], settings, 4).shape == (0, 4)
