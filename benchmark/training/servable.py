"""A trained model with its text processing: raw texts in, probabilities out."""

from __future__ import annotations

import importlib
import json
import types
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from pydantic import BaseModel, ValidationError
from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

from benchmark.config import ViewSettings
from benchmark.data.dataset import OOV, Dataset, cut
from benchmark.data.text import STANDARDIZER_VERSION, tokenize
from benchmark.errors import UserError
from benchmark.training.epochs import make_predict
from benchmark.training.estimators import log_probabilities
from benchmark.training.scores import probabilities

_MODEL, _PROGRAM, _PIPELINE, _TEXT = "model.keras", "saved_model", "pipeline.skops", "text.json"
_OWN = "benchmark.models."
_MOST_TEXT = 1 << 28  # bytes of text.json: a million words are 16 MB
_MOST_UNFOLDED = 100
_PYTHON = {"PyFunc", "PyFuncStateless", "EagerPyFunc"}


class TextProcessing(BaseModel):
    """What ``text.json`` holds of a stored model.

    Attributes
    ----------
    standardizer : int
        Version of the tokens.
    class_names : tuple of str
        In the order of the probabilities.
    view, length, vocabulary
        How texts become ids, for a network that reads ids.
    modules : tuple of str
        Modules of this package that have to be imported before the model is loaded.
    vocabularies : dict of str to list of str
        Words of a pipeline's vectorizers, by the vectorizer's name among the pipeline's parameters.
    """

    standardizer: int
    class_names: tuple[str, ...]
    view: ViewSettings | None = None
    length: int = 0
    vocabulary: tuple[str, ...] = ()
    modules: tuple[str, ...] = ()
    vocabularies: dict[str, list[str]] = {}


def read_text_processing(folder: Path) -> TextProcessing:
    """Read ``text.json`` of a stored model.

    Raises
    ------
    ValueError
        In one line, where it is not what `save_servable` writes, or of a different version.
    """
    path = folder / _TEXT
    if not path.is_file() or path.stat().st_size > _MOST_TEXT:
        raise ValueError(f"{_TEXT} is not a file of less than {_MOST_TEXT >> 20} MiB")
    try:
        text = TextProcessing.model_validate_json(path.read_bytes())
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(key) for key in first["loc"])
        raise ValueError(f"{_TEXT}{place and f', {place}'}: {first['msg']}") from error
    if text.standardizer != STANDARDIZER_VERSION:
        raise ValueError(
            f"the model was made with standardiser version {text.standardizer}, "
            f"this is version {STANDARDIZER_VERSION}"
        )
    return text


def _write_text_processing(folder: Path, class_names: Sequence[str], **more: Any) -> None:
    text = TextProcessing(standardizer=STANDARDIZER_VERSION, class_names=tuple(class_names), **more)
    content = json.dumps(text.model_dump(mode="json", exclude_unset=True), ensure_ascii=False)
    (folder / _TEXT).write_text(content, encoding="utf-8")


def save_servable(folder: Path, model: keras.Model, dataset: Dataset, view: ViewSettings | None) -> None:
    """Write a trained network into a folder.

    Where Keras and this package alone cannot load it again (it has a layer or function of somebody else's,
    or a `Lambda`), it is written as a TensorFlow program, which needs none of the code that made it.

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
        more = {"length": length, "view": view, "vocabulary": tuple(dataset.vocabulary(view))}
        inputs = tf.TensorSpec([None, length], tf.int32)
    ids = OOV + 1 + len(more.get("vocabulary", ()))
    if view is not None and _save_network(folder / _MODEL, model, ids, more["length"]):
        more["modules"] = _own_modules(model)
    else:
        _save_program(folder / _PROGRAM, model, inputs)
    _write_text_processing(folder, dataset.class_names, **more)


def _save_network(path: Path, model: keras.Model, count: int, length: int) -> bool:
    """Write a network as a Keras file without its optimizer; return whether that gives it back."""
    if not all(_is_known(layer) for layer in model._flatten_layers()):
        return False
    ids = np.random.default_rng(0).integers(0, count, (4, length), dtype=np.int32)
    try:
        keras.Model(model.inputs[0], model.outputs[0]).save(path)
        with _ours_alone():
            again = _load_network(path)
        if np.allclose(again(ids, training=False), model(ids, training=False), 1e-3, 1e-4, equal_nan=True):
            return True
    except OSError:
        raise
    except Exception:  # whatever Keras and somebody else's code may raise: no file can describe it
        pass
    path.unlink(missing_ok=True)
    return False


def _load_network(path: Path) -> keras.Model:
    return keras.saving.load_model(path, compile=False, safe_mode=True)


def _is_known(layer: Any) -> bool:
    """Whether a layer and the functions that it calls, of which a file has the names, are Keras's or ours."""
    functions = [value for value in vars(layer).values() if isinstance(value, types.FunctionType)]
    return all(thing.__module__.startswith(("keras.", _OWN)) for thing in (type(layer), *functions))


@contextmanager
def _ours_alone() -> Iterator[None]:
    """Let Keras forget what others registered, which is not there where a stored model is loaded."""
    known = keras.saving.get_custom_objects()
    before = dict(known)
    try:
        for name, thing in before.items():
            if not thing.__module__.startswith(_OWN):
                del known[name]
        yield
    finally:
        known.update(before)


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
        For one with types that are neither scikit-learn's nor ours, which could not be loaded.
    """
    import skops.io  # with scikit-learn: seconds that networks need not wait

    folder.mkdir(parents=True, exist_ok=True)
    # Word by word, skops takes 600 bytes each: they are kept beside it.
    vectorizers = _vectorizers(pipeline)
    kept = {name: step.vocabulary_ for name, step in vectorizers.items()}
    try:
        for step in vectorizers.values():
            step.vocabulary_ = {}
        skops.io.dump(pipeline, folder / _PIPELINE, compression=zipfile.ZIP_DEFLATED)
    finally:
        for name, step in vectorizers.items():
            step.vocabulary_ = kept[name]
    own = _own_types(folder / _PIPELINE)
    _write_text_processing(
        folder,
        class_names,
        modules=tuple(sorted({name.rpartition(".")[0] for name in own})),
        vocabularies={name: sorted(words, key=words.__getitem__) for name, words in kept.items()},
    )


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


def _load_pipeline(path: Path, vocabularies: dict[str, list[str]]) -> Any:
    """Load a pipeline of scikit-learn's types and our own, and no others."""
    import skops.io

    with zipfile.ZipFile(path) as archive:
        size = sum(member.file_size for member in archive.infolist())
    if size > (1 << 28) and size > _MOST_UNFOLDED * path.stat().st_size:
        raise ValueError(
            f"{path.name} unfolds into {size >> 20} MiB, {_MOST_UNFOLDED} times its size or more"
        )
    pipeline = skops.io.load(path, trusted=_own_types(path))
    steps = pipeline.get_params() if vocabularies else {}
    for name, words in vocabularies.items():
        steps[name].vocabulary_ = {word: number for number, word in enumerate(words)}
    return pipeline


def _own_types(path: Path) -> list[str]:
    """Return the types of ours in a pipeline's file; raise `ValueError` where there are others' than ours."""
    import skops.io

    unknown: list[str] = skops.io.get_untrusted_types(file=path)
    foreign = [name for name in unknown if not _is_own(name)]
    if foreign:
        raise ValueError(f"it holds types that are not to be trusted: {', '.join(foreign)}")
    return unknown


def _is_own(name: str) -> bool:
    """Whether a name is that of an estimator which a module of ours defines, not one that it imports."""
    from sklearn.base import BaseEstimator

    module, _, attribute = name.rpartition(".")
    try:
        kind = getattr(importlib.import_module(module), attribute, None) if name.startswith(_OWN) else None
    except ImportError:
        return False
    return isinstance(kind, type) and issubclass(kind, BaseEstimator) and kind.__module__ == module


def _own_modules(model: keras.Model) -> tuple[str, ...]:
    """Return the modules of this package whose layers Keras must know before it can load the model."""
    modules = {type(layer).__module__ for layer in model._flatten_layers()}
    return tuple(sorted(name for name in modules if name.startswith(_OWN)))


def holds_program(folder: Path) -> bool:
    """Whether the model in a folder is a TensorFlow program, which may read and write files."""
    return (folder / _PROGRAM).is_dir()


class Servable:
    """A model from a folder that `save_servable` wrote.

    Parameters
    ----------
    folder : Path
        The folder. A Keras file is loaded in safe mode and a pipeline without pickle; a TensorFlow program
        could do anything: load one only if you trust where it comes from (see `holds_program`).

    Attributes
    ----------
    class_names : tuple of str
        Names of the columns that `predict` gives.
    """

    def __init__(self, folder: Path) -> None:
        text = read_text_processing(folder)
        self.class_names = text.class_names
        self._logits: Callable[[list[str]], NDArray[np.float32]]
        if (folder / _PIPELINE).is_file():
            self._logits = partial(
                log_probabilities,
                _load_pipeline(folder / _PIPELINE, text.vocabularies),
                classes=len(self.class_names),
            )
            return
        self._logits = self._string_logits
        if text.view is not None:
            self._view, self._length = text.view, text.length
            self._ids = {word.encode(): number for number, word in enumerate(text.vocabulary, OOV + 1)}
            self._logits = self._id_logits
        if holds_program(folder):
            program = tf.saved_model.load(str(folder / _PROGRAM))
            self._predict = make_predict(lambda batch, training: program.logits(batch))
            return
        for module in text.modules:
            if module.startswith(_OWN):  # a file from elsewhere must not name what is imported
                importlib.import_module(module)
        self._predict = make_predict(_load_network(folder / _MODEL))

    def predict(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return the probabilities, float32 [n, classes], of raw texts.

        Raises
        ------
        UserError
            When the stored model does not answer them.
        """
        classes = len(self.class_names)
        if not texts:
            return np.zeros((0, classes), dtype=np.float32)
        try:
            logits = self._logits(list(texts))
        except (tf.errors.OpError, IndexError, TypeError, ValueError) as error:
            reason = str(error).partition("\n")[0][:200]
            raise UserError(f"the stored model does not answer ({reason})") from error
        if logits.shape not in ((len(texts), classes), (len(texts), 1 if classes == 2 else classes)):
            raise UserError(
                f"the stored model gives logits {logits.shape} for {len(texts)} texts, {classes} classes"
            )
        return probabilities(logits)

    def _string_logits(self, texts: list[str]) -> NDArray[np.float32]:
        return self._predict(np.array([text.encode("utf-8", "replace") for text in texts], dtype=object))

    def _id_logits(self, texts: list[str]) -> NDArray[np.float32]:
        ids = [[self._ids.get(token, OOV) for token in tokenize(text)] for text in texts]
        lengths = np.array([len(row) for row in ids], dtype=np.int64)
        tokens = np.array([number for row in ids for number in row], dtype=np.int32)
        starts = np.cumsum(lengths) - lengths
        return self._predict(cut(tokens, starts, lengths, self._view, self._length))
