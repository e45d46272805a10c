"""IMDB reviews through TensorFlow Datasets: 25,000 to train and validate, 25,000 to test.

Source: Maas et al. 2011, "Learning word vectors for sentiment analysis"; TensorFlow Datasets
``imdb_reviews/plain_text`` 1.0.0.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmark.data.source import VALIDATION_SHARE, Row, Source, SourceOptions
from benchmark.data.tfds_source import TfdsFiles

_SET = "imdb_reviews/plain_text:1.0.0"
_HOST = ("ai.stanford.edu", 80)


class ImdbSource:
    """The reviews, from a prepared TensorFlow Datasets folder or fetched into one."""

    name = "imdb"
    class_names: tuple[str, ...] = ("neg", "pos")
    home = f"TensorFlow Datasets {_SET}"

    def __init__(self, options: SourceOptions) -> None:
        share = options.validation_share
        self.validation_share = VALIDATION_SHARE if share is None else share
        self._files = TfdsFiles(_SET, self.name, options.data_dir, _HOST)

    def prepared(self) -> Path | None:
        """Return the folder of the prepared data set, if there is one."""
        return self._files.find()

    def at_hand(self) -> bool:
        """Return whether the reviews can be read without network."""
        return self.prepared() is not None

    def reachable(self) -> bool:
        """Return whether the reviews could be fetched, found out within seconds."""
        return self._files.reachable()

    def key(self) -> str:
        """Return name, version and share: the content of a published version never changes."""
        return f"{_SET} share {self.validation_share}"

    def rows(self) -> Iterator[Row]:
        """Yield train, then test, in the order of the files."""
        for split in ("train", "test"):
            for example in self._read(split):
                yield Row(split, example["text"].decode("utf-8"), int(example["label"]))

    def unlabelled(self) -> Iterator[str]:
        """Yield the 50,000 unlabelled reviews but for those that also stand in the test split."""
        test = {example["text"] for example in self._read("test")}
        for example in self._read("unsupervised"):
            if example["text"] not in test:
                yield example["text"].decode("utf-8")

    def _read(self, split: str) -> Iterator[dict[str, Any]]:
        return self._files.examples(split, ("text", "label"))


def source(options: SourceOptions) -> Source:
    """Return the source of the IMDB reviews."""
    return ImdbSource(options)
