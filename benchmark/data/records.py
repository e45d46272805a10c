"""Records of a table, one after another: CSV, TSV, JSON Lines, Parquet."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable, Container, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any, Protocol

from benchmark.data.files import LONGEST, PACKED, FirstFew, decode, text_lines
from benchmark.support.errors import UserError, did_you_mean, one_line

Record = tuple[str, tuple[Any, ...]]
"""Where it stands, as ``line 7``, and its values; None where there is none."""

_PARQUET_ROWS = 256
_SEPARATOR = re.compile(r'"?sep=([,;|\t])"?[\r\n]*')
_QUOTED = re.compile(r'"(?:[^"]|"")*"')
_SPACED = re.compile(rf"\s+{_QUOTED.pattern}\s*")
_HINT = 'are the quotes in order? a quote inside quotes is written ""; `quoting` none reads quotes as text'


class Table(Protocol):
    """Records by columns.

    Attributes
    ----------
    columns : tuple of str
        Their names.
    origin : str
        Where the names stand, for messages.
    label_column : str or None
        The one that is known to be the label.
    """

    columns: tuple[str, ...]
    origin: str
    label_column: str | None = None

    def records(self, columns: Sequence[str]) -> Iterator[Record]:
        """Yield some columns of the records, always in the same order."""
        ...


class DelimitedTable(Table):
    """CSV or TSV with column names in the first line, quoted as Python's `csv` does it (RFC 4180).

    A quote that is text can look like one that quotes: at the start of a field it takes in every line up to
    the next. Unless `quoting` says what quotes are, what looks like that is refused.
    """

    def __init__(self, path: Path, encoding: str, quoting: str | None = None) -> None:
        self._path, self._encoding, self._quoting = path, encoding, quoting
        self._doubtful = False
        head = next(text_lines(path, encoding), "")
        named = _SEPARATOR.fullmatch(head)  # as Excel reads and writes it
        self._skipped = int(named is not None)
        if named:
            self._delimiter = named[1]
        elif path.suffix.lower() in (".tsv", ".tab") and "\t" in head:
            self._delimiter = "\t"
        else:
            self._delimiter = max(",;\t|", key=head.count)
        first = next(self._raw(), None)
        if first is None:
            raise UserError(f"{path} is empty; expected column names in its first line")
        self._head = [self._unspaced(name, f"line {1 + self._skipped}") for name in first[1]]
        self.columns = tuple(name.strip() for name in self._head)
        self.origin = f"in its first line, which must name them (split at {self._delimiter!r})"
        _check_columns(path, self.columns)

    def records(self, columns: Sequence[str]) -> Iterator[Record]:
        """Yield records; an empty field is None, since CSV has no other way to say so."""
        places = [self.columns.index(column) for column in columns]
        raw = self._raw()
        next(raw, None)
        for line, fields, lines in raw:
            where = _where(line, lines)
            if len(fields) != len(self.columns):
                has = "1 field" if len(fields) == 1 else f"{len(fields)} fields"
                raise UserError(
                    f"{self._path}, {where} has {has}; expected {len(self.columns)}, as "
                    f"in the first line{f'; {_HINT}' if len(lines) > 1 else ''}"
                )
            if fields[1:] == self._head[1:] and fields[0].lstrip("\ufeff").strip('"') == self._head[0]:
                raise UserError(
                    f"{self._path}, {where} repeats the names of the columns; was it joined from several "
                    "files? delete that line"
                )
            self._doubtful = self._doubtful or self._as_records(lines) is not None
            yield f"line {line}", tuple(self._unspaced(fields[place], where) or None for place in places)

    def check_quotes(self, label: str, known: Container[str]) -> None:
        """Refuse quoted fields that hold whole records, once all labels are known.

        Each of their lines has as many fields as the table, and most have a label that other records have,
        or there are three or more with tabs, which texts seldom have. So a quoted text whose lines merely
        have as many commas is read as one text.
        """
        if not self._doubtful:
            return
        place, found = self.columns.index(label), FirstFew()
        for line, _, lines in self._raw():
            rows = self._as_records(lines) or []
            labelled = sum(row[place].strip().strip('"') in known for row in rows)
            if 2 * labelled > len(rows) or (self._delimiter == "\t" and len(rows) > 2):
                found.add(_where(line, lines))
        if found.count:
            raise UserError(
                f"{self._path}: whole records stand inside quotes ({found}), so these seem to be text; read "
                "them as text with `quoting` none, or say `quoting` minimal if they do quote"
            )

    def _as_records(self, lines: Sequence[str]) -> list[list[str]] | None:
        """Return the fields of a record's lines as if quotes were text, if each has as many as the table.

        Not if one stands in quotes as a whole: then quotes do quote in this table.
        """
        if len(lines) < 2 or self._quoting is not None:
            return None
        rows = [line.strip("\r\n").split(self._delimiter) for line in lines if line.strip()]
        quoted = any(_QUOTED.fullmatch(field) for row in rows for field in row)
        return None if quoted or any(len(row) != len(self.columns) for row in rows) else rows

    def _unspaced(self, field: str, where: str) -> str:
        """Return a field, unless it has quotes with a space before them, which quote nothing."""
        if self._quoting is None and field[:1] in (" ", "\t") and _SPACED.fullmatch(field):
            raise UserError(
                f"{self._path}, {where}: there is a space before the quotes of{field.rstrip()[:50]}, so they "
                "would be text; delete it, or say `quoting` minimal if they are"
            )
        return field

    def _raw(self) -> Iterator[tuple[int, list[str], list[str]]]:
        """Yield the line on which a record begins, its fields, and its lines."""
        lines: list[str] = []

        def noted() -> Iterator[str]:
            for line in islice(text_lines(self._path, self._encoding), self._skipped, None):
                lines.append(line)
                yield line

        reader = csv.reader(
            noted(),
            delimiter=self._delimiter,
            strict=True,
            quoting=csv.QUOTE_NONE if self._quoting == "none" else csv.QUOTE_MINIMAL,
        )
        while True:
            line = reader.line_num + self._skipped + 1
            lines.clear()
            allowed = csv.field_size_limit(LONGEST)  # of the process: set for this call alone
            try:
                fields = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                reason = f"{error}; {_HINT}"
                if "new-line" in str(error):
                    reason = "a carriage return stands inside; expected lines that all end alike (LF or CRLF)"
                raise UserError(f"{self._path}, line {line}: {reason}") from None
            finally:
                csv.field_size_limit(allowed)
            if fields:
                yield line, fields, lines


class JsonLinesTable(Table):
    """One JSON object a line."""

    origin = "of its first object"

    def __init__(self, path: Path, encoding: str) -> None:
        self._path, self._encoding = path, encoding
        raw = self._raw()
        first = next(raw, None)
        if first is None:
            raise UserError(f"{path} is empty; expected a JSON object on each line")
        self.columns = tuple(first[1])
        for name, value in first[1].items():
            if isinstance(value, list) and value and isinstance(value[0], dict) and next(raw, None) is None:
                raise self._error(
                    first[0], f"has its records in a list, '{name}'", f".[{json.dumps(name)}][]"
                )

    def records(self, columns: Sequence[str]) -> Iterator[Record]:
        """Yield records; a field that is absent is None."""
        for line, record in self._raw():
            yield f"line {line}", tuple(record.get(column) for column in columns)

    def _raw(self) -> Iterator[tuple[int, dict[str, Any]]]:
        for line, text in enumerate(text_lines(self._path, self._encoding), 1):
            if not text.strip():
                continue
            try:
                record = json.loads(text, object_pairs_hook=_object)
            except (ValueError, RecursionError) as error:
                raise self._error(line, f"is not JSON: {error}") from None
            if not isinstance(record, dict):
                raise self._error(line, "is not a JSON object")
            yield line, record

    def _error(self, line: int, what: str, query: str = ".[]") -> UserError:
        """Return the error for a line, with a way to make lines of other JSON."""
        return UserError(
            f"{self._path}, line {line} {what}; expected an object {{...}} a line, as "
            f"jq -c '{query}' {self._path.name} prints the records of a list"
        )


class ParquetTable(Table):
    """Apache Parquet, read in batches."""

    origin = "there"

    def __init__(self, path: Path, encoding: str) -> None:
        self._path, self._encoding = path, encoding
        with self._errors():
            self.columns = tuple(self._open().schema_arrow.names)
        _check_columns(path, self.columns)

    def records(self, columns: Sequence[str]) -> Iterator[Record]:
        """Yield records; null is None, and bytes are text in the encoding."""
        with self._errors():
            batches = self._open().iter_batches(batch_size=_PARQUET_ROWS, columns=list(columns))
            rows = (row for batch in batches for row in batch.to_pylist())
            for number, row in enumerate(rows, 1):
                where = f"row {number}"
                yield where, tuple(self._plain(row[name], where) for name in columns)

    def _plain(self, value: Any, where: str) -> Any:
        is_text = isinstance(value, bytes)
        return decode(value, self._encoding, f"{self._path}, {where}") if is_text else value

    def _open(self) -> Any:
        import pyarrow.parquet  # type: ignore[import-untyped]

        return pyarrow.parquet.ParquetFile(self._path)

    @contextmanager
    def _errors(self) -> Iterator[None]:
        import pyarrow

        try:
            yield
        except (pyarrow.ArrowException, OSError, UnicodeDecodeError) as error:
            raise UserError(f"{self._path} cannot be read as Parquet: {one_line(error)}") from error


FORMATS: dict[str, Callable[[Path, str], Table]] = {
    ".csv": DelimitedTable,
    ".tsv": DelimitedTable,
    ".tab": DelimitedTable,
    ".json": JsonLinesTable,
    ".jsonl": JsonLinesTable,
    ".ndjson": JsonLinesTable,
    ".parquet": ParquetTable,
}


def open_table(path: Path, encoding: str, quoting: str | None) -> Table:
    """Open a table by the end of its name; see `SourceOptions` for the quoting of CSV and TSV.

    Raises
    ------
    UserError
        For an unknown ending, an empty file, and one that is not what its name says.
    """
    if path.suffix.lower() not in FORMATS:
        hint = did_you_mean(path.suffix, FORMATS)
        if path.suffix.lower() in PACKED:
            hint = "unpack it first"
        raise UserError(f"csv:{path}: the format is unknown from the ending '{path.suffix}'; {hint}")
    kind = FORMATS[path.suffix.lower()]
    if kind is DelimitedTable:
        return DelimitedTable(path, encoding, quoting)
    if quoting is not None:
        raise UserError(f"`quoting` has no meaning for {path}; it is for CSV and TSV")
    return kind(path, encoding)


def _check_columns(path: Path, columns: Sequence[str]) -> None:
    twice = {name for name in columns if name and columns.count(name) > 1}
    if twice:
        raise UserError(f"{path}: the column '{min(twice)}' stands there twice; expected different names")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    record = dict(pairs)
    if len(record) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"the key '{max(names, key=names.count)}' stands there twice")
    return record


def _where(line: int, lines: Sequence[str]) -> str:
    return f"line {line}" if len(lines) < 2 else f"lines {line} to {line + len(lines) - 1}"
