"""The text processing of `benchmark.data` as TensorFlow operations, for models that travel alone."""

from __future__ import annotations

import re
import string

import tensorflow as tf

from benchmark.data.text import PAD
from benchmark.spec.config import ViewSettings

# TensorFlow lowers Unicode by the rules of the locale, under which a Turkish machine makes another letter of
# an I. ASCII is lowered by a rule of its own, and these are the other capitals that some locale treats apart.
_BY_LOCALE = {"İ": "i\u0307", "Į": "į", "Ì": "ì", "Í": "í", "Ĩ": "ĩ"}
# It also drops what follows a NUL; a character that Unicode will never assign stands in for it.
_NUL, _STAND_IN = "\x00", "\ufdd0"
_PUNCTUATION = f"[{re.escape(string.punctuation)}]"


def split_words(texts: tf.Tensor) -> tf.RaggedTensor:
    """Standardise texts and split them into words, as `benchmark.data.text.tokenize` does.

    Parameters
    ----------
    texts : tf.Tensor of string, shape [n]
        Raw texts in UTF-8.

    Returns
    -------
    tf.RaggedTensor of string, shape [n, None]
        Words.
    """
    lowered = tf.strings.lower(tf.strings.regex_replace(texts, re.escape(_NUL), _STAND_IN))
    for capital, letter in _BY_LOCALE.items():
        lowered = tf.strings.regex_replace(lowered, capital, letter)
    lowered = tf.strings.lower(lowered, encoding="utf-8")
    bare = tf.strings.regex_replace(tf.strings.regex_replace(lowered, "<br />", " "), _PUNCTUATION, "")
    return tf.strings.split(tf.strings.regex_replace(bare, _STAND_IN, _NUL))


def cut_ids(ids: tf.RaggedTensor, view: ViewSettings, length: int) -> tf.Tensor:
    """Cut and fill texts to one length, as `benchmark.data.text.cut` does.

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
    lengths = ids.row_lengths()
    kept = tf.minimum(lengths, length)
    starts = ids.row_starts() + (lengths - kept if view.truncation == "pre" else tf.zeros_like(kept))
    first = length - kept if view.padding == "pre" else tf.zeros_like(kept)
    filled = tf.range(length, dtype=tf.int64) - first[:, None]
    inside = (filled >= 0) & (filled < kept[:, None])
    tokens = tf.concat([[PAD], tf.cast(ids.values, tf.int32)], axis=0)  # so that there is one to gather
    return tf.gather(tokens, tf.where(inside, starts[:, None] + filled + 1, 0))
