"""A folder of texts in an archive: what ``dir:PATH`` reads, without its thousands of files lying about."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path

from benchmark.data.archive import download, unpack
from benchmark.data.cache import cache_root
from benchmark.data.files import fingerprint, stamp
from benchmark.data.folder import FolderSource
from benchmark.data.source import Row, Source, SourceOptions, experiment_name
from benchmark.support.errors import UserError

_MOST_BYTES = 1 << 28


class ArchivedSource:
    """A folder per class in an archive, which is unpacked once, to be prepared.

    Parameters
    ----------
    archive : Path
        The archive.
    folder : str
        The folder in it.
    without : sequence of str
        Folders of the archive that are left out.
    options : SourceOptions
        Encoding and validation share.
    """

    def __init__(self, archive: Path, folder: str, without: Sequence[str], options: SourceOptions) -> None:
        self.name = experiment_name(f"dir:{folder}")
        self.home = str(archive.absolute())
        self._archive, self._inner, self._without, self._options = archive, folder, without, options

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the folders, which are known once the archive is unpacked."""
        return self._folder.class_names

    @property
    def validation_share(self) -> float:
        """Share of train that becomes validation."""
        return self._folder.validation_share

    @property
    def notices(self) -> list[str]:
        """What was left out of the folder."""
        return self._folder.notices

    def key(self) -> str:
        """Return a digest of the archive's place, size and time, and of what is read of it."""
        options = self._options
        facts = (self._inner, tuple(self._without), options.encoding, options.validation_share)
        return fingerprint([stamp(self._archive)], *facts)

    def rows(self) -> Iterator[Row]:
        """Yield the texts of the folder."""
        yield from self._folder.rows()

    @cached_property
    def _folder(self) -> FolderSource:
        # Gone with this object: what is needed of the texts is then in the cache.
        self._scratch = tempfile.TemporaryDirectory(prefix="textbench-")
        root = Path(self._scratch.name)
        unpack(self._archive, root, self._without)
        inner, shown = root / self._inner, self._archive / self._inner
        if not inner.is_dir():
            raise UserError(f"{self._archive} has no folder '{self._inner}'")
        return FolderSource(inner, self._options, self.name, str(shown), shown)


def archived_source(
    archive: str, folder: str, without: Sequence[str], url: str | None, options: SourceOptions
) -> Source:
    """Return the source of a folder of texts that is published as an archive.

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

    Raises
    ------
    UserError
        Within seconds, where it is neither there nor can be fetched.
    """
    place = Path(archive)
    if options.data_dir is not None:
        if (options.data_dir / folder).is_dir():
            name = experiment_name(f"dir:{folder}")
            return FolderSource(options.data_dir / folder, options, name, f"dir:{options.data_dir / folder}")
        if (options.data_dir / place).is_file():
            return ArchivedSource(options.data_dir / place, folder, without, options)
    fetched = cache_root() / "downloads" / place.name
    if not fetched.is_file():
        instead = f"give a folder that holds {archive} or {folder}/ with --data-dir"
        if url is None:
            raise UserError(f"{archive} is not there; {instead}")
        download(url, fetched, _MOST_BYTES, instead)
    return ArchivedSource(fetched, folder, without, options)
