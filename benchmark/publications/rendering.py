"""Published figures beside measured ones, as a terminal table, Markdown and CSV."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from benchmark.publications.reproduction import FIGURES, ReproductionRow, number
from benchmark.report.tables import csv_text, markdown_list, markdown_table, terminal_text
from benchmark.support.printable import markdown, printable

_NOTHING = "-"
_WIDTH = 160  # where there is no terminal
_HEADINGS = {
    **dict.fromkeys(("name", "source", "figure"), False),
    **dict.fromkeys(("published", "measured", "seeds"), True),
    "verdict": False,
}
"""Each with whether its column is numeric."""


def to_table(rows: Sequence[ReproductionRow], *, width: int | None = None, color: bool = False) -> str:
    """Write the rows as a table for a terminal.

    Parameters
    ----------
    rows : sequence of ReproductionRow
        As `benchmark.publications.reproduction.reproduction_rows` gives them.
    width : int, optional
        Columns of the terminal, in which long cells are folded; 160 where None.
    color : bool
        Write ANSI escapes.

    Returns
    -------
    str
        Ends with a newline.
    """
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    table = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for heading, numeric in _HEADINGS.items():
        table.add_column(heading, justify="right" if numeric else "left", overflow="fold")
    for row in rows:
        style = "yellow" if row.verdict.startswith("differs") else "dim" if row.mean is None else ""
        table.add_row(*(Text(printable(cell)) for cell in _cells(row, row.source)), style=style)
    notes = [Text(f"! {printable(line)}") for line in _notes(rows)]
    return terminal_text([table, *notes], width or _WIDTH, color)


def _notes(rows: Sequence[ReproductionRow]) -> list[str]:
    return list(dict.fromkeys(f"{row.label}: {note}" for row in rows for note in row.notes))


def to_markdown(rows: Sequence[ReproductionRow], command: str, pictures: Mapping[str, str]) -> str:
    """Write the rows as a Markdown page.

    Parameters
    ----------
    rows : sequence of ReproductionRow
        As `benchmark.publications.reproduction.reproduction_rows` gives them.
    command : str
        What made the page.
    pictures : mapping of str to str
        File name of the curves by label.

    Returns
    -------
    str
        Ends with a newline; names are escaped, so none can break the table or add HTML.
    """
    lines = []
    for row in rows:
        link = markdown(row.source, in_link=True)
        if row.url is not None:
            link = f"[{link}](<{_address(row.url)}>)"
        name, _, *rest = _cells(row, "")
        lines.append((markdown(name), link, *map(markdown, rest)))
    blocks = [
        "# Published configurations, measured",
        f"Made by `{printable(command).replace('`', ' ')}`.",
        markdown_table(_HEADINGS, lines),
        "Measured: mean over seeds with its 95 % interval (none below three seeds). A published figure is "
        "mostly one run of unknown luck: it agrees when it lies where 95 of 100 runs here are expected.",
        markdown_list(_notes(rows)),
    ]
    for label, row in {row.label: row for row in rows}.items():
        blocks.append(f"## {markdown(label)}")
        where = f"{row.model} on {row.dataset}" + (f", protocol {row.protocol}" if row.protocol else "")
        blocks.append(f"{markdown(row.title)} ({markdown(where)}).")
        if row.differs:
            blocks += ["Not as published:", markdown_list(row.differs)]
        if label in pictures:
            title = f"Loss and accuracy by epoch of {markdown(label, in_link=True)}"
            blocks.append(f"![{title}](<{_address(pictures[label])}>)")
    return "\n\n".join(filter(None, blocks)) + "\n"


def to_csv(rows: Sequence[ReproductionRow]) -> str:
    """Write the rows as CSV: the fields of `ReproductionRow`, floats not rounded, None as nothing.

    Several values in a cell are separated by ``"; "``. Text that a spreadsheet would run as a formula is
    led by an apostrophe.
    """
    return csv_text(list(ReproductionRow.model_fields), [row.model_dump() for row in rows])


def _measured(row: ReproductionRow) -> str:
    """Write a mean with its interval: ``87.3 [86.9, 87.7]``."""
    if row.mean is None:
        return _NOTHING
    text = number(row.mean, row.metric)
    if row.ci_low is None or row.ci_high is None:
        return text
    return f"{text} [{number(row.ci_low, row.metric)}, {number(row.ci_high, row.metric)}]"


def _seeds(row: ReproductionRow) -> str:
    """Write the number of runs in a mean: ``5``, or ``3 of 5`` where some failed."""
    if row.mean is None:
        return _NOTHING
    ok = len(row.values)
    return str(ok) if ok == row.seeds_expected else f"{ok} of {row.seeds_expected}"


def _cells(row: ReproductionRow, source: str) -> tuple[str, ...]:
    figure = FIGURES[row.metric]
    return (row.label, source, figure, row.published, _measured(row), _seeds(row), row.verdict)


def _address(url: str) -> str:
    return re.sub(r"[<>|\s]", lambda match: f"%{ord(match[0]):02X}", url)
