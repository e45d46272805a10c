"""The board as one HTML file that opens from disk: tables, curves, cost, searches, hard examples."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Mapping
from html import escape
from importlib.resources import files

from benchmark.board.ranking import as_printed
from benchmark.board.rows import Board, Details
from benchmark.report.columns import EMPTY, Section, captions, columns, noted, sections
from benchmark.report.page_data import page_data

# In this order: each file uses what the ones before it define.
_SCRIPTS = (
    "dom.js",
    "chart.js",
    "cells.js",
    "table.js",
    "detail.js",
    "curves.js",
    "cost.js",
    "search.js",
    "hard.js",
    "page.js",
)


def to_html(board: Board, details: Details | None = None, *, title: str | None = None) -> str:
    """Write the board as a page that needs no network and no other file.

    Parameters
    ----------
    board : Board
        As `benchmark.board.board.build_board` gives it.
    details : Details, optional
        As `benchmark.board.page_content.read_details` gives them; the page says "not recorded" without.
    title : str, optional
        Heading of the page; by default it names the data set.

    Returns
    -------
    str
        A whole HTML document. Without JavaScript it is a plain table of each section.

    Notes
    -----
    Names come from users. They are escaped in the plain tables, and stand in a block of JSON for the
    script, which writes them as text only. A content security policy admits this one script and this
    one style sheet, by their hashes, and no request at all.
    """
    board = as_printed(board)
    if title is None:
        title = ", ".join(dict.fromkeys(row.dataset for row in board.rows))
        title = f"The board of {title}" if title else "An empty board"
    style = _resource("page.css")
    script = "(() => {\n'use strict';\n" + "\n".join(map(_resource, _SCRIPTS)) + "\n})();\n"
    policy = (
        f"default-src 'none'; script-src '{_hash(script)}'; style-src '{_hash(style)}'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )
    values = {
        "policy": policy,
        "title": escape(title),
        "style": style,
        "plain": _plain(board),
        "data": _json({"title": title, **page_data(board, details or Details())}),
        "script": script,
    }
    return _filled(_resource("page.html"), values)


def _resource(name: str) -> str:
    return files("benchmark.report").joinpath("page", name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _filled(template: str, values: Mapping[str, str]) -> str:
    """Replace each ``{{name}}`` once; a value that looks like one stays as it is."""
    return re.sub(r"\{\{(\w+)\}\}", lambda found: values[found[1]], template)


def _json(data: object) -> str:
    """Write JSON in which nothing can end the element that it stands in, or a line of JavaScript."""
    text = json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return re.sub("[<>&\u2028\u2029]", lambda found: f"\\u{ord(found[0]):04x}", text)


def _plain(board: Board) -> str:
    """Write the tables that a browser without JavaScript shows."""
    if not board.rows:
        return f"<p>{escape(EMPTY)}</p>"
    lines = "".join(f"<p>{escape(line)}</p>" for line in captions(board))
    return "\n".join([*map(_plain_section, sections(board.rows)), lines])


def _plain_section(section: Section) -> str:
    chosen = columns(section.rows)
    kinds = [' class="number"' if column.numeric else "" for column in chosen]
    head = "".join(
        f'<th scope="col"{kind}>{escape(column.heading)}</th>'
        for column, kind in zip(chosen, kinds, strict=True)
    )
    body = "\n".join(
        "<tr>"
        + "".join(
            f"<td{kind}>{escape(column.text(row))}</td>" for column, kind in zip(chosen, kinds, strict=True)
        )
        + "</tr>"
        for row in section.rows
    )
    banner = f'<p class="watermark">{escape(section.watermark)}</p>' if section.watermark else ""
    notes = "".join(f"<li>{escape(note)}</li>" for note in noted(section.rows))
    return (
        f"<section><h2>{escape(section.title)}</h2>{banner}"
        f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>\n{body}\n</tbody></table></div>'
        f"<ul>{notes}</ul></section>"
    )
