"""The forms of tokens: how a text is cut, in Python and TensorFlow; a copy travels with kept models.

Words are those of the tutorials (`benchmark.data.text`). The other forms cut by the rules of UAX 29 (Unicode
16): each character has a class, of ``unicode_classes.txt``, and a regular expression finds the tokens in the
string of classes, in Python's `re` and TensorFlow's RE2 alike.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if __package__:
    from benchmark.data import text as text_module
else:  # beside a kept model, whose code gives it
    text_module = globals()["text_module"]

if TYPE_CHECKING:
    from benchmark.spec.config import Tokens

FORMS_VERSION = 2
"""What a stored model has for `STANDARDIZER_VERSION` where its tokens are not words; part of cache keys."""

SPACE = "▁"
"""Stands for white space in characters and subwords, so that no token has any in it."""

_LONGEST_RUN = 32  # letters that a subword may be looked for in at a time: merging is quadratic
_SPACES = r"[\x00-\x20\x7f-\xa0\u1680\u2000-\u200b\u2028\u2029\u202f\u205f\u3000\ufeff]+"
_OTHER, _BLANK = "O", "S"  # classes of what is not in the file, and of a space

# UAX 29, table 1c. C control, E X K Z extend (in conjuncts, outside, linker, joiner), M spacing mark, R flag
# letter, W prepend, L V T G J Hangul, P pictograph, I consonant.
_CLUSTER = (
    "C|W*(?:L*(?:V+|GV*|J)T*|L+|T+|RR|P(?:[EKX]*ZP)*|I(?:[EKZ]*K[EKZ]*I)+|[^C])[EKXZM]*"  # else any one
)

# UAX 29, section 4. A F H letters (pictographs, Hebrew), N digit, K Katakana, U underscore, E Z extend, M B Q
# D C what joins letters or digits, R flag letter, P pictograph, I letters of scripts without spaces.
_E, _TAIL = "[EZ]*", "(?:E|Z[FP]?)*"
_LETTER = f"(?:[AF]|H(?:{_E}D{_E}H)*(?:{_E}Q)?)"
_LETTERS = f"{_LETTER}(?:{_E}(?:[MBQ]{_E})?{_LETTER})*"
_DIGITS = f"N(?:{_E}(?:[CBQ]{_E})?N)*"
_RUN = f"(?:(?:{_LETTERS}|{_DIGITS})(?:{_E}(?:{_LETTERS}|{_DIGITS}))*|K(?:{_E}K)*)"
_WORD = (
    f"(?:{_RUN}|U(?:{_E}{_RUN})?)(?:(?:{_E}U)+(?:{_E}{_RUN})?)*{_TAIL}|R{_E}R{_TAIL}|S|(?:Z[FP]|[^S]){_TAIL}"
)

# What subwords are looked for in: a run of letters or digits or a symbol, with the space before it.
_PIECE = f"S?(?:[AFHKIU][AFHKIUEZ]{{0,{_LONGEST_RUN - 1}}}|N{{1,{_LONGEST_RUN}}}|[^S]{_TAIL})"

_RULES = {
    "characters": ("graphemes", _CLUSTER),
    "unicode_words": ("words", _WORD),
    "subwords": ("words", _PIECE),
}


def split(text: str, tokens: Tokens, merges: Sequence[str] = ()) -> list[str]:
    """Cut a text into tokens.

    Parameters
    ----------
    text : str
        Raw text.
    tokens : {"words", "unicode_words", "characters", "subwords"}
        Form of the tokens, see `benchmark.spec.config.ViewSettings`.
    merges : sequence of str
        What subwords were learned, see `benchmark.data.subwords.learn`.

    Returns
    -------
    list of str
        Tokens in order, lower case; none has a space, tab or end of a line in it.

    Examples
    --------
    >>> split("It wasn't GOOD!", "words")
    ['it', 'wasnt', 'good']
    >>> split("It wasn't GOOD!", "unicode_words")
    ['it', "wasn't", 'good', '!']
    >>> split("Go on", "characters")
    ['g', 'o', '▁', 'o', 'n']
    """
    return splitter(tokens, merges)(text)


def splitter(tokens: Tokens, merges: Sequence[str] = ()) -> Callable[[str], list[str]]:
    """Return what cuts a text into tokens, as `split` does, for many texts."""
    return partial(_merged, ranks=_ranks(tuple(merges))) if tokens == "subwords" else FORMS[tokens]


def _words(text: str) -> list[str]:
    return [token.decode("utf-8") for token in text_module.tokenize(text)]


def _unicode_words(text: str) -> list[str]:
    return [token for token in _cut(standardise(text), "unicode_words") if token != " "]


def _characters(text: str) -> list[str]:
    return _cut(standardise(text).replace(" ", SPACE), "characters")


def pieces(text: str) -> list[str]:
    """Cut a text into what subwords are looked for in: runs of letters, numbers, symbols."""
    standard = standardise(text)
    return _cut(f" {standard}", "subwords") if standard else []


FORMS: dict[str, Callable[[str], list[str]]] = {
    "words": _words,
    "unicode_words": _unicode_words,
    "characters": _characters,
    "subwords": pieces,
}
"""Each form; for subwords, the pieces that are merged further."""


def standardise(text: str) -> str:
    """Return a text in lower case, ``<br />`` and runs of white space or control characters as one space."""
    lowered = text.lower().encode("utf-8", errors="replace").decode("utf-8")
    return re.sub(_SPACES, " ", lowered.replace("<br />", " ")).strip(" ")


def _cut(text: str, form: str) -> list[str]:
    table, rule = _RULES[form]
    classes = _classes(table)[np.frombuffer(text.encode("utf-32-le"), dtype=np.uint32)].tobytes()
    if form == "characters" and not classes.strip(_OTHER.encode()):  # nearly all texts, and much faster
        return list(text)
    spans = (match.span() for match in re.finditer(rule.encode(), classes))
    cut = [text[start:end] for start, end in spans]
    return [token.replace(" ", SPACE) for token in cut] if form == "subwords" else cut


@lru_cache
def _classes(table: str) -> NDArray[np.uint8]:
    """Return the classes of all characters, by code point, as letters of ASCII."""
    classes = np.full(0x110000, ord(_OTHER), dtype=np.uint8)
    for line in Path(__file__).with_name("unicode_classes.txt").read_text("ascii").splitlines():
        name, letter, ranges = line.split(" ")
        for first, _, last in (one.partition("-") for one in ranges.split(",") if name == table):
            classes[int(first, 16) : int(last or first, 16) + 1] = ord(letter)
    classes[ord(" ")] = ord(_BLANK)
    return classes


@lru_cache(4)
def _ranks(merges: tuple[str, ...]) -> dict[tuple[str, str], int]:
    pairs = (merge.split(" ") for merge in merges)
    return {(left, right): rank for rank, (left, right) in enumerate(pairs)}


def _merged(text: str, ranks: dict[tuple[str, str], int]) -> list[str]:
    return [token for piece in pieces(text) for token in merge(piece, ranks)]


def merge(piece: str, ranks: dict[tuple[str, str], int]) -> list[str]:
    """Merge characters by byte-pair encoding: of all neighbours the pair learned first, from the left."""
    parts = list(piece)
    while len(parts) > 1:
        rank, place = min((ranks.get(pair, len(ranks)), at) for at, pair in enumerate(pairwise(parts)))
        if rank == len(ranks):
            break
        parts[place : place + 2] = [parts[place] + parts[place + 1]]
    return parts
