"""Scores agree with Keras's own."""

import keras
import numpy as np
import pytest

from benchmark.training.scores import probabilities, score


@pytest.mark.parametrize("columns", [1, 2, 5])
def test_loss_and_accuracy_are_those_of_keras(columns):
    generator = np.random.default_rng(columns)
    logits = generator.normal(0, 8, (500, columns)).astype(np.float32)
    labels = generator.integers(0, max(columns, 2), 500).astype(np.int32)
    if columns == 1:
        loss = keras.losses.BinaryCrossentropy(from_logits=True)(labels[:, None], logits)
        accuracy = keras.metrics.BinaryAccuracy(threshold=0.0)
        accuracy.update_state(labels[:, None], logits)
    else:
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)(labels, logits)
        accuracy = keras.metrics.SparseCategoricalAccuracy()
        accuracy.update_state(labels, logits)
    got = score(logits, labels)
    assert got.loss == pytest.approx(float(loss), rel=1e-4)
    assert got.accuracy == pytest.approx(float(accuracy.result()))


def test_large_logits_do_not_overflow():
    logits = np.array([[1000.0], [-1000.0]], dtype=np.float32)
    got = score(logits, np.array([1, 1], dtype=np.int32))
    assert got.loss == pytest.approx(500)
    np.testing.assert_array_equal(probabilities(logits), [[0, 1], [1, 0]])
