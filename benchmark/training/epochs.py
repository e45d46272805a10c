"""One epoch as one call: Keras's own training step, run by `fit`, as a graph, or compiled by XLA."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

_PREDICT_BATCH = 512

EpochFunction = Callable[[NDArray[np.int32]], dict[str, float]]


def make_epoch(
    model: keras.Model,
    x: NDArray[Any],
    y: NDArray[np.int32],
    batch_size: int,
    mode: Literal["fit", "graph", "xla"],
) -> EpochFunction:
    """Return a function that trains one epoch over examples in a given order.

    All three ways run `keras.Model.train_step` on the same batches, the last one smaller: the same
    optimizer, losses, metrics and dropout. ``graph`` and ``xla`` keep the data on the device and
    dispatch an epoch as one call, which is what makes small models fast.

    Parameters
    ----------
    model : keras.Model
        Compiled with optimizer, loss and metrics.
    x : ndarray, int32 [n, length] or object [n]
        Inputs: word ids, or raw texts as UTF-8.
    y : ndarray of int32, shape [n]
        Labels.
    batch_size : int
        Examples per step.
    mode : {"fit", "graph", "xla"}
        How the epoch is run.

    Returns
    -------
    callable
        Order (int32 [n], a permutation) in, the epoch's mean ``loss`` and ``accuracy`` out.
    """
    if mode == "fit":
        return lambda order: _fit(model, x[order], y[order], batch_size)

    data, labels = tf.constant(x), tf.constant(y)
    # Private, but the only way to make the metrics' variables before the loop is traced.
    model._symbolic_build(data_batch=(data[:1], labels[:1]))
    model.optimizer.build(model.trainable_variables)
    steps, rest = divmod(len(x), batch_size)

    @tf.function(jit_compile=mode == "xla")
    def epoch(order: tf.Tensor) -> dict[str, tf.Tensor]:
        for step in tf.range(steps):
            batch = tf.slice(order, [step * batch_size], [batch_size])
            model.train_step((tf.gather(data, batch), tf.gather(labels, batch)))
        if rest:
            batch = tf.slice(order, [steps * batch_size], [rest])
            model.train_step((tf.gather(data, batch), tf.gather(labels, batch)))
        return model.get_metrics_result()

    def run(order: NDArray[np.int32]) -> dict[str, float]:
        model.reset_metrics()
        return {name: float(value) for name, value in epoch(tf.constant(order)).items()}

    return run


def _fit(model: keras.Model, x: NDArray[Any], y: NDArray[np.int32], batch_size: int) -> dict[str, float]:
    history = model.fit(tf.constant(x), y, batch_size=batch_size, shuffle=False, verbose=0).history
    return {name: float(values[-1]) for name, values in history.items()}


def make_predict(model: keras.Model) -> Callable[[NDArray[Any]], NDArray[np.float32]]:
    """Return a function from inputs (see `make_epoch`) to logits, float32 [n, n_outputs]."""

    @tf.function(reduce_retracing=True)
    def forward(batch: tf.Tensor) -> tf.Tensor:
        return model(batch, training=False)

    def predict(x: NDArray[Any]) -> NDArray[np.float32]:
        batches = [
            forward(tf.constant(x[start : start + _PREDICT_BATCH])).numpy()
            for start in range(0, len(x), _PREDICT_BATCH)
        ]
        return np.concatenate(batches).astype(np.float32)

    return predict
