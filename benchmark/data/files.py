"""Files of texts: read whole or line by line, errors that name file and byte, and fingerprints."""

from __future__ import annotations

import codecs
import contextlib
import difflib
import hashlib
import os
from collections.abc import Iterable, Iterator
from functools import partial
from itertools import chain
from pathlib import Path

from benchmark.support.errors import MissingResource, UserError, did_you_mean, file_errors

_KNOWN = ("utf-8", "latin-1", "cp1252", "utf-16", "ascii", "iso-8859-15", "koi8-r", "shift_jis", "gb18030")
_SPECIAL = {"undefined", "idna", "punycode", "unicode-escape", "raw-unicode-escape", "utf-7"}
_MARKS = {
    codecs.BOM_UTF8: ("utf-8",),
    codecs.BOM_UTF32_LE: ("utf-32", "utf-32-le"),  # before UTF-16, whose mark it begins with
    codecs.BOM_UTF32_BE: ("utf-32", "utf-32-be"),
    codecs.BOM_UTF16_LE: ("utf-16", "utf-16-le"),
    codecs.BOM_UTF16_BE: ("utf-16", "utf-16-be"),
}
_FEW = 3
_CHUNK = 1 << 18

LONGEST = 1 << 24
"""Characters a line, or a field of a table, may have; what is longer is not a table of texts."""

PACKED = (".gz", ".zip", ".bz2", ".xz", ".zst", ".tar", ".tgz", ".7z")
"""Ends of names of compressed files and archives."""


class FirstFew:
    """Counts places and keeps the first few, for messages."""

    def __init__(self) -> None:
        self.count = 0
        self.first: list[str] = []

    def add(self, where: str) -> None:
        """Count a place."""
        self.count += 1
        if self.count <= _FEW:
            self.first.append(where)

    def __str__(self) -> str:
        return ", ".join(self.first) + (", …" if self.count > _FEW else "")


def check_encoding(encoding: str | None) -> str:
    """Return Python's name of an encoding, UTF-8 for None.

    Raises
    ------
    UserError
        For one that does not exist, with the nearest.
    """
    try:
        info = codecs.lookup("utf-8" if encoding is None else encoding)
        name = info.name if getattr(info, "_is_text_encoding", True) else ""  # base64 is none
    except (LookupError, ValueError):  # a NUL in the name is a ValueError
        name = ""
    if not name or name in _SPECIAL:
        raise UserError(
            f"no such encoding; {did_you_mean(str(encoding), _KNOWN)}", setting="encoding", value=encoding
        )
    return "utf-8" if name == "utf-8-sig" else name  # a byte order mark is dropped in any case


def file_encoding(path: Path) -> str:
    """Return the encoding that a file's byte order mark says, UTF-8 where it has none."""
    with file_errors(path), path.open("rb") as file:
        return marked_encoding(file.read(4))


def marked_encoding(start: bytes) -> str:
    """Return the encoding of a byte order mark at the start of a file, UTF-8 without one."""
    return next((names[0] for mark, names in _MARKS.items() if start.startswith(mark)), "utf-8")


def decode(content: bytes, encoding: str, where: str) -> str:
    """Decode the whole content of a file, without a byte order mark.

    Raises
    ------
    UserError
        Names file, byte offset and the way out.
    """
    if encoding in ("utf-16", "utf-32") and not content.startswith(tuple(_MARKS)):
        _check_start(content, encoding, where)
        encoding += "-le"
    return "".join(_decoded([content], encoding, where))


def _decoded(chunks: Iterable[bytes], encoding: str, where: str) -> Iterator[str]:
    """Decode the content of a file chunk by chunk, refused at the first byte that is not text."""
    decoder = codecs.getincrementaldecoder(encoding)("strict")
    offset = 0
    for chunk in chain(chunks, [b""]):
        before = offset - len(decoder.getstate()[0])
        if offset == 0:
            _check_start(chunk, encoding, where)
        try:
            text = decoder.decode(chunk, final=not chunk)
        except UnicodeDecodeError as error:
            other = "latin-1" if encoding == "utf-8" else "utf-8"
            raise UserError(
                f"{where}: byte {before + error.start} (0x{error.object[error.start]:02x}) is not {encoding} "
                f"text; if it is in another encoding say which, for example `encoding` {other}"
            ) from None
        except UnicodeError:
            raise UserError(
                f"{where} is not {encoding} text: it has no byte order mark; say which order, "
                f"`encoding` {encoding}-le or {encoding}-be"
            ) from None
        if "\x00" in text:
            place = before + len(text.partition("\x00")[0].encode(encoding))
            raise UserError(
                f"{where}: byte {place} is NUL, so this is a binary file; expected texts (of utf-16 say "
                "`encoding` utf-16-le)"
            )
        yield text if offset else text.lstrip("\ufeff")
        offset += len(chunk)


def _check_start(content: bytes, encoding: str, where: str) -> None:
    """Refuse what begins with another encoding's byte order mark, and UTF-8 read as UTF-16.

    Any two bytes are a character of UTF-16, so nothing else would say that they are not.
    """
    fitting = next((names for mark, names in _MARKS.items() if content.startswith(mark)), None)
    if fitting is None and encoding.startswith("utf-16") and len(content) >= 8 and b"\x00" not in content:
        with contextlib.suppress(UnicodeDecodeError):
            codecs.getincrementaldecoder("utf-8")().decode(content)
            raise UserError(f"{where} is utf-8 text, not {encoding}; read it with `encoding` utf-8")
    if fitting is not None and encoding not in fitting:
        raise UserError(
            f"{where} begins with the byte order mark of {fitting[-1]}, so it is not {encoding} text; "
            f"read it with `encoding` {fitting[0]}"
        )


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
    pending, number, end = "", 0, ""
    with file_errors(path), path.open("rb") as file:
        for text in _decoded(iter(partial(file.read, _CHUNK), b""), encoding, str(path)):
            end = end or ("\r" if "\r" in text[:-1] and "\n" not in text else "\n")
            *whole, pending = (pending + text).split(end)
            for line in whole:
                yield line + end
            number += len(whole)
            if len(pending) > LONGEST:
                raise UserError(f"{path}, line {number + 1} is longer than {LONGEST:,} characters")
    if pending:
        yield pending


def fingerprint(files: Iterable[tuple[str, int, int]], *facts: object) -> str:
    """Return a digest of names, sizes, modification times (in ns), and of what else decides the rows."""
    digest = hashlib.sha256(repr(facts).encode("utf-8", "surrogatepass"))
    for name, size, modified in sorted(files):
        digest.update(os.fsencode(name) + f"\x00{size}\x00{modified}\x00".encode())
    return digest.hexdigest()


def stamp(path: Path) -> tuple[str, int, int]:
    """Return what `fingerprint` wants to know of one file; of a missing one, that it is missing."""
    try:
        status = path.stat()
    except OSError:
        return str(path.absolute()), -1, -1
    return str(path.absolute()), status.st_size, status.st_mtime_ns


def content_digest(files: Iterable[tuple[Path, str]]) -> str:
    """Return the SHA-256 of the contents of files and the names that go with them, in the order given."""
    digest = hashlib.sha256()
    for path, name in files:
        with path.open("rb") as file:
            own = hashlib.file_digest(file, "sha256").hexdigest()
        digest.update(f"{own} {name}\n".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def folder_digest(folder: Path) -> str:
    """Return the `content_digest` of all files in a folder."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return content_digest((path, path.relative_to(folder).as_posix()) for path in files)


def missing(spelling: str, path: Path, what: str) -> MissingResource:
    """Return the error for a path that is not there, with the nearest one beside it."""
    try:
        beside = [entry.name for entry in path.absolute().parent.iterdir()]
    except (OSError, ValueError):  # a NUL in the name is a ValueError
        beside = []
    close = difflib.get_close_matches(path.name, beside, n=1, cutoff=0.6)
    hint = f"; did you mean '{path.with_name(close[0])}'?" if close else ""
    return MissingResource(f"{spelling}: there is no such {what}{hint}")
