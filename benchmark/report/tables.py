"""The board as a terminal table, Markdown, CSV and JSON: pure functions of a `Board`."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from benchmark.board.ranking import as_printed
from benchmark.board.rows import Board, BoardRow
from benchmark.report.columns import EMPTY, Column, Section, captions, columns, fitting, noted, sections
from benchmark.support.printable import markdown, printable

if TYPE_CHECKING:
    from rich.box import Box
    from rich.console import Console
    from rich.table import Table

_UNLIMITED = 100_000
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
    from rich.text import Text

    board = as_printed(board)

    console = make_console(width or _UNLIMITED, color)
    with console.capture() as capture:
        for section in sections(board.rows):
            _print_section(console, section, wide)
        for line in captions(board):
            console.print(Text(printable(line), style="dim"))
    return "\n".join(line.rstrip() for line in capture.get().splitlines()) + "\n"


def make_console(width: int, color: bool) -> Console:
    """Return a console whose output is captured, as wide as it is told, with ANSI escapes or without."""
    from rich.console import Console

    return Console(
        file=io.StringIO(),
        width=width,
        height=100,  # with both given, rich asks neither the terminal nor the environment
        force_terminal=color,
        color_system="standard" if color else None,
        legacy_windows=False,
    )


def _print_section(console: Console, section: Section, wide: bool) -> None:
    from rich.text import Text

    if section.watermark:
        console.print(Text(f"*** {section.watermark} ***", style="bold red"))
    console.print(Text(printable(section.title), style="bold"))
    table, hidden = _fitting_table(console, section, columns(section.rows, wide=wide))
    console.print(table)
    for note in noted(section.rows):
        console.print(Text(f"! {printable(note)}", style="yellow"))
    if hidden:
        console.print(Text(f"no room for: {', '.join(hidden)}", style="dim"))
    console.print()


def _fitting_table(console: Console, section: Section, chosen: list[Column]) -> tuple[Table, list[str]]:
    """Move the columns together, then leave out the least important ones, until the table fits."""
    from rich.measure import Measurement

    unlimited = console.options.update(max_width=_UNLIMITED)

    def fits(some: Sequence[Column], gap: int = 1) -> bool:
        return Measurement.get(console, unlimited, _table(section, some, gap)).maximum <= console.width

    left, hidden = fitting(chosen, fits)
    return _table(section, left, 2 if fits(left, 2) else 1), hidden


def _table(section: Section, chosen: Sequence[Column], gap: int) -> Table:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=_box(), show_edge=False, pad_edge=False, padding=(0, gap - 1, 0, 0))
    for column in chosen:
        heading = Text(printable(column.heading).replace(" ", "\n", 1))
        table.add_column(
            heading, justify="right" if column.numeric else "left", vertical="bottom", overflow="fold"
        )
    for row in section.rows:
        style = "red" if row.watermark else "bold" if row.rank == 1 else ""
        cells = [Text(printable(column.text(row))) for column in chosen]
        table.add_row(*cells, style=style if row.complete or row.watermark else "yellow")
    return table


def _box() -> Box:
    """Lines above, below and under the heading, and one space between columns."""
    from rich.box import Box

    rule, empty = " ── ", "    "
    return Box("\n".join([rule, empty, rule, empty, empty, empty, empty, rule]) + "\n")


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
    blocks = []
    for section in sections(board.rows):
        blocks.append(f"### {markdown(section.title)}")
        if section.watermark:
            blocks.append(f"> **{section.watermark}**")
        chosen = columns(section.rows)
        lines = [[markdown(c.heading) for c in chosen], ["---:" if c.numeric else ":---" for c in chosen]]
        lines += [[markdown(column.text(row)) for column in chosen] for row in section.rows]
        blocks.append("\n".join(f"| {' | '.join(line)} |" for line in lines))
        notes = [f"- {markdown(note)}" for note in noted(section.rows)]
        if notes:
            blocks.append("\n".join(notes))
    blocks += [f"*{markdown(line)}.*" for line in captions(board)]
    return "\n\n".join(blocks) + "\n"


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
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(BoardRow.model_fields)
    for record in _content(board)["rows"]:
        writer.writerow([csv_cell(record[name]) for name in BoardRow.model_fields])
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


def csv_cell(value: Any) -> Any:
    """Write several values as one text, and lead by an apostrophe what a spreadsheet would run."""
    text = "; ".join(map(str, value)) if isinstance(value, list | tuple) else value
    if not isinstance(text, str):
        return text
    text = printable(text)
    return f"'{text}" if text.lstrip().startswith(_FORMULA) else text
