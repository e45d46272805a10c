"""The built-in data set `sample` as a source: made by the program, no network."""

from __future__ import annotations

from collections.abc import Iterator

from benchmark.data import sample
from benchmark.data.source import VALIDATION_SHARE, Row, Source, SourceOptions
from benchmark.support.errors import UserError


class SampleSource:
    """Generated reviews whose highest attainable accuracy is known exactly."""

    name = "sample"
    class_names: tuple[str, ...] = sample.CLASS_NAMES
    validation_share = 0.0
    home = "made by the program (benchmark/data/sample.py)"

    def key(self) -> str:
        """Return the generator's version; its seed is fixed."""
        return f"sample v{sample.SAMPLE_VERSION}"

    def at_hand(self) -> bool:
        """Return True: the program makes it."""
        return True

    def rows(self) -> Iterator[Row]:
        """Yield the generated reviews."""
        return (Row(part, text, label) for part, text, label in sample.generate())


def source(options: SourceOptions) -> Source:
    """Return the source; it has its own validation part, so no other share can be asked for."""
    if options.validation_share not in (None, VALIDATION_SHARE):
        raise UserError("--validation-share: 'sample' has a validation part of its own, a fifth of train")
    return SampleSource()
