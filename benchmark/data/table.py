"""Texts in a table, one record a text: ``csv:PATH`` (CSV, TSV, JSON Lines, Parquet)."""

from __future__ import annotations

import re
from array import array
from collections.abc import Iterator, Sequence
from decimal import Decimal
from functools import cached_property
from itertools import zip_longest
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmark.data.files import FirstFew, check_encoding, fingerprint, missing, stamp
from benchmark.data.labels import number, unify
from benchmark.data.records import DelimitedTable, open_table
from benchmark.data.source import SPLITS, FileSource, Row, SourceOptions, split_of
from benchmark.support.errors import UserError, did_you_mean

_MOST_CLASSES = 10_000
_NO_TEXT = re.compile(r"[\x00\ud800-\udfff]")  # JSON may hold them as escapes
_MISSING = ("nan", "na", "n/a", "<na>", "null")  # as programs write it; beside numbers, not a word
_TEXT = ("text", "review", "sentence", "content", "body", "comment", "message", "document", "post", "tweet")
_LABEL = ("label", "labels", "class", "category", "target", "sentiment", "tag", "topic", "rating", "stars")
_SPLIT = ("split", "part")
_SHOWN, _LONGEST_NAME = 20, 30  # columns in a message, and characters of each


class Columns(NamedTuple):
    """Names of columns; `split` is None where there is none."""

    text: str
    label: str
    split: str | None


def find_columns(
    spelling: str, columns: Sequence[str], text: str | None, label: str | None, origin: str = "there"
) -> Columns:
    """Choose the columns: those that were named, otherwise those whose names say what they are.

    Parameters
    ----------
    spelling : str
        The data set, for messages.
    columns : sequence of str
        What there is.
    text, label : str or None
        ``--text-column`` and ``--label-column``.
    origin : str
        Where the names stand, for messages.

    Raises
    ------
    UserError
        When a named one is not there (with the nearest), or none stands out.
    """
    for option, name in (("`text_column`", text), ("`label_column`", label)):
        if name is not None and name not in columns:
            raise UserError(f"{option}: {spelling} has no column '{name}'; {did_you_mean(name, columns)}")
    split = _first(columns, _SPLIT, text, label)
    label = label or _first(columns, _LABEL, text, split)
    text = text or _first(columns, _TEXT, label, split)
    left = [name for name in columns if name not in (text, label, split)]
    if len(left) == 1 and label is not None:
        text = text or left[0]
    elif len(left) == 1 and text is not None:
        label = left[0]
    if text is None or label is None:
        what, option = ("text", "`text_column`") if text is None else ("label", "`label_column`")
        raise UserError(
            f"{spelling}: no column is clearly the {what}; name it with {option}; the columns {origin}: "
            f"{_listed(columns)}"
        )
    if text == label:
        raise UserError(f"{spelling}: text and label cannot both be the column '{text}'")
    return Columns(text, label, split)


def _first(columns: Sequence[str], wanted: Sequence[str], *taken: str | None) -> str | None:
    by_name = {name.lower(): name for name in reversed(columns) if name not in taken}
    return next((by_name[name] for name in wanted if name in by_name), None)


def _listed(columns: Sequence[str]) -> str:
    shown = [
        f"'{name if len(name) <= _LONGEST_NAME else name[:_LONGEST_NAME] + '…'}'" for name in columns[:_SHOWN]
    ]
    return ", ".join(shown) + (", …" if len(columns) > _SHOWN else "")


class _Scan(NamedTuple):
    """What the first reading finds out: classes, and class and split of each record."""

    class_names: tuple[str, ...]
    labels: array[int]
    splits: array[int]


class TableSource(FileSource):
    """A table. It is read twice: first labels and splits, then the texts, and never held in memory.

    Parameters
    ----------
    argument : str
        Path of the file; the end of its name says what it is.
    options : SourceOptions
        Encoding, columns, quoting and validation share.
    """

    def __init__(self, argument: str, options: SourceOptions) -> None:
        self._path = path = Path(argument).expanduser()
        if path.is_dir():
            raise UserError(f"csv:{argument} is a folder; to read a folder per class write dir:{argument}")
        if not path.exists():
            raise missing(f"csv:{argument}", path, "file")
        if not path.is_file():
            raise UserError(f"csv:{argument} is not a regular file")
        super().__init__(f"csv:{path}", str(path.absolute()), options)
        self._encoding = check_encoding(options.encoding)
        self._table = open_table(path, self._encoding, options.quoting)
        self._columns = find_columns(
            self.spelling, self._table.columns, options.text_column, options.label_column, self._table.origin
        )

    def key(self) -> str:
        """Return a digest of path, size and time of the file, encoding, columns, quoting and share."""
        options = self.options
        facts = (self._encoding, tuple(self._columns), options.quoting, options.validation_share)
        return fingerprint([stamp(self._path)], *facts)

    @property
    def class_names(self) -> tuple[str, ...]:
        """The labels in order: by number where all are numbers, otherwise by name."""
        return self._scan.class_names

    @property
    def validation_share(self) -> float:
        """The share that was asked for, unless the table has a validation split."""
        return self.share(SPLITS.index("validation") in self._scan.splits)

    def rows(self) -> Iterator[Row]:
        """Yield the records in the order of the file."""
        scan = self._scan
        splits = self.with_test(np.array(scan.labels), np.array(SPLITS)[np.array(scan.splits)])
        records = self._table.records([self._columns.text])
        for record, split, label in zip_longest(records, splits, scan.labels):
            if record is None or split is None:
                raise UserError(f"{self._path} was changed while it was read; try again")
            where, (text,) = record
            if not isinstance(text, str):
                raise UserError(f"{self._path}, {where}: the text is {_kind(text)}; expected a string")
            yield Row(split, text, label, where)

    @cached_property
    def _scan(self) -> _Scan:
        classes: dict[str, int] = {}
        labels, splits = array("i"), array("b")
        unlabelled, textless = FirstFew(), FirstFew()
        text_column, label_column, split_column = self._columns
        wanted = [text_column, label_column, *([split_column] if split_column else [])]
        for where, (text, label, *split) in self._table.records(wanted):
            name = self._label(label, where)
            if not name:
                unlabelled.add(where)
            if text is None:
                textless.add(where)
            labels.append(classes.setdefault(name, len(classes)))
            splits.append(SPLITS.index(self._split(split[0], where)) if split else 0)
            if len(classes) > _MOST_CLASSES:
                raise self.error(
                    f"the column '{label_column}' has more than {_MOST_CLASSES:,} different values; is it "
                    "the label? name a different one with `label_column`"
                )
        if isinstance(self._table, DelimitedTable):
            self._table.check_quotes(label_column, classes)
        total = f"{len(labels):,}"
        for few, what, column in ((unlabelled, "label", label_column), (textless, "text", text_column)):
            if few.count:
                raise self.error(
                    f"{few.count:,} of {total} records have no {what} in the column '{column}' ({few})"
                )
        if not labels:
            raise UserError(f"{self.spelling} has column names and no records")
        order, numbers, self.notices = unify(classes, self.spelling)
        if len(order) < 2:
            raise self.error(f"all {total} records have the label '{order[0]}'; expected two classes or more")
        no_number = [name for name in order if number(name) is None]
        if 0 < len(no_number) < len(order) and all(name.lower() in _MISSING for name in no_number):
            word, count = no_number[0], labels.count(classes[no_number[0]])
            raise self.error(
                f"{count:,} of {total} records have '{word}' in the column '{label_column}', where the "
                "others have a number; delete them, or write a different word if it is a class"
            )
        ranks = [numbers[name] for name in classes]
        return _Scan(order, array("i", (ranks[label] for label in labels)), splits)

    def _label(self, value: Any, where: str) -> str:
        if value is not None and not isinstance(value, str | int | float | Decimal):
            raise UserError(
                f"{self._path}, {where}: the label is {_kind(value)}; expected a word or a number"
            )
        label = "" if value is None or value != value else str(value).strip()
        if bad := _NO_TEXT.search(label):
            raise UserError(
                f"{self._path}, {where}: the label {label!a} holds {bad[0]!a}, which no text holds"
            )
        return label

    def _split(self, value: Any, where: str) -> str:
        split = split_of(str(value))
        if split is None:
            raise UserError(
                f"{self._path}, {where}: '{'' if value is None else value}' in the column "
                f"'{self._columns.split}' is not a split; expected train, validation or test"
            )
        return split


def _kind(value: Any) -> str:
    return "nothing" if value is None else f"of type {type(value).__name__}"
