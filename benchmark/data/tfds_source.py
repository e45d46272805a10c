"""Text classification sets of TensorFlow Datasets: ``imdb``, ``tfds:NAME``, ``tfds:NAME/CONFIG:VERSION``."""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmark.data.files import decode, fingerprint, stamp
from benchmark.data.source import SPLITS, FileSource, Row, SourceOptions, split_of
from benchmark.data.table import find_columns
from benchmark.support.errors import MissingResource, UserError, did_you_mean, one_line
from benchmark.support.retries import reachable
from benchmark.support.tensorflow_setup import quiet_tensorflow

_NAME = re.compile(r"([a-z][a-z0-9_]*)(?:/([A-Za-z0-9_][\w.+-]*))?(?::(\d+\.\d+\.\d+))?")
_VERSION = re.compile(r"\d+\.\d+\.\d+")
_HOST = ("storage.googleapis.com", 443)
_IMDB, _IMDB_HOST = "imdb_reviews/plain_text:1.0.0", ("ai.stanford.edu", 80)
_IMDB_FEATURES = ("text", "label")
_INFO = "dataset_info.json"
_BATCH = 256  # one by one, handing them over would take longer than all the rest


class TfdsFiles(FileSource):
    """The files of a set of TensorFlow Datasets: found in a folder of the user or the library, or fetched.

    Parameters
    ----------
    name : str
        As TensorFlow Datasets spells it.
    spelling : str
        As the user spells it, for messages.
    options : SourceOptions
        Data folder and validation share.
    host : tuple of str and int
        Where the set is fetched from, and the port.
    """

    def __init__(
        self, name: str, spelling: str, options: SourceOptions, host: tuple[str, int] = _HOST
    ) -> None:
        super().__init__(spelling, f"TensorFlow Datasets {name}", options)
        match = _NAME.fullmatch(name)
        if match is None:
            raise UserError(
                f"data set '{spelling}': expected a name of TensorFlow Datasets, as tfds:ag_news_subset or "
                "tfds:glue/sst2:2.0.0"
            )
        self._set, self._config, self._version = match.groups()
        self._name, self._host = name, host
        default = Path(os.environ.get("TFDS_DATA_DIR") or "~/tensorflow_datasets").expanduser()
        own = [options.data_dir / "tensorflow_datasets"] if options.data_dir else []
        self._folders = [*own, default]

    def find(self) -> Path | None:
        """Return the folder of the version, or the newest, where one is prepared."""
        return next(filter(None, map(self._newest, self._folders)), None)

    def reachable(self) -> bool:
        """Return whether the set could be fetched, found out within seconds."""
        return reachable(*self._host)

    @cached_property
    def folder(self) -> Path:
        """The folder of the version, fetched if it is not there."""
        return self.find() or self._fetch()

    @cached_property
    def builder(self) -> Any:
        """What reads the files."""
        quiet_tensorflow()
        import tensorflow_datasets as tfds

        with self._errors(f"in {self.folder} cannot be read"):
            return tfds.builder_from_directory(self.folder)

    def examples(self, split: str, features: Sequence[str]) -> Iterator[dict[str, Any]]:
        """Yield some features of the examples of a split, in the order of the files."""
        import tensorflow_datasets as tfds
        from absl import logging

        builder = self.builder
        with self._errors(f"in {self.folder} cannot be read"):
            with ExitStack() as stack:  # TensorFlow Datasets warns of its code
                stack.callback(logging.set_verbosity, logging.get_verbosity())
                logging.set_verbosity(logging.ERROR)
                dataset = builder.as_dataset(
                    split=split,
                    decoders=tfds.decode.PartialDecoding(dict.fromkeys(features, True)),
                    read_config=tfds.ReadConfig(interleave_cycle_length=1),
                )
            for batch in tfds.as_numpy(dataset.batch(_BATCH)):
                for values in zip(*batch.values(), strict=True):
                    yield dict(zip(batch, values, strict=True))

    def _newest(self, folder: Path) -> Path | None:
        """Return the newest prepared version below a folder."""
        top = folder / self._set
        found: defaultdict[str, dict[str, Path]] = defaultdict(dict)
        for info in sorted([*top.glob(f"*/{_INFO}"), *top.glob(f"*/*/{_INFO}")]):
            if _VERSION.fullmatch(info.parent.name):
                config = info.parents[1].relative_to(top).as_posix()  # "." where there are none
                found[config][info.parent.name] = info.parent
        config = self._config or ("." if "." in found else next(iter(found), "."))
        if self._config is None and config != "." and len(found) > 1:
            raise UserError(
                f"data set '{self.spelling}': {top} has several configurations; name one of "
                f"{', '.join(found)}, as tfds:{self._set}/{config}"
            )
        versions = found[config]
        newest = max(versions, key=lambda name: [int(part) for part in name.split(".")], default="")
        return versions.get(self._version or newest)

    def _fetch(self) -> Path:
        import tensorflow_datasets as tfds

        known = tfds.list_builders(with_community_datasets=False)
        if self._set not in known:
            hint = did_you_mean(self._set, known)
            if not hint.startswith("did you mean"):
                hint = "tensorflow.org/datasets/catalog lists what there is"
            raise UserError(
                f"TensorFlow Datasets has no '{self._set}', and {self._folders[0]} holds none; {hint}"
            )
        if not self.reachable():
            raise MissingResource(
                f"data set '{self.spelling}' cannot be fetched: {self._host[0]} cannot be reached from "
                f"here; give a folder that holds tensorflow_datasets/{self._set} with `data_dir`, or use "
                "`dataset` sample"
            )
        quiet_tensorflow()
        with self._errors(f"cannot be fetched from {self._host[0]}"):
            builder = tfds.builder(self._name, data_dir=self._folders[-1])
            builder.download_and_prepare()
        return Path(builder.data_path)

    @contextmanager
    def _errors(self, what: str) -> Iterator[None]:
        try:
            yield
        except Exception as error:  # TensorFlow's and TensorFlow Datasets' errors have no common base
            raise UserError(
                f"data set '{self.spelling}' {what} ({one_line(error, named=True)}); prepare it again, "
                "or give a different folder with `data_dir`"
            ) from error


class TfdsSource(TfdsFiles):
    """A prepared set of TensorFlow Datasets, or one that is fetched at first use.

    Parameters
    ----------
    name : str
        As TensorFlow Datasets spells it.
    options : SourceOptions
        Data folder, columns (its features) and validation share.
    """

    def __init__(self, name: str, options: SourceOptions) -> None:
        super().__init__(name, f"tfds:{name}", options)

    def key(self) -> str:
        """Return a digest of the prepared files, columns and share; fetches the set if it must."""
        files = [stamp(path) for path in self.folder.iterdir()]
        facts = (self.options.text_column, self.options.label_column, self.options.validation_share)
        return fingerprint(files, *facts)

    @property
    def class_names(self) -> tuple[str, ...]:
        """The names of the class label."""
        return tuple(self.builder.info.features[self._columns[1]].names)

    @property
    def validation_share(self) -> float:
        """The share that was asked for, unless the set has a validation split."""
        return self.share("validation" in self._labels)

    def rows(self) -> Iterator[Row]:
        """Yield train, validation and test, as far as there are, in the order of the files."""
        labels = self._labels
        given = np.repeat(list(labels), [len(own) for own in labels.values()])
        splits = iter(self.with_test(np.concatenate(list(labels.values())), given))
        text_name, label_name = self._columns
        for name in (self._splits[split] for split in labels):
            for number, example in enumerate(self.examples(name, self._columns)):
                where = f"{name} {number}"
                text = decode(example[text_name], "utf-8", f"{self.spelling}, {where}")
                yield Row(next(splits), text, int(example[label_name]), where)

    @cached_property
    def _columns(self) -> tuple[str, str]:
        """The features that are the text and the label."""
        import tensorflow_datasets as tfds

        features = dict(self.builder.info.features or {})
        texts = [name for name, feature in features.items() if _is_text(feature)]
        labels = [name for name, feature in features.items() if isinstance(feature, tfds.features.ClassLabel)]
        asked_text, asked_label = self.options.text_column, self.options.label_column
        for option, name, choices, kind in (
            ("`text_column`", asked_text, texts, "string"),
            ("`label_column`", asked_label, labels, "class label"),
        ):
            if name is not None and name not in choices:
                raise UserError(
                    f"{option}: '{self.spelling}' has no {kind} feature '{name}'; "
                    f"{did_you_mean(name, choices)}"
                )
            if not choices:
                raise UserError(
                    f"data set '{self.spelling}' has no {kind} feature, so it is not a text classification "
                    f"set; its features: {', '.join(features)}"
                )
        text = asked_text or (texts[0] if len(texts) == 1 else None)
        label = asked_label or (labels[0] if len(labels) == 1 else None)
        found = find_columns(self.spelling, [*texts, *labels], text, label)
        return found.text, found.label

    @cached_property
    def _splits(self) -> dict[str, str]:
        """The name of each split here."""
        splits: dict[str, str] = {}
        for name in self.builder.info.splits:
            split = split_of(name)
            if split is None or split in splits:
                count = self.builder.info.splits[name].num_examples
                self.note(f"the split '{name}' ({count:,}) is not train, validation or test, and is ignored")
            else:
                splits[split] = name
        return {split: splits[split] for split in SPLITS if split in splits}

    @cached_property
    def _labels(self) -> dict[str, NDArray[np.int32]]:
        """The labels of each labelled split."""
        labels = {}
        label = self._columns[1]
        for split, name in self._splits.items():
            values = np.array([int(example[label]) for example in self.examples(name, [label])], np.int32)
            missing = np.flatnonzero(values < 0)
            if len(missing) == len(values) > 0 and split != "train":  # as the test split of each GLUE task
                self.note(f"the split '{name}' has no labels and is ignored")
            elif len(missing):
                shown = ", ".join(map(str, missing[:3])) + (", …" if len(missing) > 3 else "")
                raise UserError(
                    f"data set '{self.spelling}': {len(missing):,} of {len(values):,} texts of '{name}' "
                    f"have no label (numbers {shown})"
                )
            else:
                labels[split] = values
        if "train" not in labels:
            raise UserError(
                f"data set '{self.spelling}' has no training split; it has "
                f"{', '.join(self.builder.info.splits)}"
            )
        return labels


class ImdbSource(TfdsFiles):
    """IMDB reviews, 25,000 to train and validate and 25,000 to test, found prepared or fetched.

    Source: Maas et al. 2011, "Learning word vectors for sentiment analysis".
    """

    class_names: tuple[str, ...] = ("neg", "pos")

    def __init__(self, options: SourceOptions) -> None:
        super().__init__(_IMDB, "imdb", options, _IMDB_HOST)
        self.validation_share = self.share(False)

    def at_hand(self) -> bool:
        """Return whether the reviews can be read without network."""
        return self.find() is not None

    def key(self) -> str:
        """Return name, version and share: the content of a published version never changes."""
        return f"{_IMDB} share {self.validation_share}"

    def rows(self) -> Iterator[Row]:
        """Yield train, then test, in the order of the files."""
        for split in ("train", "test"):
            for example in self.examples(split, _IMDB_FEATURES):
                yield Row(split, example["text"].decode("utf-8"), int(example["label"]))

    def unlabelled(self) -> Iterator[str]:
        """Yield the 50,000 unlabelled reviews but for those that also stand in the test split."""
        test = {example["text"] for example in self.examples("test", _IMDB_FEATURES)}
        for example in self.examples("unsupervised", _IMDB_FEATURES):
            if example["text"] not in test:
                yield example["text"].decode("utf-8")


def _is_text(feature: Any) -> bool:
    import tensorflow_datasets as tfds

    if isinstance(feature, tfds.features.ClassLabel):
        return False
    return getattr(feature, "shape", None) == () and feature.np_dtype in (object, np.str_, np.bytes_)
