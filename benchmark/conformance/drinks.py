"""A small data set of three classes that any model can learn: one word of each text tells its class."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from benchmark.data.source import Row

_SIZES = (("train", 450), ("test", 90))


class Drinks:
    """Texts of about ten words, of which one is a drink."""

    name = "conformance-drinks"
    home = "made by the program (benchmark/conformance/drinks.py)"
    class_names: tuple[str, ...] = ("tea", "coffee", "water")
    validation_share = 0.2

    def key(self) -> str:
        """Return the version of the generator."""
        return "drinks v1"

    def rows(self) -> Iterator[Row]:
        """Yield the texts."""
        generator = np.random.default_rng(0)
        others = [f"word{number}" for number in range(40)]
        for part, size in _SIZES:
            for number in range(size):
                label = number % 3
                words = [str(word) for word in generator.choice(others, generator.integers(4, 13))]
                words.insert(int(generator.integers(len(words))), self.class_names[label])
                yield Row(part, " ".join(words), label)
