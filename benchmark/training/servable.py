"""A trained model with its text processing: raw texts in, probabilities out."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import keras
import numpy as np
from numpy.typing import NDArray

from benchmark.config import ViewSettings
from benchmark.data.dataset import OOV, Dataset, cut
from benchmark.data.text import STANDARDIZER_VERSION, tokenize
from benchmark.training.epochs import make_predict
from benchmark.training.scores import probabilities

_MODEL, _TEXT = "model.keras", "text.json"


def save_servable(folder: Path, model: keras.Model, dataset: Dataset, view: ViewSettings) -> None:
    """Write a trained model, its vocabulary and its view settings into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    model.save(folder / _MODEL)
    text = {
        "standardizer": STANDARDIZER_VERSION,
        "class_names": dataset.class_names,
        "length": dataset.length(view),
        "view": view.model_dump(),
        "vocabulary": dataset.vocabulary(view),
    }
    (folder / _TEXT).write_text(json.dumps(text, ensure_ascii=False), encoding="utf-8")


class Servable:
    """A model from a folder that `save_servable` wrote.

    Parameters
    ----------
    folder : Path
        The folder; the model is loaded in Keras's safe mode.

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
        self._view = ViewSettings(**text["view"])
        self._length = int(text["length"])
        self._ids = {word.encode(): number for number, word in enumerate(text["vocabulary"], OOV + 1)}
        self._predict = make_predict(keras.saving.load_model(folder / _MODEL, compile=False, safe_mode=True))

    def predict(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return the probabilities, float32 [n, classes], of raw texts."""
        if not texts:
            return np.zeros((0, len(self.class_names)), dtype=np.float32)
        ids = [[self._ids.get(token, OOV) for token in tokenize(text)] for text in texts]
        lengths = np.array([len(row) for row in ids], dtype=np.int64)
        tokens = np.array([number for row in ids for number in row], dtype=np.int32)
        starts = np.cumsum(lengths) - lengths
        return probabilities(self._predict(cut(tokens, starts, lengths, self._view, self._length)))
