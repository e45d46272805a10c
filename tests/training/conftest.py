"""A data set of three classes that any model can learn."""

import numpy as np
import pytest

from benchmark.data.prepare import prepare
from benchmark.data.source import Row


class ThreeClasses:
    name = "three"
    class_names = ("tea", "coffee", "water")
    validation_share = 0.2
    home = "made by a test"

    def key(self):
        return "three v1"

    def rows(self):
        generator = np.random.default_rng(0)
        filler = [f"word{number}" for number in range(50)]
        for part, size in (("train", 400), ("test", 100)):
            for number in range(size):
                label = number % 3
                words = [*generator.choice(filler, 6), self.class_names[label], *generator.choice(filler, 2)]
                yield Row(part, " ".join(words), label)


@pytest.fixture
def three_classes():
    return prepare(ThreeClasses())
