"""Writing a trained model with its text processing, as files that need no code of ours or of the user's."""

from __future__ import annotations

import copy
import json
import types
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

from benchmark.data.dataset import Dataset
from benchmark.data.text import OOV, STANDARDIZER_VERSION
from benchmark.spec.config import ViewSettings
from benchmark.training.plain import plain_model

_MODEL, _PROGRAM, _PIPELINE, _TEXT = "model.keras", "saved_model", "pipeline.skops", "text.json"
_OURS = "benchmark.models."
_PYTHON = {"PyFunc", "PyFuncStateless", "EagerPyFunc"}


def _write_text_processing(folder: Path, class_names: Sequence[str], **more: Any) -> None:
    """Write what `benchmark.serving.mlflow_model.TextProcessing` reads."""
    text = {"standardizer": STANDARDIZER_VERSION, "class_names": list(class_names), **more}
    (folder / _TEXT).write_text(json.dumps(text, ensure_ascii=False), encoding="utf-8")


def save_servable(folder: Path, model: keras.Model, dataset: Dataset, view: ViewSettings | None) -> None:
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
        more = {"length": length, "view": view.model_dump(), "vocabulary": dataset.vocabulary(view)}
        inputs = tf.TensorSpec([None, length], tf.int32)
    ids = OOV + 1 + len(more.get("vocabulary", ()))
    if view is None or not _save_network(folder / _MODEL, model, ids, more["length"]):
        _save_program(folder / _PROGRAM, model, inputs)
    _write_text_processing(folder, dataset.class_names, **more)


def _save_network(path: Path, model: keras.Model, count: int, length: int) -> bool:
    """Write a network as a Keras file without its optimizer; return whether that gives it back."""
    if not all(_is_known(layer) for layer in model._flatten_layers()):
        return False
    ids = np.random.default_rng(0).integers(0, count, (4, length), dtype=np.int32)
    try:
        plain_model(model).save(path)
        again = keras.saving.load_model(path, compile=False, safe_mode=True)
        if np.allclose(again(ids, training=False), model(ids, training=False), 1e-3, 1e-4, equal_nan=True):
            return True
    except OSError:
        raise
    except Exception:  # whatever Keras and somebody else's code may raise: no file can describe it
        pass
    path.unlink(missing_ok=True)
    return False


def _is_known(layer: Any) -> bool:
    """Whether a layer and the functions that it calls, of which a file has the names, are Keras's or ours."""
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


def save_pipeline(folder: Path, pipeline: Any, class_names: Sequence[str]) -> None:
    """Write a fitted scikit-learn pipeline, which brings its own text processing, without pickle.

    Raises
    ------
    ValueError
        For one with types that are not scikit-learn's, which could not be loaded.
    """
    import skops.io  # with scikit-learn: seconds that networks need not wait

    folder.mkdir(parents=True, exist_ok=True)
    # Word by word, skops takes 600 bytes each: they are kept beside it.
    vectorizers = _vectorizers(pipeline)
    kept = {name: step.vocabulary_ for name, step in vectorizers.items()}
    try:
        for step in vectorizers.values():
            step.vocabulary_ = {}
        # What deepcopy has in its memo takes the place of a part.
        plain = {id(part): part.plain() for part in _parts(pipeline) if hasattr(part, "plain")}
        skops.io.dump(copy.deepcopy(pipeline, plain), folder / _PIPELINE, compression=zipfile.ZIP_DEFLATED)
    finally:
        for name, step in vectorizers.items():
            step.vocabulary_ = kept[name]
    if foreign := skops.io.get_untrusted_types(file=folder / _PIPELINE):
        raise ValueError(f"it holds types that are not to be trusted: {', '.join(foreign)}")
    vocabularies = {name: sorted(words, key=words.__getitem__) for name, words in kept.items()}
    _write_text_processing(folder, class_names, vocabularies=vocabularies)


def _parts(thing: Any) -> Iterator[Any]:
    """Yield an estimator and those in it, fitted ones too."""
    inside = thing if isinstance(thing, list | tuple) else ()
    if hasattr(thing, "get_params"):
        yield thing
        inside = vars(thing).values()
    for part in inside:
        yield from _parts(part)


def _vectorizers(pipeline: Any) -> dict[str, Any]:
    """Return the steps, at any depth, that number words from 0, each once."""
    steps = {id(step): (name, step) for name, step in pipeline.get_params().items()}
    return {name: step for name, step in steps.values() if _are_numbered(getattr(step, "vocabulary_", None))}


def _are_numbered(words: Any) -> bool:
    return (
        isinstance(words, dict)
        and all(isinstance(word, str) for word in words)
        and sorted(words.values()) == list(range(len(words)))
    )
