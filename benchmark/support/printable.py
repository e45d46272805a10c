"""Text as it may be shown: without passwords and what steers a terminal or a document, in any encoding."""

from __future__ import annotations

import codecs
import html
import os
import re
import sys
from typing import TextIO

# C0 and C1 controls, line and paragraph separators, bidirectional embeddings, overrides and isolates, byte
# order marks, and bytes that were not text. Joiners and marks of direction belong to normal text.
_UNSAFE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")
_ASCII = dict(zip("±×µ–—─…‘’“”‹›", ("+/-", "x", "u", "-", "-", "-", "...", *"''\"\"<>"), strict=True))
_HANDLER = "textbench.ascii"
# SQLAlchemy takes a password with a slash in it: what stands before the last @ of the word is dropped.
# A path (sqlite:///…) follows the slashes at once and has no user. A path that was made of an address has one
# slash, and an address that was made part of an address has its signs in percent.
_COLON, _AT = "(?::|%3A)", "(?:@|%40)"
_WEB = "https?|ftps?|s3|gs|wss?|postgres(?:ql)?|mysql|mariadb|mongodb|redis"
_USER = re.compile(
    rf"(\b(?:[a-z][\w+.-]*{_COLON}(?:/|%2F){{2}}|(?:{_WEB})(?:\+\w+)?{_COLON}(?:/|%2F)))(?!/|%2F)"
    rf"(?:\S+@|[^\s/?#]+{_AT})",
    re.IGNORECASE,
)
_SECRET = re.compile(
    r"((?:[?&;]|%3F|%26)[^=&;\s]*?(?:pass|pwd|secret|token|sig|key|credential|auth)[^=&;\s]*?(?:=|%3D))"
    r"(?:(?!%26)[^&;\s'\"])+",
    re.IGNORECASE,
)


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


def redacted(text: str) -> str:
    """Return a URL, or a text with URLs in it, without user names and passwords.

    They stand before the host, or in the query: SQLAlchemy takes a password there, and signed addresses
    have their signature there.

    Examples
    --------
    >>> redacted("postgresql://me:secret@host/name cannot be used")
    'postgresql://host/name cannot be used'
    """
    return _SECRET.sub(r"\1***", _USER.sub(r"\1", text))


def markdown(text: str, *, in_link: bool = False) -> str:
    """Return a text as it stands in Markdown, also in a table, or between the brackets of a link."""
    # Alone, [86.9, 87.7] is not a link.
    brackets = r"[\[\]]" if in_link else r"\](?=[(\[:])"
    return re.sub(rf"([\\`*|~]|\b_|_\b|{brackets})", r"\\\1", html.escape(printable(text), quote=False))


def open_streams() -> None:
    """Make sure that output has somewhere to go, and that no character of it ends the process."""
    if None in (sys.stdin, sys.stdout, sys.stderr):  # closed by the shell, as with >&-
        # All three are filled: the next file to be opened would otherwise take the place of the output.
        while (null := os.open(os.devnull, os.O_RDWR)) <= 2:
            pass
        os.close(null)
        sys.stdin = sys.stdin or open(0, closefd=False)  # noqa: SIM115
        sys.stdout = sys.stdout or open(1, "w", closefd=False)  # noqa: SIM115
        sys.stderr = sys.stderr or open(2, "w", closefd=False)  # noqa: SIM115
    show_anything(sys.stdout)
    show_anything(sys.stderr)


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
