"""Texts in folders, one folder a class and one file a text: ``dir:PATH``.

The layout is that of `keras.utils.text_dataset_from_directory`, with or without folders ``train``,
``test`` and ``val`` (or ``validation``) around it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from itertools import compress
from pathlib import Path
from typing import NamedTuple

import numpy as np

from benchmark.data.files import (
    PACKED,
    FirstFew,
    check_encoding,
    decode,
    fingerprint,
    marked_encoding,
    missing,
)
from benchmark.data.labels import unify, without_small
from benchmark.data.source import SPLITS, FileSource, Row, Source, SourceOptions, split_of
from benchmark.support.errors import UserError, file_errors, one_line
from benchmark.support.printable import printable

_UNLABELLED = "unsup"  # of aclImdb
_LARGEST = 1 << 24
_READING = 2  # raised when a folder is read in a different way than before
_SYSTEM = ("__macosx", "thumbs.db", "ehthumbs.db", "desktop.ini", "$recycle.bin", "icon\r")


class _File(NamedTuple):
    split: str
    class_name: str
    path: Path
    size: int
    modified: int


class FolderSource(FileSource):
    """A folder per class.

    Parameters
    ----------
    root : Path
        The folder.
    options : SourceOptions
        Encoding and validation share.
    spelling : str
        Of the data set, as the user wrote it.
    shown : Path, optional
        What messages say instead of the folder, as the archive that it came from.
    """

    def __init__(self, root: Path, options: SourceOptions, spelling: str, shown: Path | None = None) -> None:
        super().__init__(spelling, str(root.absolute()), options)
        self._root, self._shown = root, shown or root
        self._encoding = check_encoding(options.encoding)
        self._strays, self._links = FirstFew(), FirstFew()
        self._folder_names: dict[str, str] = {}
        try:
            self._files = [
                file for split, top in self._class_folders() for file in self._class_files(split, top)
            ]
        except OSError as error:
            raise self.error(f"{error.filename}: {one_line(error)}") from error
        # As folders are named: 1.1 and 1.10 beside each other are two, a word in two forms of Unicode is one.
        folders = {file.class_name for file in self._files}
        self.class_names, self._classes, self.notices = unify(sorted(folders), spelling, values=False)
        self._check()
        if options.min_per_class is not None:
            self._leave_out_small(options.min_per_class)
        self.splits = {file.split for file in self._files}
        self.validation_share = self.share("validation" in self.splits)
        if self._links.count:
            what = "link" if self._links.count == 1 else "links"
            self.note(
                f"{self._links.count:,} {what} to a folder, or to nothing, not followed ({self._links}); "
                "copy what should be read"
            )
        if self._strays.count:
            what = "file that belongs" if self._strays.count == 1 else "files that belong"
            self.note(f"{self._strays.count:,} {what} to no class ignored ({self._strays})")

    def key(self) -> str:
        """Return a digest of paths, sizes and times of the files, encoding and share."""
        files = ((str(file.path), file.size, file.modified) for file in self._files)
        return fingerprint(files, self.home, self._encoding, self.validation_share, _READING)

    def rows(self) -> Iterator[Row]:
        """Yield train, validation, test, in each the classes and files in the order of their names."""
        labels = np.array([self._classes[file.class_name] for file in self._files], dtype=np.int32)
        splits = self.with_test(labels, np.array([file.split for file in self._files]))
        for file, label, split in zip(self._files, labels.tolist(), splits, strict=True):
            where = file.path.relative_to(self._root).as_posix()
            text = self._read(file.path, str(self._shown / where))
            yield Row(split, text, label, where)

    def _read(self, path: Path, shown: str) -> str:
        with file_errors(shown), path.open("rb") as file:
            content = file.read(_LARGEST + 1)
        if len(content) > _LARGEST:
            raise UserError(f"{shown} is larger than {_LARGEST >> 20} MiB; expected one text a file")
        encoding = marked_encoding(content) if self.options.encoding is None else self._encoding
        return decode(content, encoding, shown)

    def _leave_out_small(self, least: int) -> None:
        labels = np.array([self._classes[file.class_name] for file in self._files], dtype=np.int32)
        self.class_names, labels, said = without_small(self.class_names, labels, least)
        self._files = list(compress(self._files, labels >= 0))
        kept = labels[labels >= 0].tolist()
        self._classes = {file.class_name: label for file, label in zip(self._files, kept, strict=True)}
        if said:
            self.note(said)

    def _class_folders(self) -> Iterator[tuple[str, Path]]:
        folders = self._folders(self._root)
        splits = {folder: split for folder in folders if (split := split_of(folder.name))}
        if not _holds_train(splits):
            # As the archive of 20 Newsgroups has it: 20news-bydate-train and 20news-bydate-test.
            words = {folder: re.split(r"[-_. ]", folder.name)[-1] for folder in folders}
            splits = {folder: split for folder, word in words.items() if (split := split_of(word))}
            if len(splits) < len(folders) or not _holds_train(splits):
                yield from (("train", folder) for folder in folders)
                return
        for folder in folders:
            if folder not in splits:
                self._ignore(folder)
        for split in SPLITS:
            same = [folder for folder, own in splits.items() if own == split]
            if len(same) > 1:
                names = " and ".join(folder.name for folder in same)
                raise self.error(f"{names} mean the same split, {split}; expected one of them")
            yield from ((split, folder) for parent in same for folder in self._folders(parent))

    def _folders(self, parent: Path) -> list[Path]:
        """Return the visible folders in a folder, in order; everything else in it is a stray."""
        folders = []
        for path in sorted(parent.iterdir()):
            if path.is_symlink() and self._leads_nowhere(path):
                self._ignore(path, self._links)
            elif not path.is_dir() or _is_stray(path.name) or path.name == _UNLABELLED:
                self._ignore(path)
            else:
                folders.append(path)
        return folders

    def _class_files(self, split: str, top: Path) -> list[_File]:
        class_name = os.fsencode(top.name).decode("utf-8", "replace")
        if self._folder_names.setdefault(class_name, top.name) != top.name:
            raise self.error(
                f"two folders of classes are named '{class_name}', in bytes that are not UTF-8; rename them"
            )
        found = []
        for where, folders, names in os.walk(top, onerror=_raise):
            for name in sorted([*folders, *names]):
                path = Path(where, name)
                if _is_stray(name):
                    self._ignore(path)
                elif path.is_file():
                    status = path.stat()
                    found.append(_File(split, class_name, path, status.st_size, status.st_mtime_ns))
                elif path.is_symlink():
                    self._ignore(path, self._links)
                elif name in names:
                    self._ignore(path)
            folders[:] = [name for name in folders if not _is_stray(name)]
        return sorted(found)

    def _ignore(self, path: Path, why: FirstFew | None = None) -> None:
        """Count what is left out: a link, or all files of a folder."""
        left = [path]
        if path.is_dir() and not path.is_symlink():
            left = sorted(Path(where, name) for where, _, names in os.walk(path) for name in names)
        for one in left:
            (self._strays if why is None else why).add(printable(one.relative_to(self._root).as_posix()))

    def _leads_nowhere(self, link: Path) -> bool:
        """Whether a link leads to nothing, or to a folder that it stands in, and so to the whole data set."""
        return not link.exists() or self._root.resolve().is_relative_to(link.resolve())

    def _check(self) -> None:
        if not self._files:
            raise self.error(
                "found no texts; expected a folder per class with a file per text in it (with or without "
                "train/ and test/ around them)"
            )
        if len(self.class_names) < 2:
            only = self.class_names[0]
            raise self.error(f"found one class only, '{only}'; expected a folder per class, two or more")


def _holds_train(splits: dict[Path, str]) -> bool:
    """Whether a folder of the training split has folders in it; a class may be called train, too."""
    return any(split == "train" and any(map(Path.is_dir, path.iterdir())) for path, split in splits.items())


def _is_stray(name: str) -> bool:
    """Whether a name is hidden, or one of those that systems leave in folders and archives."""
    return name.startswith(".") or name.lower() in _SYSTEM


def _raise(error: OSError) -> None:
    raise error


def source(argument: str, options: SourceOptions) -> Source:
    """Return the source of ``dir:PATH``."""
    spelling, root = f"dir:{argument}", Path(argument).expanduser()
    if not root.exists():
        raise missing(spelling, root, "folder")
    if root.suffix.lower() in PACKED and root.is_file():
        raise UserError(f"{spelling} is a file; unpack it, and name the folder with a folder per class")
    if not root.is_dir():
        raise UserError(f"{spelling} is a file; to read a table write csv:{argument}")
    return FolderSource(root, options, spelling)
