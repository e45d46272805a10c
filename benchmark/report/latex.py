"""The board as LaTeX: a fragment with a table for each section, to be read by a paper."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

from benchmark.board.ranking import as_printed
from benchmark.board.rows import Board
from benchmark.report.columns import (
    EMPTY,
    NOTHING,
    Column,
    Section,
    captions,
    columns,
    fitting,
    noted,
    sections,
)

_HEAD = "% A board of Textbench, to be read with \\input. The preamble needs \\usepackage{booktabs}.\n"
_PAGE, _GAP = 345.0, 7.0
"""Points: the width of the text of LaTeX's ``article``, and the room between columns."""
_NARROW = frozenset(" .,:;'|()[]iljtfr-")

_SPECIAL = {
    **{character: f"\\{character}" for character in "{}$&#_%"},
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': "{''}",
    "±": r"$\pm$",
    "×": r"$\times$",
    "µ": r"$\mu$",
    "°": r"$^\circ$",
    "–": "{--}",
    "—": "{---}",
    "‘": "{`}",
    "’": "{'}",
    "“": "{``}",
    "”": "{''}",
    "…": r"\ldots{}",
    "ß": r"{\ss}",
    "æ": r"{\ae}",
    "Æ": r"{\AE}",
    "œ": r"{\oe}",
    "Œ": r"{\OE}",
    "ø": r"{\o}",
    "Ø": r"{\O}",
    "ł": r"{\l}",
    "Ł": r"{\L}",
    "ı": r"{\i}",
}
_LIGATURE = re.compile(r"(?<=[-`',?!])(?=[-`',])")
_ACCENTS = {
    "\u0300": "`",
    "\u0301": "'",
    "\u0302": "^",
    "\u0303": "~",
    "\u0304": "=",
    "\u0306": "u",
    "\u0307": ".",
    "\u0308": '"',
    "\u030a": "r",
    "\u030b": "H",
    "\u030c": "v",
    "\u0323": "d",
    "\u0327": "c",
    "\u0328": "k",
}


def to_latex(board: Board) -> str:
    """Write the board as LaTeX.

    Parameters
    ----------
    board : Board
        What is to be written.

    Returns
    -------
    str
        A fragment without preamble. Names are escaped; what pdfLaTeX's usual fonts do not have is written by
        its number, as ``[U+4E2D]``. Each table has a caption, a label (``tab:…``), and notes below. The least
        important columns are left out to fit a page; a comment names them.
    """
    if not board.rows:
        return f"{_HEAD}% {EMPTY}\n"
    board = as_printed(board)
    labels: list[str] = []
    tables = [_table(board, section, labels) for section in sections(board.rows)]
    head = [f"\\noindent\\textbf{{{escaped(line)}.}}\\par" for line in board.summary]
    return _HEAD + "\n" + "\n".join([*head, *tables])


def _table(board: Board, section: Section, labels: list[str]) -> str:
    first = section.rows[0]
    alone = board.model_copy(update={"rows": section.rows})
    title = (
        f"{first.dataset} (digest {first.dataset_digest}), budget {first.budget}, protocol {first.protocol}"
    )
    metric = board.metrics[first.metric].title
    if first.exploratory:
        metric += " (exploratory)"
    watermark = f"\\textbf{{{escaped(section.watermark)}}}. " if section.watermark else ""
    chosen, hidden = fitting(columns(section.rows), lambda some: _width(some, section) <= _PAGE)
    headings = " & ".join(_heading(column) for column in chosen)
    lines = [" & ".join(_cell(column, column.text(row)) for column in chosen) for row in section.rows]
    notes = [f"{escaped(line)}.\\par" for line in (*noted(section.rows), *captions(alone))]
    return "\n".join(
        [
            "\\begin{table}[htbp]",
            "\\centering",
            f"\\caption{{{watermark}Test {metric} on {escaped(title)}.}}",
            f"\\label{{{_label(first.dataset, first.budget, first.protocol, labels)}}}",
            "\\footnotesize",
            f"\\setlength{{\\tabcolsep}}{{{_GAP / 2}pt}}",
            f"\\begin{{tabular}}{{@{{}}{''.join('r' if column.numeric else 'l' for column in chosen)}@{{}}}}",
            "\\toprule",
            f"{headings} \\\\",
            "\\midrule",
            *(f"{line} \\\\" for line in lines),
            "\\bottomrule",
            "\\end{tabular}",
            *([f"% No room for: {escaped(', '.join(hidden))}."] if hidden else []),
            "\\par\\medskip",
            "\\begin{minipage}{\\linewidth}",
            "\\raggedright",
            *notes,
            "\\end{minipage}",
            "\\end{table}",
            "",
        ]
    )


def _width(chosen: Sequence[Column], section: Section) -> float:
    """Estimate the points that a table takes in LaTeX's footnote size, from its letters."""
    widths = []
    for column in chosen:
        lines = [*column.heading.split(" ", 1), *(column.text(row) for row in section.rows)]
        widths.append(max(sum(2.7 if letter in _NARROW else 4.5 for letter in line) for line in lines))
    return sum(widths) + _GAP * (len(widths) - 1)


def _label(dataset: str, budget: str, protocol: str, taken: list[str]) -> str:
    """Return a label of letters, digits and hyphens that no table before has."""
    name = re.sub(r"[^a-z0-9]+", "-", f"textbench {dataset} {budget} {protocol}".lower()).strip("-")
    taken.append(name)
    count = taken.count(name)
    return f"tab:{name}" if count == 1 else f"tab:{name}-{count}"


def _heading(column: Column) -> str:
    side = "r" if column.numeric else "l"
    first, _, rest = column.heading.partition(" ")
    # The braces: a bracket that comes first would be an option of the line break.
    lines = f"{escaped(first)}\\\\{{}}{escaped(rest)}" if rest else escaped(first)
    return f"\\shortstack[{side}]{{{lines}}}"


def _cell(column: Column, text: str) -> str:
    if text == NOTHING:
        return "--"
    if not column.numeric:
        return escaped(text)
    ranges = re.sub(r"(?<=\d)-(?=\d)", "--", escaped(text))
    return re.sub(r"(?<!-)-(?=\d)", "$-$", ranges)  # a minus, not a hyphen


def escaped(text: str) -> str:
    """Make any text safe to set: nothing in it is a command, and pdfLaTeX has all of its characters."""
    parts = _LIGATURE.split(unicodedata.normalize("NFC", text))
    return "{}".join("".join(_SPECIAL.get(c) or _plain(c) for c in part) for part in parts)


def _plain(character: str) -> str:
    if character.isascii():
        return character if character.isprintable() else " "
    if character.isspace():
        return " "
    base, *marks = list(unicodedata.normalize("NFD", character))
    if base.isascii() and base.isalpha() and len(marks) == 1 and marks[0] in _ACCENTS:
        return f"\\{_ACCENTS[marks[0]]}{{{base}}}"
    simple = unicodedata.normalize("NFKC", character)
    if simple != character and simple.isascii() and simple.isalnum():
        return simple
    return f"[U+{ord(character):04X}]"
