"""Archives of data: fetched with a limit, unpacked so that nothing lands outside the folder."""

from __future__ import annotations

import http.client
import lzma
import tarfile
import urllib.request
import zlib
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

from benchmark.data.cache import disk_is_full
from benchmark.support.errors import UserError, one_line
from benchmark.support.files import written_whole
from benchmark.support.printable import redacted
from benchmark.support.retries import reachable

_CHUNK = 1 << 18
_PATIENCE = 30.0
_MOST_BYTES = 1 << 29
_MOST_MEMBERS = 100_000


def download(url: str, path: Path, most_bytes: int, instead: str) -> None:
    """Fetch a file; it appears whole or not at all.

    Parameters
    ----------
    url : str
        Where from.
    path : Path
        Where to; its folder is made.
    most_bytes : int
        The fetch ends with an error where there are more.
    instead : str
        What the user can do when it cannot be fetched, for the message.

    Raises
    ------
    UserError
        Within seconds where there is no network.
    """
    parts = urlsplit(url)
    host, shown = parts.hostname or "", redacted(url)
    if not reachable(host, parts.port or (443 if parts.scheme == "https" else 80)):
        raise UserError(f"{shown} cannot be fetched: {host} cannot be reached from here; {instead}")
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with (
            written_whole(path) as temporary,
            urllib.request.urlopen(url, timeout=_PATIENCE) as answer,  # the project's own addresses
            temporary.open("wb") as file,
        ):
            expected = answer.headers.get("Content-Length")
            while chunk := answer.read(_CHUNK):
                file.write(chunk)
                if file.tell() > most_bytes:
                    raise UserError(f"{shown} is larger than {most_bytes >> 20} MiB, so it is not the data")
            if expected is not None and file.tell() != int(expected):
                raise UserError(f"{shown} was cut off after {file.tell():,} of {expected} bytes; try again")
    except (OSError, http.client.HTTPException, ValueError) as error:
        if disk_is_full(error):
            raise
        raise UserError(f"{shown} cannot be fetched ({one_line(error, named=True)}); {instead}") from error


def unpack(archive: Path, folder: Path, without: Sequence[str] = ()) -> None:
    """Unpack a tar archive below a folder, by Python's ``data`` filter (PEP 706) and with a limit.

    Parameters
    ----------
    archive : Path
        The archive, compressed or not.
    folder : Path
        An empty folder.
    without : sequence of str
        Folders of the archive that are left out.

    Raises
    ------
    UserError
        For a member that would land outside, one that is no file or folder, too much data, and an
        archive that is damaged. The folder may then hold a part of it.
    """
    if not hasattr(tarfile, "data_filter"):
        raise UserError(f"{archive}: this Python cannot unpack it safely; use 3.11.4 or newer")
    total = number = 0
    try:
        with tarfile.open(archive) as tar:
            for member in tar:
                total += member.size
                kept = not any(PurePosixPath(member.name).is_relative_to(part) for part in without)
                number += kept
                if number > _MOST_MEMBERS or total > _MOST_BYTES:
                    raise UserError(
                        f"{archive} holds more than {_MOST_BYTES >> 20} MiB or {_MOST_MEMBERS:,} files, so "
                        "it is not the data"
                    )
                if kept:
                    tar.extract(member, folder, filter="data")
            # To the end, where the checksum stands: tarfile takes a damaged header for the end of the data.
            while tar.fileobj is not None and (rest := tar.fileobj.read(_CHUNK)):
                total += len(rest)
                if total > 2 * _MOST_BYTES:
                    raise UserError(f"{archive} goes on after its last file, so it is not the data")
    except tarfile.FilterError as error:
        raise UserError(f"{archive} is not safe to unpack: {error}") from error
    except (tarfile.TarError, EOFError, zlib.error, lzma.LZMAError, OSError) as error:
        if disk_is_full(error):
            raise
        raise UserError(f"{archive} cannot be unpacked ({one_line(error, named=True)})") from error
