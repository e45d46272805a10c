"""The batches of an epoch, and one epoch over them as one call: by `fit`, as a graph, or compiled by XLA."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from benchmark.data.text import PAD
from benchmark.spec.config import Mode
from benchmark.training.recurrent import in_numpy, recurrent_layers
from benchmark.training.scores import PREDICT_BATCH, Predict

_WINDOW = 50  # batches among whose texts those of similar length are brought together


@dataclass(frozen=True)
class Batches:
    """The batches of one epoch.

    Attributes
    ----------
    order : ndarray of int32, shape [n]
        A permutation of the examples.
    size : int
        Examples a batch; the last one may be smaller.
    widths : ndarray of int32, shape [batches]
        Columns of each batch; empty where all keep the view's.
    side : {"", "pre", "post"}
        Where texts are padded, and so where batches are cut; "" leaves them as they are.
    """

    order: NDArray[np.int32]
    size: int
    widths: NDArray[np.int32]
    side: str = ""

    def rows(self) -> Iterator[NDArray[np.int32]]:
        """Yield the examples of each batch."""
        for start in range(0, len(self.order), self.size):
            yield self.order[start : start + self.size]


def shuffled(generator: np.random.Generator, count: int, size: int) -> Batches:
    """Return batches in a random order, the last one smaller where it must be."""
    order = generator.permutation(count).astype(np.int32)
    return Batches(order, size, np.zeros(0, dtype=np.int32))


def bucketed(generator: np.random.Generator, lengths: NDArray[np.int64], size: int, side: str) -> Batches:
    """Return batches of texts of similar length, in a random order.

    The examples are shuffled, sorted by length within windows of 50 batches, cut into batches, and those
    shuffled again. An incomplete batch is drawn from all lengths and stands last.

    Parameters
    ----------
    generator : numpy.random.Generator
        The run's ``shuffle`` stream.
    lengths : ndarray of int64, shape [n]
        Tokens of each text.
    size : int
        Examples a batch.
    side : {"pre", "post"}
        Where texts are padded.
    """
    order = generator.permutation(len(lengths)).astype(np.int32)
    whole = len(order) // size * size
    window = _WINDOW * size
    for start in range(0, whole, window):
        part = order[start : min(start + window, whole)]
        part[:] = part[np.argsort(lengths[part], kind="stable")]
    batches = order[:whole].reshape(-1, size)
    batches = batches[generator.permutation(len(batches))]
    parts = [*batches, order[whole:]] if whole < len(order) else list(batches)
    widths = [max(int(lengths[part].max()), 1) for part in parts]
    return Batches(np.concatenate(parts), size, np.array(widths, dtype=np.int32), side)


def text_lengths(x: NDArray[np.int32]) -> NDArray[np.int64]:
    """Return the number of tokens of each row of ids, int64 [n]."""
    return np.count_nonzero(x != PAD, axis=1)


TrainEpoch = Callable[[tf.Tensor, tf.Tensor, Batches], dict[str, float]]


def make_epoch(model: keras.Model, mode: Mode) -> TrainEpoch:
    """Return a function that trains one epoch over examples in a given order.

    All ways run `keras.Model.train_step` on the same batches, the last one smaller: the same
    optimizer, losses, metrics and dropout. ``graph`` and ``xla`` keep the data on the device and
    dispatch an epoch as one call, which is what makes small models fast. ``numpy`` is a graph whose
    recurrent layers leave TensorFlow (`benchmark.training.recurrent`).

    Parameters
    ----------
    model : keras.Model
        Compiled with optimizer, loss and metrics, built by `prepare`.
    mode : {"fit", "graph", "numpy", "xla"}
        How the epoch is run; ``xla`` cannot cut batches to their longest text.

    Returns
    -------
    callable
        Inputs (int32 [n, length], or strings [n]), labels (int32 [n]) and batches in; the epoch's mean
        ``loss`` and ``accuracy`` out.

    Raises
    ------
    UserError
        When ``numpy`` is asked for and there is nothing that it could do.
    """
    layers = recurrent_layers(model) if mode == "numpy" else []
    if mode == "fit":
        return lambda x, y, batches: _fit(model, x, y, batches)

    def train(x: tf.Tensor, y: tf.Tensor, rows: tf.Tensor, width: tf.Tensor | None, side: str) -> None:
        batch = tf.gather(x, rows)
        model.train_step((_cut(batch, width, side) if side else batch, tf.gather(y, rows)))

    @tf.function
    def graph(x: tf.Tensor, y: tf.Tensor, order: tf.Tensor, widths: tf.Tensor, size: int, side: str) -> None:
        for step in tf.range(-(-x.shape[0] // size)):
            rows = order[step * size : (step + 1) * size]
            train(x, y, rows, widths[step] if side else None, side)

    @tf.function(jit_compile=True)
    def xla(x: tf.Tensor, y: tf.Tensor, order: tf.Tensor, size: int) -> None:
        for step in tf.range(x.shape[0] // size):
            train(x, y, tf.slice(order, [step * size], [size]), None, "")

    rest = tf.function(train)

    def run(x: tf.Tensor, y: tf.Tensor, batches: Batches) -> dict[str, float]:
        model.reset_metrics()
        order, size = tf.constant(batches.order), batches.size
        if mode in ("graph", "numpy"):
            with in_numpy(layers) if layers else nullcontext():
                graph(x, y, order, tf.constant(batches.widths), size, batches.side)
        else:
            with _fast_dropout():
                xla(x, y, order, size)
            # XLA has to know all sizes; to compile a smaller last batch, too, takes longer than it saves.
            if left := len(batches.order) % size:
                rest(x, y, order[-left:], None, "")
        return {name: float(value) for name, value in model.get_metrics_result().items()}

    return run


@contextmanager
def _fast_dropout() -> Iterator[None]:
    """Name the generator of dropout while XLA traces: its choice is 200 times slower on a CPU."""
    original = tf.nn.experimental.stateless_dropout
    tf.nn.experimental.stateless_dropout = partial(original, rng_alg="threefry")
    try:
        yield
    finally:
        tf.nn.experimental.stateless_dropout = original


def prepare(model: keras.Model, x: tf.Tensor, y: tf.Tensor) -> None:
    """Make the variables of optimizer and metrics, which must be there before a loop is traced."""
    # Private, but the only way to make those of the metrics without a step of training.
    model._symbolic_build(data_batch=(x[:1], y[:1]))
    model.optimizer.build(model.trainable_variables)


def _cut(ids: Any, width: Any, side: str) -> Any:
    """Cut ids [n, length], a tensor or an array, to a width on the side where they are padded."""
    return ids[:, :width] if side == "post" else ids[:, ids.shape[1] - width :]


def _fit(model: keras.Model, x: tf.Tensor, y: tf.Tensor, batches: Batches) -> dict[str, float]:
    if not batches.side:
        inputs, labels = tf.gather(x, batches.order), y.numpy()[batches.order]
        history = model.fit(inputs, labels, batches.size, shuffle=False, verbose=0).history
    else:
        cut = (
            (_cut(tf.gather(x, rows), width, batches.side), tf.gather(y, rows))
            for rows, width in zip(batches.rows(), batches.widths, strict=True)
        )
        # Keras would take the width of the first two batches, where it is the same, for that of all.
        shapes = (tf.TensorSpec((None, None), x.dtype), tf.TensorSpec((None,), y.dtype))
        data = tf.data.Dataset.from_generator(lambda: cut, output_signature=shapes)
        history = model.fit(data, steps_per_epoch=len(batches.widths), shuffle=False, verbose=0).history
    return {name: float(values[-1]) for name, values in history.items()}


def trimmed(predict: Predict, side: str, x: NDArray[np.int32]) -> NDArray[np.float32]:
    """Predict with each batch cut to its longest text, for a model that ignores padding.

    Parameters
    ----------
    predict : callable
        From `benchmark.training.scores.make_predict`.
    side : {"pre", "post"}
        Where texts are padded.
    x : ndarray of int32, shape [n, length]
        Ids.

    Returns
    -------
    ndarray of float32, shape [n, n_outputs]
        Logits in the order of `x`.
    """
    lengths = text_lengths(x)
    order = np.argsort(lengths, kind="stable")
    answers = []
    for start in range(0, len(x), PREDICT_BATCH):
        rows = order[start : start + PREDICT_BATCH]
        answers.append(predict(_cut(x[rows], max(int(lengths[rows[-1]]), 1), side)))
    result = np.concatenate(answers)
    result[order] = result.copy()
    return result
