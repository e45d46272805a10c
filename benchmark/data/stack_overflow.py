"""Questions of Stack Overflow with one of four tags: 8,000 to train and validate, 8,000 to test.

Source: TensorFlow tutorial "Load text", ``stack_overflow_16k``; the name of the language is blanked out.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmark.data.archive import download, unpack
from benchmark.data.cache import cache_root
from benchmark.data.files import check_encoding, fingerprint, stamp
from benchmark.data.folder import FolderSource
from benchmark.data.source import VALIDATION_SHARE, Row, Source, SourceOptions
from benchmark.support.errors import UserError

_URL = "https://storage.googleapis.com/download.tensorflow.org/data/stack_overflow_16k.tar.gz"
_FOLDER = "stack_overflow_16k"
_MOST_BYTES = 1 << 26  # about ten times the archive


class StackOverflowSource:
    """The questions: a folder or archive in the data folder, otherwise the archive is fetched."""

    name = "stack-overflow"
    class_names: tuple[str, ...] = ("csharp", "java", "javascript", "python")
    home = _URL

    def __init__(self, options: SourceOptions) -> None:
        self._options = options
        self._encoding = check_encoding(options.encoding)
        share = options.validation_share
        self.validation_share = VALIDATION_SHARE if share is None else share
        folder = options.data_dir
        archives = [folder / "archives" / f"{_FOLDER}.tar.gz", folder / f"{_FOLDER}.tar.gz"] if folder else []
        self._given = folder / _FOLDER if folder and (folder / _FOLDER).is_dir() else None
        self._archive = next((path for path in archives if path.is_file()), None)

    def key(self) -> str:
        """Return a digest of the files in the data folder; the official archive never changes."""
        if self._given:
            return self._folder(self._given).key()
        archive = [stamp(self._archive)] if self._archive else []
        return fingerprint(archive, _FOLDER, self._encoding, self.validation_share)

    def rows(self) -> Iterator[Row]:
        """Yield train, then test, in each the tags and files in the order of their names."""
        if self._given:
            yield from self._folder(self._given).rows()
            return
        archive = self._archive or self._fetched()
        with self._unpacked(archive) as folder:
            yield from self._folder(folder, archive).rows()

    def at_hand(self) -> bool:
        """Return whether the questions can be read without network."""
        return bool(self._given or self._archive or _downloaded().is_file())

    def _fetched(self) -> Path:
        archive = _downloaded()
        if not archive.is_file():
            instead = (
                f"give a folder that holds {_FOLDER}/ (with train/ and test/) or archives/{archive.name} "
                "with --data-dir, or use --dataset sample"
            )
            download(_URL, archive, _MOST_BYTES, instead)
        return archive

    @contextmanager
    def _unpacked(self, archive: Path) -> Iterator[Path]:
        with tempfile.TemporaryDirectory(prefix="textbench-") as scratch:
            folder = Path(scratch)
            try:
                unpack(archive, folder)
            except UserError:
                if archive != self._archive:  # ours: fetch it again next time
                    archive.unlink(missing_ok=True)
                raise
            yield folder / _FOLDER if (folder / _FOLDER).is_dir() else folder

    def _folder(self, root: Path, archive: Path | None = None) -> FolderSource:
        shown = archive or root
        source = FolderSource(root, self._options, self.name, f"stack-overflow ({shown})", shown)
        if source.class_names != self.class_names or source.parts != {"train", "test"}:
            raise UserError(
                f"data set 'stack-overflow': {shown} holds {', '.join(sorted(source.parts))} with the "
                f"classes {', '.join(source.class_names[:8])}; expected train and test with "
                f"{', '.join(self.class_names)}"
            )
        return source


def _downloaded() -> Path:
    return cache_root() / "downloads" / f"{_FOLDER}.tar.gz"


def source(options: SourceOptions) -> Source:
    """Return the source of the Stack Overflow questions."""
    return StackOverflowSource(options)
