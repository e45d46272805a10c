"""A board in a sentence: the cheapest row that is not shown to be worse than the best, and what is open."""

from __future__ import annotations

from collections import defaultdict

from benchmark.board.rows import Board, BoardRow
from benchmark.metrics.metric import ACCURACY, get_metric


def summaries(board: Board) -> list[str]:
    """Return a sentence for each section of a board that has results, in the order of its rows.

    Parameters
    ----------
    board : Board
        As it is printed: rows that are the same runs are one (`benchmark.board.ranking.as_printed`).
    """
    sections: dict[tuple[str, ...], list[int]] = defaultdict(list)
    for place, row in enumerate(board.rows):
        if row.counts:
            sections[row.race].append(place)
    lines = [_sentence(board, places) for places in sections.values()]
    if len(lines) > 1:
        firsts = [board.rows[places[0]] for places in sections.values()]
        titles = (", ".join(_title(row)) for row in firsts)
        lines = [f"{title}: {line}" for title, line in zip(titles, lines, strict=True)]
    return lines


def _title(row: BoardRow) -> list[str]:
    aim = [] if row.optimised_for == ACCURACY else [f"optimised for {get_metric(row.optimised_for).title}"]
    return [row.dataset, row.budget, row.protocol, *aim]


def _sentence(board: Board, places: list[int]) -> str:
    ranked = [place for place in places if board.rows[place].rank is not None]
    left_out = len(places) - len(ranked)
    rest = f"; {_rows(left_out)} cannot be compared" if left_out else ""
    if board.rows[places[0]].exploratory:
        rest += "; exploratory, since the metric was chosen after the runs"
    if len(ranked) < 2:
        takes = "all folds" if board.rows[places[0]].folds else "three seeds"
        return f"{_rows(len(places))}, and nothing to compare: that takes two rows of {takes}"
    best = ranked[0]
    outcomes = {pair.b: pair.outcome for pair in board.comparisons if pair.a == best}
    # The best row may be the baseline; its column compares fewer pairs, and so finds more.
    column = {place for place in ranked if board.rows[place].baseline == board.rows[best].name}
    outcomes |= {place: "better" for place in column if board.rows[place].difference_outcome == "worse"}
    decided = {"better", "equivalent"}
    near = [place for place in ranked if place == best or outcomes.get(place) != "better"]
    still_open = sum(place != best and outcomes.get(place) not in decided for place in ranked)
    top = board.rows[best]
    if len(near) == 1:
        others = "the other row" if len(ranked) == 2 else f"all {len(ranked) - 1} other rows"
        return f"{top.name} is better than {others}: {_figures(top)}{rest}"
    cheapest = min((board.rows[place] for place in near), key=lambda row: row.train_seconds_median or 0.0)
    opened = f"{_rows(still_open)} undecided against {top.name}" if still_open else "nothing is left open"
    of = f"the cheapest of {_rows(len(near))} that are not shown to be worse than the best"
    word = "highest" if get_metric(top.metric).larger_is_better else "lowest"
    if len({board.rows[place].machine for place in near} - {""}) > 1:
        costs = "their costs are not compared, as they are of different machines"
        of = f"one of {_rows(len(near))} that are not shown to be worse than the best; {costs}"
        return f"{top.name} has the {word} mean: {_figures(top)}; {of}; {opened}{rest}"
    if cheapest is top:
        return f"{top.name} has the {word} mean and is {of}: {_figures(top)}; {opened}{rest}"
    times = ""
    if top.train_seconds_median and cheapest.train_seconds_median:
        times = f", {top.train_seconds_median / cheapest.train_seconds_median:.2g} times cheaper"
    best_mean = f"the {word} mean has {top.name}, {_figures(top)}"
    return f"{cheapest.name} is {of}: {_figures(cheapest)}{times}; {best_mean}; {opened}{rest}"


def _figures(row: BoardRow) -> str:
    seconds = "" if row.train_seconds_median is None else f", {row.train_seconds_median:,.1f} s a run"
    value = row.test_mean or 0.0
    metric = get_metric(row.metric)
    figure = f"{100 * value:.1f} %" if metric.percent else f"{value:.3f}"
    return f"{figure}{'' if metric.name == ACCURACY else f' {metric.title}'}{seconds}"


def _rows(count: int) -> str:
    return f"{count} row{'' if count == 1 else 's'}"
