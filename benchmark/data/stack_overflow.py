"""Questions of Stack Overflow with one of four tags: 8,000 to train and validate, 8,000 to test.

Source: TensorFlow tutorial "Load text", ``stack_overflow_16k``; the name of the language is blanked out.
"""

from __future__ import annotations

from functools import cached_property
from pathlib import Path

from benchmark.data.archive import ArchivedSource
from benchmark.data.files import check_encoding, fingerprint, stamp
from benchmark.data.folder import FolderSource
from benchmark.data.source import VALIDATION_SHARE, Source, SourceOptions
from benchmark.support.errors import UserError

_URL = "https://storage.googleapis.com/download.tensorflow.org/data/stack_overflow_16k.tar.gz"
_FOLDER = "stack_overflow_16k"
_MOST_BYTES = 1 << 26  # about ten times the archive


class StackOverflowSource(ArchivedSource):
    """The questions: a folder or archive in the data folder, otherwise the archive is fetched."""

    class_names: tuple[str, ...] = ("csharp", "java", "javascript", "python")
    otherwise = ", or use `dataset` sample"

    def __init__(self, options: SourceOptions) -> None:
        super().__init__(f"archives/{_FOLDER}.tar.gz", _FOLDER, (), _URL, options)
        self.name, self.most_bytes = "stack-overflow", _MOST_BYTES
        self._encoding = check_encoding(options.encoding)

    @property
    def home(self) -> str:
        """The official address."""
        return _URL

    @property
    def validation_share(self) -> float:
        """Share of train that becomes validation."""
        share = self.options.validation_share
        return VALIDATION_SHARE if share is None else share

    def key(self) -> str:
        """Return a digest of the files in the data folder; the official archive never changes."""
        if self.given:
            return self.folder.key()
        archive = [stamp(self.found)] if self.found else []
        return fingerprint(archive, _FOLDER, self._encoding, self.validation_share)

    def at_hand(self) -> bool:
        """Return whether the questions can be read without network."""
        return bool(self.given or self.found or self.fetched.is_file())

    @cached_property
    def folder(self) -> FolderSource:
        """The folder, unpacked, which must be what was published."""
        folder = super().folder
        if folder.class_names != self.class_names or folder.parts != {"train", "test"}:
            raise UserError(
                f"data set 'stack-overflow': {self.given or self.found or self.fetched} holds "
                f"{', '.join(sorted(folder.parts))} with the classes {', '.join(folder.class_names[:8])}; "
                f"expected train and test with {', '.join(self.class_names)}"
            )
        return folder

    def below(self, root: Path, archive: Path) -> FolderSource:
        """Return the folder of an archive that was unpacked; the official one has no folder around all."""
        inner = root / _FOLDER
        return FolderSource(inner if inner.is_dir() else root, self.options, self.name, str(archive), archive)


def source(options: SourceOptions) -> Source:
    """Return the source of the Stack Overflow questions."""
    return StackOverflowSource(options)
