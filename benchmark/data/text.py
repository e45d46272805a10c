"""How a text becomes tokens, and ids a view, in Python and TensorFlow; a copy travels with kept models."""

from __future__ import annotations

import re
import string
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import tensorflow as tf

    from benchmark.spec.config import ViewSettings

STANDARDIZER_VERSION = 1
"""Part of every cache key; raised whenever `tokenize` would give other tokens."""

PAD = 0
OOV = 1
"""Ids 0 and 1 stand for padding and for words outside the vocabulary; words begin at 2."""

_PUNCTUATION = string.punctuation.encode()
_ROWS = 512  # texts cut at a time, so that memory stays near the size of the result

# TensorFlow lowers Unicode by the rules of the locale, under which a Turkish machine makes another letter of
# an I. ASCII is lowered by a separate rule, and these are the other capitals that some locale treats apart.
_BY_LOCALE = {"İ": "i\u0307", "Į": "į", "Ì": "ì", "Í": "í", "Ĩ": "ĩ"}
# It also drops what follows a NUL; a character that Unicode will never assign stands in for it.
_NUL, _STAND_IN = "\x00", "\ufdd0"
_PUNCTUATION_CLASS = f"[{re.escape(string.punctuation)}]"


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


def split_words(texts: tf.Tensor) -> tf.RaggedTensor:
    """Standardise texts and split them into words, as `tokenize` does.

    Parameters
    ----------
    texts : tf.Tensor of string, shape [n]
        Raw texts in UTF-8.

    Returns
    -------
    tf.RaggedTensor of string, shape [n, None]
        Words.
    """
    import tensorflow as tf

    lowered = lower(tf.strings.regex_replace(texts, re.escape(_NUL), _STAND_IN))
    bare = tf.strings.regex_replace(tf.strings.regex_replace(lowered, "<br />", " "), _PUNCTUATION_CLASS, "")
    return tf.strings.split(tf.strings.regex_replace(bare, _STAND_IN, _NUL))


def lower(texts: tf.Tensor) -> tf.Tensor:
    """Return texts without NUL in lower case, as `str.lower` does, wherever the machine stands."""
    import tensorflow as tf

    lowered = tf.strings.lower(texts)
    for capital, letter in _BY_LOCALE.items():
        lowered = tf.strings.regex_replace(lowered, capital, letter)
    return tf.strings.lower(lowered, encoding="utf-8")


def cut_ids(ids: tf.RaggedTensor, view: ViewSettings, length: int) -> tf.Tensor:
    """Cut and fill texts to one length, as `cut` does.

    Parameters
    ----------
    ids : tf.RaggedTensor of int, shape [n, None]
        Word ids below the view's vocabulary size.
    view : ViewSettings
        Padding and truncation side.
    length : int
        Columns of the result.

    Returns
    -------
    tf.Tensor of int32, shape [n, length]
        Ids, 0 where padded.
    """
    import tensorflow as tf

    lengths = ids.row_lengths()
    kept = tf.minimum(lengths, length)
    starts = ids.row_starts() + (lengths - kept if view.truncation == "pre" else tf.zeros_like(kept))
    first = length - kept if view.padding == "pre" else tf.zeros_like(kept)
    filled = tf.range(length, dtype=tf.int64) - first[:, None]
    inside = (filled >= 0) & (filled < kept[:, None])
    tokens = tf.concat([[PAD], tf.cast(ids.values, tf.int32)], axis=0)  # so that there is one to gather
    return tf.gather(tokens, tf.where(inside, starts[:, None] + filled + 1, 0))
