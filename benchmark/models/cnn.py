"""CNN: convolutions of several widths over word vectors, the strongest answer of each filter.

Source: Kim 2014, "Convolutional neural networks for sentence classification" (arXiv 1408.5882), CNN-rand:
100 filters each of width 3, 4 and 5, max over time, dropout 0.5, weights of a class at most 3 long.
"""

from __future__ import annotations

from typing import Any

import keras

from benchmark.models.task import Task

IGNORES_PADDING = "mask_zero"


def build(
    task: Task,
    *,
    embedding_dim: int = 128,
    widths: str = "3,4,5",
    filters: int = 100,
    dropout: float = 0.5,
    max_norm: float = 3.0,
    mask_zero: bool = False,
) -> keras.Model:
    """Look for phrases of a few words anywhere in the text, then classify.

    Parameters
    ----------
    task : Task
        Vocabulary size, length and classes.
    embedding_dim : int
        Width of the word vectors.
    widths : str
        Words under each convolution, separated by commas. Texts may be shorter: they are padded with zeros.
    filters : int
        Filters of each width.
    dropout : float
        Dropout before the logits.
    max_norm : float
        Greatest length of the weights of a logit; 0 sets no limit.
    mask_zero : bool
        Ignore padding; as published, it is read like words.

    Returns
    -------
    keras.Model
        int32 [batch, length] to logits [batch, n_outputs].
    """
    ids = keras.Input((task.columns,), dtype="int32")
    words = keras.layers.Embedding(task.vocabulary_size, embedding_dim)(ids)
    words = ZeroPadding()(words, ids) if mask_zero else words
    found = []
    for width in parse_widths(widths):
        x = keras.layers.Conv1D(filters, width, padding="same", activation="relu")(words)
        x = ZeroPadding()(x, ids) if mask_zero else x
        found.append(keras.layers.GlobalMaxPooling1D()(x))
    x = keras.layers.Concatenate()(found) if len(found) > 1 else found[0]
    x = keras.layers.Dropout(dropout)(x) if dropout else x
    limit = keras.constraints.MaxNorm(max_norm) if max_norm else None
    return keras.Model(ids, keras.layers.Dense(task.n_outputs, kernel_constraint=limit)(x))


def parse_widths(text: str) -> list[int]:
    """Return the whole numbers in a text such as ``"3,4,5"``."""
    parts = [part.strip() for part in str(text).split(",")]
    if not all(part.isascii() and part.isdigit() and int(part) > 0 for part in parts):
        raise ValueError(f"got widths '{text}', expected whole numbers above 0 such as '3,4,5'")
    return [int(part) for part in parts]


@keras.saving.register_keras_serializable(package="textbench")
class ZeroPadding(keras.layers.Layer):
    """Sets vectors [batch, steps, dim] to zero where ids [batch, steps] are padding (0)."""

    def call(self, vectors: Any, ids: Any) -> Any:
        """Multiply them by 0 or 1."""
        return vectors * keras.ops.cast(ids > 0, vectors.dtype)[:, :, None]
