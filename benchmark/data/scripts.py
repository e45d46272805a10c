"""Which form of tokens suits texts: what scripts they are in, and how words come out at white space."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from benchmark.data.token_ids import TokenWriter
from benchmark.data.tokens import character_classes

if TYPE_CHECKING:
    from benchmark.spec.config import Tokens

FITTING: Tokens = "unicode_words"
"""What is taken where a script has no spaces: a token for each of its characters, Latin words whole."""

_TEXTS = 2_000  # looked at, evenly
_UNSPACED, _LETTERS = b"IK", b"AFH"  # classes of UAX 29: Han, kana, Thai, Lao, Khmer, …, and other letters
_MOST, _SOME = 0.5, 0.1  # share of letters in scripts without spaces
_CUT = 5.0  # letters of a token on average, above which nobody put spaces between their words
_FEW_TOKENS, _LONG, _LONG_SHARE = 1.5, 20, 0.1


def fitting_tokens(
    words: Sequence[bytes], written: TokenWriter, rows: NDArray[np.int64]
) -> tuple[Tokens, str]:
    """Find out which form of tokens suits texts that were cut into words.

    Parameters
    ----------
    words : sequence of bytes
        Every word, by its provisional number.
    written : TokenWriter
        The words of the texts, closed and not yet finished.
    rows : ndarray of int64, shape [n]
        The training texts.

    Returns
    -------
    str
        `FITTING` where most letters are of scripts without spaces and nobody put spaces between their words,
        otherwise ``words``.
    str
        Why words do not suit, and which setting does; nothing where they do.

    Notes
    -----
    A script is recognised by the classes of UAX 29. Texts of which the words were separated before, as
    Chinese corpora often are, have short tokens and keep them.
    """
    rows = rows[:: max(1, len(rows) // _TEXTS)]
    ids, ends = written.provisional(), written.token_ends
    taken = [np.asarray(ids[ends[row] : ends[row + 1]]) for row in rows.tolist()]
    numbers, counts = np.unique(np.concatenate([np.zeros(0, np.int32), *taken]), return_counts=True)
    if not len(numbers):
        return "words", ""
    texts = [words[number].decode("utf-8") for number in numbers]
    lengths = np.array([len(text) for text in texts])
    classes = np.frombuffer(character_classes("".join(texts)), dtype=np.uint8)
    unspaced, spaced = (
        np.add.reduceat(np.isin(classes, list(kept)).astype(np.int64), np.cumsum(lengths) - lengths)
        for kept in (_UNSPACED, _LETTERS)
    )
    share = float(unspaced @ counts) / max(1.0, float((unspaced + spaced) @ counts))
    length = float(unspaced @ counts) / max(1.0, float(counts[unspaced > 0].sum()))
    a_text = float(counts.sum() / len(rows))
    long = float(counts[lengths > _LONG].sum() / counts.sum())
    few = f"a text has {a_text:.1f} words at white space"
    if share >= _SOME and (length > _CUT or a_text < _FEW_TOKENS):
        why = f"{share:.0%} of the letters are of scripts without spaces, and {few}"
        return FITTING if share >= _MOST else "words", f"{why}: try `set` tokens={FITTING}"
    if a_text < _FEW_TOKENS:
        return "words", f"{few}: if these are not words, try `set` tokens=characters"
    if long > _LONG_SHARE:
        return "words", f"{long:.0%} of the words have more than {_LONG} letters: try `set` tokens=subwords"
    return "words", ""
