"""Parts: the words that name them, and the draw that makes one where a data set has none."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from benchmark.data.source import VALIDATION_SHARE
from benchmark.support.errors import UserError

SPLIT_SEED = 20_110_620
"""Fixed for ever, so that the validation part is a property of the data set, not of a run."""

TEST_SEED = SPLIT_SEED + 1
"""Of the draw of a test part, which is made before the validation part is drawn from the rest."""

TEST_SHARE = 0.2
"""Share of each class that becomes the test part where a data set has none."""

_WORDS = {
    "train": "train",
    "training": "train",
    "validation": "validation",
    "valid": "validation",
    "val": "validation",
    "dev": "validation",
    "test": "test",
    "testing": "test",
}


def part_of(word: str) -> str | None:
    """Return ``train``, ``validation`` or ``test`` for a word that means one of them, otherwise None."""
    return _WORDS.get(word.strip().lower())


def draw_stratified(labels: NDArray[np.int32], share: float, seed: int) -> NDArray[np.bool_]:
    """Draw a share of each class, rounded to whole rows.

    Parameters
    ----------
    labels : ndarray of int32, shape [n]
        Class of each row.
    share : float
        Between 0 and 1.
    seed : int
        Of the draw.

    Returns
    -------
    ndarray of bool, shape [n]
        True where a row was drawn.
    """
    generator = np.random.default_rng(seed)
    drawn = np.zeros(len(labels), dtype=bool)
    for label in np.unique(labels):
        rows = np.flatnonzero(labels == label)
        drawn[generator.permutation(rows)[: round(share * len(rows))]] = True
    return drawn


def draw_test(labels: NDArray[np.int32], parts: NDArray[np.str_]) -> NDArray[np.bool_]:
    """Draw the test part of a data set that has none, from its training rows.

    Parameters
    ----------
    labels : ndarray of int32, shape [n]
        Class of each row.
    parts : ndarray of str, shape [n]
        Part of each row.

    Returns
    -------
    ndarray of bool, shape [n]
        True where a row becomes test; nowhere if some row is of the test part already.
    """
    drawn = np.zeros(len(labels), dtype=bool)
    if not (parts == "test").any():
        train = np.flatnonzero(parts == "train")
        drawn[train] = draw_stratified(labels[train], TEST_SHARE, TEST_SEED)
    return drawn


TEST_NOTICE = "it has no test part: 20 % of each class of train became one, always the same rows"
"""What a source says when it has used `draw_test`."""


def validation_share(asked: float | None, own: bool, who: str) -> float:
    """Return the share of train that becomes validation; 0 where the set has its own part."""
    if not own:
        return VALIDATION_SHARE if asked is None else asked
    if asked is not None:
        raise UserError(f"'{who}' has a validation part of its own", setting="validation_share")
    return 0.0
