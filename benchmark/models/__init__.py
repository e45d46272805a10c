"""Architectures: one file each, registered by name."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any, cast

from benchmark.support.registry import Registry, file_of, is_file_target, load_target
from benchmark.support.source_files import helpers_of, source_of

MODELS = Registry(
    "model",
    "textbench.models",
    {
        # Cheapest first, which is the order of `--model all`.
        "majority": "benchmark.models.majority:build",
        "tfidf-logreg": "benchmark.models.tfidf_logreg:build",
        "linear-words": "benchmark.models.linear_words:build",
        "linear-characters": "benchmark.models.linear_characters:build",
        "nbsvm": "benchmark.models.nbsvm:build",
        "flatten": "benchmark.models.flatten:build",
        "avg-pool": "benchmark.models.avg_pool:build",
        "glove": "benchmark.models.glove:build",
        "hub": "benchmark.models.hub:build",
        "fasttext": "benchmark.models.fasttext:build",
        "transformer": "benchmark.models.transformer:build",
        "cnn": "benchmark.models.cnn:build",
        "gru": "benchmark.models.gru:build",
        "bilstm": "benchmark.models.bilstm:build",
        "lstm": "benchmark.models.lstm:build",
        "encoder-head": "benchmark.models.encoder:build",
        "encoder": "benchmark.models.encoder:build",
    },
)
"""Builders ``(Task, **hyper-parameters) -> keras.Model`` or scikit-learn pipeline, by name."""


def load_builder(name: str, digest: str = "") -> Callable[..., Any]:
    """Return the builder of a registered model, or of ``path/to/file.py:build``.

    Parameters
    ----------
    name : str
        Which model.
    digest : str
        Which content of its file is meant; by default that which it has now.

    Raises
    ------
    UserError
        For an unknown name, with the nearest one, or a file that cannot be used.
    """
    target = name if is_file_target(name) else MODELS.target(name)
    return cast(Callable[..., Any], load_target(target, "model", digest))


def importing(name: str, digest: str = "") -> AbstractContextManager[None]:
    """Return a context in which a model from a file can import the files beside it; see `load_builder`."""
    return helpers_of(source_of(file_of(name), digest), "model") if is_file_target(name) else nullcontext()
