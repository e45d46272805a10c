"""Writing a trained network with its text processing, as files that need no code of ours or of the user's."""

from __future__ import annotations

import json
import types
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

from benchmark.data.dataset import Dataset
from benchmark.data.text import OOV
from benchmark.data.tokens import FORMS_VERSION
from benchmark.models.transformer import AddPositions, places
from benchmark.spec.config import ViewSettings, without_later
from benchmark.training.saving_pipelines import write_text_processing

_MODEL, _PROGRAM = "model.keras", "saved_model"
_OURS = "benchmark.models."
_PYTHON = {"PyFunc", "PyFuncStateless", "EagerPyFunc"}


def save_servable(
    folder: Path,
    model: keras.Model,
    dataset: Dataset,
    view: ViewSettings | None,
    threshold: float | None = None,
) -> None:
    """Write a trained network into a folder.

    Where Keras alone cannot load it again (it has a layer or function of somebody else's, or a `Lambda`), it
    is written as a TensorFlow program, which needs none of the code that made it.

    Parameters
    ----------
    folder : Path
        Made if it is not there.
    model : keras.Model
        The network.
    dataset : Dataset
        Its classes, and the vocabulary of a view.
    view : ViewSettings or None
        How texts become ids, for a network that reads ids; None for one that reads raw texts.
    threshold : float or None
        From which probability on the second of two classes is answered; None for the more probable one.

    Raises
    ------
    ValueError
        For a network that calls Python while it answers.
    """
    folder.mkdir(parents=True, exist_ok=True)
    more: dict[str, Any] = {}
    inputs = tf.TensorSpec([None], tf.string)
    if view is not None:
        length = dataset.length(view)
        kept = without_later(view.model_dump())
        more = {"length": length, "view": kept, "vocabulary": dataset.vocabulary(view)}
        if view.tokens != "words":
            more |= {"standardizer": FORMS_VERSION, "merges": dataset.tokenised(view).merges}
        inputs = tf.TensorSpec([None, length], tf.int32)
    ids = OOV + 1 + len(more.get("vocabulary", ()))
    if view is None or not _save_network(folder / _MODEL, model, ids, more["length"]):
        _save_program(folder / _PROGRAM, model, inputs)
    if libraries := {name for layer in model._flatten_layers() for name in getattr(layer, "libraries", ())}:
        more["libraries"] = sorted(libraries)
    write_text_processing(folder, dataset.class_names, threshold, **more)


def _save_network(path: Path, model: keras.Model, count: int, length: int) -> bool:
    """Write a network as a Keras file without its optimizer; return whether that gives it back."""
    if not all(is_known(layer) for layer in model._flatten_layers()):
        return False
    ids = np.random.default_rng(0).integers(0, count, (4, length), dtype=np.int32)
    try:
        plain_model(model).save(path)
        again = keras.saving.load_model(path, compile=False, safe_mode=True)
        answers = np.asarray(model(ids, training=False))
        # In half precision the same network may round differently each time it is traced.
        half = any(layer.compute_dtype in ("bfloat16", "float16") for layer in model._flatten_layers())
        room = 1e-2 * float(np.abs(answers).max()) if half else 1e-4
        if np.allclose(again(ids, training=False), answers, 1e-3, room, equal_nan=True):
            return True
    except OSError:
        raise
    except Exception:  # whatever Keras and somebody else's code may raise: no file can describe it
        pass
    path.unlink(missing_ok=True)
    return False


def is_known(layer: Any) -> bool:
    """Whether a layer and the functions that it calls are Keras's or ours: it remembers variables alone.

    A file has the names of both; a layer around a TensorFlow program has what Keras does not know.
    """
    if isinstance(layer, keras.layers.TFSMLayer):
        return False
    functions = [value for value in vars(layer).values() if isinstance(value, types.FunctionType)]
    return all(thing.__module__.startswith(("keras.", _OURS)) for thing in (type(layer), *functions))


def _save_program(folder: Path, model: keras.Model, inputs: tf.TensorSpec) -> None:
    """Write a network as a SavedModel, which brings its code, vocabularies and modules along.

    Of a module, Keras's own format would keep the path alone, and its export every weight twice.
    """

    @tf.function(input_signature=[inputs])
    def logits(batch: tf.Tensor) -> tf.Tensor:
        return model(batch, training=False)

    optimizer = getattr(model, "optimizer", None)
    for_training = {id(variable.value) for variable in optimizer.variables} if optimizer else set()
    program = tf.Module()
    program.logits = logits
    program.weights = [variable.value for variable in model.variables]
    program.others = [
        part
        for part in tf.train.TrackableView(model).descendants()
        if isinstance(part, tf.saved_model.experimental.TrackableResource | tf.Variable)
        and id(part) not in for_training
    ]
    with without_cudnn(model):
        tf.saved_model.save(program, str(folder))
    graph = SavedModel.FromString((folder / "saved_model.pb").read_bytes()).meta_graphs[0]
    called = _PYTHON & {operation.name for operation in graph.meta_info_def.stripped_op_list.op}
    if called:
        raise ValueError(f"it calls Python while it answers ({min(called)}); use keras.ops or tf operations")


@contextmanager
def without_cudnn(model: keras.Model) -> Iterator[None]:
    """Let layers be traced for any device: a program for cuDNN would run on GPUs alone."""
    parts = [part for part in tf.train.TrackableView(model).descendants() if hasattr(part, "use_cudnn")]
    before = [part.use_cudnn for part in parts]
    try:
        for part in parts:
            part.use_cudnn = False
        yield
    finally:
        for part, setting in zip(parts, before, strict=True):
            part.use_cudnn = setting


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
        When there is a layer that Keras has not, and that cannot be written in its operations.
    """
    functional = keras.Model(model.inputs[0], model.outputs[0])
    for operation in functional.operations:
        if not isinstance(operation, keras.layers.Layer):  # "add" may also be the name of one to come
            operation.name = f"network_{operation.name}"
    ids = keras.Input(model.inputs[0].shape[1:], dtype="int32", name="ids")
    same = keras.models.clone_model(functional, ids, clone_function=lambda layer: layer, call_function=_call)
    for part in _named_parts(json.loads(same.to_json())):
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


def _named_parts(config: Any) -> Iterator[dict[str, Any]]:
    """Yield every object that a configuration names with the module it is from."""
    if isinstance(config, dict):
        if config.get("module") and "class_name" in config:
            yield config
        for value in config.values():
            yield from _named_parts(value)
    elif isinstance(config, list):
        for value in config:
            yield from _named_parts(value)
