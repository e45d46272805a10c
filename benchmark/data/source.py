"""What a data set must provide before it can be prepared, and how a name becomes a source."""

from __future__ import annotations

import difflib
import hashlib
import os
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import NamedTuple, Protocol, runtime_checkable

from benchmark.support.errors import UserError, did_you_mean
from benchmark.support.registry import Registry, load_target

VALIDATION_SHARE = 0.2
"""Share of ``train`` that becomes the validation part where a data set has none of its own."""


class Row(NamedTuple):
    """One text of a source: its official part (train, validation or test), the text, the class.

    `where` names the row for people (a file, a line), in messages about empty or repeated texts.
    """

    part: str
    text: str
    label: int
    where: str = ""


@dataclass(frozen=True)
class SourceOptions:
    """What the user may say about any data set.

    Attributes
    ----------
    data_dir : Path or None
        ``--data-dir``: what is there is never downloaded.
    validation_share : float or None
        Another share of ``train`` for validation; None means the data set's own way.
    encoding : str or None
        ``--encoding`` of text files; None means UTF-8.
    text_column, label_column : str or None
        ``--text-column`` and ``--label-column`` of a table; None means that they are found.
    quoting : str or None
        ``--quoting`` of CSV and TSV; None means that quotes quote, and that doubtful ones are refused.
    """

    data_dir: Path | None = None
    validation_share: float | None = None
    encoding: str | None = None
    text_column: str | None = None
    label_column: str | None = None
    quoting: str | None = None


@runtime_checkable
class Source(Protocol):
    """Named texts and labels, before the vocabulary.

    A source may also have ``notices``, a list of sentences for people that is complete once `rows` has
    been read, a method ``unlabelled`` that yields texts without labels, none of which stands in its
    test part, and a method ``at_hand`` that says whether it can be read without network. Attributes will
    do where the protocol has properties.
    """

    @property
    def name(self) -> str:
        """The name users type, or `experiment_name` of it, and of the MLflow experiment."""
        ...

    @property
    def home(self) -> str:
        """Where the data comes from, for people."""
        ...

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the labels 0, 1, …; a source may have to read its data to know them."""
        ...

    @property
    def validation_share(self) -> float:
        """Share of ``train`` drawn, stratified, as validation; 0 where `rows` has its own."""
        ...

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
        "imdb-int": "benchmark.data.imdb_int:source",
        "sample": "benchmark.data.sample:source",
        "stack-overflow": "benchmark.data.stack_overflow:source",
    },
)
"""Factories ``(SourceOptions) -> Source`` by name."""

PREFIXES = {
    "csv": "benchmark.data.table:source",
    "dir": "benchmark.data.folder:source",
    "tfds": "benchmark.data.tfds_source:source",
}
"""Factories ``(str, SourceOptions) -> Source`` of data sets spelled ``prefix:what``."""

_SPELLINGS = {"csv": "csv:PATH", "dir": "dir:PATH", "tfds": "tfds:NAME"}
_COLUMNS = ("text_column", "label_column")
_ACCEPTED: dict[str, tuple[str, ...]] = {
    "imdb": (),
    "imdb-int": (),
    "sample": (),
    "stack-overflow": ("encoding",),
    "csv": ("encoding", "quoting", *_COLUMNS),
    "dir": ("encoding",),
    "tfds": _COLUMNS,
}
_LONGEST_NAME = 60


def get_source(name: str, options: SourceOptions) -> Source:
    """Return the source of a data set; what is misspelt or missing is found out before anything is read.

    Parameters
    ----------
    name : str
        A registered name, or ``dir:PATH``, ``csv:PATH``, ``tfds:NAME``.
    options : SourceOptions
        What the user said beside the name.

    Raises
    ------
    UserError
        For an unknown name, with the nearest one, and for an option that has no meaning for this set.
    """
    kind, argument = _parse(name)
    for option in ("encoding", "quoting", *_COLUMNS):
        if getattr(options, option) is not None and option not in _ACCEPTED.get(kind, (option,)):
            takers = [_SPELLINGS.get(other, other) for other, taken in _ACCEPTED.items() if option in taken]
            raise UserError(f"`{option}` has no meaning for '{name}'; it is for {', '.join(takers)}")
    source: Source
    if argument is None:
        source = DATASETS.load(kind)(options)
    else:
        source = load_target(PREFIXES[kind], "data set")(argument, options)
    return source


def experiment_name(name: str) -> str:
    """Return the name under which the results of a data set are kept.

    Parameters
    ----------
    name : str
        As it is spelled on the command line.

    Returns
    -------
    str
        For ``dir:PATH``, ``csv:PATH`` and ``tfds:NAME`` a short name that is safe in file names and in
        MLflow; any other name as it is.

    Examples
    --------
    >>> experiment_name("csv:my data/Reviews (all).csv"), experiment_name("imdb")
    ('csv-Reviews-all', 'imdb')
    """
    kind, colon, argument = name.partition(":")
    if not colon or kind not in PREFIXES or name in DATASETS:
        return name
    if kind == "tfds":
        stem = argument.partition(":")[0]
    else:
        path = PurePath(os.path.abspath(Path(argument).expanduser()))  # noqa: PTH100 (links keep their name)
        stem = path.stem if kind == "csv" else path.name
    plain = unicodedata.normalize("NFKD", stem).encode("ascii", "ignore").decode()
    safe = re.sub(r"[^A-Za-z0-9_.]+", "-", plain).strip("-.")[:_LONGEST_NAME].rstrip("-.")
    return f"{kind}-{safe or hashlib.sha256(os.fsencode(stem)).hexdigest()[:8]}"


def _parse(name: str) -> tuple[str, str | None]:
    """Return a registered name and None, or a prefix and what follows it."""
    if name in DATASETS:
        return name, None
    kind, colon, argument = name.partition(":")
    if kind in PREFIXES:
        if not argument.strip():
            raise UserError(f"data set '{name}': expected {_SPELLINGS[kind]}")
        return kind, argument
    if colon:
        close = difflib.get_close_matches(kind.lower(), PREFIXES, n=1, cutoff=0.6)
        hint = f"did you mean '{close[0]}:{argument}'?" if close else f"choose from {_from_files()}"
        raise UserError(f"there is no kind of data set '{kind}:'; {hint}")
    path = Path(name)
    if path.is_dir():
        raise UserError(f"there is no data set named '{name}'; to read the folder {name} write dir:{name}")
    if path.is_file():
        raise UserError(f"there is no data set named '{name}'; to read the file {name} write csv:{name}")
    raise UserError(
        f"there is no data set named '{name}'; {did_you_mean(name, [*DATASETS, *_SPELLINGS.values()])}"
    )


def _from_files() -> str:
    return ", ".join(_SPELLINGS.values())
