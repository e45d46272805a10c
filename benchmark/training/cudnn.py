"""Recurrent layers that Keras leaves to cuDNN on a GPU, and the cases in which it must not."""

from __future__ import annotations

from functools import cache
from typing import Any

import keras
import tensorflow as tf
from numpy.typing import NDArray

from benchmark.data.text import PAD
from benchmark.spec.config import Precision, Side
from benchmark.support.tensorflow_setup import quiet_stderr


def cudnn_layers(model: keras.Model) -> list[Any]:
    """Return the layers, also those within others, that Keras leaves to cuDNN; none without a GPU.

    Keras says of a layer whose settings cuDNN knows that XLA cannot compile it (``supports_jit``).
    """
    if not tf.config.list_logical_devices("GPU"):
        return []
    layers = model._flatten_layers(include_self=False)
    return [
        layer
        for layer in layers
        if getattr(layer, "use_cudnn", False) and not (layer.supports_jit or layer.recurrent_dropout)
    ]


def masks_padding(model: keras.Model) -> bool:
    """Whether recurrent layers are told what is padding."""
    layers = model._flatten_layers(include_self=False)
    return any(
        getattr(layer, "mask_zero", False) or isinstance(layer, keras.layers.Masking) for layer in layers
    )


def limit_cudnn(
    model: keras.Model, x: NDArray[Any], side: Side | None, precision: Precision, *, xla: bool = False
) -> None:
    """Let Keras compute recurrent layers itself where cuDNN would fail.

    cuDNN is told how long texts are, so masked padding has to stand behind, and no text may be empty; an
    error would come with the first such batch (`keras.src.backend.tensorflow.rnn._assert_valid_mask`).
    XLA cannot compile it. In some precisions it may not work at all.

    Parameters
    ----------
    model : keras.Model
        Not trained yet; it is changed.
    x : ndarray, int32 [n, length] or object [n]
        Training inputs.
    side : {"pre", "post"} or None
        Where ids are padded; None for raw texts.
    precision : {"float32", "bfloat16", "float16"}
        What the model computes in.
    xla : bool
        Whether XLA will compile it.
    """
    layers = cudnn_layers(model)
    if not layers:
        return
    unfit = masks_padding(model) and not (side == "post" and bool((x[:, 0] != PAD).all()))
    if xla or unfit or not trains_by_cudnn(precision):
        for layer in layers:
            layer.use_cudnn = False


@cache
def trains_by_cudnn(precision: Precision) -> bool:
    """Whether cuDNN trains an LSTM in a precision here: one of 8 units is tried, once a process."""
    layer = keras.layers.LSTM(
        8,
        kernel_initializer="zeros",  # which draw nothing from Keras's random numbers
        recurrent_initializer="zeros",
        use_cudnn=True,
        dtype=precision if precision == "float32" else f"mixed_{precision}",
        name="cudnn_trial",
    )
    try:
        with quiet_stderr(), tf.GradientTape() as tape:
            total = tf.reduce_sum(layer(tf.zeros((2, 3, 4)), training=True))
        return all(one is not None for one in tape.gradient(total, layer.trainable_variables))
    except Exception:
        return False
