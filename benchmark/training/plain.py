"""The same network made of nothing but Keras's own layers and operations."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import keras

from benchmark.models.transformer import AddPositions, places


class NotPlain(Exception):
    """A network has a part that Keras alone does not have; the message is one line that names it."""


def plain_model(model: keras.Model) -> keras.Model:
    """Return a network that can be stored and loaded by Keras alone.

    Layers of ours that have no weights are written in `keras.ops`: their operations take their place.
    Weights are shared with the given network.

    Parameters
    ----------
    model : keras.Model
        Functional or sequential; int32 [n, length] to logits [n, 1] or [n, classes].

    Returns
    -------
    keras.Model
        From the same ids to the same logits.

    Raises
    ------
    NotPlain
        When there is a layer that Keras has not, nor can be told in its operations.
    """
    functional = keras.Model(model.inputs[0], model.outputs[0])
    for operation in functional.operations:
        if not isinstance(operation, keras.layers.Layer):  # "add" may also be the name of one to come
            operation.name = f"network_{operation.name}"
    ids = keras.Input(model.inputs[0].shape[1:], dtype="int32", name="ids")
    same = keras.models.clone_model(functional, ids, clone_function=lambda layer: layer, call_function=_call)
    for part in _parts(json.loads(same.to_json())):
        if part["module"].partition(".")[0] != "keras":
            name = part["config"] if part["class_name"] == "function" else part["class_name"]
            raise NotPlain(f"it uses '{name}', which is not Keras's own")
    return same


def _call(layer: Any, *inputs: Any, **options: Any) -> Any:
    """Call a layer, or, where it is not Keras's own, do in operations what it does."""
    if type(layer).__module__.startswith("keras."):
        return layer(*inputs, **options)
    if isinstance(layer, AddPositions):
        return _add_positions(layer, *inputs)
    if layer.weights:
        raise NotPlain(f"the layer '{type(layer).__name__}' is not Keras's own and has weights")
    try:
        return layer.call(*inputs, **options)
    except ValueError as error:
        raise NotPlain(f"the layer '{type(layer).__name__}' is not written in keras.ops") from error


def _add_positions(layer: AddPositions, x: Any, words: Any = None) -> Any:
    steps, width = layer.positions.shape
    counted = keras.ops.ones_like(x[:, :, 0], dtype="int32") if words is None else words
    embedding = keras.layers.Embedding(steps, width, name=f"{layer.name}_vectors")
    result = x + embedding(places(counted))
    embedding.set_weights([layer.positions])
    return result


def _parts(config: Any) -> Iterator[dict[str, Any]]:
    """Yield every object that a configuration names with the module it is from."""
    if isinstance(config, dict):
        if config.get("module") and "class_name" in config:
            yield config
        for value in config.values():
            yield from _parts(value)
    elif isinstance(config, list):
        for value in config:
            yield from _parts(value)
