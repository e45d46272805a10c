"""Bidirectional LSTM: recurrent layers that read the word vectors from both ends.

Source: keras.io, "Bidirectional LSTM on IMDB" (20,000 words, length 200, Embedding 128, two layers of 64
each way). Layer: Graves and Schmidhuber 2005.
"""

from __future__ import annotations

import keras

from benchmark.models.task import Task

IGNORES_PADDING = "mask_zero"


def build(
    task: Task,
    *,
    embedding_dim: int = 128,
    units: int = 64,
    layers: int = 2,
    dropout: float = 0.0,
    mask_zero: bool = False,
) -> keras.Model:
    """Read the word vectors in both directions, layer upon layer, then classify.

    Parameters
    ----------
    task : Task
        Vocabulary size, length and classes.
    embedding_dim : int
        Width of the word vectors.
    units : int
        Width of the state of one direction.
    layers : int
        Bidirectional layers, at least 1; the last one gives the final states of both directions.
    dropout : float
        Dropout on each layer's inputs, one mask for all time steps.
    mask_zero : bool
        Ignore padding; as published, it is read like words.

    Returns
    -------
    keras.Model
        int32 [batch, length] to logits [batch, n_outputs].
    """
    if layers < 1:
        raise ValueError(f"got layers {layers}, expected at least 1")
    ids = keras.Input((task.columns,), dtype="int32")
    x = keras.layers.Embedding(task.vocabulary_size, embedding_dim, mask_zero=mask_zero)(ids)
    for number in range(1, layers + 1):
        lstm = keras.layers.LSTM(units, dropout=dropout, return_sequences=number < layers)
        x = keras.layers.Bidirectional(lstm)(x)
    return keras.Model(ids, keras.layers.Dense(task.n_outputs)(x))
