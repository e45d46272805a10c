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
    import tensorflow as tf

    from benchmark.spec.config import Tokens

FORMS_VERSION = 2
"""What a stored model has for `STANDARDIZER_VERSION` where its tokens are not words; part of cache keys."""

SPACE = "▁"
"""Stands for white space in characters and subwords, so that no token has any in it."""

CLASSES = Path(__file__).with_name("unicode_classes.txt")
"""The class of each character by the rules that cut characters and words."""

_LONGEST_RUN = 32  # letters that a subword may be looked for in at a time: merging is quadratic
_KEPT = 1 << 16  # pieces whose subwords are remembered
_SPACES = "[\\x00-\\x20\\x7f-\\xa0\u1680\u2000-\u200b\u2028\u2029\u202f\u205f\u3000\ufeff]+"
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
    if tokens != "subwords":
        return FORMS[tokens]
    merged = lru_cache(_KEPT)(partial(_merge, ranks=_ranks(merges)))
    return lambda text: [token for piece in pieces(text) for token in merged(piece)]


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


def character_classes(text: str) -> bytes:
    """Return the class of each character for word boundaries, one letter each."""
    return _classes("words")[np.frombuffer(text.encode("utf-32-le"), dtype=np.uint32)].tobytes()


@lru_cache
def _classes(table: str) -> NDArray[np.uint8]:
    """Return the classes of all characters, by code point, as letters of ASCII."""
    classes = np.full(0x110000, ord(_OTHER), dtype=np.uint8)
    for line in CLASSES.read_text("ascii").splitlines():
        name, letter, ranges = line.split(" ")
        for first, _, last in (one.partition("-") for one in ranges.split(",") if name == table):
            classes[int(first, 16) : int(last or first, 16) + 1] = ord(letter)
    classes[ord(" ")] = ord(_BLANK)
    return classes


def _ranks(merges: Sequence[str]) -> dict[tuple[str, str], int]:
    pairs = (merge.split(" ") for merge in merges)
    return {(left, right): rank for rank, (left, right) in enumerate(pairs)}


def _merge(piece: str, ranks: dict[tuple[str, str], int]) -> list[str]:
    """Merge characters by byte-pair encoding: of all neighbours the pair learned first, from the left."""
    parts = list(piece)
    while len(parts) > 1:
        rank, place = min((ranks.get(pair, len(ranks)), at) for at, pair in enumerate(pairwise(parts)))
        if rank == len(ranks):
            break
        parts[place : place + 2] = [parts[place] + parts[place + 1]]
    return parts


def split_tensor(texts: tf.Tensor, tokens: Tokens, merges: Sequence[str] = ()) -> tf.RaggedTensor:
    """Cut texts into tokens by TensorFlow's operations, as `split` does.

    Parameters
    ----------
    texts : tf.Tensor of string, shape [n]
        Raw texts in UTF-8.
    tokens, merges
        As in `split`.

    Returns
    -------
    tf.RaggedTensor of string, shape [n, None]
        Tokens.
    """
    import tensorflow as tf

    if tokens == "words":
        return text_module.split_words(texts)
    lowered = text_module.lower(tf.strings.regex_replace(texts, _SPACES, " "))
    standard = tf.strings.strip(
        tf.strings.regex_replace(tf.strings.regex_replace(lowered, "<br />", " "), _SPACES, " ")
    )
    if tokens == "characters":
        standard = tf.strings.regex_replace(standard, " ", SPACE)
    if tokens == "subwords":
        standard = tf.strings.regex_replace(standard, "^(.)", r" \1")
    cut = _cut_tensor(standard, tokens)
    if tokens == "unicode_words":
        return tf.ragged.boolean_mask(cut, cut != " ")
    if tokens == "subwords":
        merged = _merge_tensor(tf.strings.regex_replace(cut.values, " ", SPACE), merges)
        return cut.with_values(merged).merge_dims(1, 2)
    return cut


def _cut_tensor(texts: tf.Tensor, form: str) -> tf.RaggedTensor:
    """Do what `_cut` does."""
    import tensorflow as tf

    table, rule = _RULES[form]
    codes = tf.strings.unicode_decode(texts, "UTF-8")
    letters = tf.cast(tf.gather(tf.constant(_classes(table)), codes.values), tf.int32)
    classes = tf.strings.unicode_encode(codes.with_values(letters), "UTF-8")
    found = tf.strings.split(tf.strings.regex_replace(classes, rule, r"\0 "))
    lengths = tf.strings.length(found.values)
    return found.with_values(
        tf.strings.unicode_encode(tf.RaggedTensor.from_row_lengths(codes.values, lengths), "UTF-8")
    )


def _merge_tensor(texts: tf.Tensor, merges: Sequence[str]) -> tf.RaggedTensor:
    """Do what `_merge` does to each piece: string [n] to ragged string [n, None]."""
    import tensorflow as tf

    ranks = _ranks(merges)
    joined = [left + right for left, right in ranks]
    symbols = {
        part: number for number, part in enumerate(sorted({*joined, *"".join(joined)}), 1)
    }  # 0 for others
    products, lengths = [symbols[one] for one in joined], [1, *map(len, symbols)]
    of_letter = {ord(part): number for part, number in symbols.items() if len(part) == 1}
    of_pair = {symbols[a] * len(lengths) + symbols[b]: rank for (a, b), rank in ranks.items()}
    none = tf.constant(len(products), tf.int64)

    def found(parts: tf.Tensor) -> tf.Tensor:
        left, right = parts[:, :-1], parts[:, 1:]
        pairs = tf.where((left > 0) & (right > 0), left * len(lengths) + right, -1)
        return _look_up(of_pair, pairs, none)

    def step(parts: tf.Tensor, pairs: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        columns = tf.range(tf.shape(parts, tf.int64)[1])
        best = tf.reduce_min(pairs, axis=1, keepdims=True)
        place = tf.where((pairs == best) & (pairs < none), columns[:-1], tf.int64.max)
        place = tf.reduce_min(place, axis=1, keepdims=True)
        merged = tf.gather(tf.constant([*products, 0], tf.int64), best)
        rest = tf.pad(parts[:, 1:], [[0, 0], [0, 1]], constant_values=-1)
        parts = tf.where(columns < place, parts, tf.where(columns == place, merged, rest))
        return parts, found(parts)

    unique, places = tf.unique(texts)
    codes = tf.strings.unicode_decode(unique, "UTF-8")
    letters = codes.with_values(
        _look_up(of_letter, tf.cast(codes.values, tf.int64), tf.constant(0, tf.int64))
    )
    parts = letters.to_tensor(-1)
    anything = tf.TensorShape([None, None])
    parts, _ = tf.while_loop(
        lambda parts, pairs: tf.reduce_any(pairs < none),
        step,
        (parts, found(parts)),
        shape_invariants=(anything, anything),
    )
    widths = tf.gather(tf.constant(lengths), parts[parts >= 0])
    tokens = tf.strings.unicode_encode(tf.RaggedTensor.from_row_lengths(codes.values, widths), "UTF-8")
    counts = tf.reduce_sum(tf.cast(parts >= 0, tf.int64), axis=1)
    return tf.gather(tf.RaggedTensor.from_row_lengths(tokens, counts), places)


def _look_up(table: dict[int, int], keys: tf.Tensor, missing: tf.Tensor) -> tf.Tensor:
    """Return the values of a table by operations on constants, which a program holds without a resource."""
    import tensorflow as tf

    known = sorted({-2: 0, **table}.items())  # not empty; no key is below -1
    ordered = tf.constant([key for key, _ in known], tf.int64)
    flat = tf.reshape(keys, [-1])
    at = tf.minimum(tf.searchsorted(ordered, flat), len(known) - 1)
    values = tf.gather(tf.constant([value for _, value in known], tf.int64), at)
    return tf.reshape(tf.where(tf.gather(ordered, at) == flat, values, missing), tf.shape(keys))
