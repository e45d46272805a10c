"""Word vectors as a module for TensorFlow Hub: raw texts in, one vector a text out, trainable."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmark.support.tensorflow_setup import quiet_stderr, quiet_tensorflow

OOV_BUCKETS = 100
"""Vectors, zeros at first, that all words without one share by a hash."""


def write_module(folder: Path, words: Sequence[str], vectors: NDArray[np.float32]) -> None:
    """Write a module of the form of ``nnlm-en-dim50/2``.

    The module takes strings [n] and gives float32 [n, dim]: the vectors of a text's words, added and
    divided by the square root of their number, zeros for a text without words. Words are cut as
    `benchmark.data.text.tokenize` cuts them. Its one variable, the table of vectors, can be trained.

    Parameters
    ----------
    folder : Path
        Where the SavedModel is written.
    words : sequence of str
        Words, without white space.
    vectors : ndarray of float32, shape [words, dim]
        Theirs.
    """
    quiet_tensorflow()
    import tensorflow as tf

    from benchmark.data.text_ops import split_words

    table = np.concatenate([vectors, np.zeros((OOV_BUCKETS, vectors.shape[1]), dtype=np.float32)])
    with TemporaryDirectory() as scratch, quiet_stderr():
        vocabulary = Path(scratch, "vocabulary.txt")
        vocabulary.write_text("\n".join(words) + "\n", encoding="utf-8", newline="\n")
        module = tf.train.Checkpoint()
        module.embeddings = tf.Variable(table, name="embeddings")
        module.variables = [module.embeddings]  # these three names are TensorFlow Hub's interface
        module.trainable_variables = [module.embeddings]
        module.regularization_losses = []
        lookup = _whole_lines(tf, vocabulary)
        module.lookup = lookup

        def embed(texts: Any) -> Any:
            ids = lookup.lookup(split_words(texts).to_sparse())
            return tf.nn.safe_embedding_lookup_sparse(module.embeddings, ids, combiner="sqrtn")

        signature = [tf.TensorSpec([None], tf.string)]
        module.__call__ = tf.function(embed, input_signature=signature)
        tf.saved_model.save(module, folder)


def _whole_lines(tf: Any, path: Path) -> Any:
    """Return a table from the lines of a file to their numbers; the file becomes an asset."""
    lines = tf.lookup.TextFileInitializer(
        str(path),
        key_dtype=tf.string,
        key_index=tf.lookup.TextFileIndex.WHOLE_LINE,
        value_dtype=tf.int64,
        value_index=tf.lookup.TextFileIndex.LINE_NUMBER,
    )
    # Anonymous: a named table would be shared by all modules of a process whose file had the same path.
    return tf.lookup.StaticVocabularyTable(lines, OOV_BUCKETS, experimental_is_anonymous=True)
