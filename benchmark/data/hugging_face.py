"""Sets of the Hugging Face hub, or of a folder in its layout: ``hf:NAME[@REVISION][:CONFIG]``.

They are read by the library `datasets`, which keeps what it fetched and converted in its cache (``HF_HOME``).
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np

from benchmark.data.files import fingerprint, stamp
from benchmark.data.records import Record, Table
from benchmark.data.source import SPLITS, SourceOptions, is_path, split_of
from benchmark.data.table import Columns, RecordsSource
from benchmark.support.errors import MissingResource, UserError, one_line
from benchmark.support.retries import reachable

_NAME = re.compile(r"(?P<name>[^@:]+)(?:@(?P<revision>[^@:]+))?(?::(?P<config>[^@:/]+))?")
_COMMIT = re.compile("[0-9a-f]{40}")
_HUB = "https://huggingface.co"
_SPLIT = "split"  # the column that says of which split a record is
_BATCH = 1000


class SplitTable(Table):
    """The records of several splits, one after another, by the features of the first and `_SPLIT`.

    Parameters
    ----------
    splits : dict
        Sets of the library `datasets`, by the names of our splits.
    """

    origin = "there"

    def __init__(self, splits: dict[str, Any]) -> None:
        self._splits = splits
        features = dict(next(iter(splits.values())).features)
        self.columns = (*(name for name in features if name != _SPLIT), _SPLIT)
        self.class_names: dict[str, list[str]] = {
            name: list(feature.names) for name, feature in features.items() if hasattr(feature, "names")
        }
        self.label_column = next(iter(self.class_names)) if len(self.class_names) == 1 else None

    def records(self, columns: Sequence[str]) -> Iterator[Record]:
        """Yield records; a class is its name, and None where it is -1 as on the hub."""
        features = [column for column in columns if column != _SPLIT]
        for split, content in self._splits.items():
            number = count()
            for batch in content.select_columns(features).iter(_BATCH):
                values = {name: self._named(name, batch[name]) for name in features}
                values[_SPLIT] = [split] * len(values[features[0]])
                for row in zip(*(values[column] for column in columns), strict=True):
                    yield f"{split} {next(number)}", row

    def leave_out_unlabelled(self, column: str) -> Iterator[str]:
        """Leave out the splits other than train in which no record has a label, and yield their names."""
        for split in [split for split in self._splits if split != "train" and column in self.class_names]:
            labels = self._splits[split].with_format("numpy")[column]
            if len(labels) and (np.asarray(labels[:]) == -1).all():
                del self._splits[split]
                yield split

    def _named(self, column: str, values: list[Any]) -> list[Any]:
        names = self.class_names.get(column)
        return values if names is None else [names[n] if n is not None and n >= 0 else None for n in values]


class HuggingFaceSource(RecordsSource):
    """A set of the hub, or a folder in its layout.

    Parameters
    ----------
    argument : str
        Name on the hub or path of a folder, then ``@`` and a revision, then ``:`` and a configuration.
    options : SourceOptions
        Columns, missing labels, small classes and validation share.
    """

    def __init__(self, argument: str, options: SourceOptions) -> None:
        spelling, match = f"hf:{argument}", _NAME.fullmatch(argument)
        if Path(argument).expanduser().is_dir():  # whatever its name
            self._name, self._revision, self._config = argument, None, None
        elif match is None:
            raise UserError(
                f"data set '{spelling}': expected a name of the Hugging Face hub or a folder, as "
                "hf:stanfordnlp/imdb, hf:nyu-mll/glue:sst2, hf:ag_news@main or hf:./folder"
            )
        else:
            self._name, self._revision, self._config = match.group("name", "revision", "config")
        path = Path(self._name).expanduser()
        self._folder = path.absolute() if path.is_dir() else None
        super().__init__(spelling, str(self._folder or f"Hugging Face {argument}"), options)
        self._file = spelling
        if path.is_file():
            raise self.error(f"this is a file; to read a table write csv:{self._name}")
        if self._folder is None and is_path(self._name):
            raise self.error("there is no such folder", MissingResource)
        if self._folder is not None and self._revision is not None:
            raise self.error(f"a folder has no revisions; leave out '@{self._revision}'")

    def key(self) -> str:
        """Return a digest of the files of a folder, or the commit on the hub, and of the settings."""
        options, files = self.options, []
        said = {name: getattr(options, name) for name in options.given()}
        if self._folder is not None:
            top = self._folder
            found = (path for path in top.rglob("*") if path.is_file() and not path.is_symlink())
            files = [stamp(path) for path in found if not path.relative_to(top).parts[0].startswith(".")]
        pinned = self._folder is not None or _COMMIT.fullmatch(self._revision or "")
        version = self._revision if pinned else self._builder.hash
        return fingerprint(files, self._name, version, self._config, said, options.validation_share)

    def _classes(self, labels: Iterable[str]) -> tuple[tuple[str, ...], dict[str, int], list[str]]:
        names = self._records.class_names.get(self._columns.label)
        if names is None:
            return super()._classes(labels)
        known = set(labels)
        seen = [name.strip() for name in names if name.strip() in known]
        without = len(names) - len(seen)
        notices = [f"{self.spelling}: {without:,} of {len(names):,} classes have no text"] if without else []
        return tuple(seen), {name: number for number, name in enumerate(seen)}, notices

    @cached_property
    def _columns(self) -> Columns:
        columns = super()._columns
        for split in self._records.leave_out_unlabelled(columns.label):
            self.note(f"the split '{split}' has no labels and is ignored")
        return columns

    def _open(self) -> Table:
        return self._records

    @cached_property
    def _records(self) -> SplitTable:
        builder = self._builder
        with self._errors():
            builder.download_and_prepare()
            found = builder.as_dataset()
        splits: dict[str, Any] = {}
        for name, content in found.items():
            split = split_of(name)
            if split is None or split in splits:
                self.note(
                    f"the split '{name}' ({len(content):,}) is not train, validation or test, and is ignored"
                )
            else:
                splits[split] = content
        if "train" not in splits:
            raise self.error(f"there is no training split; it has {', '.join(found)}")
        return SplitTable({split: splits[split] for split in SPLITS if split in splits})

    @cached_property
    def _builder(self) -> Any:
        try:
            from datasets import config, disable_progress_bars, load_dataset_builder, logging
        except ImportError as error:
            raise self.error(
                "the library datasets, which reads it, is missing here; install it with: pip install "
                "'textbench[hf]'",
                MissingResource,
            ) from error
        disable_progress_bars()
        logging.set_verbosity_error()
        hub = urlsplit(os.environ.get("HF_ENDPOINT") or _HUB)
        host, port = hub.hostname or "", hub.port or (80 if hub.scheme == "http" else 443)
        cache = None
        if self._folder is not None:
            # The library caches a folder by its last name, and would give it as the hub's set of that name.
            cache = Path(config.HF_DATASETS_CACHE) / "textbench-folders"
        elif not reachable(host, port):
            config.HF_HUB_OFFLINE = True  # for what the library has in its cache
        with self._errors():
            try:
                where = str(self._folder or self._name)
                return load_dataset_builder(where, self._config, revision=self._revision, cache_dir=cache)
            except ConnectionError as error:
                raise self.error(
                    f"cannot be fetched: {host} cannot be reached from here, and the library datasets has no "
                    "copy in its cache; name a folder that has the files, as hf:./folder",
                    MissingResource,
                ) from error

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except UserError:
            raise
        except Exception as error:  # the library's errors have no common base
            raise self.error(f"cannot be read ({one_line(error, named=True, longest=400)})") from error
