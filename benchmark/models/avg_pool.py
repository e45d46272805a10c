"""Average pooling: the bag of learned word vectors of the first TensorFlow text tutorial.

Source: TensorFlow, "Text classification with movie reviews" (pre-tokenised) and "Basic text
classification" (raw text; the one with dropout). The defaults are the former's.
"""

from __future__ import annotations

from typing import Any

import keras

from benchmark.models.task import Task

IGNORES_PADDING = "mask"


def build(
    task: Task,
    *,
    embedding_dim: int = 16,
    embedding_dropout: float = 0.0,
    mask: bool = False,
    units: int = 16,
    dropout: float = 0.0,
) -> keras.Model:
    """Average the word vectors, then classify.

    Parameters
    ----------
    task : Task
        Vocabulary size, length and classes.
    embedding_dim : int
        Width of the word vectors.
    embedding_dropout, dropout : float
        Dropout after the embedding, and before the logits.
    mask : bool
        Average over the words only; the tutorials average over the padding, too.
    units : int
        Width of the hidden layer (relu); 0 leaves it out.

    Returns
    -------
    keras.Model
        int32 [batch, length] to logits [batch, n_outputs].
    """
    ids = keras.Input((task.columns,), dtype="int32")
    x = keras.layers.Embedding(task.vocabulary_size, embedding_dim, mask_zero=mask)(ids)
    x = keras.layers.Dropout(embedding_dropout)(x) if embedding_dropout else x
    x = MaskedAverage()(x) if mask else keras.layers.GlobalAveragePooling1D()(x)
    x = keras.layers.Dense(units, activation="relu")(x) if units else x
    x = keras.layers.Dropout(dropout)(x) if dropout else x
    return keras.Model(ids, keras.layers.Dense(task.n_outputs)(x))


@keras.saving.register_keras_serializable(package="textbench")
class MaskedAverage(keras.layers.Layer):
    """Average over the steps that are not masked; zeros, not NaN, for a text without words."""

    def call(self, vectors: Any, mask: Any = None) -> Any:
        """Vectors [batch, steps, dim] and mask [batch, steps] to [batch, dim]."""
        weights = keras.ops.cast(mask, vectors.dtype)[:, :, None]
        count = keras.ops.maximum(keras.ops.sum(weights, axis=1), 1)
        return keras.ops.sum(vectors * weights, axis=1) / count

    def compute_mask(self, vectors: Any, mask: Any = None) -> None:
        """Return that no step is left to mask."""
