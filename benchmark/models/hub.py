"""Hub: sentence vectors of a pre-trained TensorFlow Hub module, trained further or not, and a small head.

Source: TensorFlow, "Text classification with TensorFlow Hub: Movie reviews". Module: nnlm-en-dim50, the word
vectors of a neural language model (Bengio et al. 2003), summed over a text and divided by the root of its
length.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from benchmark.models.task import Task
from benchmark.vectors.hub_modules import find

INPUT = "strings"
RESOURCES = {"handle": "benchmark.vectors.hub_modules:identify"}


def build(
    task: Task,
    *,
    handle: str = "https://tfhub.dev/google/nnlm-en-dim50/2",
    trainable: bool = True,
    units: int = 16,
    dropout: float = 0.0,
) -> keras.Model:
    """Turn each text into the module's vector, then classify.

    Parameters
    ----------
    task : Task
        Classes.
    handle : str
        Address of the module, or a folder that holds it.
    trainable : bool
        Whether the module is trained along with the head.
    units : int
        Width of the hidden layer (relu); 0 leaves it out.
    dropout : float
        Dropout before the logits.

    Returns
    -------
    keras.Model
        Raw texts, string [batch], to logits [batch, n_outputs].
    """
    texts = keras.Input((), dtype="string")
    x = ModuleLayer(find(handle), trainable=trainable)(texts)
    x = keras.layers.Dense(units, activation="relu")(x) if units else x
    x = keras.layers.Dropout(dropout)(x) if dropout else x
    return keras.Model(texts, keras.layers.Dense(task.n_outputs)(x))


class ModuleLayer(keras.layers.Layer):
    """Raw texts to vectors, by a module whose weights are the layer's.

    Every layer reads the module again, so that two of them never share weights.

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
