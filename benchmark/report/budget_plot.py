"""Budget curves: the best result on validation to be expected of a search, by its trials and seconds."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmark.board.ranking import as_printed
from benchmark.board.rows import Board, BoardRow, Details
from benchmark.metrics.metric import get_metric
from benchmark.report import plot_style as style
from benchmark.report.columns import sections
from benchmark.report.page_searches import section_searches
from benchmark.report.plot_style import GREY, INK, LINES

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_WIDTH, _LEFT, _RIGHT, _BETWEEN = 11.0, 0.8, 2.3, 0.35  # inches
_DASHES = ((1, 0), (4, 2), (1, 1.5))
_RINGS = {True: (INK, 1.6), False: (GREY, 0.9)}
"""Colour and width of a ring where the lead changes, by whether that is sure."""


def budget_picture(board: Board, details: Details, path: Path | str) -> None:
    """Draw the expected best validation accuracy of each search, two panels for each section.

    Parameters
    ----------
    board : Board
        Whose rows were searched.
    details : Details
        With the trials of the searches, as `benchmark.board.page_content.read_details` gives them.
    path : path-like
        Where the picture goes; ``.png`` or ``.svg``.

    Raises
    ------
    ValueError
        When the name ends in something else.

    Notes
    -----
    A ring marks where another search takes the lead; it is black where the bands of the two part before
    and after, and grey where the change may be chance. Searches of smoke tests are not drawn.
    """
    board = as_printed(board)
    places = {id(row): place for place, row in enumerate(board.rows)}
    shown = [row for row in board.rows if not row.watermark]
    parts = []
    for part in sections(shown):
        rows = {places[id(row)]: row for row in part.rows}
        aim = get_metric(part.rows[0].optimised_for)
        found = section_searches(
            {place: details.searches[place] for place in rows if place in details.searches}, aim
        )
        if found["trials"]["curves"]:
            parts.append((part.title, rows, found, aim))
    single = f" on {parts[0][0]}" if len(parts) == 1 else ""
    fig, bottoms = style.panels_figure(
        *(_WIDTH, 0.85, max(len(parts), 1), f"What a search can be expected to find{single}"),
        "Best result on validation among so many of its trials, in random order, with 95 % bands; "
        "it says nothing of the test split",
    )
    width = (_WIDTH - _LEFT - _RIGHT - _BETWEEN) / 2
    panels = [
        [style.add_panel(fig, left, bottom, width) for left in (_LEFT, _LEFT + width + _BETWEEN)]
        for bottom in bottoms
    ]
    for (title, rows, found, aim), (left, right) in zip(parts, panels, strict=False):
        style.plain_axes(left, title if len(parts) > 1 else "")
        style.plain_axes(right)
        for axes, unit in ((left, "trials"), (right, "seconds")):
            _draw_curves(axes, found[unit], aim.factor)
            axes.set_ylim(*_limits(found, aim.factor))
        left.set_ylabel(f"expected best validation {aim.label}", fontsize=9)
        left.set_xlabel("trials", fontsize=9)
        style.whole_ticks(left)
        right.tick_params(labelleft=False)
        right.set_xlabel("seconds of training (logarithmic)", fontsize=9)
        seconds = [value for curve in found["seconds"]["curves"].values() for value in curve["x"]]
        style.log_seconds(right, seconds)
        _add_legend(right, rows, found, aim.sign)
    if not parts:
        style.say_alone(panels[0][0], "no search with a result")
        panels[0][1].set_axis_off()
    lost = sum(counts[1] for _, _, found, _ in parts for counts in found["counts"].values())
    without = f"Trials without a value, which count as the worst of their search: {lost}" if lost else ""
    style.footnote(fig, board, shown, without)
    style.save(fig, path)


def _draw_curves(axes: Axes, found: Mapping[str, Any], factor: float) -> None:
    curves = found["curves"]
    for place, curve in curves.items():
        color, dashes = _line_style(place, curves)
        x, mean, low, high = (np.asarray(curve[name]) for name in ("x", "mean", "low", "high"))
        weak = 0.14 if len(curves) < 4 else 0.06
        axes.fill_between(x, factor * low, factor * high, color=color, alpha=weak, linewidth=0)
        marker = "o" if len(x) == 1 else ""
        axes.plot(x, factor * mean, color=color, dashes=dashes, linewidth=1.8, marker=marker, markersize=5)
    for crossing in found["crossings"]:
        if crossing["first_place"]:
            curve = curves[crossing["ahead"]]
            y = factor * float(np.interp(crossing["budget"], curve["x"], curve["mean"]))
            color, width = _RINGS[_sure(crossing)]
            axes.scatter(
                *([crossing["budget"]], [y]), s=70, facecolors="none", edgecolors=color, linewidths=width,
                zorder=6,
            )  # fmt: skip


def _limits(found: Mapping[str, Any], factor: float) -> tuple[float, float]:
    """Choose the values that both panels show: all means, and of the bands not more than helps."""
    curves = [curve for unit in ("trials", "seconds") for curve in found[unit]["curves"].values()]
    mean, low, high = (
        factor * np.concatenate([curve[name] for curve in curves]) for name in ("mean", "low", "high")
    )
    # The band of one or two trials may be wider than everything else.
    room = max(float(np.ptp(mean)), factor / 100)
    bottom, top = max(low.min(), mean.min() - 0.4 * room), min(high.max(), mean.max() + 0.6 * room)
    return float(bottom) - 0.05 * room, float(top) + 0.05 * room


def _line_style(place: int, curves: Mapping[int, Any]) -> tuple[str, tuple[float, float]]:
    """Colour and dashes of a curve, by its place among them."""
    number = list(curves).index(place)
    return LINES[number % len(LINES)], _DASHES[number // len(LINES) % len(_DASHES)]


def _sure(crossing: Mapping[str, Any]) -> bool:
    return bool(crossing["apart_before"] and crossing["apart_after"])


def _add_legend(axes: Axes, rows: Mapping[int, BoardRow], found: Mapping[str, Any], sign: int) -> None:
    from matplotlib.lines import Line2D

    curves = found["trials"]["curves"]
    marks = []
    # The best end first.
    for place in sorted(curves, key=lambda place: -sign * curves[place]["mean"][-1]):
        color, dashes = _line_style(place, curves)
        label = f"{style.short(rows[place].model, 22)}, {found['counts'][place][0]} trials"
        marks.append(Line2D([], [], color=color, dashes=dashes, linewidth=1.8, label=label))
    leads = [c for unit in ("trials", "seconds") for c in found[unit]["crossings"] if c["first_place"]]
    for sure, label in ((True, "the lead changes"), (False, "the lead may change")):
        if any(_sure(crossing) == sure for crossing in leads):
            color, width = _RINGS[sure]
            marks.append(style.mark(label, "o", color, 8, "none"))
            marks[-1].set_markeredgewidth(width)
    style.legend(axes, marks, loc="upper left", bbox_to_anchor=(1.02, 1), handlelength=2.2)
