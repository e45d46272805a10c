"""Records of a table, one after another: CSV, TSV, JSON Lines, Parquet."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

from benchmark.data.lines import LONGEST, text_lines
from benchmark.errors import UserError, did_you_mean

Record = tuple[str, tuple[Any, ...]]
"""Where it stands, as ``line 7``, and its values; None where there is none."""

_PARQUET_ROWS = 256


class Table(Protocol):
    """A file of records with named columns."""

    columns: tuple[str, ...]

    def records(self, columns: Sequence[str]) -> Iterator[Record]:
        """Yield the values of some columns, record by record, in the order of the file."""
        ...


class DelimitedTable:
    """CSV or TSV with column names in the first line, quoted as Python's `csv` does it (RFC 4180)."""

    def __init__(self, path: Path, encoding: str) -> None:
        self._path, self._encoding = path, encoding
        head = next(text_lines(path, encoding), "")
        self._delimiter = "\t" if path.suffix.lower() in (".tsv", ".tab") else max(",;\t", key=head.count)
        first = next(self._raw(), None)
        if first is None:
            raise UserError(f"{path} is empty; expected column names in its first line")
        self.columns = tuple(name.strip() for name in first[1])
        _check_columns(path, self.columns)

    def records(self, columns: Sequence[str]) -> Iterator[Record]:
        """Yield records; an empty field is None, since CSV has no other way to say so."""
        places = [self.columns.index(column) for column in columns]
        raw = self._raw()
        next(raw, None)
        for line, fields in raw:
            if len(fields) != len(self.columns):
                raise UserError(
                    f"{self._path}, line {line} has {_fields(len(fields))}; expected {len(self.columns)}, as "
                    "in the first line"
                )
            yield f"line {line}", tuple(fields[place] or None for place in places)

    def _raw(self) -> Iterator[tuple[int, list[str]]]:
        """Yield the line on which a record begins, and its fields."""
        reader = csv.reader(text_lines(self._path, self._encoding), delimiter=self._delimiter, strict=True)
        while True:
            line = reader.line_num + 1
            allowed = csv.field_size_limit(LONGEST)  # of the process: set for this call alone
            try:
                fields = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                raise UserError(f"{self._path}, line {line}: {error}; are the quotes in order?") from None
            finally:
                csv.field_size_limit(allowed)
            if fields:
                yield line, fields


class JsonLinesTable:
    """One JSON object a line."""

    def __init__(self, path: Path, encoding: str) -> None:
        self._path, self._encoding = path, encoding
        first = next(self._raw(), None)
        if first is None:
            raise UserError(f"{path} is empty; expected a JSON object on each line")
        self.columns = tuple(first[1])

    def records(self, columns: Sequence[str]) -> Iterator[Record]:
        """Yield records; a field that is absent is None."""
        for line, record in self._raw():
            yield f"line {line}", tuple(record.get(column) for column in columns)

    def _raw(self) -> Iterator[tuple[int, dict[str, Any]]]:
        for line, text in enumerate(text_lines(self._path, self._encoding), 1):
            if not text.strip():
                continue
            try:
                record = json.loads(text)
            except (ValueError, RecursionError) as error:
                raise UserError(f"{self._path}, line {line} is not JSON: {error}") from None
            if not isinstance(record, dict):
                raise UserError(f"{self._path}, line {line} is not a JSON object; expected {{...}}")
            yield line, record


class ParquetTable:
    """Apache Parquet, read in batches."""

    def __init__(self, path: Path, encoding: str) -> None:
        self._path = path
        with self._errors():
            self.columns = tuple(self._open().schema_arrow.names)
        _check_columns(path, self.columns)

    def records(self, columns: Sequence[str]) -> Iterator[Record]:
        """Yield records; null is None."""
        number = 0
        with self._errors():
            for batch in self._open().iter_batches(batch_size=_PARQUET_ROWS, columns=list(columns)):
                values = {name: batch.column(name).to_pylist() for name in columns}
                for row in range(batch.num_rows):
                    number += 1
                    yield f"row {number}", tuple(values[name][row] for name in columns)

    def _open(self) -> Any:
        import pyarrow.parquet  # type: ignore[import-untyped]

        return pyarrow.parquet.ParquetFile(self._path)

    def _errors(self) -> _ParquetErrors:
        return _ParquetErrors(self._path)


class _ParquetErrors:
    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        import pyarrow

        if isinstance(error, pyarrow.ArrowException | OSError):
            reason = " ".join(str(error).split())[:200]
            raise UserError(f"{self._path} cannot be read as Parquet: {reason}") from error


_FORMATS: dict[str, type[DelimitedTable] | type[JsonLinesTable] | type[ParquetTable]] = {
    ".csv": DelimitedTable,
    ".tsv": DelimitedTable,
    ".tab": DelimitedTable,
    ".jsonl": JsonLinesTable,
    ".ndjson": JsonLinesTable,
    ".parquet": ParquetTable,
}


def open_table(path: Path, encoding: str) -> Table:
    """Open a table by the end of its name.

    Raises
    ------
    UserError
        For an unknown ending, an empty file, and one that is not what its name says.
    """
    if path.suffix.lower() not in _FORMATS:
        hint = did_you_mean(path.suffix, _FORMATS)
        raise UserError(f"csv:{path}: cannot tell the format by the ending '{path.suffix}'; {hint}")
    return _FORMATS[path.suffix.lower()](path, encoding)


def _check_columns(path: Path, columns: Sequence[str]) -> None:
    twice = {name for name in columns if name and columns.count(name) > 1}
    if twice:
        raise UserError(f"{path}: the column '{min(twice)}' stands there twice; expected different names")


def _fields(number: int) -> str:
    return "1 field" if number == 1 else f"{number} fields"
