"""Modules of word vectors: the same words as everywhere, and the interface of TensorFlow Hub."""

import numpy as np
import pytest

from benchmark.data.text import tokenize
from benchmark.support.tensorflow_setup import quiet_tensorflow
from benchmark.vectors.hub_modules import write_module

TEXTS = [
    "It wasn't GOOD.<br /><br />At all!",
    "ÄÖÜ Straße ÉTÉ İstanbul ΟΔΥΣΣΕΥΣ",
    "«Guillemets» – “quotes”… a\u00a0b",
    "I scored 10/10 -- co-operate <BR />x<br />y a_b^c",
    "日本語 テスト\u3000全角 👩‍👩‍👧",
    "a\x1cb c\x00d \ud7ff",
]
WORDS = sorted({token.decode() for text in TEXTS for token in tokenize(text)})


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    vectors = np.random.default_rng(0).normal(size=(len(WORDS), 4)).astype(np.float32)
    folder = tmp_path_factory.mktemp("module") / "module"
    write_module(folder, WORDS, vectors)
    return folder, vectors


@pytest.fixture(scope="module")
def module(folder):
    quiet_tensorflow()
    import tensorflow_hub

    return tensorflow_hub.load(str(folder[0]))


def call(module, texts):
    import tensorflow as tf

    return np.asarray(module(tf.constant([text.encode() for text in texts], dtype=tf.string)))


def test_it_cuts_texts_into_the_same_words(module, folder):
    """Each word has a vector of its own, so no other words give the same sum."""
    numbers = {word: number for number, word in enumerate(WORDS)}
    answers = call(module, TEXTS)
    assert (answers.shape, answers.dtype) == ((len(TEXTS), 4), np.float32)
    for text, answer in zip(TEXTS, answers, strict=True):
        rows = folder[1][[numbers[token.decode()] for token in tokenize(text)]]
        np.testing.assert_allclose(answer, rows.sum(axis=0) / np.sqrt(len(rows)), rtol=1e-5, atol=1e-6)


def test_texts_without_known_words_have_finite_vectors(module):
    answers = call(module, ["", "...", "<br />", "qqqq zzzz", "good qqqq qqqq qqqq"])
    assert np.array_equal(answers[:4], np.zeros((4, 4)))
    np.testing.assert_allclose(answers[4] * 2, call(module, ["good"])[0], rtol=1e-5)
    assert call(module, []).shape == (0, 4)


def test_the_table_can_be_trained_unknown_words_too(folder):
    import tensorflow as tf

    module = tf.saved_model.load(str(folder[0]))
    (table,) = module.trainable_variables
    assert table.name == "embeddings:0"
    assert [table is variable for variable in (module.embeddings, *module.variables)] == [True, True]
    assert list(module.regularization_losses) == []
    texts = tf.constant(["good qqqq", "zzzz"])
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(module(texts) ** 2 + module(texts))
    gradient = tf.convert_to_tensor(tape.gradient(loss, table)).numpy()
    touched = np.flatnonzero(gradient.any(axis=1))
    assert WORDS.index("good") in touched
    assert len(touched) == 3
    assert (touched >= len(WORDS)).sum() == 2
    table.assign_add(tf.ones_like(table))
    np.testing.assert_allclose(call(module, ["zzzz"]), np.ones((1, 4)))


def test_modules_of_one_process_do_not_share_their_words(module, tmp_path):
    write_module(tmp_path / "other", ["only"], np.full((1, 2), 7, dtype=np.float32))
    import tensorflow as tf

    other = tf.saved_model.load(str(tmp_path / "other"))
    assert call(other, ["only", "good"]).tolist() == [[7, 7], [0, 0]]
    assert not call(module, ["only"]).any()
    assert call(module, ["good"]).any()


def test_nothing_of_this_machine_is_in_the_files(folder):
    files = [path for path in folder[0].rglob("*") if path.is_file()]
    assert folder[0] / "assets" / "vocabulary.txt" in files
    assert not [path for path in files if b"/vocabulary.txt" in path.read_bytes()]
