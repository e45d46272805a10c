"""LSTM: one recurrent layer over word vectors, its last state classified.

Source: the widely copied notes on sentiment with Keras (50,000 words, length 500, Embedding 128,
LSTM 100 with dropout 0.2 and recurrent dropout 0.2). Layer: Hochreiter and Schmidhuber 1997; dropout
on its states: Gal and Ghahramani 2016.
"""

from __future__ import annotations

import keras

from benchmark.models.task import Task

IGNORES_PADDING = "mask_zero"


def build(
    task: Task,
    *,
    embedding_dim: int = 128,
    units: int = 100,
    dropout: float = 0.2,
    recurrent_dropout: float = 0.2,
    mask_zero: bool = False,
) -> keras.Model:
    """Read the word vectors in order, then classify.

    Parameters
    ----------
    task : Task
        Vocabulary size, length and classes.
    embedding_dim : int
        Width of the word vectors.
    units : int
        Width of the state.
    dropout, recurrent_dropout : float
        Dropout on the inputs and on the state, one mask for all time steps. A recurrent dropout of 0
        lets a GPU use its fused kernel.
    mask_zero : bool
        Ignore padding; as published, it is read like words.

    Returns
    -------
    keras.Model
        int32 [batch, length] to logits [batch, n_outputs].
    """
    ids = keras.Input((task.columns,), dtype="int32")
    x = keras.layers.Embedding(task.vocabulary_size, embedding_dim, mask_zero=mask_zero)(ids)
    x = keras.layers.LSTM(units, dropout=dropout, recurrent_dropout=recurrent_dropout)(x)
    return keras.Model(ids, keras.layers.Dense(task.n_outputs)(x))
