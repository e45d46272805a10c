"""Recurrent layers in NumPy: what Keras's LSTM and GRU compute in training on a CPU, outside TensorFlow.

A time step of a recurrent layer is some dozens of small operations, which cost a graph more to dispatch than
to compute. NumPy does with fewer (`benchmark.training.recurrent_numpy`), in one call from the graph. Rows of
a batch do not depend on each other, so threads share them; NumPy lets them run side by side.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from threadpoolctl import threadpool_limits

from benchmark.support.errors import UserError
from benchmark.training.devices import threads
from benchmark.training.recurrent_numpy import Array, Gru, Lstm, Rows, flush_denormals

_CELLS: dict[type, type[Rows]] = {keras.layers.LSTM: Lstm, keras.layers.GRU: Gru}
_ROWS = 32  # of a batch that are computed together: fixed, so that the number of threads changes no sum


def recurrent_layers(model: keras.Model) -> list[keras.layers.RNN]:
    """Return the layers of a model, also those within others, that can be computed here.

    They are LSTM and GRU with their usual activations and biases, in float32, with no state kept or
    returned; a GRU that resets after its product, as is the default.

    Raises
    ------
    UserError
        When there is none, or a GPU, which is better at it.
    """
    found = [layer for layer in model._flatten_layers(include_self=False) if _is_known(layer)]
    if not found or tf.config.get_visible_devices("GPU"):
        raise UserError(
            "`compile` numpy: the model has no LSTM or GRU that NumPy trains (on a CPU, in float32, with the "
            "usual activations); expected auto, fit, graph or xla"
        )
    return found


def _is_known(layer: Any) -> bool:
    if type(layer) not in _CELLS or layer.stateful or layer.return_state or layer.compute_dtype != "float32":
        return False
    cell = layer.cell
    return (
        cell.activation is keras.activations.tanh
        and cell.recurrent_activation is keras.activations.sigmoid
        and cell.use_bias
        and getattr(cell, "reset_after", True)
        and max(cell.dropout, cell.recurrent_dropout) < 1
    )


@contextmanager
def in_numpy(layers: list[keras.layers.RNN]) -> Iterator[None]:
    """Let layers train in NumPy where they are traced, and their functions run, meanwhile.

    Dropout draws the masks that Keras would draw. Outside, and where a layer predicts, it is Keras's.
    """
    for layer in layers:
        layer.call = _replaced(layer)
    try:
        with threadpool_limits(1, "blas"):  # its threads would fight with ours
            yield
    finally:
        for layer in layers:
            del layer.call


def _replaced(layer: keras.layers.RNN) -> Callable[..., Any]:
    """Return what stands for a layer's `call`."""
    original = layer.call

    def call(sequences: Any, initial_state: Any = None, mask: Any = None, training: Any = False) -> Any:
        if not training or initial_state is not None:
            return original(sequences, initial_state=initial_state, mask=mask, training=training)
        cell = layer.cell
        layer._maybe_config_dropout_masks(
            cell, sequences[:, 0], layer.get_initial_state(tf.shape(sequences)[0])
        )
        dropped = [_stacked(found) for found in (cell._dropout_mask, cell._recurrent_dropout_mask)]
        layer._maybe_reset_dropout_masks(cell)
        if layer.go_backwards:
            sequences = tf.reverse(sequences, [1])
            mask = None if mask is None else tf.reverse(mask, [1])
        weights = [tf.convert_to_tensor(weight) for weight in (cell.kernel, cell.recurrent_kernel, cell.bias)]
        output = _layer(_CELLS[type(layer)], layer.return_sequences, sequences, weights, [*dropped, mask])
        if layer.return_sequences and layer.zero_output_for_mask and mask is not None:
            output *= tf.cast(mask, tf.float32)[:, :, None]
        output.set_shape(layer.compute_output_shape(sequences.shape))
        return output

    return call


def _stacked(mask: Any) -> tf.Tensor | None:
    """Return a mask of each gate, or one for all, as [batch, gates or 1, n]."""
    return None if mask is None else tf.stack(mask if isinstance(mask, list) else [mask], axis=1)


def _layer(
    cell: type[Rows], sequences: bool, x: tf.Tensor, weights: list[tf.Tensor], masks: list[tf.Tensor | None]
) -> tf.Tensor:
    """Compute a layer's outputs, [batch, time, units] or the last ones, with its gradient.

    What the way back needs stays here, and its memory for the next step: fresh memory of this size costs
    more time than some of the operations.
    """
    kept: list[Rows] = []
    given = [mask for mask in masks if mask is not None]

    def pieces(x: Array, *arrays: Array) -> list[tuple[slice, Rows]]:
        places = [slice(start, start + _ROWS) for start in range(0, len(x), _ROWS)]
        kept.extend(cell() for _ in places[len(kept) :])
        left = iter(arrays[3:])
        all_masks = [None if mask is None else next(left) for mask in masks]
        for rows, place in zip(kept, places, strict=False):
            rows.take(x[place], arrays[:3], *(None if mask is None else mask[place] for mask in all_masks))
        return list(zip(places, kept, strict=False))

    def forwards(*arrays: Array) -> Array:
        outputs = _threads().map(lambda piece: piece[1].forwards(sequences), pieces(*arrays))
        return np.concatenate(list(outputs))

    def backwards(gradient: Array, *arrays: Array) -> list[Array]:
        inputs = np.empty_like(arrays[0])

        def back(piece: tuple[slice, Rows]) -> tuple[Array, ...]:
            place, rows = piece
            return rows.backwards(gradient[place], sequences, inputs[place])

        found = list(_threads().map(back, pieces(*arrays)))
        with np.errstate(all="ignore"):
            return [inputs, *(np.sum(one, axis=0) for one in zip(*found, strict=True))]

    @tf.custom_gradient
    def computed(x: tf.Tensor, *weights: tf.Tensor) -> tuple[tf.Tensor, Callable[..., list[tf.Tensor]]]:
        def gradients(gradient: tf.Tensor) -> list[tf.Tensor]:
            found = tf.numpy_function(backwards, [gradient, x, *weights, *given], [tf.float32] * 4)
            for one, of in zip(found, (x, *weights), strict=True):
                one.set_shape(of.shape)
            return list(found)

        return tf.numpy_function(forwards, [x, *weights, *given], tf.float32), gradients

    return computed(x, *weights)


def _prepare_thread() -> None:
    np.seterr(all="ignore")  # a run that diverges is found by its loss, as elsewhere
    flush_denormals()


@cache
def _threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads(), "recurrent", initializer=_prepare_thread)
