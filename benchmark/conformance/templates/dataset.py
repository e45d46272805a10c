"""A made-up data set: a template to start one of your own from."""

from __future__ import annotations

from collections.abc import Iterator

from benchmark.data.source import Row, Source, SourceOptions


class Moods:
    """Replace `rows` by what reads your data, and `key` by what they depend on: files, a version."""

    name = "moods"
    home = "made by the template"
    class_names: tuple[str, ...] = ("calm", "angry")

    def __init__(self, options: SourceOptions) -> None:
        share = options.validation_share
        self.validation_share = 0.2 if share is None else share

    def key(self) -> str:
        """Return a cheap fingerprint: equal keys promise equal rows."""
        return f"moods v1 share {self.validation_share}"

    def at_hand(self) -> bool:
        """Return whether it can be read without network."""
        return True

    def rows(self) -> Iterator[Row]:
        """Yield every text once, always in the same order."""
        words = (("quiet", "gentle", "slow"), ("loud", "rude", "sudden"))
        for part, size in (("train", 200), ("test", 60)):
            for number in range(size):
                label = number % 2
                word = words[label][number // 2 % 3]
                yield Row(part, f"{part} text {number} is {word}", label, where=f"{part} {number}")


def source(options: SourceOptions) -> Source:
    """Return the source."""
    return Moods(options)
