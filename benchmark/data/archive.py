"""Archives of texts: fetched with a limit, unpacked so that nothing lands outside the folder, and read."""

from __future__ import annotations

import http.client
import lzma
import tarfile
import tempfile
import urllib.request
import zlib
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

from benchmark.data.cache import cache_root, disk_is_full
from benchmark.data.files import check_encoding, fingerprint, stamp
from benchmark.data.folder import FolderSource
from benchmark.data.source import Row, SourceOptions, experiment_name, validation_share
from benchmark.support.errors import MissingResource, UserError, one_line
from benchmark.support.files import written_whole
from benchmark.support.printable import redacted
from benchmark.support.retries import reachable

_CHUNK = 1 << 18
_PATIENCE = 30.0
_MOST_BYTES = 1 << 29
_MOST_FETCHED = 1 << 28
_MOST_MEMBERS = 100_000
_QUESTIONS = "stack_overflow_16k"
_QUESTIONS_URL = f"https://storage.googleapis.com/download.tensorflow.org/data/{_QUESTIONS}.tar.gz"


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
        raise MissingResource(f"{shown} cannot be fetched: {host} cannot be reached from here; {instead}")
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with (
            written_whole(path) as temporary,
            urllib.request.urlopen(url, timeout=_PATIENCE) as answer,  # the project's addresses
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
        reason = one_line(error, named=True)
        raise MissingResource(f"{shown} cannot be fetched ({reason}); {instead}") from error


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
        For a member that would land outside, one that is not a file or folder, too much data, and an
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


class ArchivedSource:
    """A folder per class in an archive, which is unpacked once, to be prepared.

    Parameters
    ----------
    archive : str
        Its place below the data folder; if it is not there, it is fetched into the cache.
    folder : str
        The folder in the archive; where the data folder holds it unpacked, that is read.
    without : sequence of str
        Folders of the archive that are left out.
    url : str or None
        Where the archive can be fetched.
    options : SourceOptions
        Data folder, encoding and validation share.
    """

    most_bytes = _MOST_FETCHED
    otherwise = ""
    """What can be done beside giving the archive, for the message."""

    def __init__(
        self, archive: str, folder: str, without: Sequence[str], url: str | None, options: SourceOptions
    ) -> None:
        self.name, self.options = experiment_name(f"dir:{folder}"), options
        self._place, self._inner, self._without, self._url = Path(archive), folder, without, url
        self.fetched = cache_root() / "downloads" / self._place.name
        data = options.data_dir
        own = [data / folder, data / archive, data / self._place.name] if data else []
        self.place = next((path for path in own if path.exists()), self.fetched)
        self.home = str(self.place.absolute())
        self._unpacked = self.place.is_dir()

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the folders, which are known once the archive is unpacked."""
        return self.folder.class_names

    @property
    def validation_share(self) -> float:
        """Share of train that becomes validation."""
        return self.folder.validation_share

    @property
    def notices(self) -> list[str]:
        """What was left out of the folder."""
        return self.folder.notices

    def key(self) -> str:
        """Return a digest of the archive's place, size and time, and of what is read of it."""
        if self._unpacked:
            return self.folder.key()
        facts = (self._inner, tuple(self._without), self.options.encoding, self.options.validation_share)
        return fingerprint([stamp(self._archive)], *facts)

    def rows(self) -> Iterator[Row]:
        """Yield the texts of the folder."""
        yield from self.folder.rows()

    @cached_property
    def folder(self) -> FolderSource:
        """The folder, unpacked."""
        if self._unpacked:
            return FolderSource(self.place, self.options, f"dir:{self.place}")
        # Gone with this object: what is needed of the texts is then in the cache.
        self._scratch = tempfile.TemporaryDirectory(prefix="textbench-")
        root = Path(self._scratch.name)
        try:
            unpack(self._archive, root, self._without)
        except UserError:
            if self.place == self.fetched:  # ours: fetch it again next time
                self.fetched.unlink(missing_ok=True)
            raise
        return self.below(root, self._archive)

    def below(self, root: Path, archive: Path) -> FolderSource:
        """Return the folder of an archive that was unpacked."""
        inner, shown = root / self._inner, archive / self._inner
        if not inner.is_dir():
            raise UserError(f"{archive} has no folder '{self._inner}'")
        return FolderSource(inner, self.options, str(shown), shown)

    @cached_property
    def _archive(self) -> Path:
        if self.place.is_file():
            return self.place
        instead = f"give a folder that holds {self._place} or {self._inner}/ with `data_dir`{self.otherwise}"
        if self._url is None:
            raise UserError(f"{self._place} is not there; {instead}")
        download(self._url, self.fetched, self.most_bytes, instead)
        return self.fetched


class StackOverflowSource(ArchivedSource):
    """Questions of Stack Overflow with one of four tags: 8,000 to train and validate, 8,000 to test.

    They come from a folder or archive in the data folder; otherwise the archive is fetched. Source:
    TensorFlow tutorial "Load text", ``stack_overflow_16k``; the name of the language is blanked out.
    """

    class_names: tuple[str, ...] = ("csharp", "java", "javascript", "python")
    most_bytes = 1 << 26  # about ten times the archive
    otherwise = ", or use `dataset` sample"

    def __init__(self, options: SourceOptions) -> None:
        super().__init__(f"archives/{_QUESTIONS}.tar.gz", _QUESTIONS, (), _QUESTIONS_URL, options)
        self.name, self.home = "stack-overflow", _QUESTIONS_URL
        self._encoding = check_encoding(options.encoding)

    @property
    def validation_share(self) -> float:
        """Share of train that becomes validation."""
        return validation_share(self.options.validation_share, False, self.name)

    def key(self) -> str:
        """Return a digest of the files in the data folder; the official archive never changes."""
        if self._unpacked:
            return self.folder.key()
        archive = [] if self.place == self.fetched else [stamp(self.place)]
        return fingerprint(archive, _QUESTIONS, self._encoding, self.validation_share)

    def at_hand(self) -> bool:
        """Return whether the questions can be read without network."""
        return self.place.exists()

    @cached_property
    def folder(self) -> FolderSource:
        """The folder, unpacked, which must be what was published."""
        folder = super().folder
        if folder.class_names != self.class_names or folder.splits != {"train", "test"}:
            raise UserError(
                f"data set 'stack-overflow': {self.place} holds "
                f"{', '.join(sorted(folder.splits))} with the classes {', '.join(folder.class_names[:8])}; "
                f"expected train and test with {', '.join(self.class_names)}"
            )
        return folder

    def below(self, root: Path, archive: Path) -> FolderSource:
        """Return the folder of an archive that was unpacked; the official one has no folder around all."""
        inner = root / _QUESTIONS
        return FolderSource(inner if inner.is_dir() else root, self.options, str(archive), archive)
