"""Size curves as a terminal table, Markdown, CSV and JSON."""

from __future__ import annotations

import json
from collections import defaultdict
from typing import TYPE_CHECKING, Any

from benchmark.board.board import protocol_note
from benchmark.board.ranking import LEVEL
from benchmark.board.rows import BoardRow
from benchmark.board.size_curves import Point, SizeCurves
from benchmark.report.columns import NOTHING, counted, score, seeds_in_words
from benchmark.report.tables import (
    UNLIMITED,
    csv_text,
    line_of,
    markdown_list,
    markdown_table,
    ruled_table,
    terminal_text,
)
from benchmark.support.printable import markdown, printable

if TYPE_CHECKING:
    from rich.console import RenderableType


def title_of(curves: SizeCurves) -> str:
    """Say what the figures are: ``Test accuracy (%) on imdb by number of training texts``."""
    return f"Test {curves.metric.label} on {curves.dataset} by number of training texts"


def cells(curves: SizeCurves) -> list[list[str]]:
    """Return headings, then for each number of texts a line with the mean of each model and its interval."""
    lines = [
        [f"{texts:,}", *(_cell(curves.points.get((model, texts))) for model in curves.models)]
        for texts in curves.sizes
    ]
    return [["texts", *curves.models], *lines]


def _cell(row: BoardRow | None) -> str:
    if row is None:
        return NOTHING
    return score(row) + ("" if row.complete else f", {seeds_in_words(row)}")


def notes(curves: SizeCurves) -> list[str]:
    """Say what the figures mean, and what is to be known of single points."""
    draws = counted(max(row.seeds_expected for row in curves.points.values()), "draw")
    found = [
        f"Mean over {draws} of the training texts with its {100 * LEVEL:g} % interval for other draws and "
        "seeds on this test split; a draw is the same for all models, and contains the smaller ones"
    ]
    if curves.comparisons:
        steps = sum(a[0] == b[0] for a, b in curves.comparisons)
        of_models = counted(len(curves.comparisons) - steps, "comparison")
        found.append(
            f"Verdicts are paired over draws and test texts, and corrected (Holm) for {of_models} of models, "
            f"and for {counted(steps, 'last step')} to more texts"
        )
    if curves.networks:
        found.append(
            "Early stopping of networks reads the labels of the whole validation split, and vocabularies are "
            "those of the whole training split; neither is in the number of texts"
        )
    for model in curves.models:
        how = [f"{n:,} ({one})" for (name, n), one in curves.scaled.items() if name == model]
        if how:
            found.append(f"{model}: its default is scaled to few texts: {', '.join(how)}")
    about: dict[str, list[Point]] = defaultdict(list)
    for point, row in curves.points.items():
        for note in row.notes:
            usual = note != protocol_note(row.protocol)
            about[note if usual else f"protocol {row.protocol}"].append(point)
    return found + [f"{_where(curves, points)}: {note}" for note, points in about.items()]


def _where(curves: SizeCurves, points: list[Point]) -> str:
    """Write points: ``nbsvm, 100 and 300 texts``, or the model alone where it is about all of its points."""
    parts = []
    for model in dict.fromkeys(model for model, _ in points):
        sizes = [f"{n:,}" for name, n in points if name == model]
        every = len(sizes) == sum(name == model for name, _ in curves.points)
        parts.append(model if every else f"{model}, {' and '.join(sizes)} texts")
    return "; ".join(parts)


def records(curves: SizeCurves) -> list[dict[str, Any]]:
    """Return the points, names as in JSON, figures not rounded."""
    return [
        {
            "dataset": curves.dataset,
            "model": model,
            "texts": texts,
            "metric": curves.metric.name,
            "mean": row.test_mean,
            "ci_low": row.test_ci_low,
            "ci_high": row.test_ci_high,
            "values": row.test_values,
            "seeds": row.seeds,
            "seeds_expected": row.seeds_expected,
            "train_seconds_median": row.train_seconds_median,
            "parameters": row.parameters,
            "protocol": row.protocol,
            "scaled": curves.scaled.get((model, texts), ""),
            "notes": row.notes,
            "run_ids": row.run_ids,
        }
        for (model, texts), row in curves.points.items()
    ]


def to_table(curves: SizeCurves, *, width: int | None = None, color: bool = False) -> str:
    """Write curves for a terminal of so many columns: figures, verdicts, notes."""
    headings, *lines = cells(curves)
    table = ruled_table(dict.fromkeys(headings, True), gap=2)
    for line in lines:
        table.add_row(*map(printable, line))
    verdicts = [line_of(f"{line}.", "bold") for line in curves.sentences]
    below = [line_of(note, "dim") for note in notes(curves)]
    parts: list[RenderableType] = [line_of(title_of(curves), "bold"), table, "", *verdicts, "", *below]
    return terminal_text(parts, width or UNLIMITED, color)


def to_markdown(curves: SizeCurves) -> str:
    """Write curves as Markdown (GitHub's tables)."""
    headings, *lines = ([markdown(cell) for cell in line] for line in cells(curves))
    table = markdown_table(dict.fromkeys(headings, True), lines)
    blocks = [f"### {markdown(title_of(curves))}", table]
    blocks += [f"**{markdown(line)}.**" for line in curves.sentences]
    return "\n\n".join([*blocks, markdown_list(notes(curves))]) + "\n"


def to_csv(curves: SizeCurves) -> str:
    """Write the points as CSV, as `benchmark.report.tables.csv_text` writes rows."""
    found = records(curves)
    return csv_text(list(found[0]), found)


def to_json(curves: SizeCurves) -> str:
    """Write points, comparisons and sentences as JSON."""
    comparisons = [
        {
            "a": {"model": a[0], "texts": a[1]},
            "b": {"model": b[0], "texts": b[1]},
            "difference": one.difference,
            "ci_low": one.interval.low,
            "ci_high": one.interval.high,
            "ci_level": one.interval.level,
            "p_value": one.p_value,
            "p_corrected": one.p_corrected,
            "outcome": one.outcome,
        }
        for (a, b), one in curves.comparisons.items()
    ]
    content = {
        "dataset": curves.dataset,
        "metric": curves.metric.name,
        "sentences": curves.sentences,
        "points": records(curves),
        "comparisons": comparisons,
        "notes": notes(curves),
    }
    return json.dumps(content, indent=2, allow_nan=False) + "\n"
