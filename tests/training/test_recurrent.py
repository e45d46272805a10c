"""Recurrent layers in NumPy: Keras's outputs and gradients, in training alone, the same bits each time."""

import itertools
import warnings

import keras
import numpy as np
import pytest
import tensorflow as tf
from run_specs import make_spec

from benchmark.models import bilstm, gru, lstm
from benchmark.models.task import Task
from benchmark.support.errors import UserError
from benchmark.training import recurrent
from benchmark.training.batches import make_epoch, prepare, shuffled
from benchmark.training.recurrent import in_numpy, recurrent_layers
from benchmark.training.train import train

LENGTH, ROWS, WIDTH, UNITS = 50, 40, 9, 7  # 40 rows are a whole piece of 32, and a smaller one


def layer_of(name, **settings):
    if name == "bilstm":
        return keras.layers.Bidirectional(keras.layers.LSTM(UNITS, **settings))
    return {"lstm": keras.layers.LSTM, "gru": keras.layers.GRU}[name](UNITS, **settings)


def network(name, **settings):
    """A model of one recurrent layer with weights that are far from 0, as are its gradients."""
    inputs = keras.Input((LENGTH, WIDTH))
    layer = layer_of(name, **settings)
    model = keras.Model(inputs, layer(inputs))
    generator = np.random.default_rng(0)
    for variable in model.trainable_variables:
        variable.assign(0.4 * generator.standard_normal(variable.shape))
    return model, layer


def padding(side):
    """Which words are read, [rows, time]: from none to all of a text."""
    if not side:
        return None
    lengths = np.random.default_rng(1).integers(0, LENGTH + 1, ROWS)
    lengths[:2] = 0, LENGTH
    read = np.arange(LENGTH) < lengths[:, None]
    return tf.constant(read if side == "post" else read[:, ::-1])


def gradients(model, layer, mask, *, training=True):
    """Outputs, and the gradients of the inputs and each weight, from the same state of dropout."""
    for variable in model.variables:
        if variable.name == "seed_generator_state":
            variable.assign([3, 4])
    generator = np.random.default_rng(2)
    x = tf.constant(generator.standard_normal((ROWS, LENGTH, WIDTH)), tf.float32)
    target = tf.constant(generator.standard_normal((ROWS, *model.output_shape[1:])), tf.float32)

    @tf.function
    def compute():
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = layer(x, mask=mask, training=training)
            loss = tf.reduce_sum(y * target)
        return [y, *tape.gradient(loss, [x, *(one.value for one in layer.trainable_variables)])]

    graph = compute.get_concrete_function().graph
    calls = [op for op in graph.get_operations() if "PyFunc" in op.type]
    return compute(), len(calls)


def assert_as_keras(model, layer, mask, loops):
    expected, none = gradients(model, layer, mask)
    with in_numpy(recurrent_layers(model)):
        found, calls = gradients(model, layer, mask)
    assert (none, calls) == (0, 2 * loops)
    for one, other in zip(found, expected, strict=True):
        assert np.abs(one - other).max() <= 1e-5 * np.abs(other).max()


NAMES, SIDES, RATES = ("lstm", "gru", "bilstm"), ("", "pre", "post"), ((0, 0), (0.2, 0), (0, 0.2), (0.2, 0.2))
SHORT = [
    ("lstm", (0.2, 0.2), ""),
    ("gru", (0.2, 0.2), "pre"),
    ("gru", (0, 0), "post"),
    ("bilstm", (0, 0.2), "post"),
]


@pytest.mark.parametrize(
    ("name", "rates", "side"),
    [
        pytest.param(*case, marks=() if case in SHORT else pytest.mark.long)
        for case in itertools.product(NAMES, RATES, SIDES)
    ],
)
def test_outputs_and_gradients_are_keras_with_the_same_masks(name, rates, side):
    settings = {"dropout": rates[0], "recurrent_dropout": rates[1]}
    for sequences in (False, True) if rates == (0.2, 0.2) else (False,):
        model, layer = network(name, **settings, return_sequences=sequences)
        assert_as_keras(model, layer, padding(side), 2 if name == "bilstm" else 1)


def test_it_is_keras_again_in_prediction_and_afterwards():
    model, layer = network("lstm", recurrent_dropout=0.2)
    expected, _ = gradients(model, layer, None, training=False)
    with in_numpy(recurrent_layers(model)):
        found, calls = gradients(model, layer, None, training=False)
    assert calls == 0
    np.testing.assert_array_equal(found[0], expected[0])
    assert "call" not in vars(layer)


def test_an_initial_state_is_kept():
    model, layer = network("gru")
    x, state = tf.ones((2, LENGTH, WIDTH)), tf.ones((2, UNITS))
    expected = layer(x, initial_state=[state], training=True)
    with in_numpy(recurrent_layers(model)):
        np.testing.assert_array_equal(layer(x, initial_state=[state], training=True), expected)


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("gru", {"reset_after": False}),
        ("lstm", {"activation": "relu"}),
        ("lstm", {"recurrent_activation": "hard_sigmoid"}),
        ("lstm", {"use_bias": False}),
        ("lstm", {"dtype": "mixed_bfloat16"}),
        ("lstm", {"recurrent_dropout": 1.0}),
    ],
)
def test_what_numpy_does_not_know_is_left_to_keras(name, settings):
    model, _ = network(name, **settings)
    with pytest.raises(UserError, match="no LSTM or GRU that NumPy trains"):
        recurrent_layers(model)


def test_layers_of_models_in_models_are_found():
    inputs = keras.Input((20,), dtype="int32")
    task = Task(("neg", "pos"), 50, 20)
    model = keras.Model(inputs, keras.layers.Add()([bilstm.build(task)(inputs), lstm.build(task)(inputs)]))
    assert len(recurrent_layers(model)) == 5


def test_numbers_that_vanish_are_flushed_in_its_threads():
    tiny = np.full(4, 1e-30, dtype=np.float32)
    assert recurrent._threads().submit(lambda: (tiny * np.float32(1e-12)).max()).result() == 0


@pytest.mark.parametrize("count", [1, 2, 3])
def test_the_number_of_threads_changes_no_bit(monkeypatch, count):
    model, layer = network("lstm", dropout=0.2, recurrent_dropout=0.2)

    def weights_of(threads):
        monkeypatch.setattr(recurrent, "threads", lambda: threads)
        recurrent._threads.cache_clear()
        with in_numpy(recurrent_layers(model)):
            found, _ = gradients(model, layer, None)
        return found

    try:
        for one, other in zip(weights_of(count), weights_of(1), strict=True):
            np.testing.assert_array_equal(one, other)
    finally:
        recurrent._threads.cache_clear()


@pytest.mark.parametrize(
    ("model", "settings"),
    [
        ("lstm", {}),
        ("gru", {"trim": True, "hparams": {"mask_zero": True}}),
        pytest.param("bilstm", {"hparams": {"dropout": 0.2}}, marks=pytest.mark.long),
    ],
)
def test_a_run_has_the_curves_of_fit_and_the_same_bits_again(sample, model, settings):
    sizes = {"embedding_dim": 8, "units": 8}
    settings = {**settings, "hparams": sizes | settings.get("hparams", {})}
    # The last batch is smaller, and trimmed batches change their width.
    spec = make_spec(sample, model, batch_size=300, epochs=2, patience=2, **settings)
    first, again = (train(spec, sample, compile="numpy") for _ in range(2))
    assert (first.status, first.compile) == ("ok", "numpy"), first.error
    assert first.history["loss"] == again.history["loss"]
    fit = train(spec, sample, compile="fit")
    assert fit.status == "ok", fit.error
    for name in ("loss", "accuracy", "val_loss", "val_accuracy"):
        np.testing.assert_allclose(first.history[name], fit.history[name], rtol=2e-3, atol=2e-3)


def test_numbers_that_overflow_are_not_reported():
    model, layer = network("lstm")
    for variable in model.trainable_variables:
        variable.assign(tf.fill(variable.shape, 3e38))
    with in_numpy(recurrent_layers(model)), warnings.catch_warnings():
        warnings.simplefilter("error")
        found, _ = gradients(model, layer, None)
    assert not all(np.isfinite(one).all() for one in found)


def test_a_run_without_recurrent_layers_says_so(sample):
    result = train(make_spec(sample), sample, compile="numpy")
    assert result.status == "failed"
    assert "`compile` numpy" in result.error


def test_trained_weights_are_those_of_a_plain_layer(tmp_path):
    task = Task(("neg", "pos"), 50, 20)
    x = np.random.default_rng(0).integers(0, 50, (96, 20), dtype=np.int32)
    model = gru.build(task, units=4, embedding_dim=4)
    model.compile("adam", keras.losses.BinaryCrossentropy(from_logits=True), metrics=["accuracy"])
    ids, labels = tf.constant(x), tf.range(96) % 2
    prepare(model, ids, labels)
    before = model.get_weights()
    make_epoch(model, "numpy")(ids, labels, shuffled(np.random.default_rng(0), 96, 32))
    assert all((one != other).any() for one, other in zip(model.get_weights(), before, strict=True))
    model.save(tmp_path / "model.keras")
    stored = keras.saving.load_model(tmp_path / "model.keras", safe_mode=True)
    np.testing.assert_array_equal(stored.predict(x, verbose=0), model.predict(x, verbose=0))
