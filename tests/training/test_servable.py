"""A stored model answers raw texts exactly as it was evaluated."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from run_specs import make_spec

from benchmark.config import ViewSettings
from benchmark.training.epochs import make_predict
from benchmark.training.scores import probabilities
from benchmark.training.servable import Servable, save_servable
from benchmark.training.train import train


@pytest.mark.parametrize(
    "view", [{"padding": "post", "truncation": "post"}, {"padding": "pre", "truncation": "pre"}]
)
def test_raw_texts_give_the_evaluated_answer(sample, tmp_path, view):
    settings = ViewSettings(vocabulary_size=500, sequence_length=20, **view)
    spec = make_spec(sample, kind="final", view=settings, epochs=1)
    result = train(spec, sample, ledger=tmp_path / "ledger.jsonl", servable=tmp_path / "model")
    from benchmark.data.dataset import Store

    store = Store(sample.folder / "test")
    texts = [store.text(row) for row in range(sample.sizes["test"])]
    served = Servable(tmp_path / "model")
    assert served.class_names == ("neg", "pos")
    np.testing.assert_allclose(served.predict(texts), result.test_probabilities, rtol=1e-5, atol=1e-6)


def test_odd_texts_are_answered(sample, tmp_path):
    train(make_spec(sample, epochs=1), sample, servable=tmp_path / "model")
    served = Servable(tmp_path / "model")
    answers = served.predict(["", "zzzz qqqq", "good " * 5000, "<br />", "ÉTÉ naïve 映画 🎬"])
    assert answers.shape == (5, 2)
    assert np.isfinite(answers).all()
    assert served.predict([]).shape == (0, 2)


def test_a_network_that_reads_raw_texts_is_stored_with_its_tables_and_states(sample, tmp_path):
    texts = [f"word{number} good word{number % 7}" for number in range(700)]  # more than are answered at once
    words = keras.layers.TextVectorization(100, output_sequence_length=4)
    words.adapt(tf.constant(texts))
    raw = keras.Input((), dtype="string")
    x = keras.layers.Flatten()(keras.layers.Embedding(100, 8)(words(raw)))
    model = keras.Model(raw, keras.layers.Dense(1)(keras.layers.Dropout(0.5)(x)))
    evaluated = make_predict(model)(np.array([text.encode() for text in texts], dtype=object))
    save_servable(tmp_path / "model", model, sample, None)
    served = Servable(tmp_path / "model")
    assert served.class_names == ("neg", "pos")
    np.testing.assert_array_equal(served.predict(texts), probabilities(evaluated))
    assert len(np.unique(evaluated)) > 50
    assert served.predict([]).shape == (0, 2)
    assert np.isfinite(served.predict(["", "\ud800", "a\0b", "ÉTÉ 映画 🎬"])).all()
