"""A board as it is printed: rows of two tiers that are the same runs are one line."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from benchmark.board.ranking import systems
from benchmark.board.rows import Board, BoardRow, Details, HardExample

Value = TypeVar("Value")


def as_printed(board: Board, details: Details | None = None) -> tuple[Board, Details]:
    """Return a board, and its details, where rows that are the same runs are one.

    Where the published default has won its search there are two such rows; the one that stays is of the tier
    ``default+tuned`` and says what the search cost.
    """
    place: dict[int, int] = {}
    rows: list[BoardRow] = []
    names: dict[tuple[str, str], str] = {}  # by digest, where they change
    for old, first in enumerate(systems(board.rows)):
        row, other = board.rows[old], board.rows[first]
        if first == old or not row.run_ids or (row.model, row.study) != (other.model, other.study):
            place[old] = len(rows)
            rows.append(row)
            continue
        place[old] = place[first]
        earlier = rows[place[first]]
        searched = row if earlier.tier == "default" else earlier
        one = searched.model_copy(update={"tier": f"{earlier.tier}+{row.tier}"})
        rows[place[first]] = one
        names |= {(row.dataset_digest, before.name): one.name for before in (earlier, row)}
    renamed = [
        row.model_copy(update={"baseline": names.get((row.dataset_digest, row.baseline or ""), row.baseline)})
        for row in rows
    ]
    pairs = [pair.model_copy(update={"a": place[pair.a], "b": place[pair.b]}) for pair in board.comparisons]
    known = details or Details()

    def moved(by_row: Mapping[int, Value]) -> dict[int, Value]:
        return {place[old]: value for old, value in by_row.items()}

    def with_names(digest: str, example: HardExample) -> HardExample:
        answers = {names.get((digest, name), name): answer for name, answer in example.answers.items()}
        return example.model_copy(update={"answers": answers})

    changes = {
        "curves": moved(known.curves),
        "searches": moved(known.searches),
        "confusions": moved(known.confusions),
        "links": moved(known.links),
        "hard_examples": {
            digest: tuple(with_names(digest, example) for example in examples)
            for digest, examples in known.hard_examples.items()
        },
    }
    printed = board.model_copy(update={"rows": tuple(renamed), "comparisons": tuple(pairs)})
    return printed, known.model_copy(update=changes)
