"""What a network reads and never changes, as a frozen encoder's vectors: computed once, kept by text."""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from benchmark.data.cache import cache_root, locked, read_entry, write_entry
from benchmark.data.dataset import Dataset, text_hash
from benchmark.display.events import roughly
from benchmark.models.task import Task
from benchmark.spec.config import RunSpec
from benchmark.training.train import share_of

BATCH = 64
"""Texts that an encoder reads at a time."""

_METHOD = 1  # of computing; a different one makes what is kept worthless
_PART = 2048  # texts after which what is done is safe
_LINE_EVERY = 10.0  # seconds
_WORTH_A_LINE = 5.0
_SAMPLE = 1000  # texts in which unknown tokens are counted
_MOST_UNKNOWN = 0.5
_BACKWARDS = 2.0  # times as long as forwards

_opened: dict[Path, tuple[list[Path], NDArray[np.uint64], NDArray[Any]]] = {}
Line = Callable[[str], None]


@dataclass(frozen=True)
class Reads:
    """The part of a network that never changes.

    Attributes
    ----------
    model : keras.Model
        Raw texts, string [batch], to what the other part reads.
    kept_as : str
        Names what it gives.
    """

    model: keras.Model
    kept_as: str

    def of(self, dataset: Dataset, texts: Sequence[str], line: Line = lambda text: None) -> NDArray[Any]:
        """Return what it gives for texts of a data set, [n, …]; what is in the cache is not computed again.

        Of several processes one computes, and the others wait. What is done is kept though it be killed.

        Parameters
        ----------
        dataset : Dataset
            Where the texts are from; its folds share what is kept.
        texts : sequence of str
            Raw texts.
        line : callable
            Gets how long it will take, before it starts, and how far it is.
        """
        versions = [version("keras-hub"), version("tensorflow-text")]
        whole = dataset.fold.digest if dataset.fold else dataset.digest
        key = hashlib.sha256(repr((_METHOD, self.kept_as, whole, versions)).encode()).hexdigest()[:16]
        folder = cache_root() / "encoded" / f"{re.sub(r'[^A-Za-z0-9._-]+', '_', dataset.name)}-{key}"
        wanted = np.array([_hash(text) for text in texts], dtype=np.uint64)
        if not np.isin(wanted, _open(folder)[1]).all():
            with locked(folder / "parts"):
                first = np.unique(wanted, return_index=True)[1]
                todo = first[~np.isin(wanted[first], _open(folder)[1])]
                if len(todo):
                    self._compute(
                        folder, [texts[row] for row in todo.tolist()], partial(_say, line, dataset.name)
                    )
        _, keys, values = _open(folder)
        return values[np.searchsorted(keys, wanted)]

    def _compute(self, folder: Path, texts: list[str], say: Callable[[int, int, float], None]) -> None:
        texts.sort(key=len, reverse=True)  # texts of similar length are cut to the longest of a batch
        forward = self.forward()
        forward(texts[:1])  # compiled before it is measured
        started = time.perf_counter()
        last_line, known = -_LINE_EVERY, False
        number = max((int(path.name) for path in _parts(folder)), default=0)
        for begin in range(0, len(texts), _PART):
            part, values = texts[begin : begin + _PART], []
            for at in range(0, len(part), BATCH):
                values.append(forward(part[at : at + BATCH]))
                seconds, done = time.perf_counter() - started, begin + at + len(values[-1])
                left = seconds * (len(texts) - done) / done
                known = known or left > _WORTH_A_LINE
                if known and seconds - last_line >= _LINE_EVERY:
                    say(done, len(texts), left)
                    last_line = seconds
            keys = np.array([_hash(text) for text in part], dtype=np.uint64)
            number += 1
            write_entry(folder / str(number), partial(_fill, keys, np.concatenate(values)))

    def forward(self) -> Callable[[Sequence[str]], NDArray[Any]]:
        """Return a function from raw texts to what the model gives."""

        @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
        def graph(texts: tf.Tensor) -> tf.Tensor:
            return self.model(texts, training=False)

        def forward(texts: Sequence[str]) -> NDArray[Any]:
            given: NDArray[Any] = graph(
                tf.constant([text.encode("utf-8", "replace") for text in texts])
            ).numpy()
            return given

        return forward


def cut(model: keras.Model) -> tuple[Reads | None, keras.Model]:
    """Cut a network behind its last layer that has ``kept_as``; without one, it is left whole."""
    marked = [layer for layer in model.layers if getattr(layer, "kept_as", "")]
    if not marked:
        return None, model
    last = marked[-1]
    return Reads(keras.Model(model.input, last.output), last.kept_as), keras.Model(last.output, model.output)


def prepare(specs: Sequence[RunSpec], dataset: Dataset, line: Line) -> None:
    """Compute what the runs of a sweep will read, before they start, and say how long they take.

    Parameters
    ----------
    specs : sequence of RunSpec
        Runs of one configuration: a trial, and final runs.
    dataset : Dataset
        Theirs.
    line : callable
        Gets what a person should know.
    """
    from benchmark.training.network import build_model  # which imports this module

    spec = specs[0]
    reads, trained = build_model(spec, Task(dataset.class_names, 0, 0), steps_per_epoch=1)
    assert reads is not None
    train = [share_of(dataset.view("train", None), one) for one in specs]
    validation, test = dataset.view("validation", None), dataset.texts_to_tokenise()["test"]
    texts = [text for view in (*train, validation) for text in view.texts()]
    share = unknown_share(reads.model, texts[:_SAMPLE])
    if share > _MOST_UNKNOWN:
        line(
            f"{spec.model}: {share:.0%} of the tokens of '{dataset.name}' are not in the vocabulary of "
            f"'{spec.hparams['preset']}', which does not fit the language; choose another `set` preset"
        )
    reads.of(dataset, [*texts, *test.texts(np.arange(len(test.labels)))], line)
    if any(isinstance(layer, keras.Model) for layer in trained.layers):
        seconds = _text_seconds(trained, reads.of(dataset, texts[: 2 * BATCH]))
        epoch = seconds * (len(train[0].y) * (1 + _BACKWARDS) + len(validation.y))
        line(f"{spec.model}: an epoch of {len(train[0].y):,} texts takes up to {roughly(epoch)} here")


def unknown_share(model: keras.Model, texts: Sequence[str]) -> float:
    """Return the share of the tokens of texts that an encoder's vocabulary lacks."""
    layer = next(layer for layer in model.layers if hasattr(layer, "unknown"))
    ids = np.asarray(layer(tf.constant(list(texts), tf.string)))
    special = 2 * len(ids)  # in front and behind
    return float((ids == layer.unknown).sum() / max(1, (ids > 0).sum() - special))


def _text_seconds(model: keras.Model, x: NDArray[Any]) -> float:
    """Return the seconds that a text takes forwards."""
    forward = tf.function(partial(model, training=False), reduce_retracing=True)
    batch = tf.constant(x[:BATCH])
    forward(batch)
    started = time.perf_counter()
    forward(batch)
    return (time.perf_counter() - started) / len(batch)


def _say(line: Line, name: str, done: int, total: int, left: float) -> None:
    line(f"{name}: {done:,} of {total:,} texts are encoded, once for all runs; about {roughly(left)} left")


def _hash(text: str) -> int:
    return text_hash(text.encode("utf-8", "replace"))


def _fill(keys: NDArray[np.uint64], values: NDArray[Any], folder: Path) -> dict[str, Any]:
    np.save(folder / "keys.npy", keys)
    np.save(folder / "values.npy", values)
    return {"texts": len(keys)}


def _parts(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob("[0-9]*") if path.is_dir())


def _open(folder: Path) -> tuple[list[Path], NDArray[np.uint64], NDArray[Any]]:
    """Return the parts of a folder, and what they have: hashes of texts in ascending order, and values."""
    parts = _parts(folder)
    if folder not in _opened or _opened[folder][0] != parts:
        whole = [part for part in parts if read_entry(part) is not None]  # a damaged one is computed again
        keys = np.concatenate([np.zeros(0, np.uint64), *(np.load(part / "keys.npy") for part in whole)])
        values = [np.load(part / "values.npy") for part in whole]
        keys, first = np.unique(keys, return_index=True)
        _opened.clear()  # vectors of one data set and encoder at a time
        _opened[folder] = parts, keys, np.concatenate(values)[first] if values else np.zeros((0, 0))
    return _opened[folder]
