"""GloVe: word vectors from a file, frozen, laid side by side, and a small classifier.

Source: the Keras notes on pre-trained word vectors (Chollet, "Deep Learning with Python", section 6.1.3:
the 10,000 most frequent words, 100 words of a review, GloVe vectors of 100, Flatten, Dense 32).

A word that the file lacks has a vector of zeros, as there.
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from benchmark.models.task import Task
from benchmark.support.errors import did_you_mean
from benchmark.vectors.text_files import read_vectors

RESOURCES = {"vectors": "benchmark.vectors.text_files:identify"}
PREPARE = "benchmark.vectors.text_files:report_coverage"


def build(
    task: Task,
    *,
    vectors: str = "glove.6B.100d.txt",
    trainable: bool = False,
    pooling: str = "flatten",
    units: int = 32,
    dropout: float = 0.0,
) -> keras.Model:
    """Look the words up in the file's vectors, then classify.

    Parameters
    ----------
    task : Task
        Vocabulary with its words, length and classes; gets the ``vector_coverage``, the share of the
        vocabulary's words that have a vector.
    vectors : str
        File of word vectors, see `benchmark.vectors.text_files.find`.
    trainable : bool
        Train the vectors, too.
    pooling : {"flatten", "average"}
        Lay the vectors side by side, or average them, padding (zeros) included.
    units : int
        Width of the hidden layer (relu); 0 leaves it out.
    dropout : float
        Dropout before the logits.

    Returns
    -------
    keras.Model
        int32 [batch, length] to logits [batch, n_outputs].

    Raises
    ------
    ValueError
        When no token has a vector, as with vectors of words and tokens that are characters.
    """
    table = _table(task, vectors)
    ids = keras.Input((task.sequence_length,), dtype="int32")
    embedding = keras.layers.Embedding(task.vocabulary_size, table.shape[1], trainable=trainable)
    x = _pooling(pooling)(embedding(ids))
    x = keras.layers.Dense(units, activation="relu")(x) if units else x
    x = keras.layers.Dropout(dropout)(x) if dropout else x
    model = keras.Model(ids, keras.layers.Dense(task.n_outputs)(x))
    embedding.set_weights([table])  # not an initialiser: that would be stored as part of the layer
    return model


def _table(task: Task, vectors: str) -> np.ndarray:
    """Return the vectors by id, float32 [vocabulary_size, dim]; zeros for padding and unknown words."""
    own, found = read_vectors(vectors, task.vocabulary)
    task.report("vector_coverage", float(found.mean()) if len(found) else 0.0)
    if task.vocabulary and not found.any():
        raise ValueError(
            f"none of the {len(found):,} tokens, as '{task.vocabulary[0]}', has a vector in {vectors}; "
            "expected vectors of the same language and tokens"
        )
    table = np.zeros((task.vocabulary_size, own.shape[1]), dtype=np.float32)
    table[2 : 2 + len(own)] = own
    return table


def _pooling(name: str) -> Any:
    layers = {"flatten": keras.layers.Flatten, "average": keras.layers.GlobalAveragePooling1D}
    if name not in layers:
        raise ValueError(f"got pooling '{name}'; {did_you_mean(name, layers)}")
    return layers[name]()
