"""Logits to probabilities, loss and accuracy: one definition for validation and test."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Score(NamedTuple):
    """Mean cross-entropy (natural logarithm) and share of texts classified correctly."""

    loss: float
    accuracy: float


def score(logits: NDArray[np.float32], labels: NDArray[np.int32]) -> Score:
    """Score logits against labels.

    Parameters
    ----------
    logits : ndarray of float32, shape [n, 1] or [n, classes]
        One column means two classes: above 0 is the second.
    labels : ndarray of int32, shape [n]
        True classes.

    Returns
    -------
    Score
        Computed in float64. Weight penalties are not part of the loss, so that losses of different
        architectures can be compared.
    """
    wide = _two_columns(logits.astype(np.float64))
    peak = wide.max(axis=1, keepdims=True)
    log_total = np.log(np.exp(wide - peak).sum(axis=1)) + peak[:, 0]
    loss = log_total - wide[np.arange(len(labels)), labels]
    return Score(float(loss.mean()), float((wide.argmax(axis=1) == labels).mean()))


def probabilities(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """Turn logits [n, 1] or [n, classes] into probabilities float32 [n, classes]."""
    wide = _two_columns(logits.astype(np.float64))
    weights = np.exp(wide - wide.max(axis=1, keepdims=True))
    return (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)


def _two_columns(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.hstack([np.zeros_like(logits), logits]) if logits.shape[1] == 1 else logits
