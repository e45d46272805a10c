"""Lines of a text file, streaming, with errors that name the byte."""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from pathlib import Path

from benchmark.data.files import check_start, not_encoded, not_text
from benchmark.support.errors import UserError, one_line

LONGEST = 1 << 24
"""Characters a line, or a field of a table, may have; what is longer is no table of texts."""

_CHUNK = 1 << 18


def text_lines(path: Path, encoding: str) -> Iterator[str]:
    r"""Yield the lines of a file with their ends: ``\n``, or ``\r`` alone where there is no ``\n``.

    Memory stays near the size of the longest line. A file that is binary, or in another encoding, is
    refused at the first byte that says so.

    Parameters
    ----------
    path : Path
        The file.
    encoding : str
        Python's name of its encoding.

    Raises
    ------
    UserError
        Names the file and the byte or line.
    """
    decoder = codecs.getincrementaldecoder(encoding)("strict")
    pending, offset, number, end = "", 0, 0, "\n"
    try:
        with path.open("rb") as file:
            while True:
                chunk = file.read(_CHUNK)
                before = offset - len(decoder.getstate()[0])
                if offset == 0:
                    check_start(chunk, encoding, str(path))
                try:
                    text = decoder.decode(chunk, final=not chunk)
                except UnicodeDecodeError as error:
                    byte = error.object[error.start]
                    start = offset + len(chunk) - len(error.object) + error.start
                    raise not_encoded(str(path), start, byte, encoding) from None
                except UnicodeError:
                    raise UserError(
                        f"{path} is not {encoding} text: it has no byte order mark; say which order, "
                        f"--encoding {encoding}-le or {encoding}-be"
                    ) from None
                if "\x00" in text:
                    start = before + len(text[: text.index("\x00")].encode(encoding))
                    raise not_text(str(path), start)
                if offset == 0:
                    text = text.lstrip("\ufeff")
                    end = "\r" if "\r" in text[:-1] and "\n" not in text else "\n"
                offset += len(chunk)
                *whole, pending = (pending + text).split(end)
                for line in whole:
                    yield line + end
                number += len(whole)
                if len(pending) > LONGEST:
                    raise UserError(f"{path}, line {number + 1} is longer than {LONGEST:,} characters")
                if not chunk:
                    break
    except OSError as error:
        raise UserError(f"{path}: {one_line(error)}") from error
    if pending:
        yield pending
