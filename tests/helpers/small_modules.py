"""Small TensorFlow 2 modules of the form of TensorFlow Hub's nnlm-en-dim50, written by a test."""

from pathlib import Path

import numpy as np


def write_module(folder, words, *, dim=8, seed=0, trainable=True, shapes_known=True):
    """Write a module that adds up the words' random vectors and divides by the root of their number.

    All unknown words share the vector behind the others. It also has a weight that is not to be trained,
    as modules with normalisation have. Where the shapes are not known, its signature does not tell them.
    """
    import tensorflow as tf

    unknown = tf.TensorShape(None)

    class Sentences(tf.Module):
        def __init__(self, vocabulary):
            super().__init__()
            self.vocabulary = tf.saved_model.Asset(str(vocabulary))
            whole, number = tf.lookup.TextFileIndex.WHOLE_LINE, tf.lookup.TextFileIndex.LINE_NUMBER
            lines = tf.lookup.TextFileInitializer(self.vocabulary, tf.string, whole, tf.int64, number)
            self.table = tf.lookup.StaticVocabularyTable(lines, num_oov_buckets=1)
            vectors = np.random.default_rng(seed).normal(size=(len(words) + 1, dim)).astype(np.float32)
            self.embeddings = tf.Variable(vectors, name="part/embeddings", trainable=trainable)
            self.scale = tf.Variable(1, trainable=False)

        @tf.function(input_signature=[tf.TensorSpec([None] if shapes_known else unknown, tf.string)])
        def __call__(self, sentences):
            words = tf.strings.split(tf.reshape(sentences, [-1])).to_sparse()
            words = tf.sparse.reset_shape(tf.sparse.fill_empty_rows(words, "")[0])
            ids = tf.SparseTensor(words.indices, self.table.lookup(words.values), words.dense_shape)
            vectors = tf.nn.safe_embedding_lookup_sparse(self.embeddings, ids, combiner="sqrtn")
            vectors *= tf.cast(self.scale, tf.float32)
            return (
                vectors if shapes_known else tf.raw_ops.PlaceholderWithDefault(input=vectors, shape=unknown)
            )

    folder = Path(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    vocabulary = folder.with_name(f"{folder.name}-words.txt")
    vocabulary.write_text("".join(f"{word}\n" for word in words), encoding="utf-8")
    tf.saved_model.save(Sentences(vocabulary), str(folder))
    vocabulary.unlink()  # the module has its own copy
    return folder
