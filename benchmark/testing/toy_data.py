"""A small data set that any model can learn: a word of each text names its class. Also a template."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from benchmark.data.source import VALIDATION_SHARE, Row, SourceOptions


class ToyData:
    """Texts of about ten words, made by the program.

    Of a data set of your own, replace `rows` by what reads it, and `key` by what they depend on: files, a
    version.
    """

    name = "toy"
    home = "made by the program (benchmark/testing/toy_data.py)"
    class_names: tuple[str, ...] = ("tea", "coffee", "water")

    def __init__(self, options: SourceOptions) -> None:
        share = options.validation_share
        self.validation_share = VALIDATION_SHARE if share is None else share

    def key(self) -> str:
        """Return a cheap fingerprint: equal keys promise equal rows."""
        return f"toy v1, share {self.validation_share}"

    def rows(self) -> Iterator[Row]:
        """Yield every text once, always in the same order."""
        generator = np.random.default_rng(0)
        for split, size in (("train", 450), ("test", 90)):
            for number in range(size):
                label = number % 3
                words = [f"word{word}" for word in generator.integers(40, size=generator.integers(4, 13))]
                words.insert(int(generator.integers(len(words))), self.class_names[label])
                yield Row(split, " ".join(words), label, where=f"{split} {number}")


source = ToyData  # takes the options of a command
