"""Networks with code of somebody else, which is not there where a stored model is loaded."""

import keras
import tensorflow as tf

L = keras.layers


class Pool(L.Layer):
    """A layer with weights inside another, and without a configuration."""

    def __init__(self, scale):
        super().__init__()
        self.scale, self.score = scale, [L.Dense(1)]

    def call(self, x):
        weights = keras.ops.softmax(self.score[0](x) * self.scale, axis=1)
        return keras.ops.sum(weights * x, axis=1)


@keras.saving.register_keras_serializable(package="mine")
class Registered(L.Layer):
    def call(self, x):
        return keras.ops.max(x, axis=1)


class GlobalMaxPooling1D(L.Layer):
    """A name that Keras has, too."""

    def call(self, x):
        return keras.ops.min(x, axis=1)


class Untracked(L.Layer):
    """A variable that is TensorFlow's."""

    def build(self, shape):
        self.factor = tf.Variable(tf.fill((shape[-1],), 2.0))

    def call(self, x):
        return tf.reduce_sum(x * self.factor, axis=1)


class Whole(keras.Model):
    def __init__(self):
        super().__init__()
        self.parts = [L.Embedding(20, 4), Pool(2.0), L.Dense(1)]

    def call(self, x):
        for part in self.parts:
            x = part(x)
        return x


class Calling(L.Layer):
    """Calls Python, which no file can hold."""

    def call(self, x):
        return tf.ensure_shape(tf.numpy_function(lambda x: x.mean(axis=1), [x], tf.float32), (None, 4))


def gelu(x):
    """A function that Keras has under this name, and which does something different."""
    return 2.0 * x + 1.0


class Tenth(keras.initializers.Initializer):
    def __call__(self, shape, dtype=None):
        return keras.ops.full(shape, 0.1, dtype)


def network(middle):
    """Return ids [n, 8] to logits [n, 1], with what turns vectors [n, 8, 4] into one a text."""
    ids = keras.Input((8,), dtype="int32")
    return keras.Model(ids, L.Dense(1)(middle(L.Embedding(20, 4)(ids))))


def nested():
    x = keras.Input((8, 4))
    return network(keras.Model(x, Pool(2.0)(x)))


def whole():
    model = Whole()
    model(tf.zeros((1, 8), tf.int32))
    return model


CUSTOM = {
    "layer": lambda: network(Pool(2.0)),
    "registered": lambda: network(Registered()),
    "known name": lambda: network(GlobalMaxPooling1D()),
    "variable": lambda: network(Untracked()),
    "lambda": lambda: network(L.Lambda(lambda x: 3.0 * x[:, 0], output_shape=(4,))),
    "activation": lambda: network(lambda x: L.Dense(4, activation=gelu)(x[:, 0])),
    "initializer": lambda: network(lambda x: L.Dense(4, kernel_initializer=Tenth())(x[:, 0])),
    "nested": nested,
    "whole": whole,
}
PLAIN = {
    "plain": lambda: network(L.GlobalMaxPooling1D()),
    "two ways": lambda: network(L.Bidirectional(L.LSTM(2))),
}
