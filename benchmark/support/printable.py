"""Text as it may be shown: nothing in it steers a terminal, and no encoding of a terminal ends a command."""

from __future__ import annotations

import codecs
import re
from typing import TextIO

# C0 and C1 controls, line and paragraph separators, bidirectional embeddings, overrides and isolates, byte
# order marks, and bytes that were not text. Joiners and marks of direction belong to normal text.
_UNSAFE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")
_ASCII = dict(zip("±×µ–—─…‘’“”‹›", ("+/-", "x", "u", "-", "-", "-", "...", *"''\"\"<>"), strict=True))
_HANDLER = "textbench.ascii"


def printable(text: str, *, keep: str = "") -> str:
    r"""Return a text with its control characters escaped, in one line.

    Parameters
    ----------
    text : str
        Of any language.
    keep : str
        Control characters to leave, for example the line breaks of a text that has several lines.

    Examples
    --------
    >>> print(printable("a\nb\x1b[2J"))
    a\nb\x1b[2J
    """
    return _UNSAFE.sub(lambda found: found[0] if found[0] in keep else ascii(found[0])[1:-1], text)


def show_anything(stream: TextIO | None) -> None:
    """Let a stream take characters that its encoding lacks: an ASCII form of them, or else an escape."""
    reconfigure = getattr(stream, "reconfigure", None)
    if reconfigure is not None:  # what stands for a stream in a notebook or a test may lack it
        reconfigure(errors=_HANDLER)


def _to_ascii(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    lacking = error.object[error.start : error.end]
    return "".join(_ASCII.get(char, ascii(char)[1:-1]) for char in lacking), error.end


codecs.register_error(_HANDLER, _to_ascii)
