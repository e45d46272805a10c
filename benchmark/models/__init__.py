"""Architectures: one file each, registered by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from benchmark.registry import Registry, is_file_target, load_target

MODELS = Registry(
    "model",
    "textbench.models",
    {
        # Cheapest first, which is the order of `--model all`.
        "majority": "benchmark.models.majority:build",
        "tfidf-logreg": "benchmark.models.tfidf_logreg:build",
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
    },
)
"""Builders ``(Task, **hyper-parameters) -> keras.Model`` or scikit-learn pipeline, by name."""


def load_builder(name: str) -> Callable[..., Any]:
    """Return the builder of a registered model, or of ``path/to/file.py:build``.

    Raises
    ------
    UserError
        For an unknown name, with the nearest one, or a file that cannot be used.
    """
    builder: Callable[..., Any] = load_target(name, "model") if is_file_target(name) else MODELS.load(name)
    return builder
