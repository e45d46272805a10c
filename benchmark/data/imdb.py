"""IMDB reviews through TensorFlow Datasets: 25,000 to train and validate, 25,000 to test.

Source: Maas et al. 2011, "Learning word vectors for sentiment analysis"; TensorFlow Datasets
``imdb_reviews/plain_text`` 1.0.0.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmark.data.source import VALIDATION_SHARE, Row, Source, SourceOptions
from benchmark.support.errors import UserError, one_line
from benchmark.support.retries import reachable
from benchmark.support.tensorflow_setup import quiet_tensorflow

_BUILDER = "imdb_reviews/plain_text"
_VERSION = "1.0.0"
_BATCH = 256  # one by one, handing them over would take longer than all the rest
_HOST = ("ai.stanford.edu", 80)


class ImdbSource:
    """The reviews, from a prepared TensorFlow Datasets folder or fetched into one."""

    name = "imdb"
    class_names: tuple[str, ...] = ("neg", "pos")
    home = f"TensorFlow Datasets {_BUILDER}:{_VERSION}"

    def __init__(self, options: SourceOptions) -> None:
        self.validation_share = (
            VALIDATION_SHARE if options.validation_share is None else options.validation_share
        )
        self._folders = tfds_folders(options.data_dir)

    def prepared(self) -> Path | None:
        """Return the folder that holds the prepared data set, if there is one."""
        for folder in self._folders:
            if (folder / _BUILDER / _VERSION / "dataset_info.json").is_file():
                return folder
        return None

    def at_hand(self) -> bool:
        """Return whether the reviews can be read without network."""
        return self.prepared() is not None

    def reachable(self) -> bool:
        """Return whether the reviews could be fetched, found out within seconds."""
        return reachable(*_HOST)

    def key(self) -> str:
        """Return name, version and share: the content of a published version never changes."""
        return f"{_BUILDER}:{_VERSION} share {self.validation_share}"

    def rows(self) -> Iterator[Row]:
        """Yield train, then test, in the order of the files."""
        for split in ("train", "test"):
            for example in self._read(split):
                yield Row(split, example["text"].decode("utf-8"), int(example["label"]))

    def unlabelled(self) -> Iterator[str]:
        """Yield the 50,000 unlabelled reviews, those left out that also stand in the test part."""
        test = {example["text"] for example in self._read("test")}
        for example in self._read("unsupervised"):
            if example["text"] not in test:
                yield example["text"].decode("utf-8")

    def _read(self, split: str) -> Iterator[dict[str, Any]]:
        folder = self.prepared()
        if folder is None and not self.reachable():
            raise UserError(
                f"data set 'imdb' cannot be fetched: {_HOST[0]} cannot be reached from here; give a folder "
                "that holds tensorflow_datasets/imdb_reviews with --data-dir, or use --dataset sample"
            )
        try:
            yield from self._examples(split, folder)
        except Exception as error:  # TensorFlow's and TensorFlow Datasets' errors have no common base
            what = f"in {folder} cannot be read" if folder else f"cannot be fetched from {_HOST[0]}"
            raise UserError(
                f"data set 'imdb' {what} ({one_line(error, named=True)}); "
                f"{'prepare it again' if folder else 'try again'}, or give another folder with --data-dir"
            ) from error

    def _examples(self, split: str, folder: Path | None) -> Iterator[dict[str, Any]]:
        quiet_tensorflow()
        import tensorflow_datasets as tfds

        builder = tfds.builder(f"{_BUILDER}:{_VERSION}", data_dir=folder or self._folders[-1])
        if folder is None:
            builder.download_and_prepare()
        config = tfds.ReadConfig(interleave_cycle_length=1)
        yield from examples(builder.as_dataset(split=split, read_config=config))


def examples(dataset: Any) -> Iterator[dict[str, Any]]:
    """Yield the examples of a `tf.data.Dataset` of scalar features, which it hands over many at a time."""
    import tensorflow_datasets as tfds

    for batch in tfds.as_numpy(dataset.batch(_BATCH)):
        for values in zip(*batch.values(), strict=True):
            yield dict(zip(batch, values, strict=True))


def tfds_folders(data_dir: Path | None) -> list[Path]:
    """Return where prepared data may lie: the user's folder, then TensorFlow Datasets' own."""
    default = os.environ.get("TFDS_DATA_DIR") or "~/tensorflow_datasets"
    own = [data_dir / "tensorflow_datasets"] if data_dir else []
    return [*own, Path(default).expanduser()]


def source(options: SourceOptions) -> Source:
    """Return the source of the IMDB reviews."""
    return ImdbSource(options)
