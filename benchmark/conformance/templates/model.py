"""Word vectors, a hidden layer, logits: a template to start a model of your own from.

Source: say where the architecture comes from.
"""

from __future__ import annotations

import keras

from benchmark.models.task import Task


def build(task: Task, *, embedding_dim: int = 32, units: int = 16, dropout: float = 0.0) -> keras.Model:
    """Average the word vectors, then classify.

    Parameters
    ----------
    task : Task
        Vocabulary size, length and classes.
    embedding_dim : int
        Width of the word vectors.
    units : int
        Width of the hidden layer.
    dropout : float
        Dropout before the logits.

    Returns
    -------
    keras.Model
        int32 [batch, length] to logits [batch, n_outputs].
    """
    ids = keras.Input((task.columns,), dtype="int32")
    x = keras.layers.Embedding(task.vocabulary_size, embedding_dim)(ids)
    x = keras.layers.GlobalAveragePooling1D()(x)
    x = keras.layers.Dense(units, activation="relu")(x)
    x = keras.layers.Dropout(dropout)(x) if dropout else x
    return keras.Model(ids, keras.layers.Dense(task.n_outputs)(x))
