"""Inputs for fuzzing: any bytes, and valid files that something has happened to."""

from __future__ import annotations

import copy
import unicodedata
from typing import Any

from hypothesis import strategies as st

_WORDS = [
    b"",
    b"\n",
    b"\r\n",
    b"\x00",
    b"\xff\xfe",
    b"\xef\xbb\xbf",
    b'"',
    b"'",
    b",",
    b"\t",
    b":",
    b"- ",
    b"{",
    b"}",
]
_WORDS += [
    b"[",
    b"]",
    b"null",
    b"NaN",
    b"1e999",
    b"-1",
    b"9" * 400,
    b"true",
    b"*a",
    b"&a ",
    b"<<: ",
    b"!!python/x ",
    b"\\",
]
_WORDS += ["ä\u2028\U0001f600".encode(), b"\xed\xa0\x80", b"[" * 3000, b"\\ud800", b"%", b"../", b"\x1b[2J"]
_WORDS += [b"\r", b'""', b'"""', b'\\"', b' "', b'" ', "“".encode(), b"sep=;\n", b";", b"1.0", b"-0.0", b"01"]
_WORDS += [word.encode() for word in ("e\u0301", "\u00e9", "\u202e", "\u0085", "\x1c", "[{")] + [b"\xe4"]
_ENCODINGS = ("utf-8-sig", "utf-16", "utf-16-le", "utf-32", "latin-1", "cp1252", "utf-7")
_WAYS = (*_ENCODINGS, "\n", "\r", "\r\n", "NFC", "NFD")


@st.composite
def mutated(draw: st.DrawFn, valid: list[bytes]) -> bytes:
    """One of some valid files, after some edits: bits flipped, parts cut out, doubled, moved or put in."""
    content = draw(st.sampled_from(valid))
    for _ in range(draw(st.integers(1, 4))):
        size = len(content)
        start = draw(st.integers(0, size))
        end = min(size, start + draw(st.sampled_from([1, 2, 4, 16, 64, size])))
        part = content[start:end]
        edit = draw(st.sampled_from(["flip", "cut", "truncate", "double", "word", "bytes", "lines", "whole"]))
        if edit == "flip" and part:
            content = (
                content[:start] + bytes([part[0] ^ (1 << draw(st.integers(0, 7)))]) + content[start + 1 :]
            )
        elif edit == "cut":
            content = content[:start] + content[end:]
        elif edit == "truncate":
            content = content[:start]
        elif edit == "double":
            content = content[:end] + part + content[end:]
        elif edit == "word":
            content = (
                content[:start]
                + draw(st.sampled_from(_WORDS))
                + content[draw(st.sampled_from([start, end])) :]
            )
        elif edit == "bytes":
            content = content[:start] + draw(st.binary(max_size=8)) + content[end:]
        elif edit == "lines":
            lines = content.splitlines(keepends=True)
            if len(lines) > 1:
                one, other = draw(st.tuples(*[st.integers(0, len(lines) - 1)] * 2))
                lines[one], lines[other] = lines[other], lines[one]
            content = b"".join(lines)
        elif edit == "whole":
            content = _respelled(content, draw(st.sampled_from(_WAYS)))
    return content


def _respelled(content: bytes, way: str) -> bytes:
    """The same text in a different encoding, with different line ends, or in a Unicode form."""
    if way in _ENCODINGS:
        return content.decode("utf-8", "replace").encode(way, "replace")
    if way.isspace():
        return b"".join(line + way.encode() for line in content.splitlines())
    return unicodedata.normalize(way, content.decode("utf-8", "replace")).encode()  # type: ignore[arg-type]


def damaged(valid: list[bytes]) -> st.SearchStrategy[bytes]:
    """Any bytes, now and then; mostly valid files that were edited, or were left as they are."""
    return st.one_of(
        mutated(valid), mutated(valid), mutated(valid), st.sampled_from(valid), st.binary(max_size=300)
    )


_PLAIN = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 300),
    st.integers(),
    st.floats(),
    st.text(max_size=8),
    st.sampled_from(
        [10**400, 1e308, -0.0, 5e-324, "", "1e-3", "null", "a\nb", "\x00", "..", [], {}, [[1]], {"a": None}]
    ),
)
# Copies: a list of the samples above is the same object each time, and ``reshaped`` edits what it has put in.
_VALUE = st.one_of(
    _PLAIN, _PLAIN, st.lists(_PLAIN, max_size=3), st.dictionaries(st.text(max_size=4), _PLAIN, max_size=2)
).map(copy.deepcopy)


@st.composite
def reshaped(draw: st.DrawFn, valid: list[Any]) -> Any:
    """One of some trees of lists and dictionaries, after some edits: put in, changed, taken out, renamed."""
    tree = copy.deepcopy(draw(st.sampled_from(valid)))
    for _ in range(draw(st.integers(1, 3))):
        place = tree
        while place:
            key = draw(st.sampled_from(list(place) if isinstance(place, dict) else range(len(place))))
            inside = place[key]
            if isinstance(inside, dict | list) and inside and draw(st.integers(0, 3)):
                place = inside
                continue
            edit = draw(st.sampled_from(["change", "change", "take out", "put in", "rename"]))
            if edit == "change":
                place[key] = draw(_VALUE)
            elif edit == "take out":
                del place[key]
            elif isinstance(place, list):
                place.insert(key, draw(_VALUE))
            elif edit == "put in":
                place[draw(st.text(max_size=6))] = draw(_VALUE)
            else:
                place[draw(st.text(max_size=6))] = place.pop(key)
            break
    return tree
