"""Transformer: word vectors that look at one another through attention, then averaged.

Source: keras.io, "Text classification with Transformer" (20,000 words, length 200, token and position
vectors of 32, one encoder block with 2 heads and 32 units, dropout 0.1, hidden layer of 20). Block:
Vaswani et al. 2017.
"""

from __future__ import annotations

from typing import Any

import keras

from benchmark.models.avg_pool import MaskedAverage
from benchmark.models.task import Task

IGNORES_PADDING = "mask_zero"


def build(
    task: Task,
    *,
    embedding_dim: int = 32,
    heads: int = 2,
    ff_units: int = 32,
    blocks: int = 1,
    units: int = 20,
    dropout: float = 0.1,
    mask_zero: bool = False,
) -> keras.Model:
    """Encode the word vectors with their positions, average, then classify.

    Parameters
    ----------
    task : Task
        Vocabulary size, length and classes.
    embedding_dim : int
        Width of the word vectors, and of every head (as in the source, not divided among them).
    heads : int
        Attention heads of a block.
    ff_units : int
        Hidden units of a block's feed-forward part (relu).
    blocks : int
        Encoder blocks, one after another.
    units : int
        Width of the hidden layer after the average (relu); 0 leaves it out, with its dropout.
    dropout : float
        Dropout after attention, feed-forward part, average and hidden layer.
    mask_zero : bool
        Ignore padding, positions included; as published, it is read like words.

    Returns
    -------
    keras.Model
        int32 [batch, length] to logits [batch, n_outputs].
    """
    ids = keras.Input((task.columns,), dtype="int32")
    x = keras.layers.Embedding(task.vocabulary_size, embedding_dim)(ids)
    words = ids > 0 if mask_zero else None
    x = AddPositions(task.sequence_length)(x, words)
    for _ in range(blocks):
        x = _encoder_block(x, words, heads, ff_units, dropout)
    x = MaskedAverage()(x, mask=words) if mask_zero else keras.layers.GlobalAveragePooling1D()(x)
    x = keras.layers.Dropout(dropout)(x)
    if units:
        x = keras.layers.Dense(units, activation="relu")(x)
        x = keras.layers.Dropout(dropout)(x)
    return keras.Model(ids, keras.layers.Dense(task.n_outputs)(x))


def _encoder_block(x: Any, words: Any, heads: int, ff_units: int, dropout: float) -> Any:
    width = x.shape[-1]
    visible = None if words is None else words[:, None, :]
    seen = keras.layers.MultiHeadAttention(heads, key_dim=width)(x, x, attention_mask=visible)
    x = keras.layers.LayerNormalization(epsilon=1e-6)(x + keras.layers.Dropout(dropout)(seen))
    changed = keras.layers.Dense(width)(keras.layers.Dense(ff_units, activation="relu")(x))
    return keras.layers.LayerNormalization(epsilon=1e-6)(x + keras.layers.Dropout(dropout)(changed))


@keras.saving.register_keras_serializable(package="textbench")
class AddPositions(keras.layers.Layer):
    """Adds a learned vector for each position to vectors [batch, steps, dim].

    Parameters
    ----------
    steps : int, optional
        Positions that there are; as many as the vectors' steps where it is left out.
    """

    def __init__(self, steps: int | None = None, **options: Any) -> None:
        super().__init__(**options)
        self.steps = steps

    def build(
        self, x_shape: tuple[int | None, ...], words_shape: tuple[int | None, ...] | None = None
    ) -> None:
        """Make one vector a step."""
        shape = (self.steps or x_shape[1], x_shape[-1])
        self.positions = self.add_weight(shape=shape, initializer="uniform", name="positions")

    def call(self, x: Any, words: Any = None) -> Any:
        """Add them; given where words are (bool [batch, steps]), words alone are counted."""
        return x + (
            self.positions if words is None else keras.ops.take(self.positions, places(words), axis=0)
        )

    def get_config(self) -> dict[str, Any]:
        """Return what makes the layer again."""
        return {**super().get_config(), "steps": self.steps}


def places(words: Any) -> Any:
    """Return each word's number among the words of its text, int32 [batch, steps], from 0."""
    return keras.ops.maximum(keras.ops.cumsum(keras.ops.cast(words, "int32"), axis=1) - 1, 0)
