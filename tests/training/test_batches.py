"""Batches: every example once an epoch, and with little padding where it is asked for."""

import numpy as np
import pytest
import tensorflow as tf

from benchmark.training.batches import bucketed, shuffled, text_lengths
from benchmark.training.scores import make_predict


def lengths_of(count, seed=0):
    return np.random.default_rng(seed).integers(0, 200, count)


@pytest.mark.parametrize(("count", "size"), [(1, 4), (4, 4), (103, 10), (1000, 16), (2000, 7)])
def test_every_example_is_in_one_batch(count, size):
    lengths = lengths_of(count)
    for batches in (
        shuffled(np.random.default_rng(0), count, size),
        bucketed(np.random.default_rng(0), lengths, size, "post"),
    ):
        assert sorted(batches.order) == list(range(count))
        sizes = [len(rows) for rows in batches.rows()]
        assert sizes[:-1] == [size] * (len(sizes) - 1)
        assert 1 <= sizes[-1] <= size


def test_widths_are_those_of_the_longest_text_and_at_least_one():
    lengths = np.array([3, 0, 0, 9, 1, 0, 7])
    batches = bucketed(np.random.default_rng(1), lengths, 2, "pre")
    assert list(batches.widths) == [max(lengths[rows].max(), 1) for rows in batches.rows()]
    assert min(batches.widths) == 1
    assert batches.side == "pre"


def test_texts_of_similar_length_are_brought_together_and_batches_shuffled():
    lengths = lengths_of(4000)
    batches = bucketed(np.random.default_rng(2), lengths, 20, "post")
    padded = sum(width * len(rows) for width, rows in zip(batches.widths, batches.rows(), strict=True))
    assert padded < 1.05 * lengths.sum()
    assert shuffled(np.random.default_rng(2), 4000, 20).widths.size == 0
    # Short and long batches follow each other by chance, not by length.
    assert abs(np.corrcoef(np.arange(200), batches.widths)[0, 1]) < 0.2


def test_the_order_is_the_streams():
    lengths = lengths_of(300)
    first, again, other = (bucketed(np.random.default_rng(seed), lengths, 16, "post") for seed in (0, 0, 1))
    np.testing.assert_array_equal(first.order, again.order)
    assert (first.order != other.order).any()


def test_lengths_of_padded_texts():
    ids = np.array([[0, 0, 5, 1], [7, 3, 0, 0], [0, 0, 0, 0]], dtype=np.int32)
    assert list(text_lengths(ids)) == [2, 2, 0]


def test_prediction_halves_its_batches_until_they_fit():
    sizes = []

    def doubled(batch):
        sizes.append(len(batch))
        if len(batch) > 200:
            raise MemoryError
        return batch.astype(np.float32) * 2

    def model(batch, training):
        return tf.numpy_function(doubled, [batch], tf.float32)

    x = np.arange(128 * 3, dtype=np.int32).reshape(-1, 1)
    predict = make_predict(model)
    np.testing.assert_array_equal(predict(x), x * 2.0)
    assert sizes == [384, 256, 128, 128, 128]
    predict(x)
    assert sizes[5:] == [128] * 3  # what did not fit is not tried again


def test_prediction_of_one_text_that_does_not_fit_is_an_error():
    def refuse(batch):
        raise MemoryError

    predict = make_predict(lambda batch, training: tf.numpy_function(refuse, [batch], tf.float32))
    with pytest.raises(tf.errors.ResourceExhaustedError):
        predict(np.zeros((3, 1), dtype=np.int32))
