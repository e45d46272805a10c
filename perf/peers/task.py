"""What the peers share: the same reviews, configurations, architecture, optimizer and early stopping.

Each is written as its documentation shows it; what differs is who asks for a configuration, and how a
trial is started, reported and remembered.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import numpy as np


@dataclass(frozen=True)
class Configuration:
    """One configuration; whole numbers come as floats from tuners that know nothing else."""

    vocabulary_size: int
    sequence_length: int
    embedding_dim: int
    batch_size: int
    learning_rate: float

    @classmethod
    def of(cls, values: dict[str, Any]) -> Configuration:
        """Take the values that a tuner gave."""
        whole = {name: int(value) for name, value in values.items() if name != "learning_rate"}
        return cls(**whole, learning_rate=float(values["learning_rate"]))


class Work:
    """What `perf/peers.py` has put into the folder, and where accuracies go."""

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = (folder or Path()).resolve()
        content = json.loads((self.folder / "work.json").read_text())
        self.model: str = content["model"]
        self.epochs: int = content["epochs"]
        self.patience: int = content["patience"]
        self.configurations: list[dict[str, float]] = content["configurations"]
        self.ranges: dict[str, list[float]] = content["ranges"]

    def texts(self) -> tuple[list[str], Any, list[str], Any]:
        """Return training texts and labels, and those of validation."""
        texts = json.loads((self.folder / "texts.json").read_text())
        labels = np.load(self.folder / "labels.npz")
        return texts["train"], labels["train"], texts["validation"], labels["validation"]

    def done(self, number: int, curve: list[float]) -> None:
        """Write down the validation accuracies of a configuration's epochs."""
        with (self.folder / "curves.jsonl").open("a") as file:
            file.write(json.dumps([number, *curve]) + "\n")


def build(configuration: Configuration, model: str) -> keras.Model:
    """Build and compile as the tutorials do."""
    layers = [keras.layers.Embedding(configuration.vocabulary_size, configuration.embedding_dim)]
    if model == "lstm":
        layers += [keras.layers.LSTM(32)]
    else:
        layers += [keras.layers.GlobalAveragePooling1D(), keras.layers.Dense(16, activation="relu")]
    network = keras.Sequential([*layers, keras.layers.Dense(1)])
    network.compile(
        optimizer=keras.optimizers.Adam(configuration.learning_rate),
        loss=keras.losses.BinaryCrossentropy(from_logits=True),
        metrics=[keras.metrics.BinaryAccuracy(threshold=0.0, name="accuracy")],
    )
    return network


def vectorized(configuration: Configuration, work: Work) -> tuple[Any, Any, Any, Any]:
    """Turn the texts into ids with Keras's own layer, fitted on the training texts."""
    train_texts, train_labels, texts, labels = work.texts()
    layer = keras.layers.TextVectorization(
        max_tokens=configuration.vocabulary_size, output_sequence_length=configuration.sequence_length
    )
    layer.adapt(np.array(train_texts, dtype=object))
    return (
        layer(np.array(train_texts, dtype=object)),
        train_labels,
        layer(np.array(texts, dtype=object)),
        labels,
    )


def train(configuration: Configuration, work: Work, callbacks: Sequence[Any] = ()) -> list[float]:
    """Train a configuration and return the validation accuracies of its epochs."""
    x, y, validation_x, validation_y = vectorized(configuration, work)
    stop = keras.callbacks.EarlyStopping("val_accuracy", patience=work.patience, restore_best_weights=True)
    history = build(configuration, work.model).fit(
        x,
        y,
        batch_size=configuration.batch_size,
        epochs=work.epochs,
        validation_data=(validation_x, validation_y),
        callbacks=[stop, *callbacks],
        verbose=0,
    )
    return [float(value) for value in history.history["val_accuracy"]]
