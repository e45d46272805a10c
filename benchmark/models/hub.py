"""Hub: sentence vectors of a pre-trained TensorFlow Hub module, trained further or not, and a small head.

Source: TensorFlow, "Text classification with TensorFlow Hub: Movie reviews". Module: nnlm-en-dim50, the word
vectors of a neural language model (Bengio et al. 2003), summed over a text and divided by the root of its
length.
"""

from __future__ import annotations

import keras

from benchmark.models.hub_layer import ModuleLayer
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
