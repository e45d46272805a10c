"""The board as one HTML file that opens from disk: tables, curves, cost, searches, hard examples."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Sequence
from html import escape
from importlib.resources import files
from typing import Any

from benchmark.board.ranking import as_printed
from benchmark.board.rows import Board, BoardRow, Details, MetricFacts
from benchmark.board.size_curves import SizeCurves
from benchmark.metrics.metric import get_metric
from benchmark.metrics.of_answers import by_class
from benchmark.report.columns import EMPTY, captions, columns, noted, rank, sections
from benchmark.report.page_searches import section_searches
from benchmark.report.size_curves import cells, notes, title_of
from benchmark.support.printable import redacted

# In this order: each file uses what the ones before it define.
_SCRIPTS = ("dom", "chart", "cells", "table", "detail", "curves", "cost", "search", "hard", "sizes", "page")
_FRAGMENT_STYLE = (
    ".textbench h2{font-size:1.1em} .textbench .scroll{overflow-x:auto} .textbench .number{text-align:right} "
    ".textbench td,.textbench th{white-space:nowrap} .textbench .watermark{font-weight:bold} "
    ".textbench p,.textbench ul{font-size:.85em}"
)


def to_html(
    board: Board,
    details: Details | None = None,
    *,
    others: Sequence[Board] = (),
    title: str | None = None,
    curves: Sequence[SizeCurves] = (),
) -> str:
    """Write the board as a page that needs no network and no other file.

    Parameters
    ----------
    board : Board
        As `benchmark.board.board.build_board` gives it.
    details : Details, optional
        As `benchmark.board.page_content.read_details` gives them; the page prints "not recorded" without.
    others : sequence of Board
        The same rows by other metrics, to which a reader can switch.
    title : str, optional
        Heading of the page; by default it names the data set.
    curves : sequence of SizeCurves
        As `benchmark.board.size_curves.read_size_curves` gives them; each has a panel.

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
    script = "\n".join(_resource(f"{name}.js") for name in _SCRIPTS)
    script = f"(() => {{\n'use strict';\n{script}\n}})();\n"
    policy = (
        f"default-src 'none'; script-src '{_hash(script)}'; style-src '{_hash(style)}'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )
    return _rendered(
        "page.html",
        policy=policy,
        title=title,
        style=style,
        summary=board.summary,
        tables=_tables(board),
        curves="".join(map(_curves_section, curves)),
        data=_json(
            {
                "title": title,
                **_page_data(board, details or Details(), others),
                "sizeCurves": list(map(_drawn, curves)),
            }
        ),
        script=script,
    )


def to_fragment(board: Board, *, wide: bool = False) -> str:
    """Write the board as a piece of a page, with its style and no script, as a notebook shows it."""
    board = as_printed(board)
    summary = "".join(f"<p><b>{escape(line)}.</b></p>" for line in board.summary)
    return (
        f'<div class="textbench"><style>{_FRAGMENT_STYLE}</style>{summary}{_tables(board, wide=wide)}</div>'
    )


def curves_fragment(curves: SizeCurves) -> str:
    """Write size curves as a piece of a page, as `to_fragment` does a board."""
    return f'<div class="textbench"><style>{_FRAGMENT_STYLE}</style>{_curves_section(curves)}</div>'


def _curves_section(curves: SizeCurves) -> str:
    headings, *lines = cells(curves)
    shown = {"title": title_of(curves), "headings": headings, "lines": lines, "notes": notes(curves)}
    return _rendered("curves.html", sentences=curves.sentences, **shown)


def _drawn(curves: SizeCurves) -> dict[str, Any]:
    """Collect what is drawn: of each model, by number of texts, mean and ends of the interval."""
    drawn = []
    for model in curves.models:
        rows = {texts: row for (name, texts), row in curves.points.items() if name == model}
        figures = {n: (row.test_mean, row.test_ci_low, row.test_ci_high) for n, row in rows.items()}
        points = [
            [n, *(None if value is None else curves.metric.factor * value for value in three)]
            for n, three in sorted(figures.items())
            if three[0] is not None
        ]
        drawn.append({"model": model, "points": _rounded(points)})
    digits = 1 if curves.metric.percent else 3
    return {"title": title_of(curves), "label": curves.metric.label, "digits": digits, "lines": drawn}


def _tables(board: Board, *, wide: bool = False) -> str:
    """Write the plain table of each section, with its notes."""
    parts = sections(board.rows)
    shown = [(part, columns(part.rows, wide=wide), noted(part.rows)) for part in parts]
    return _rendered("tables.html", sections=shown, captions=captions(board), empty=EMPTY)


def _rendered(template: str, **values: Any) -> str:
    from jinja2 import Environment

    environment = Environment(
        autoescape=False,  # here, and not by Jinja: quotes as Python's library writes them
        finalize=lambda value: value if hasattr(value, "__html__") else escape(str(value)),
        keep_trailing_newline=True,
    )
    return environment.from_string(_resource(template)).render(**values)


def _resource(name: str) -> str:
    return files("benchmark.report").joinpath("page", name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _json(data: object) -> str:
    """Write JSON in which nothing can end the element that it stands in, or a line of JavaScript."""
    text = json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return re.sub("[<>&\u2028\u2029]", lambda found: f"\\u{ord(found[0]):04x}", text)


def _page_data(board: Board, details: Details, others: Sequence[Board]) -> dict[str, Any]:
    """Collect what the script shows, as JSON has it.

    Rows are named by their place in `Board.rows`, also those of the other boards, whose order differs.
    Figures have six significant digits, those of curves and pairs four, which is more than a screen shows.
    """
    places = {row.identity: place for place, row in enumerate(board.rows)}
    first = _by_metric(board, range(len(board.rows)))
    for section in first["sections"]:
        found = {place: details.searches[place] for place in section["rows"] if details.searches.get(place)}
        aim = get_metric(board.rows[section["rows"][0]].optimised_for)
        section["search"] = section_searches(found, aim)
    views = [_by_metric(one, [places[row.identity] for row in one.rows]) for one in map(as_printed, others)]
    for view in views:
        # What a row has in common with the first board is there already.
        pairs = zip(view["rows"], first["rows"], strict=True)
        view["rows"] = [
            {name: value for name, value in new.items() if value != old[name]} for new, old in pairs
        ]
    return {
        "empty": EMPTY,
        "level": board.level,
        **first,
        "others": views,
        "curves": _rounded(details.curves, 4),
        "confusions": details.confusions,
        "byClass": {
            place: _rounded(_by_class(counts, board.rows[place]), 4)
            for place, counts in details.confusions.items()
        },
        "classes": details.class_names,
        "hard": details.hard_examples,
        "hardTotal": details.hard_total,
        # Other kinds of address can run a script.
        "links": {
            place: redacted(link)
            for place, link in details.links.items()
            if link.startswith(("http://", "https://"))
        },
    }


def _by_metric(board: Board, places: Sequence[int]) -> dict[str, Any]:
    """Collect what depends on the metric; `places` are the numbers by which the page names the rows."""
    ranks: dict[int, str] = {}
    parts = []
    number = {id(row): place for row, place in zip(board.rows, places, strict=True)}
    for section in sections(board.rows):
        ranks |= {number[id(row)]: rank(row) for row in section.rows}
        group = [number[id(row)] for row in section.rows]
        parts.append({"title": section.title, "rows": group, "watermark": section.watermark})
    aims = {row.optimised_for: get_metric(row.optimised_for) for row in board.rows}
    known = {
        name: MetricFacts(**{field: getattr(aim, field) for field in MetricFacts.model_fields})
        for name, aim in aims.items()
    }
    rows = {
        place: {**_rounded(row.model_dump(mode="json")), "name": row.name, "rank_text": ranks[place]}
        for place, row in zip(places, board.rows, strict=True)
    }
    return {
        "label": " / ".join(dict.fromkeys(facts.title for facts in board.metrics.values())),
        "metrics": {name: facts.model_dump() for name, facts in (known | board.metrics).items()},
        "captions": captions(board),
        "summary": board.summary,
        "rows": [rows[place] for place in sorted(rows)],
        "sections": parts,
        "pairs": [
            [
                *(places[pair.a], places[pair.b]),
                *_rounded((pair.difference, pair.ci_low, pair.ci_high, pair.p_corrected), 4),
                pair.outcome,
            ]
            for pair in board.comparisons
        ],
    }


def _by_class(confusion: Sequence[Sequence[int]], row: BoardRow) -> list[list[float]]:
    """Return precision, recall, F1 and support of each class, from the answers of a row's seeds."""
    found = by_class(confusion)
    return [
        one.tolist() for one in found._replace(support=found.support * max(1, len(row.folds)) // row.n_seeds)
    ]


def _rounded(value: Any, digits: int = 6) -> Any:
    """Round all floats in a value to significant digits."""
    if isinstance(value, float):
        return float(f"{value:.{digits}g}")
    if isinstance(value, dict):
        return {name: _rounded(item, digits) for name, item in value.items()}
    return [_rounded(item, digits) for item in value] if isinstance(value, list | tuple) else value
