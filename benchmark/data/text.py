"""The one definition of how a text becomes tokens."""

from __future__ import annotations

import string

STANDARDIZER_VERSION = 1
"""Part of every cache key; raised whenever `tokenize` would give other tokens."""

_PUNCTUATION = string.punctuation.encode()


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
