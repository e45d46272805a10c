"""The one definition of how a text becomes tokens, and ids a view; a copy travels with every kept model."""

from __future__ import annotations

import string
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from benchmark.spec.config import ViewSettings

STANDARDIZER_VERSION = 1
"""Part of every cache key; raised whenever `tokenize` would give other tokens."""

PAD = 0
OOV = 1
"""Ids 0 and 1 stand for padding and for words outside the vocabulary; words begin at 2."""

_PUNCTUATION = string.punctuation.encode()
_ROWS = 512  # texts cut at a time, so that memory stays near the size of the result


def tokenize(text: str) -> list[bytes]:
    """Standardise a text and split it into tokens.

    Lower case (Unicode), ``<br />`` becomes a space, ASCII punctuation is removed, and the rest is
    split at ASCII white space. This is what the TensorFlow tutorial "Basic text classification" does
    with `keras.layers.TextVectorization`; the same steps exist as TensorFlow operations, so a text
    layer inside an exported model gives the same tokens. (Not for the NUL character, where TensorFlow
    ends a token, nor for capital letters younger than Unicode 13, which it does not lower.)

    Parameters
    ----------
    text : str
        Raw text.

    Returns
    -------
    list of bytes
        Tokens in UTF-8, in order; empty for a text without words.

    Examples
    --------
    >>> tokenize("It wasn't GOOD.<br /><br />At all!")
    [b'it', b'wasnt', b'good', b'at', b'all']
    """
    lowered = text.lower().encode("utf-8", errors="replace")
    return lowered.replace(b"<br />", b" ").translate(None, _PUNCTUATION).split()


def cut(
    tokens: NDArray[np.int32],
    starts: NDArray[np.int64],
    lengths: NDArray[np.int64],
    settings: ViewSettings,
    length: int,
) -> NDArray[np.int32]:
    """Cut texts out of one long array of ids.

    Parameters
    ----------
    tokens : ndarray of int32, shape [total]
        Ids of all texts, one after another.
    starts, lengths : ndarray of int64, shape [n]
        Where each text begins, and its number of tokens.
    settings : ViewSettings
        Vocabulary size, padding and truncation side.
    length : int
        Columns of the result.

    Returns
    -------
    ndarray of int32, shape [n, length]
        Ids at or above the vocabulary size have become OOV.
    """
    kept = np.minimum(lengths, length)
    if settings.truncation == "pre":
        starts = starts + (lengths - kept)
    first = length - kept if settings.padding == "pre" else np.zeros_like(kept)
    result = np.full((len(starts), length), PAD, dtype=np.int32)
    for begin in range(0, len(starts), _ROWS):
        block = slice(begin, begin + _ROWS)
        filled = np.arange(length) - first[block, None]
        mask = (filled >= 0) & (filled < kept[block, None])
        ids = tokens[(starts[block, None] + filled)[mask]]
        result[block][mask] = np.where(ids < settings.vocabulary_size, ids, OOV)
    return result
