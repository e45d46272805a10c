"""The board as a terminal table, Markdown, CSV and JSON: pure functions of a `Board`."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from benchmark.board.ranking import as_printed
from benchmark.board.rows import Board, BoardRow
from benchmark.report.columns import EMPTY, Column, Section, captions, columns, fitting, noted, sections
from benchmark.support.printable import markdown, printable

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table
    from rich.text import Text

UNLIMITED = 100_000
_FORMULA = ("=", "+", "-", "@")


def to_table(board: Board, *, width: int | None = None, color: bool = False, wide: bool = False) -> str:
    """Write the board as a table for a terminal.

    Parameters
    ----------
    board : Board
        What is to be written.
    width : int, optional
        Columns of the terminal; the least important columns are left out to fit, and named below.
        As wide as needed where None.
    color : bool
        Write ANSI escapes.
    wide : bool
        Show everything a row knows.

    Returns
    -------
    str
        Ends with a newline. Smoke tests stand below the ranked tables, under a banner.
    """
    if not board.rows:
        return EMPTY + "\n"
    board = as_printed(board)
    width = width or UNLIMITED
    parts = [part for section in sections(board.rows) for part in _section(section, width, wide)]
    head = [line_of(f"{line}.", "bold") for line in board.summary]
    notes = [line_of(line, "dim") for line in captions(board)]
    return terminal_text([*head, *([""] if head else []), *parts, *notes], width, color)


def terminal_text(parts: Iterable[RenderableType], width: int, color: bool) -> str:
    """Write texts and tables as lines of a terminal, as wide as it says, with ANSI escapes or without."""
    from rich.console import Console

    console = Console(
        file=io.StringIO(),
        width=width,
        height=100,  # with both given, rich asks neither the terminal nor the environment
        force_terminal=color,
        color_system="standard" if color else None,
        legacy_windows=False,
        force_jupyter=False,
    )
    with console.capture() as capture:
        for part in parts:
            console.print(part)
    return "\n".join(line.rstrip() for line in capture.get().splitlines()) + "\n"


def line_of(text: str, style: str) -> Text:
    """Return a line in a style of rich."""
    from rich.text import Text

    return Text(printable(text), style=style)


def _section(section: Section, width: int, wide: bool) -> Iterator[RenderableType]:
    """Write a section: columns move together, and the least important are left out, until the table fits."""
    from rich.console import Console
    from rich.measure import Measurement

    unlimited = Console(width=UNLIMITED, height=100)

    def fits(some: Sequence[Column], gap: int = 1) -> bool:
        return Measurement.get(unlimited, unlimited.options, _table(section, some, gap)).maximum <= width

    chosen, hidden = fitting(columns(section.rows, wide=wide), fits)
    if section.watermark:
        yield line_of(f"*** {section.watermark} ***", "bold red")
    yield line_of(section.title, "bold")
    yield _table(section, chosen, 2 if fits(chosen, 2) else 1)
    yield from (line_of(f"! {note}", "yellow") for note in noted(section.rows))
    if hidden:
        yield line_of(f"no room for: {', '.join(hidden)}", "dim")
    yield ""


def _table(section: Section, chosen: Sequence[Column], gap: int) -> Table:
    table = ruled_table({column.heading: column.numeric for column in chosen}, gap)
    for row in section.rows:
        style = "red" if row.watermark else "bold" if row.rank == 1 else ""
        cells = [line_of(column.text(row), "") for column in chosen]
        table.add_row(*cells, style=style if row.complete or row.watermark else "yellow")
    return table


def ruled_table(headings: Mapping[str, bool], gap: int) -> Table:
    """Return a table without rows, of headings, each with whether its column is numeric."""
    from rich.box import Box
    from rich.table import Table
    from rich.text import Text

    # Lines above, below and under the heading, and one space between columns.
    rule, empty = " ── ", "    "
    box = Box("\n".join([rule, empty, rule, empty, empty, empty, empty, rule]) + "\n")
    table = Table(box=box, show_edge=False, pad_edge=False, padding=(0, gap - 1, 0, 0))
    for heading, numeric in headings.items():
        text = Text(printable(heading).replace(" ", "\n", 1))
        table.add_column(text, justify="right" if numeric else "left", vertical="bottom", overflow="fold")
    return table


def to_markdown(board: Board) -> str:
    """Write the board as Markdown (GitHub's tables).

    Parameters
    ----------
    board : Board
        What is to be written.

    Returns
    -------
    str
        Ends with a newline; names are escaped, so none can break the table or add HTML.
    """
    if not board.rows:
        return EMPTY + "\n"
    board = as_printed(board)
    blocks = [f"**{markdown(line)}.**" for line in board.summary]
    for section in sections(board.rows):
        blocks.append(f"### {markdown(section.title)}")
        if section.watermark:
            blocks.append(f"> **{section.watermark}**")
        chosen = columns(section.rows)
        headings = {markdown(column.heading): column.numeric for column in chosen}
        cells = [[markdown(column.text(row)) for column in chosen] for row in section.rows]
        blocks += [markdown_table(headings, cells), markdown_list(noted(section.rows))]
    blocks += [f"*{markdown(line)}.*" for line in captions(board)]
    return "\n\n".join(filter(None, blocks)) + "\n"


def markdown_table(headings: Mapping[str, bool], rows: Iterable[Sequence[str]]) -> str:
    """Write a table of GitHub's Markdown: headings, each with whether its column is numeric, and cells."""
    rule = ["---:" if numeric else ":---" for numeric in headings.values()]
    return "\n".join(f"| {' | '.join(line)} |" for line in (headings, rule, *rows))


def markdown_list(items: Iterable[str]) -> str:
    """Write a list of Markdown; the items are escaped."""
    return "\n".join(f"- {markdown(item)}" for item in items)


def to_csv(board: Board) -> str:
    """Write the board as CSV: the fields of `BoardRow`, floats not rounded, None as nothing.

    Parameters
    ----------
    board : Board
        What is to be written.

    Returns
    -------
    str
        A heading and a line for each row. Several values in a cell are separated by ``"; "``. Text
        that a spreadsheet would run as a formula is led by an apostrophe.
    """
    return csv_text(list(BoardRow.model_fields), _content(board)["rows"])


def csv_text(names: Sequence[str], records: Iterable[Mapping[str, Any]]) -> str:
    """Write records as CSV: several values as one text, and by an apostrophe what a spreadsheet would run."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(names)
    writer.writerows([_csv_cell(record[name]) for name in names] for record in records)
    return stream.getvalue()


def to_json(board: Board) -> str:
    """Write the board as JSON: the fields of `Board`, by the published schema (`json_schema`).

    Parameters
    ----------
    board : Board
        What is to be written.

    Returns
    -------
    str
        Floats are not rounded; what is not known is null, never NaN.
    """
    return json.dumps(_content(board), indent=2, allow_nan=False) + "\n"


def json_schema() -> str:
    """Return the JSON schema of what `to_json` writes: the content of ``docs/board.schema.json``."""
    schema = Board.model_json_schema(mode="serialization")
    for part in (schema, *schema["$defs"].values()):
        part.pop("description", None)  # the docstrings, which are about Python
        part["required"] = list(part["properties"])  # nothing is ever left out
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema"}
    return json.dumps({**head, **schema, "title": "Textbench board"}, indent=2) + "\n"


def _content(board: Board) -> dict[str, Any]:
    # Pydantic writes NaN as null, even in a row that was copied past its validation.
    content: dict[str, Any] = json.loads(board.model_dump_json())
    return content


def _csv_cell(value: Any) -> Any:
    text = "; ".join(map(str, value)) if isinstance(value, list | tuple) else value
    if not isinstance(text, str):
        return text
    text = printable(text)
    return f"'{text}" if text.lstrip().startswith(_FORMULA) else text
