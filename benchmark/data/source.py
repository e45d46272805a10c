"""What a data set must provide before it can be prepared, how a name becomes a source, and its splits."""

from __future__ import annotations

import difflib
import hashlib
import os
import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from benchmark.support.errors import UserError, did_you_mean
from benchmark.support.registry import Registry, load_target

VALIDATION_SHARE = 0.2
"""Share of ``train`` that becomes the validation split where a data set has none."""

SPLITS = ("train", "validation", "test")


class Row(NamedTuple):
    """One text of a source: its official split (train, validation or test), the text, the class.

    `where` names the row for people (a file, a line), in messages about empty or repeated texts. Texts of one
    `group`, as those of one author, stay in one split where splits are drawn; without one a text is alone.
    """

    split: str
    text: str
    label: int
    where: str = ""
    group: str = ""


@dataclass(frozen=True)
class SourceOptions:
    """What the user may say about any data set.

    Attributes
    ----------
    data_dir : Path or None
        ``--data-dir``: what is there is never downloaded.
    validation_share : float or None
        A different share of ``train`` for validation; None means the data set's way.
    encoding : str or None
        ``--encoding`` of text files; None means UTF-8.
    text_column, label_column : str or None
        ``--text-column`` and ``--label-column`` of a table; None means that they are found.
    quoting : str or None
        ``--quoting`` of CSV and TSV; None means that quotes quote, and that doubtful ones are refused.
    split_column, group_column : str or None
        Of a table, by ``--columns``: which texts are for training, and which belong together. The split is
        found by its name where it is None, and ``""`` is none.
    drop_missing : bool
        Whether rows of a table without a text or a label are left out; otherwise they are refused.
    min_per_class : int or None
        Classes of fewer texts are left out.
    """

    data_dir: Path | None = None
    validation_share: float | None = None
    encoding: str | None = None
    text_column: str | None = None
    label_column: str | None = None
    quoting: str | None = None
    split_column: str | None = None
    group_column: str | None = None
    drop_missing: bool = False
    min_per_class: int | None = None

    def given(self) -> list[str]:
        """Return the names of the settings of files that were given."""
        return [name for name in _TAKERS if getattr(self, name) not in (None, False)]

    def shown(self) -> str:
        """Return the settings by which two data sets of one file differ, for people, or nothing."""
        said = [
            name if getattr(self, name) is True else f"{name} {getattr(self, name)!r}"
            for name in self.given()
            if name in CONTENT
        ]
        return f" ({', '.join(said)})" if said else ""


@runtime_checkable
class Source(Protocol):
    """Named texts and labels, before the vocabulary.

    A source may also have ``notices``, a list of sentences for people that is complete once `rows` has
    been read, a method ``unlabelled`` that yields texts without labels, none of which stands in its
    test split, a method ``at_hand`` that says whether it can be read without network, and the name of the
    ``metric`` that models are compared by where a sweep is given none. Attributes will do where the protocol
    has properties.
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
        """Share of ``train`` drawn, stratified, as validation; 0 where `rows` has that split."""
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
        "imdb": "benchmark.data.tfds_source:ImdbSource",
        "imdb-int": "benchmark.data.imdb_int:ImdbIntSource",
        "sample": "benchmark.data.sample:SampleSource",
        "stack-overflow": "benchmark.data.archive:StackOverflowSource",
    },
)
"""Factories ``(SourceOptions) -> Source`` by name."""

PREFIXES = {
    "csv": "benchmark.data.table:TableSource",
    "dir": "benchmark.data.folder:source",
    "hf": "benchmark.data.hugging_face:HuggingFaceSource",
    "sample": "benchmark.data.sample:VariationSource",
    "tfds": "benchmark.data.tfds_source:TfdsSource",
}
"""Factories ``(str, SourceOptions) -> Source`` of data sets spelled ``prefix:what``."""

_SPELLINGS = {
    "csv": "csv:PATH",
    "dir": "dir:PATH",
    "hf": "hf:NAME",
    "sample": "sample:size=500,…",
    "tfds": "tfds:NAME",
}
_TAKERS = {
    "encoding": ("stack-overflow", "csv", "dir"),
    "quoting": ("csv",),
    "text_column": ("csv", "hf", "tfds"),
    "label_column": ("csv", "hf", "tfds"),
    "split_column": ("csv", "hf"),
    "group_column": ("csv", "hf"),
    "drop_missing": ("csv", "hf"),
    "min_per_class": ("csv", "dir", "hf"),
}
CONTENT = ("split_column", "group_column", "drop_missing", "min_per_class")
"""Settings that change what a data set of files holds, which its home says."""
SPELLED = {"split_column": "columns", "group_column": "columns"}
"""How users spell settings that have no option of their name."""
_BUILT_IN = ("imdb", "imdb-int", "sample", "stack-overflow", *PREFIXES)
_LONGEST_NAME = 60


def get_source(name: str, options: SourceOptions) -> Source:
    """Return the source of a data set; what is misspelt or missing is found out before anything is read.

    Parameters
    ----------
    name : str
        A registered name, or ``dir:PATH``, ``csv:PATH``, ``hf:NAME``, ``tfds:NAME``.
    options : SourceOptions
        What the user said beside the name.

    Raises
    ------
    UserError
        For an unknown name, with the nearest one, and for an option that has no meaning for this set.
    """
    check_spelling(name)
    prefix, _, argument = name.partition(":")
    registered = name in DATASETS
    kind = name if registered else prefix
    for option in options.given():
        if kind in _BUILT_IN and kind not in (takers := _TAKERS[option]):
            listed = ", ".join(_SPELLINGS.get(taker, taker) for taker in takers)
            spelling = SPELLED.get(option, option)
            raise UserError(f"`{spelling}` has no meaning for '{name}'; it is for {listed}")
    source: Source
    if registered:
        source = DATASETS.load(name)(options)
    else:
        source = load_target(PREFIXES[prefix], "data set")(argument, options)
    return source


def check_spelling(name: str) -> None:
    """Raise `UserError`, with the nearest name, unless a data set is registered or of a known kind."""
    prefix, _, argument = name.partition(":")
    if name in DATASETS:
        return
    if prefix not in PREFIXES:
        raise _unknown(name)
    if not argument.strip():
        raise UserError(f"data set '{name}': expected {_SPELLINGS[prefix]}")


def own_files(spelling: str) -> bool:
    """Return whether a data set is one of the user, in files, for which `min_per_class` has a meaning."""
    return spelling.partition(":")[0] in _TAKERS["min_per_class"]


def hub_stem(argument: str) -> str:
    """Return the name and configuration of ``hf:NAME[@REVISION][:CONFIG]``; of a folder, its own name."""
    plain = re.sub(r"@[^:]*", "", argument)
    return PurePath(os.path.abspath(Path(plain).expanduser())).name if is_path(plain) else plain  # noqa: PTH100


def is_path(name: str) -> bool:
    """Return whether ``hf:`` and this can only be a folder, which has no name on the hub."""
    return name.startswith((".", "/", "~")) or name.count("/") > 1


def _unknown(name: str) -> UserError:
    kind, colon, argument = name.partition(":")
    if colon:
        close = difflib.get_close_matches(kind.lower(), PREFIXES, n=1, cutoff=0.6)
        choices = f"choose from {', '.join(_SPELLINGS.values())}"
        hint = f"did you mean '{close[0]}:{argument}'?" if close else choices
        return UserError(f"there is no kind of data set '{kind}:'; {hint}")
    for prefix, what, there in (("dir", "folder", Path.is_dir), ("csv", "file", Path.is_file)):
        if there(Path(name)):
            return UserError(
                f"there is no data set named '{name}'; to read the {what} {name} write {prefix}:{name}"
            )
    hint = did_you_mean(name, [*DATASETS, *_SPELLINGS.values()])
    return UserError(f"there is no data set named '{name}'; {hint}")


def no_runs(where: str, dataset: str | None = None, known: Iterable[str] = ()) -> UserError:
    """Return the error that a store has no runs; a name that is a misspelt data set comes with the nearest.

    Parameters
    ----------
    where : str
        Where there are none.
    dataset : str or None
        Whose runs are asked for, as the user named it.
    known : iterable of str
        Data sets that have runs there.
    """
    name, known = (dataset or "").partition("@")[0], set(known)
    named = not name or name in DATASETS or re.split("[:-]", name)[0] in PREFIXES
    close = [] if named else difflib.get_close_matches(name.lower(), {*known, *DATASETS}, n=1, cutoff=0.6)
    sweep = "run a sweep first: python -m benchmark.sweep --model avg-pool"
    hint = did_you_mean(name, known) if known else sweep
    if close:
        hint = f"did you mean the data set '{close[0]}'?"
        hint += "" if close[0] in known else f" then {sweep} --dataset {close[0]}"
    return UserError(f"there are no runs {where}; {hint}")


def experiment_name(name: str) -> str:
    """Return the name under which the results of a data set are kept.

    Parameters
    ----------
    name : str
        As it is spelled on the command line.

    Returns
    -------
    str
        For what is spelled with a prefix, as ``csv:PATH``, a short name that is safe in file names and in
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
    elif kind == "hf":
        stem = hub_stem(argument)
    elif kind == "sample":
        stem = ",".join(sorted(setting.strip() for setting in argument.split(",")))
    else:
        path = PurePath(os.path.abspath(Path(argument).expanduser()))  # noqa: PTH100 (links keep their name)
        stem = path.stem if kind == "csv" else path.name
    plain = unicodedata.normalize("NFKD", stem).encode("ascii", "ignore").decode()
    safe = re.sub(r"[^A-Za-z0-9_.]+", "-", plain).strip("-.")[:_LONGEST_NAME].rstrip("-.")
    return f"{kind}-{safe or hashlib.sha256(os.fsencode(stem)).hexdigest()[:8]}"


SPLIT_SEED = 20_110_620
"""Fixed for ever, so that the validation split is a property of the data set, not of a run."""

TEST_SEED = SPLIT_SEED + 1
"""Of the draw of a test split, which is made before the validation split is drawn from the rest."""

TEST_SHARE = 0.2
"""Share of each class that becomes the test split where a data set has none."""

_WORDS = {
    "train": ("train", "training"),
    "validation": ("validation", "valid", "val", "dev"),
    "test": ("test", "testing"),
}


def split_of(word: str) -> str | None:
    """Return ``train``, ``validation`` or ``test`` for a word that means one of them, otherwise None."""
    plain = word.strip().lower()
    return next((split for split, words in _WORDS.items() if plain in words), None)


def draw_stratified(
    labels: NDArray[np.int32], share: float, seed: int, groups: NDArray[Any] | None = None
) -> NDArray[np.bool_]:
    """Draw a share of each class, rounded to whole rows; of groups, as near to it as whole groups come.

    Parameters
    ----------
    labels : ndarray of int32, shape [n]
        Class of each row.
    share : float
        Between 0 and 1.
    seed : int
        Of the draw.
    groups : ndarray, shape [n], optional
        Group of each row. In random order, each is drawn that brings the classes nearer to their shares.

    Returns
    -------
    ndarray of bool, shape [n]
        True where a row was drawn.
    """
    generator = np.random.default_rng(seed)
    if groups is not None:
        return _draw_groups(labels, share, generator, groups)
    drawn = np.zeros(len(labels), dtype=bool)
    for label in np.unique(labels):
        rows = np.flatnonzero(labels == label)
        drawn[generator.permutation(rows)[: round(share * len(rows))]] = True
    return drawn


def _draw_groups(
    labels: NDArray[np.int32], share: float, generator: np.random.Generator, groups: NDArray[Any]
) -> NDArray[np.bool_]:
    drawn = np.zeros(len(labels), dtype=bool)
    _, codes = np.unique(labels, return_inverse=True)
    left = np.round(share * np.bincount(codes)).astype(np.int64)
    _, sizes = np.unique(groups, return_counts=True)
    members = np.split(np.argsort(groups, kind="stable"), np.cumsum(sizes)[:-1])
    for group in generator.permutation(len(members)):
        classes, counts = np.unique(codes[members[group]], return_counts=True)
        if np.abs(left[classes] - counts).sum() < np.abs(left[classes]).sum():
            drawn[members[group]] = True
            left[classes] -= counts
    if left.any() and not drawn.any():
        drawn[min(members, key=len)] = True
    return drawn


def draw_test(
    labels: NDArray[np.int32], splits: NDArray[np.str_], groups: NDArray[Any] | None = None
) -> NDArray[np.str_]:
    """Return the split of each row: where a data set has no test split, one is drawn from its training rows.

    Parameters
    ----------
    labels : ndarray of int32, shape [n]
        Class of each row.
    splits : ndarray of str, shape [n]
        Split of each row, as the data set says.
    groups : ndarray, shape [n], optional
        Group of each row.

    Returns
    -------
    ndarray of str, shape [n]
        A copy, in which some rows of train have become test if none was.
    """
    drawn = splits.copy()
    if "test" not in splits:
        train = np.flatnonzero(splits == "train")
        own = None if groups is None else groups[train]
        drawn[train[draw_stratified(labels[train], TEST_SHARE, TEST_SEED, own)]] = "test"
    return drawn


def split_validation(
    labels: NDArray[np.int32], own: NDArray[np.bool_], share: float, groups: NDArray[Any] | None = None
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the rows of the training and validation splits.

    Parameters
    ----------
    labels : ndarray of int32, shape [n]
        Class of every row that is not test.
    own : ndarray of bool, shape [n]
        True where the source itself says validation.
    share : float
        Where no row is the source's own validation: share of each class that is drawn, by a fixed
        seed.
    groups : ndarray, shape [n], optional
        Group of each row; groups that are drawn are drawn whole.

    Returns
    -------
    train, validation : ndarray of int64
        Row numbers, ascending.
    """
    if not own.any():
        own = draw_stratified(labels, share, SPLIT_SEED, groups)
    return np.flatnonzero(~own), np.flatnonzero(own)


class FileSource:
    """What the data sets in a user's files have in common.

    Parameters
    ----------
    spelling : str
        As the user wrote it, for messages.
    home : str
        Where the data comes from, for people.
    options : SourceOptions
        What the user said beside it.
    """

    def __init__(self, spelling: str, home: str, options: SourceOptions) -> None:
        self.name, self.home = experiment_name(spelling), home + options.shown()
        self.spelling, self.options = spelling, options
        self.notices: list[str] = []
        self.test_drawn = False

    def error(self, message: str, kind: type[UserError] = UserError) -> UserError:
        """Return an error about this data set."""
        return kind(f"{self.spelling}: {message}")

    def note(self, message: str) -> None:
        """Add to the notices."""
        if (line := f"{self.spelling}: {message}") not in self.notices:
            self.notices.append(line)

    def share(self, own: bool) -> float:
        """Return the share of train that becomes validation; 0 where the set has that split."""
        return validation_share(self.options.validation_share, own, self.spelling)

    def with_test(
        self, labels: NDArray[np.int32], splits: NDArray[np.str_], groups: NDArray[Any] | None = None
    ) -> list[str]:
        """Return the split of each row, see `draw_test`, with a notice where some were drawn."""
        self.test_drawn = "test" not in splits
        if self.test_drawn:
            how = "always the same rows" if groups is None else "in whole groups, always the same"
            self.note(f"it has no test split: 20 % of each class of train became one, {how}")
        drawn: list[str] = draw_test(labels, splits, groups).tolist()
        return drawn


def validation_share(asked: float | None, own: bool, who: str) -> float:
    """Return the share of train that becomes validation; 0 where the set has that split."""
    if not own:
        return VALIDATION_SHARE if asked is None else asked
    if asked is not None:
        raise UserError(f"'{who}' already has a validation split", setting="validation_share")
    return 0.0
