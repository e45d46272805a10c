"""Any text classification set of TensorFlow Datasets: ``tfds:NAME``, ``tfds:NAME/CONFIG:VERSION``."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmark.data.files import decode, fingerprint, stamp
from benchmark.data.imdb import examples, tfds_folders
from benchmark.data.source import Row, Source, SourceOptions, experiment_name
from benchmark.data.splits import TEST_NOTICE, draw_test, part_of, validation_share
from benchmark.data.table_columns import find_columns
from benchmark.support.errors import UserError, did_you_mean, one_line
from benchmark.support.retries import reachable
from benchmark.support.tensorflow_setup import quiet_tensorflow

_NAME = re.compile(r"([a-z][a-z0-9_]*)(?:/([A-Za-z0-9_][\w.+-]*))?(?::(\d+\.\d+\.\d+))?")
_HOST = ("storage.googleapis.com", 443)
_PARTS = ("train", "validation", "test")
_INFO = "dataset_info.json"


class TfdsSource:
    """A prepared set of TensorFlow Datasets, or one that is fetched at first use.

    Parameters
    ----------
    name : str
        As TensorFlow Datasets spells it.
    options : SourceOptions
        Data folder, columns (its features) and validation share.
    """

    def __init__(self, name: str, options: SourceOptions) -> None:
        match = _NAME.fullmatch(name)
        if match is None:
            raise UserError(
                f"data set 'tfds:{name}': expected a name of TensorFlow Datasets, as tfds:ag_news_subset or "
                "tfds:glue/sst2:2.0.0"
            )
        self._set, self._config, self._version = match.groups()
        self._tfds_name, self._spelling = name, f"tfds:{name}"
        self.name, self.home = experiment_name(self._spelling), f"TensorFlow Datasets {name}"
        self._options = options
        self._folders = tfds_folders(options.data_dir)
        self.notices: list[str] = []

    def key(self) -> str:
        """Return a digest of the prepared files, columns and share; fetches the set if it must."""
        files = [stamp(path) for path in self._prepared.iterdir()]
        facts = (self._options.text_column, self._options.label_column, self._options.validation_share)
        return fingerprint(files, *facts)

    @property
    def class_names(self) -> tuple[str, ...]:
        """The names of the class label."""
        return tuple(self._builder.info.features[self._columns[1]].names)

    @property
    def validation_share(self) -> float:
        """The share that was asked for, unless the set has a validation split."""
        return validation_share(self._options.validation_share, "validation" in self._labels, self._spelling)

    def rows(self) -> Iterator[Row]:
        """Yield train, validation and test, as far as there are, in the order of the files."""
        labels = self._labels
        parts = np.repeat(list(labels), [len(own) for own in labels.values()])
        drawn = iter(draw_test(np.concatenate(list(labels.values())), parts).tolist())
        if "test" not in labels:
            self.notices.append(f"{self._spelling}: {TEST_NOTICE}")
        text_name, label_name = self._columns
        for part in labels:
            for number, example in enumerate(self._examples(part)):
                where = f"{self._splits[part]} {number}"
                text = decode(example[text_name], "utf-8", f"{self._spelling}, {where}")
                yield Row("test" if next(drawn) else part, text, int(example[label_name]), where)

    @cached_property
    def _prepared(self) -> Path:
        """The folder of the version, fetched if it is not there."""
        for folder in self._folders:
            found = self._find(folder)
            if found is not None:
                return found
        return self._fetch()

    def _find(self, folder: Path) -> Path | None:
        """Return the newest prepared version below a folder."""
        top = folder / self._set
        if self._config is not None:
            top /= self._config
        elif not _versions(top):
            configs = sorted(path.name for path in top.glob("*") if _versions(path))
            if len(configs) > 1:
                raise UserError(
                    f"data set '{self._spelling}': {top} has several configurations; name one of "
                    f"{', '.join(configs)}, as tfds:{self._set}/{configs[0]}"
                )
            top = top / configs[0] if configs else top
        versions = {path.name: path for path in _versions(top)}
        if self._version is not None:
            return versions.get(self._version)
        newest = max(versions, key=lambda name: [int(part) for part in name.split(".")], default=None)
        return None if newest is None else versions[newest]

    def _fetch(self) -> Path:
        import tensorflow_datasets as tfds

        known = tfds.list_builders(with_community_datasets=False)
        if self._set not in known:
            raise UserError(
                f"TensorFlow Datasets has no '{self._set}', and {self._folders[0]} holds none; "
                f"{_nearest(self._set, known)}"
            )
        if not reachable(*_HOST):
            raise UserError(
                f"data set '{self._spelling}' cannot be fetched: {_HOST[0]} cannot be reached from here; "
                f"give a folder that holds tensorflow_datasets/{self._set} with --data-dir"
            )
        quiet_tensorflow()
        try:
            builder = tfds.builder(self._tfds_name, data_dir=self._folders[-1])
            builder.download_and_prepare()
        except Exception as error:  # TensorFlow Datasets' errors have no common base
            raise self._broken("cannot be fetched", error) from error
        return Path(builder.data_path)

    @cached_property
    def _builder(self) -> Any:
        quiet_tensorflow()
        import tensorflow_datasets as tfds

        try:
            return tfds.builder_from_directory(self._prepared)
        except Exception as error:
            raise self._broken(f"in {self._prepared} cannot be read", error) from error

    @cached_property
    def _columns(self) -> tuple[str, str]:
        """The features that are the text and the label."""
        import tensorflow_datasets as tfds

        features = dict(self._builder.info.features or {})
        texts = [name for name, feature in features.items() if _is_text(feature)]
        labels = [name for name, feature in features.items() if isinstance(feature, tfds.features.ClassLabel)]
        asked_text, asked_label = self._options.text_column, self._options.label_column
        for option, name, choices, kind in (
            ("--text-column", asked_text, texts, "string"),
            ("--label-column", asked_label, labels, "class label"),
        ):
            if name is not None and name not in choices:
                raise UserError(
                    f"{option}: '{self._spelling}' has no {kind} feature '{name}'; "
                    f"{did_you_mean(name, choices)}"
                )
            if not choices:
                raise UserError(
                    f"data set '{self._spelling}' has no {kind} feature, so it is no text classification "
                    f"set; its features: {', '.join(features)}"
                )
        text = asked_text or (texts[0] if len(texts) == 1 else None)
        label = asked_label or (labels[0] if len(labels) == 1 else None)
        found = find_columns(self._spelling, [*texts, *labels], text, label)
        return found.text, found.label

    @cached_property
    def _splits(self) -> dict[str, str]:
        """The split of each part."""
        splits: dict[str, str] = {}
        for split in self._builder.info.splits:
            part = part_of(split)
            if part is None or part in splits:
                count = self._builder.info.splits[split].num_examples
                self.notices.append(
                    f"{self._spelling}: the split '{split}' ({count:,}) is no part and is ignored"
                )
            else:
                splits[part] = split
        return {part: splits[part] for part in _PARTS if part in splits}

    @cached_property
    def _labels(self) -> dict[str, NDArray[np.int32]]:
        """The labels of each labelled part."""
        labels = {}
        for part, split in self._splits.items():
            name = self._columns[1]
            values = np.array([int(example[name]) for example in self._examples(part, [name])], np.int32)
            missing = np.flatnonzero(values < 0)
            if len(missing) == len(values) > 0 and part != "train":  # as the test split of each GLUE task
                self.notices.append(f"{self._spelling}: the split '{split}' has no labels and is ignored")
            elif len(missing):
                shown = ", ".join(map(str, missing[:3])) + (", …" if len(missing) > 3 else "")
                raise UserError(
                    f"data set '{self._spelling}': {len(missing):,} of {len(values):,} texts of '{split}' "
                    f"have no label (numbers {shown})"
                )
            else:
                labels[part] = values
        if "train" not in labels:
            raise UserError(
                f"data set '{self._spelling}' has no training split; it has "
                f"{', '.join(self._builder.info.splits)}"
            )
        return labels

    def _examples(self, part: str, features: list[str] | None = None) -> Iterator[dict[str, Any]]:
        import tensorflow_datasets as tfds

        wanted = dict.fromkeys(features or self._columns, True)
        try:
            with _quiet_absl():
                dataset = self._builder.as_dataset(
                    split=self._splits[part],
                    decoders=tfds.decode.PartialDecoding(wanted),
                    read_config=tfds.ReadConfig(interleave_cycle_length=1),
                )
            yield from examples(dataset)
        except Exception as error:  # TensorFlow's and TensorFlow Datasets' errors have no common base
            raise self._broken(f"in {self._prepared} cannot be read", error) from error

    def _broken(self, what: str, error: Exception) -> UserError:
        return UserError(f"data set '{self._spelling}' {what} ({one_line(error, named=True)})")


@contextmanager
def _quiet_absl() -> Iterator[None]:
    """Hold back warnings that TensorFlow Datasets gives about its own code."""
    from absl import logging

    level = logging.get_verbosity()
    logging.set_verbosity(logging.ERROR)
    try:
        yield
    finally:
        logging.set_verbosity(level)


def _versions(folder: Path) -> list[Path]:
    return [path for path in folder.glob("*.*.*") if _is_version(path.name) and (path / _INFO).is_file()]


def _is_version(name: str) -> bool:
    return re.fullmatch(r"\d+\.\d+\.\d+", name) is not None


def _is_text(feature: Any) -> bool:
    import tensorflow_datasets as tfds

    if isinstance(feature, tfds.features.ClassLabel):
        return False
    return getattr(feature, "shape", None) == () and feature.np_dtype in (object, np.str_, np.bytes_)


def _nearest(name: str, known: list[str]) -> str:
    hint = did_you_mean(name, known)
    return hint if hint.startswith("did you mean") else "tensorflow.org/datasets/catalog lists what there is"


def source(argument: str, options: SourceOptions) -> Source:
    """Return the source of ``tfds:NAME``."""
    return TfdsSource(argument, options)
