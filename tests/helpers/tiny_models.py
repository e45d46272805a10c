"""The smallest models that a sweep takes, as files of a user's."""

NETWORK = '''
"""Max pooling over few word vectors."""
import keras


def build(task, *, embedding_dim: int = 4, units: int = 0):
    """Pool."""
    ids = keras.Input((task.sequence_length,), dtype="int32")
    x = keras.layers.Embedding(task.vocabulary_size, embedding_dim)(ids)
    x = keras.layers.GlobalMaxPooling1D()(x)
    return keras.Model(ids, keras.layers.Dense(task.n_outputs)(x))
'''

# A network that reads raw texts, and a file that must be there.
READER = '''
"""Reads a file of numbers."""
from pathlib import Path
import hashlib
import keras
from benchmark.spec.config import Resource
from benchmark.support.errors import UserError

INPUT = "strings"
RESOURCES = {"numbers": __RESOURCE__}


def identify(value):
    if not Path(value).is_file():
        raise UserError(f"there is no file {value}; bring one")
    content = Path(value).read_text()
    kind, _, dataset = content.partition(" ")
    digest = hashlib.sha256(content.encode()).hexdigest()[:32]
    return Resource(digest=digest, protocol=kind, dataset=dataset or None)


@keras.saving.register_keras_serializable(package="tests")
class Length(keras.layers.Layer):
    def call(self, texts):
        import tensorflow as tf

        return tf.one_hot(tf.strings.length(texts) % 16, 16)

    def compute_output_shape(self, shape):
        return (*shape, 16)


def build(task, *, numbers: str = "numbers.txt", units: int = 4):
    task.report("numbers", float(len(Path(numbers).read_text())))
    texts = keras.Input((), dtype="string")
    x = keras.layers.Dense(units)(Length()(texts))
    return keras.Model(texts, keras.layers.Dense(task.n_outputs)(x))
'''
