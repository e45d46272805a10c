"""What a data set must provide before it can be prepared, and the registry of the named ones."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol, runtime_checkable

from benchmark.registry import Registry

VALIDATION_SHARE = 0.2
"""Share of ``train`` that becomes the validation part where a data set has none of its own."""


class Row(NamedTuple):
    """One text of a source: its official part (train, validation or test), the text, the class."""

    part: str
    text: str
    label: int


@dataclass(frozen=True)
class SourceOptions:
    """What the user may say about any data set.

    Attributes
    ----------
    data_dir : Path or None
        ``--data-dir``: what is there is never downloaded.
    validation_share : float or None
        Another share of ``train`` for validation; None means the data set's own way.
    """

    data_dir: Path | None = None
    validation_share: float | None = None


@runtime_checkable
class Source(Protocol):
    """Named texts and labels, before the vocabulary.

    Attributes
    ----------
    name : str
        The name users type, and of the MLflow experiment.
    class_names : tuple of str
        Names of the labels 0, 1, …
    validation_share : float
        Share of ``train`` drawn, stratified, as validation; 0 where `rows` has its own.
    home : str
        Where the data comes from, for people.
    """

    name: str
    class_names: tuple[str, ...]
    validation_share: float
    home: str

    def key(self) -> str:
        """Return a cheap fingerprint: equal keys promise equal rows."""
        ...

    def rows(self) -> Iterator[Row]:
        """Yield every labelled text once, in an order that never changes."""
        ...


DATASETS = Registry(
    "data set",
    "textbench.datasets",
    {
        "imdb": "benchmark.data.imdb:source",
        "sample": "benchmark.data.sample_source:source",
    },
)
"""Factories ``(SourceOptions) -> Source`` by name."""


def get_source(name: str, options: SourceOptions) -> Source:
    """Return the source of a named data set.

    Raises
    ------
    UserError
        For an unknown name, with the nearest one.
    """
    source: Source = DATASETS.load(name)(options)
    return source
