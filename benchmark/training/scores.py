"""What a trained model gives: logits, probabilities, loss, accuracy; a copy travels with every kept model."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

PREDICT_BATCH = 512
_GPU_BATCH = 8192
_SMALLEST = 1e-12  # probability; keeps the loss of a certain mistake finite

Predict = Callable[[NDArray[Any]], NDArray[np.float32]]


class Score(NamedTuple):
    """Mean cross-entropy (natural logarithm) and share of texts classified correctly."""

    loss: float
    accuracy: float


def score(logits: NDArray[np.float32], labels: NDArray[np.int32]) -> Score:
    """Score logits against labels.

    Parameters
    ----------
    logits : ndarray of float32, shape [n, 1] or [n, classes]
        One column means two classes: above 0 is the second.
    labels : ndarray of int32, shape [n]
        True classes.

    Returns
    -------
    Score
        Computed in float64. Weight penalties are not part of the loss, so that losses of different
        architectures can be compared.
    """
    wide = _two_columns(logits.astype(np.float64))
    peak = wide.max(axis=1, keepdims=True)
    log_total = np.log(np.exp(wide - peak).sum(axis=1)) + peak[:, 0]
    loss = log_total - wide[np.arange(len(labels)), labels]
    return Score(float(loss.mean()), float((wide.argmax(axis=1) == labels).mean()))


def probabilities(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """Turn logits [n, 1] or [n, classes] into probabilities float32 [n, classes]."""
    wide = _two_columns(logits.astype(np.float64))
    weights = np.exp(wide - wide.max(axis=1, keepdims=True))
    return (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)


def _two_columns(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.hstack([np.zeros_like(logits), logits]) if logits.shape[1] == 1 else logits


def make_predict(model: Any, size: int = 0) -> Predict:
    """Return a function from inputs (ids [n, length] or texts [n]) to logits, float32 [n, n_outputs].

    Its batches have a given size, or are large on a GPU, and are halved for good where they do not fit.
    """
    import tensorflow as tf  # at the first use: pipelines do without

    size = size or (_GPU_BATCH if tf.config.list_logical_devices("GPU") else PREDICT_BATCH)

    @tf.function(reduce_retracing=True)
    def forward(batch: Any) -> Any:
        return tf.cast(model(batch, training=False), tf.float32)

    def predict(x: NDArray[Any]) -> NDArray[np.float32]:
        nonlocal size
        while True:
            starts = range(0, len(x), size)
            try:
                return np.concatenate(
                    [forward(tf.constant(x[start : start + size])).numpy() for start in starts]
                )
            except tf.errors.ResourceExhaustedError:
                if size == 1:
                    raise
                size //= 2

    return predict


def log_probabilities(pipeline: Any, texts: Any, classes: int) -> NDArray[np.float32]:
    """Return log probabilities, float32 [n, classes], of what a pipeline reads; they serve as logits.

    Raises
    ------
    ValueError
        When the pipeline does not give a column for each class, in their order.
    """
    probabilities = np.asarray(pipeline.predict_proba(texts), dtype=np.float64)
    order = [int(label) for label in getattr(pipeline, "classes_", range(classes))]
    count = texts.shape[0] if hasattr(texts, "shape") else len(texts)
    if probabilities.shape != (count, classes) or order != list(range(classes)):
        raise ValueError(
            f"predict_proba gives an array of shape {probabilities.shape} for the classes {order}; expected "
            f"{(count, classes)} for {list(range(classes))}"
        )
    logits: NDArray[np.float32] = np.log(np.clip(probabilities, _SMALLEST, 1)).astype(np.float32)
    return logits
