"""Compiled functions are kept while shapes repeat, and nothing else of an earlier run is."""

import pytest
from run_specs import make_spec

from benchmark.training import network
from benchmark.training.train import train

CURVES = ("loss", "accuracy", "val_loss", "val_accuracy", "learning_rate")

# A layer with a state that Keras does not know of.
COUNTING = """
import keras
import tensorflow as tf

class Counting(keras.layers.Layer):
    def __init__(self):
        super().__init__()
        self.count = [tf.Variable(0.0)]

    def call(self, x):
        self.count[0].assign_add(1.0)
        return x * self.count[0]

def build(task):
    ids = keras.Input((task.sequence_length,), dtype="int32")
    x = keras.layers.GlobalAveragePooling1D()(keras.layers.Embedding(task.vocabulary_size, 4)(ids))
    return keras.Model(ids, keras.layers.Dense(task.n_outputs)(Counting()(x)))
"""


def curves(result):
    assert result.status == "ok", result.error
    return {name: result.history[name] for name in CURVES}


@pytest.fixture
def fresh():
    network.release()
    yield
    network.release()


@pytest.mark.parametrize(
    ("mode", "optimizer", "schedule"),
    [
        ("graph", "rmsprop", "cosine"),
        pytest.param("graph", "nadam", "constant", marks=pytest.mark.long),
        pytest.param("xla", "adam", "constant", marks=pytest.mark.long),
        pytest.param("fit", "adam", "cosine", marks=pytest.mark.long),
    ],
)
def test_a_run_on_kept_functions_is_that_of_a_fresh_model(sample, fresh, mode, optimizer, schedule):
    settings = {"optimizer": optimizer, "schedule": schedule, "hparams": {"dropout": 0.3}}
    first = train(make_spec(sample, **settings), sample, compile=mode)
    kept = network._kept[0]
    # Another one between: other seeds, and ended in the middle.
    other = train(
        make_spec(sample, seed=1, **settings), sample, compile=mode, on_epoch=lambda report: "pruned"
    )
    again = train(make_spec(sample, **settings), sample, compile=mode)
    assert network._kept[0] is kept
    assert other.status == "pruned"
    assert curves(again) == curves(first)


@pytest.mark.long
def test_another_learning_rate_needs_no_other_functions(sample, fresh):
    train(make_spec(sample), sample)
    kept = network._kept[0]
    slow = train(make_spec(sample, learning_rate=0.001), sample)
    assert network._kept[0] is kept
    network.release()
    assert curves(train(make_spec(sample, learning_rate=0.001), sample)) == curves(slow)


@pytest.mark.long
def test_other_shapes_and_settings_take_their_place(sample, fresh):
    train(make_spec(sample), sample)
    seen = [network._kept[0]]
    for change in ({"batch_size": 100}, {"hparams": {"units": 8}}, {"optimizer": "sgd"}):
        train(make_spec(sample, **change), sample)
        assert len(network._kept) == 1
        assert all(network._kept[0] is not earlier for earlier in seen)
        seen.append(network._kept[0])


@pytest.mark.long
def test_a_state_that_keras_does_not_know_is_not_handed_on(sample, fresh, tmp_path):
    path = tmp_path / "counting.py"
    path.write_text(COUNTING)
    first, again = (train(make_spec(sample, model=str(path)), sample) for _ in range(2))
    assert not network._kept
    assert curves(first) == curves(again)


@pytest.mark.long
def test_a_run_that_fails_leaves_nothing(sample, fresh):
    train(make_spec(sample), sample)
    failed = train(make_spec(sample, hparams={"units": -1}), sample)
    assert failed.status == "failed"
    assert not network._kept
