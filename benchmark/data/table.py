"""Texts in a table, one record a text: ``csv:PATH`` (CSV, TSV, JSON Lines, Parquet)."""

from __future__ import annotations

import re
from array import array
from collections.abc import Iterator, Sequence
from decimal import Decimal
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmark.data.files import FirstFew, check_encoding, decode, fingerprint, missing, stamp
from benchmark.data.labels import in_order, number, unify
from benchmark.data.records import DelimitedTable, open_table
from benchmark.data.source import (
    SPLITS,
    TEST_NOTICE,
    Row,
    Source,
    SourceOptions,
    draw_test,
    experiment_name,
    part_of,
    validation_share,
)
from benchmark.support.errors import UserError, did_you_mean

_MOST_CLASSES = 10_000
_NO_TEXT = re.compile(r"[\x00\ud800-\udfff]")  # JSON may hold them as escapes
_MISSING = ("nan", "na", "n/a", "<na>", "null")  # as programs write it; beside numbers, not a word
_TEXT = ("text", "review", "sentence", "content", "body", "comment", "message", "document", "post", "tweet")
_LABEL = ("label", "labels", "class", "category", "target", "sentiment", "tag", "topic", "rating", "stars")
_SPLIT = ("split", "part")
_SHOWN, _LONGEST_NAME = 20, 30  # columns in a message, and characters of each


class Columns(NamedTuple):
    """Names of columns; `part` is None where there is none."""

    text: str
    label: str
    part: str | None


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
    for option, name in (("--text-column", text), ("--label-column", label)):
        if name is not None and name not in columns:
            raise UserError(f"{option}: {spelling} has no column '{name}'; {did_you_mean(name, columns)}")
    left = [name for name in columns if name not in (text, label)]
    part = _first(left, _SPLIT)
    left = [name for name in left if name != part]
    label = label or _first(left, _LABEL)
    left = [name for name in left if name != label]
    text = text or _first(left, _TEXT)
    if text is None and label is not None and len(left) == 1:
        text = left[0]
    left = [name for name in left if name != text]
    if label is None and text is not None and len(left) == 1:
        label = left[0]
    if text is None or label is None:
        what, option = ("text", "--text-column") if text is None else ("label", "--label-column")
        raise UserError(
            f"{spelling}: no column is clearly the {what}; name it with {option}; the columns {origin}: "
            f"{_listed(columns)}"
        )
    if text == label:
        raise UserError(f"{spelling}: text and label cannot both be the column '{text}'")
    return Columns(text, label, part)


def _first(columns: Sequence[str], wanted: Sequence[str]) -> str | None:
    by_name = {name.lower(): name for name in reversed(columns)}
    return next((by_name[name] for name in wanted if name in by_name), None)


def _listed(columns: Sequence[str]) -> str:
    shown = [
        f"'{name if len(name) <= _LONGEST_NAME else name[:_LONGEST_NAME] + '…'}'" for name in columns[:_SHOWN]
    ]
    return ", ".join(shown) + (", …" if len(columns) > _SHOWN else "")


class _Scan(NamedTuple):
    """What the first reading finds out: classes, and class and part of each record."""

    class_names: tuple[str, ...]
    labels: array[int]
    parts: array[int]
    notices: list[str]


class TableSource:
    """A table. It is read twice: first labels and parts, then the texts, and never held in memory.

    Parameters
    ----------
    path : Path
        The file; the end of its name says what it is.
    options : SourceOptions
        Encoding, columns, quoting and validation share.
    """

    def __init__(self, path: Path, options: SourceOptions) -> None:
        self._spelling, self._path = f"csv:{path}", path
        self.name, self.home = experiment_name(self._spelling), str(path.absolute())
        self._encoding = check_encoding(options.encoding)
        self._quoting = options.quoting
        self._table = open_table(path, self._encoding, self._quoting)
        self._columns = find_columns(
            self._spelling, self._table.columns, options.text_column, options.label_column, self._table.origin
        )
        self._asked_share = options.validation_share
        self.notices: list[str] = []

    def key(self) -> str:
        """Return a digest of path, size and time of the file, encoding, columns, quoting and share."""
        facts = (self._encoding, self._columns, self._quoting, self._asked_share)
        return fingerprint([stamp(self._path)], *facts)

    @property
    def class_names(self) -> tuple[str, ...]:
        """The labels in order: by number where all are numbers, otherwise by name."""
        return self._scan.class_names

    @property
    def validation_share(self) -> float:
        """The share that was asked for, unless the table has a validation part."""
        own = SPLITS.index("validation") in self._scan.parts
        return validation_share(self._asked_share, own, self._spelling)

    def rows(self) -> Iterator[Row]:
        """Yield the records in the order of the file."""
        scan = self._scan
        parts = np.array(SPLITS)[np.array(scan.parts)]
        drawn = draw_test(np.array(scan.labels, dtype=np.int32), parts)
        self.notices = [*scan.notices, *([f"{self._spelling}: {TEST_NOTICE}"] if drawn.any() else [])]
        records = self._table.records([self._columns.text])
        number = -1
        for number, (where, (text,)) in enumerate(records):
            if number >= len(drawn):
                break
            part = "test" if drawn[number] else SPLITS[scan.parts[number]]
            yield Row(part, self._text(text, where), scan.labels[number], where)
        if number != len(drawn) - 1:
            raise UserError(f"{self._path} was changed while it was read; try again")

    @cached_property
    def _scan(self) -> _Scan:
        classes: dict[str, int] = {}
        labels, parts = array("i"), array("b")
        unlabelled, textless = FirstFew(), FirstFew()
        text_column, label_column, part_column = self._columns
        wanted = [text_column, label_column, *([part_column] if part_column else [])]
        for where, (text, label, *part) in self._table.records(wanted):
            name = self._label(label, where)
            if not name:
                unlabelled.add(where)
            if text is None:
                textless.add(where)
            labels.append(classes.setdefault(name, len(classes)))
            parts.append(SPLITS.index(self._part(part[0], where)) if part else 0)
            if len(classes) > _MOST_CLASSES:
                raise UserError(
                    f"{self._spelling}: the column '{label_column}' has more than {_MOST_CLASSES:,} "
                    "different values; is it the label? name another with --label-column"
                )
        if isinstance(self._table, DelimitedTable):
            self._table.check_quotes(label_column, classes)
        for few, what, column in (
            (unlabelled, "no label", label_column),
            (textless, "no text", text_column),
        ):
            if few.count:
                raise UserError(
                    f"{self._spelling}: {few.count:,} of {len(labels):,} records have {what} in the column "
                    f"'{column}' ({few})"
                )
        if not labels:
            raise UserError(f"{self._spelling} has column names and no records")
        names, notices = unify(classes, self._spelling)
        order = in_order(names.values())
        if len(order) < 2:
            raise UserError(
                f"{self._spelling}: all {len(labels):,} records have the label '{order[0]}'; "
                "expected two classes or more"
            )
        no_number = [name for name in order if number(name) is None]
        if 0 < len(no_number) < len(order) and all(name.lower() in _MISSING for name in no_number):
            raise UserError(
                f"{self._spelling}: {labels.count(classes[no_number[0]]):,} of {len(labels):,} records have "
                f"'{no_number[0]}' in the column '{label_column}', where the others have a number; delete "
                "them, or write a different word if it is a class"
            )
        place = {name: number for number, name in enumerate(order)}
        ranks = [place[names[name]] for name in classes]
        return _Scan(order, array("i", (ranks[label] for label in labels)), parts, notices)

    def _text(self, value: Any, where: str) -> str:
        if isinstance(value, bytes):
            return decode(value, self._encoding, f"{self._path}, {where}")
        if not isinstance(value, str):
            raise UserError(f"{self._path}, {where}: the text is {_kind(value)}; expected a string")
        return value

    def _label(self, value: Any, where: str) -> str:
        if isinstance(value, bytes):
            value = decode(value, self._encoding, f"{self._path}, {where}")
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

    def _part(self, value: Any, where: str) -> str:
        part = part_of(str(value))
        if part is None:
            raise UserError(
                f"{self._path}, {where}: '{'' if value is None else value}' in the column "
                f"'{self._columns.part}' is no part; expected train, validation or test"
            )
        return part


def _kind(value: Any) -> str:
    return "nothing" if value is None else f"of type {type(value).__name__}"


def source(argument: str, options: SourceOptions) -> Source:
    """Return the source of ``csv:PATH``."""
    path = Path(argument).expanduser()
    if path.is_dir():
        raise UserError(f"csv:{argument} is a folder; to read a folder per class write dir:{argument}")
    if not path.exists():
        raise missing(f"csv:{argument}", path, "file")
    if not path.is_file():
        raise UserError(f"csv:{argument} is not a regular file")
    return TableSource(path, options)
