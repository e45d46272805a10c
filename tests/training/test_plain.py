"""A network made of Keras's own parts: the same answers, and a reason where it cannot be."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from benchmark.models import load_builder
from benchmark.models.task import Task
from benchmark.training.saving import NotPlain, plain_model

IDS = np.random.default_rng(0).integers(0, 30, (40, 12)).astype("int32")
IDS[0], IDS[1, 5:], IDS[2, :5] = 0, 0, 0


@pytest.mark.parametrize("classes", [("neg", "pos"), ("a", "b", "c")])
@pytest.mark.parametrize(
    ("name", "hparams"),
    [
        ("avg-pool", {"mask": True, "embedding_dropout": 0.5}),
        ("fasttext", {"buckets": 50}),
        ("fasttext", {"buckets": 0}),
        ("transformer", {"blocks": 2}),
        ("bilstm", {"units": 3, "embedding_dim": 4}),
    ],
)
def test_the_answers_are_the_same(name, hparams, classes):
    model = load_builder(name)(Task(classes, 30, 12), **hparams)
    plain = plain_model(model)
    np.testing.assert_array_equal(plain(IDS), model(IDS))
    assert "textbench" not in plain.to_json()


def test_dropout_works_in_further_training():
    model = load_builder("avg-pool")(Task(("neg", "pos"), 30, 12), embedding_dropout=0.5)
    plain = plain_model(model)
    np.testing.assert_array_equal(plain(IDS), plain(IDS))
    assert (plain(IDS, training=True).numpy() != plain(IDS, training=True).numpy()).any()


def test_a_sequential_model():
    model = keras.Sequential(
        [keras.Input((12,), dtype="int32"), keras.layers.Embedding(30, 2), keras.layers.Flatten()]
    )
    model.add(keras.layers.Dense(3))
    np.testing.assert_array_equal(plain_model(model)(IDS), model(IDS))


class InOperations(keras.layers.Layer):
    def call(self, x):
        return keras.ops.log1p(x * x)


class InTensorFlow(keras.layers.Layer):
    def call(self, x):
        return tf.math.log1p(x * x)


class WithWeights(keras.layers.Layer):
    def build(self, shape):
        self.scale = self.add_weight(shape=(), name="scale")

    def call(self, x):
        return x * self.scale


def odd(x):
    return x * x


def network(layer):
    ids = keras.Input((12,), dtype="int32")
    x = keras.layers.GlobalAveragePooling1D()(keras.layers.Embedding(30, 4)(ids))
    return keras.Model(ids, keras.layers.Dense(1)(layer(x)))


def test_a_foreign_layer_written_in_keras_operations():
    model = network(InOperations())
    np.testing.assert_array_equal(plain_model(model)(IDS), model(IDS))


@pytest.mark.parametrize(
    ("layer", "reason"),
    [
        (InTensorFlow(), "the layer 'InTensorFlow' is not written in keras.ops"),
        (WithWeights(), "the layer 'WithWeights' is not Keras's own and has weights"),
        (keras.layers.Dense(4, activation=odd), "it uses 'odd', which is not Keras's own"),
    ],
)
def test_what_keras_alone_cannot_hold_is_named(layer, reason):
    with pytest.raises(NotPlain) as caught:
        plain_model(network(layer))
    assert str(caught.value) == reason


@pytest.mark.long
def test_stored_and_loaded_by_keras_alone(tmp_path):
    # Names of a loaded network are those of its file, and new operations must not take them.
    task = Task(("neg", "pos"), 30, 12)
    for name in ("transformer", "fasttext", "avg-pool"):
        keras.backend.clear_session()  # names begin anew, as in the process that trained it
        model = load_builder(name)(task, **({"mask": True} if name == "avg-pool" else {}))
        model.save(tmp_path / "model.keras")
        keras.backend.clear_session()
        loaded = keras.saving.load_model(tmp_path / "model.keras")
        plain_model(loaded).save(tmp_path / "plain.keras")
        np.testing.assert_array_equal(
            keras.saving.load_model(tmp_path / "plain.keras")(IDS), plain_model(model)(IDS)
        )
