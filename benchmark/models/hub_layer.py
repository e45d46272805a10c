"""A saved TensorFlow 2 module as a layer of Keras 3 (TensorFlow Hub's own layer is one of Keras 2)."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf


class ModuleLayer(keras.layers.Layer):
    """Raw texts to vectors, by a module whose weights are the layer's own.

    Every layer reads the module anew, so that two of them never share weights.

    Parameters
    ----------
    folder : Path
        A SavedModel whose call takes texts, string [batch], and gives vectors, float32 [batch, dim].
    trainable : bool
        Whether the module's trainable weights are trained along.
    """

    def __init__(self, folder: Path, *, trainable: bool = True, **options: Any) -> None:
        super().__init__(trainable=trainable, **options)
        self._module = tf.saved_model.load(str(folder))
        used = {id(v): v for function in self._module.__call__.concrete_functions for v in function.variables}
        # A Keras variable around a TensorFlow variable holds no copy: what Keras trains, the module uses.
        self._module_weights = [
            keras.Variable(
                weight,
                dtype=weight.dtype.name,
                trainable=trainable and weight.trainable,
                # Names such as "embeddings:0" make Keras's optimizers fail.
                name=re.sub(r"\W+", "_", weight.name.partition(":")[0]),
            )
            for weight in used.values()
        ]
        self._dim = int(self._module(tf.constant([""])).shape[-1])

    def call(self, texts: Any) -> Any:
        """Texts, string [batch], to vectors, float32 [batch, dim]."""
        return keras.ops.reshape(self._module(texts), (-1, self._dim))
