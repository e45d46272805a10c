"""What the script of the HTML page reads: the board and its details as JSON, small and safe."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from benchmark.board.rows import Board, BoardRow, Details, SeedCurves
from benchmark.report.columns import EMPTY, captions, rank, sections, shared
from benchmark.report.page_searches import section_searches
from benchmark.support.printable import redacted

_CURVES = ("loss", "accuracy", "val_loss", "val_accuracy")


def page_data(board: Board, details: Details) -> dict[str, Any]:
    """Collect what the page shows.

    Parameters
    ----------
    board : Board
        Rows and comparisons.
    details : Details
        What is known beyond them.

    Returns
    -------
    dict of str to object
        Only what JSON has. Rows are named by their place in `Board.rows`; figures have six significant
        digits, those of curves four, which is more than a screen shows.
    """
    place = {id(row): index for index, row in enumerate(board.rows)}
    groups = [(section, tuple(place[id(row)] for row in section.rows)) for section in sections(board.rows)]
    ranks = {index: rank(row, shared(section.rows)) for section, group in groups
             for index, row in zip(group, section.rows, strict=True)}  # fmt: skip
    return {
        "empty": EMPTY,
        "captions": captions(board),
        "margin": board.margin,
        "level": board.level,
        "rows": [_row(row, ranks[index]) for index, row in enumerate(board.rows)],
        "sections": [
            {
                "title": section.title,
                "rows": group,
                "watermark": section.watermark,
                "search": section_searches(
                    {index: details.searches[index] for index in group if details.searches.get(index)}
                ),
            }
            for section, group in groups
        ],
        "pairs": list(_pairs(board)),
        "curves": {index: [_curves(seed) for seed in seeds] for index, seeds in details.curves.items()},
        "confusions": details.confusions,
        "classes": details.class_names,
        "hard": {
            digest: [example.model_dump(mode="json") for example in examples]
            for digest, examples in details.hard_examples.items()
        },
        "hardTotal": details.hard_total,
        # Other kinds of address can run a script.
        "links": {
            index: redacted(link)
            for index, link in details.links.items()
            if link.startswith(("http://", "https://"))
        },
    }  # fmt: skip


def _pairs(board: Board) -> Iterator[list[Any]]:
    for pair in board.comparisons:
        figures = (pair.difference, pair.ci_low, pair.ci_high, pair.p_value, pair.p_corrected)
        yield [pair.a, pair.b, pair.n_seeds, *map(digits, figures), pair.outcome]


def digits(value: float | None, places: int = 6) -> float | None:
    """Round to significant digits."""
    return None if value is None else float(f"{value:.{places}g}")


def _row(row: BoardRow, rank_text: str) -> dict[str, Any]:
    record = row.model_dump(mode="json")
    record = {name: digits(value) if isinstance(value, float) else value for name, value in record.items()}
    record["test_accuracies"] = _all(row.test_accuracies, 6)
    return {**record, "name": row.name, "rank_text": rank_text}


def _curves(seed: SeedCurves) -> dict[str, Any]:
    return {"seed": seed.seed, **{name: _all(getattr(seed, name), 4) for name in _CURVES}}


def _all(values: Iterable[float | None] | Sequence[float], places: int) -> list[float | None]:
    return [digits(value, places) for value in values]
