"""Texts in a table, one record a text: ``csv:PATH`` (CSV, TSV, JSON Lines, Parquet)."""

from __future__ import annotations

import re
from array import array
from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from functools import cached_property
from itertools import combinations, compress, repeat, zip_longest
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmark.data.files import FirstFew, check_encoding, file_encoding, fingerprint, missing, stamp
from benchmark.data.labels import number, rating, unify, without_small
from benchmark.data.records import DelimitedTable, Table, open_table
from benchmark.data.source import SPLITS, FileSource, Row, SourceOptions, split_of
from benchmark.support.errors import UserError, did_you_mean

_MOST_CLASSES = 10_000
_NO_TEXT = re.compile(r"[\x00\ud800-\udfff]")  # JSON may hold them as escapes
_MISSING = ("nan", "na", "n/a", "<na>", "null")  # as programs write it; beside numbers, not a word
_TEXT = ("text", "review", "sentence", "content", "body", "comment", "message", "document", "post", "tweet")
_LABEL = ("label", "labels", "class", "category", "target", "sentiment", "tag", "topic", "rating", "stars")
_SPLIT = ("split", "part")
_LATER = ("group_column", "drop_missing", "min_per_class")
_SHOWN, _LONGEST_NAME = 20, 30  # columns in a message, and characters of each


class Columns(NamedTuple):
    """Names of columns; `split` and `group` are None where there is none."""

    text: str
    label: str
    split: str | None
    group: str | None


def find_columns(
    spelling: str,
    columns: Sequence[str],
    text: str | None,
    label: str | None,
    origin: str = "there",
    *,
    split: str | None = None,
    group: str | None = None,
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
    split, group : str or None
        By ``--columns``; a split of ``""`` is none.

    Raises
    ------
    UserError
        When a named one is not there (with the nearest), or none stands out.
    """
    for option, name in (
        ("`text_column`", text),
        ("`label_column`", label),
        ("`columns` split", split or None),
        ("`columns` group", group),
    ):
        if name is not None and name not in columns:
            raise UserError(f"{option}: {spelling} has no column '{name}'; {did_you_mean(name, columns)}")
    if split is None:
        split = _first(columns, _SPLIT, text, label, group)
    label = label or _first(columns, _LABEL, text, split, group)
    text = text or _first(columns, _TEXT, label, split, group)
    left = [name for name in columns if name not in (text, label, split, group)]
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
    uses = {"text": text, "label": label, "split": split, "group": group}
    for (use, name), (other, same) in combinations(uses.items(), 2):
        if name and name == same:
            raise UserError(f"{spelling}: {use} and {other} cannot both be the column '{name}'")
    return Columns(text, label, split or None, group)


def _first(columns: Sequence[str], wanted: Sequence[str], *taken: str | None) -> str | None:
    by_name = {name.lower(): name for name in reversed(columns) if name not in taken}
    return next((by_name[name] for name in wanted if name in by_name), None)


def _listed(columns: Sequence[str]) -> str:
    shown = [
        f"'{name if len(name) <= _LONGEST_NAME else name[:_LONGEST_NAME] + '…'}'" for name in columns[:_SHOWN]
    ]
    return ", ".join(shown) + (", …" if len(columns) > _SHOWN else "")


class _Scan(NamedTuple):
    """What the first reading finds out: which records are kept; their classes, splits and groups."""

    class_names: tuple[str, ...]
    kept: bytes
    labels: NDArray[np.int32]
    splits: NDArray[np.int8]
    groups: list[str]


class RecordsSource(FileSource):
    """Records. They are read twice: first labels and splits, then the texts, and never held in memory."""

    _file: str
    """What messages about one record call the source."""

    def _open(self) -> Table:
        """Open the records."""
        raise NotImplementedError

    @cached_property
    def _table(self) -> Table:
        return self._open()

    @cached_property
    def _columns(self) -> Columns:
        options, table = self.options, self._table
        return find_columns(
            self.spelling,
            table.columns,
            options.text_column,
            options.label_column or table.label_column,
            table.origin,
            split=options.split_column,
            group=options.group_column,
        )

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
        groups = np.array(scan.groups) if any(scan.groups) else None
        splits = self.with_test(scan.labels, np.array(SPLITS)[scan.splits], groups)
        kept = zip(splits, scan.labels.tolist(), scan.groups or repeat(""), strict=False)
        records = self._table.records([self._columns.text])
        for record, is_kept in zip_longest(records, scan.kept):
            if record is None or is_kept is None:
                raise UserError(f"{self._file} was changed while it was read; try again")
            where, (text,) = record
            if not is_kept:
                continue
            if not isinstance(text, str):
                raise UserError(f"{self._file}, {where}: the text is {_kind(text)}; expected a string")
            split, label, group = next(kept)
            yield Row(split, text, label, where, group)

    @cached_property
    def _scan(self) -> _Scan:
        codes: dict[str, int] = {}
        labels, splits, kept = array("i"), array("b"), bytearray()
        groups: list[str] = []
        unlabelled, textless, ungrouped = FirstFew(), FirstFew(), FirstFew()
        text_column, label_column, split_column, group_column = self._columns
        wanted = [column for column in self._columns if column is not None]
        for where, values in self._table.records(wanted):
            record = dict(zip(wanted, values, strict=True))
            name, text = self._word(record[label_column], where, "label"), record[text_column]
            # Spaces alone are a text unless told otherwise: they are counted as empty later.
            no_text = text is None or (
                self.options.drop_missing and isinstance(text, str) and not text.strip()
            )
            if not name:
                unlabelled.add(where)
            if no_text:
                textless.add(where)
            kept.append(bool(name) and not no_text)
            if not kept[-1]:
                continue
            labels.append(codes.setdefault(name, len(codes)))
            splits.append(SPLITS.index(self._split(record[split_column], where)) if split_column else 0)
            if group_column:
                groups.append(self._word(record[group_column], where, "group"))
                if not groups[-1]:
                    ungrouped.add(where)
            if len(codes) > _MOST_CLASSES:
                raise self.error(
                    f"the column '{label_column}' has more than {_MOST_CLASSES:,} different values; is it "
                    "the label? name a different one with `label_column`"
                )
        if isinstance(self._table, DelimitedTable):
            self._table.check_quotes(label_column, codes)
        total = f"{len(kept):,}"
        for few, what, column in ((unlabelled, "label", label_column), (textless, "text", text_column)):
            if few.count and not self.options.drop_missing:
                raise self.error(
                    f"{few.count:,} of {total} records have no {what} in the column '{column}' ({few}); "
                    "leave them out with `drop_missing`"
                )
        if not kept:
            raise UserError(f"{self.spelling} has column names and no records")
        unnumbered = self._unnumbered(codes, labels, total)
        if not codes:
            raise self.error(f"none of {total} records has both a text and a label")
        order, numbers, said_of_them = self._classes(codes)
        self.notices += said_of_them
        dropped = len(kept) - len(labels) + unnumbered
        if dropped:
            self.note(
                f"{dropped:,} of {total} records without a label or a text left out "
                f"(label: {unlabelled.count + unnumbered:,}, text: {textless.count:,})"
            )
        if len(order) < 2:
            raise self.error(f"all {total} records have the label '{order[0]}'; expected two classes or more")
        if said := rating(order):
            self.note(
                f"the column '{label_column}' {said}, each of which is a class here; make a few classes of "
                "them, or name a different column with `label_column`"
            )
        if ungrouped.count:
            self.note(
                f"{ungrouped.count:,} of {total} records have no group in the column '{group_column}' "
                f"({ungrouped}), and are alone"
            )
        places = np.full(max(labels) + 1, -1, dtype=np.int32)
        places[list(codes.values())] = [numbers[name] for name in codes]
        found = places[np.array(labels)]
        if self.options.min_per_class is not None:
            order, found, said = without_small(order, found, self.options.min_per_class)
            if said:
                self.note(said)
        stays = found >= 0
        whole = np.frombuffer(kept, dtype=np.uint8).copy()
        whole[whole == 1] = stays
        return _Scan(
            order, whole.tobytes(), found[stays], np.array(splits)[stays], list(compress(groups, stays))
        )

    def _classes(self, labels: Iterable[str]) -> tuple[tuple[str, ...], dict[str, int], list[str]]:
        """Return names of classes in order, the number of each label, and notices; see `unify`."""
        return unify(labels, self.spelling)

    def _unnumbered(self, codes: dict[str, int], labels: array[int], total: str) -> int:
        """Refuse words that stand for a missing number, or take them out of the classes and count them."""
        words = [name for name in codes if number(name) is None]
        if not 0 < len(words) < len(codes) or any(name.lower() not in _MISSING for name in words):
            return 0
        counts = [labels.count(codes[word]) for word in words]
        if not self.options.drop_missing:
            raise self.error(
                f"{counts[0]:,} of {total} records have '{words[0]}' in the column '{self._columns.label}', "
                "where the others have a number; leave them out with `drop_missing`, or write a different "
                "word if it is a class"
            )
        for word in words:
            del codes[word]
        return sum(counts)

    def _word(self, value: Any, where: str, what: str) -> str:
        if value is not None and not isinstance(value, str | int | float | Decimal):
            raise UserError(
                f"{self._file}, {where}: the {what} is {_kind(value)}; expected a word or a number"
            )
        word = "" if value is None or value != value else str(value).strip()
        if bad := _NO_TEXT.search(word):
            raise UserError(
                f"{self._file}, {where}: the {what} {word!a} holds {bad[0]!a}, which no text holds"
            )
        return word

    def _split(self, value: Any, where: str) -> str:
        split = split_of(str(value))
        if split is None:
            raise UserError(
                f"{self._file}, {where}: '{'' if value is None else value}' in the column "
                f"'{self._columns.split}' is not a split; expected train, validation or test"
            )
        return split


class TableSource(RecordsSource):
    """A table: CSV, TSV, JSON Lines, Parquet.

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
        self._file = str(path)
        self._encoding = file_encoding(path) if options.encoding is None else check_encoding(options.encoding)
        _ = self._columns  # a misspelt one is found now

    def _open(self) -> Table:
        return open_table(self._path, self._encoding, self.options.quoting)

    def key(self) -> str:
        """Return a digest of path, size and time of the file, encoding, columns, quoting and share."""
        options = self.options
        facts = (self._encoding, tuple(self._columns)[:3], options.quoting, options.validation_share)
        # Where they are not given, the key is that of versions that did not know them.
        later = {name: getattr(options, name) for name in _LATER if name in options.given()}
        return fingerprint([stamp(self._path)], *facts, *([later] if later else []))


def _kind(value: Any) -> str:
    return "nothing" if value is None else f"of type {type(value).__name__}"
