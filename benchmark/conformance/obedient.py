"""A tiny model that does what it is told: it trains, raises, or diverges. For the checks of engines."""

from __future__ import annotations

import keras

from benchmark.models.task import Task


def build(task: Task, *, do: str = "train") -> keras.Model:
    """Average two numbers a word, or go wrong as planned.

    Parameters
    ----------
    task : Task
        Vocabulary size, length and classes.
    do : {"train", "raise", "diverge"}
        What becomes of a run.
    """
    if do == "raise":
        raise RuntimeError("planted")
    bias = keras.initializers.Constant(float("nan") if do == "diverge" else 0.0)
    ids = keras.Input((task.columns,), dtype="int32")
    x = keras.layers.GlobalAveragePooling1D()(keras.layers.Embedding(task.vocabulary_size, 2)(ids))
    return keras.Model(ids, keras.layers.Dense(task.n_outputs, bias_initializer=bias)(x))
