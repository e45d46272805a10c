"""Class weights of networks: what Keras's `fit` with ``class_weight`` does, in every way to run epochs."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from run_specs import make_spec

from benchmark.models.example_weights import balanced_weights
from benchmark.models.task import Task
from benchmark.training import network
from benchmark.training.batches import make_epoch, prepare, shuffled
from benchmark.training.network import build_model
from benchmark.training.train import train


@pytest.fixture(params=[2, 3])
def data(request):
    generator = np.random.default_rng(0)
    shares = {2: [0.9, 0.1], 3: [0.8, 0.15, 0.05]}[request.param]
    x = generator.integers(0, 2000, (500, 32), dtype=np.int32)
    return x, generator.choice(request.param, 500, p=shares).astype(np.int32), request.param


@pytest.mark.parametrize("precision", ["float32", "float16", "bfloat16"])
def test_weights_of_a_network_are_those_of_keras(sample, data, precision):
    x, y, classes = data
    weights = balanced_weights(y, classes)
    spec, task = make_spec(sample, precision=precision), Task(tuple("abc"[:classes]), 2000, 32)
    batches = shuffled(np.random.default_rng(1), len(x), 128)
    _, keras_own = build_model(spec, task, 4)
    by_class = dict(enumerate(weights.tolist()))
    keras_own.fit(x[batches.order], y[batches.order], 128, shuffle=False, verbose=0, class_weight=by_class)
    for mode in ("fit", "graph", "xla"):
        _, ours = build_model(spec, task, 4, weights)
        prepare(ours, tf.constant(x), tf.constant(y))
        make_epoch(ours, mode)(tf.constant(x), tf.constant(y), batches)
        # XLA rounds in a different order, which in half precision is much.
        near = (1e-4 if precision == "float32" else 0.1) if mode == "xla" else 0
        for one, other in zip(ours.get_weights(), keras_own.get_weights(), strict=True):
            np.testing.assert_allclose(one, other, atol=near, rtol=0, err_msg=mode)


def test_a_run_is_weighted_and_its_validation_loss_is_not(sample, monkeypatch):
    plain = train(make_spec(sample), sample, compile="graph")
    even = train(make_spec(sample).model_copy(update={"class_weight": "balanced"}), sample, compile="graph")
    assert even.history["val_loss"] == pytest.approx(plain.history["val_loss"], rel=0.05)  # it is balanced
    weigh = lambda labels, classes: np.array([1, 9], np.float32)  # noqa: E731
    monkeypatch.setattr(network, "balanced_weights", weigh)
    result = train(make_spec(sample).model_copy(update={"class_weight": "balanced"}), sample, compile="graph")
    kept = network._kept[0]
    logits = kept.predict(sample.view("validation", make_spec(sample).view).x)
    y = sample.view("validation", None).y
    loss = keras.losses.BinaryCrossentropy(from_logits=True)(y[:, None], logits)
    assert result.best_val_loss == pytest.approx(float(loss), rel=1e-4)
    assert result.history["loss"][0] > 2 * plain.history["loss"][0]
    # What was compiled for other weights is not used again.
    again = train(make_spec(sample), sample, compile="graph")
    assert network._kept[0] is not kept
    assert again.history["loss"] == plain.history["loss"]
