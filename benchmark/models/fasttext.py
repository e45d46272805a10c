"""fastText: the average of learned vectors of words and of pairs of neighbouring words.

Source: Joulin et al. 2016, "Bag of tricks for efficient text classification" (arXiv 1607.01759), whose width
and bigrams the defaults are; length and number of words are those of Keras's example `imdb_fasttext.py`.
"""

from __future__ import annotations

from typing import Any

import keras

from benchmark.models.avg_pool import MaskedAverage
from benchmark.models.task import Task

IGNORES_PADDING = True


def build(
    task: Task, *, embedding_dim: int = 10, buckets: int = 100_000, dropout: float = 0.0
) -> keras.Model:
    """Average the vectors of words and bigrams, padding left out, then classify.

    Parameters
    ----------
    task : Task
        Vocabulary size, length and classes.
    embedding_dim : int
        Width of the vectors.
    buckets : int
        Vectors that all bigrams share, by a hash; 0 leaves bigrams out.
    dropout : float
        Dropout before the logits.

    Returns
    -------
    keras.Model
        int32 [batch, length] to logits [batch, n_outputs].
    """
    ids = keras.Input((task.columns,), dtype="int32")
    x = AppendBigrams(task.vocabulary_size, buckets)(ids) if buckets else ids
    x = keras.layers.Embedding(task.vocabulary_size + buckets, embedding_dim, mask_zero=True)(x)
    x = MaskedAverage()(x)
    x = keras.layers.Dropout(dropout)(x) if dropout else x
    return keras.Model(ids, keras.layers.Dense(task.n_outputs)(x))


@keras.saving.register_keras_serializable(package="textbench")
class AppendBigrams(keras.layers.Layer):
    """Ids [batch, length] to ids [batch, 2 length - 1]: the words, then their bigrams.

    A bigram gets one of `buckets` ids from `first` on, or 0 where one of its words is padding (0).
    """

    def __init__(self, first: int, buckets: int, **options: Any) -> None:
        super().__init__(**options)
        self.first, self.buckets = first, buckets

    def call(self, ids: Any) -> Any:
        """Hash each pair of neighbours, after Carter and Wegman 1979, modulo the prime 2^31 - 1."""
        words = keras.ops.cast(ids, "int64")  # products of ids and factors do not fit into 32 bits
        left, right = words[:, :-1], words[:, 1:]
        key = keras.ops.mod(left * 1_540_483_477 + right * 461_845_907, 2_147_483_647)
        bigram = self.first + keras.ops.mod(key, self.buckets)
        bigram = keras.ops.where(keras.ops.logical_and(left > 0, right > 0), bigram, 0)
        return keras.ops.concatenate([ids, keras.ops.cast(bigram, "int32")], axis=1)

    def get_config(self) -> dict[str, Any]:
        """Return what makes the layer again."""
        return {**super().get_config(), "first": self.first, "buckets": self.buckets}
