"""Flatten: the word vectors of a few words side by side, one weight for each of their entries.

Source: the Keras notes on learned embeddings (Chollet, "Deep Learning with Python", section 6.1: the
10,000 most frequent words, the last 20 words of a review, Embedding 8, Flatten, one sigmoid).
"""

from __future__ import annotations

import keras

from benchmark.models.task import Task


def build(task: Task, *, embedding_dim: int = 8, units: int = 0, dropout: float = 0.0) -> keras.Model:
    """Lay the word vectors side by side, then classify.

    Parameters
    ----------
    task : Task
        Vocabulary size, length and classes.
    embedding_dim : int
        Width of the word vectors.
    units : int
        Width of a hidden layer (relu); 0, as published, leaves it out.
    dropout : float
        Dropout before the logits.

    Returns
    -------
    keras.Model
        int32 [batch, length] to logits [batch, n_outputs].
    """
    ids = keras.Input((task.sequence_length,), dtype="int32")
    x = keras.layers.Embedding(task.vocabulary_size, embedding_dim)(ids)
    x = keras.layers.Flatten()(x)
    x = keras.layers.Dense(units, activation="relu")(x) if units else x
    x = keras.layers.Dropout(dropout)(x) if dropout else x
    return keras.Model(ids, keras.layers.Dense(task.n_outputs)(x))
