"""A trained model with its text processing: raw texts in, probabilities out."""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from benchmark.config import ViewSettings
from benchmark.data.dataset import OOV, Dataset, cut
from benchmark.data.text import STANDARDIZER_VERSION, tokenize
from benchmark.training.epochs import make_predict
from benchmark.training.estimators import log_probabilities
from benchmark.training.scores import probabilities

_MODEL, _PROGRAM, _PIPELINE, _TEXT = "model.keras", "saved_model", "pipeline.skops", "text.json"
_OWN = "benchmark.models."


def save_servable(folder: Path, model: keras.Model, dataset: Dataset, view: ViewSettings | None) -> None:
    """Write a trained network into a folder.

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
    """
    folder.mkdir(parents=True, exist_ok=True)
    text: dict[str, Any] = {"standardizer": STANDARDIZER_VERSION, "class_names": dataset.class_names}
    if view is None:
        _save_program(folder / _PROGRAM, model)
    else:
        model.save(folder / _MODEL)
        text |= {
            "length": dataset.length(view),
            "view": view.model_dump(),
            "vocabulary": dataset.vocabulary(view),
            "modules": _own_modules(model),
        }
    (folder / _TEXT).write_text(json.dumps(text, ensure_ascii=False), encoding="utf-8")


def _save_program(folder: Path, model: keras.Model) -> None:
    """Write a network that reads raw texts as a SavedModel, which brings vocabularies and modules along.

    Of a module, Keras's own format would keep the path alone, and its export every weight twice.
    """

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
    def logits(texts: tf.Tensor) -> tf.Tensor:
        return model(texts, training=False)

    program = tf.Module()
    program.logits = logits
    program.weights = [variable.value for variable in model.variables]
    program.tables = [
        part
        for part in tf.train.TrackableView(model).descendants()
        if isinstance(part, tf.saved_model.experimental.TrackableResource)
    ]
    tf.saved_model.save(program, str(folder))


def save_pipeline(folder: Path, pipeline: Any, class_names: Sequence[str]) -> None:
    """Write a fitted scikit-learn pipeline, which brings its own text processing, without pickle."""
    import skops.io  # with scikit-learn: seconds that networks need not wait

    folder.mkdir(parents=True, exist_ok=True)
    for _, step in pipeline.steps:
        if hasattr(step, "vocabulary_"):  # NumPy's numbers are stored one by one: 23 s against 2 s for 46,000
            step.vocabulary_ = {word: int(number) for word, number in step.vocabulary_.items()}
    skops.io.dump(pipeline, folder / _PIPELINE)
    text = {"standardizer": STANDARDIZER_VERSION, "class_names": list(class_names)}
    (folder / _TEXT).write_text(json.dumps(text, ensure_ascii=False), encoding="utf-8")


def _load_pipeline(path: Path) -> Any:
    """Load a pipeline of scikit-learn's types and our own, and no others."""
    import skops.io

    unknown = skops.io.get_untrusted_types(file=path)
    foreign = [name for name in unknown if not _is_own(name)]
    if foreign:
        raise ValueError(f"{path} holds types that are not to be trusted: {', '.join(foreign)}")
    return skops.io.load(path, trusted=unknown)


def _is_own(name: str) -> bool:
    """Whether a name is that of an estimator which a module of ours defines, not one that it imports."""
    from sklearn.base import BaseEstimator

    module, _, attribute = name.rpartition(".")
    try:
        kind = getattr(importlib.import_module(module), attribute, None) if name.startswith(_OWN) else None
    except ImportError:
        return False
    return isinstance(kind, type) and issubclass(kind, BaseEstimator) and kind.__module__ == module


def _own_modules(model: keras.Model) -> list[str]:
    """Return the modules of this package whose layers Keras must know before it can load the model."""
    modules = {type(layer).__module__ for layer in model.layers}
    return sorted(name for name in modules if name.startswith(_OWN))


class Servable:
    """A model from a folder that `save_servable` wrote.

    Parameters
    ----------
    folder : Path
        The folder. A network that reads ids is loaded in Keras's safe mode; one that reads raw texts is a
        TensorFlow program, which could do anything: load it only if you trust where it comes from.

    Attributes
    ----------
    class_names : tuple of str
        Names of the columns that `predict` gives.
    """

    def __init__(self, folder: Path) -> None:
        text = json.loads((folder / _TEXT).read_text(encoding="utf-8"))
        if text["standardizer"] != STANDARDIZER_VERSION:
            raise ValueError(
                f"the model was made with standardiser version {text['standardizer']}, "
                f"this is version {STANDARDIZER_VERSION}"
            )
        self.class_names = tuple(text["class_names"])
        self._logits: Callable[[list[str]], NDArray[np.float32]]
        if (folder / _PIPELINE).is_file():
            self._logits = partial(log_probabilities, _load_pipeline(folder / _PIPELINE))
            return
        if (folder / _PROGRAM).is_dir():
            program = tf.saved_model.load(str(folder / _PROGRAM))
            self._predict = make_predict(lambda texts, training: program.logits(texts))
            self._logits = self._program_logits
            return
        self._logits = self._network_logits
        self._view = ViewSettings(**text["view"])
        self._length = int(text["length"])
        self._ids = {word.encode(): number for number, word in enumerate(text["vocabulary"], OOV + 1)}
        for module in text.get("modules", ()):
            if module.startswith(_OWN):  # a file from elsewhere must not name what is imported
                importlib.import_module(module)
        self._predict = make_predict(keras.saving.load_model(folder / _MODEL, compile=False, safe_mode=True))

    def predict(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return the probabilities, float32 [n, classes], of raw texts."""
        if not texts:
            return np.zeros((0, len(self.class_names)), dtype=np.float32)
        return probabilities(self._logits(list(texts)))

    def _program_logits(self, texts: list[str]) -> NDArray[np.float32]:
        return self._predict(np.array([text.encode("utf-8", "replace") for text in texts], dtype=object))

    def _network_logits(self, texts: list[str]) -> NDArray[np.float32]:
        ids = [[self._ids.get(token, OOV) for token in tokenize(text)] for text in texts]
        lengths = np.array([len(row) for row in ids], dtype=np.int64)
        tokens = np.array([number for row in ids for number in row], dtype=np.int32)
        starts = np.cumsum(lengths) - lengths
        return self._predict(cut(tokens, starts, lengths, self._view, self._length))
